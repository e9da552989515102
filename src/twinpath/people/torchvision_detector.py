"""torchvision's detectors trained on COCO: Faster R-CNN, as in the AVA papers, and RetinaNet.

Source: Ren et al., "Faster R-CNN", NIPS 2015; Lin et al., "Focal loss for dense object detection", ICCV 2017;
their improved recipes ("v2") and weights are torchvision's (BSD-3-Clause).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from twinpath.device import choose_device, mind_fork, use_threads
from twinpath.errors import DamagedWeights, MissingExtra, WeightsMismatch
from twinpath.people.base import MAX_PEOPLE, Frame, people_in
from twinpath.results.keyframes import PersonBoxes
from twinpath.weights.fetch import DOWNLOAD_RETRY, cached_path, fetch_file
from twinpath.weights.formats import read_weights
from twinpath.weights.sniff import check_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from twinpath.retry import RetryPolicy
    from twinpath.weights.callbacks import Progress

_PERSON = 1  # in torchvision's 91 classes of COCO; 0 is background
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")  # torch.hub's file names have the start of the SHA-256
_MAX_SIDES_RATIO = 50  # of a frame; a narrower one has no row of pixels after scaling


@dataclass(frozen=True)
class Published:
    """A network of torchvision and its published weights, in the form that `twinpath.weights.fetch` needs.

    Attributes:
        name: Human-readable name.
        builder: The function in `torchvision.models.detection`.
        score_option: The builder's argument for the minimum score.
        count_option: The builder's argument for the maximum number of boxes per frame.
        url: URL of the weights; the file name ends with the start of its SHA-256.
        min_score: Default minimum score of a person; the scores of networks differ.
    """

    name: str
    builder: str
    score_option: str
    count_option: str
    url: str
    min_score: float

    @property
    def file_name(self) -> str:
        """The file name in the cache: as published, so that a manually downloaded file is outputs."""
        return self.url.rsplit("/", 1)[-1]

    def check(self, path: Path, *, where: str | None = None) -> None:
        """Check the hash of a file. Raises: DamagedWeights, UnknownWeightFormat: It is another file."""
        check_whole(path, where=where)
        expected = _HASH_IN_NAME.search(self.file_name)
        if expected is None:
            return
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if not actual.startswith(expected[1]):
            raise DamagedWeights(
                f"{where or path} is not the file that torchvision published: its SHA-256 begins with "
                f"{actual[: len(expected[1])]}, not with {expected[1]}"
            )


FASTER_RCNN = Published(
    name="Faster R-CNN R50-FPN v2",
    builder="fasterrcnn_resnet50_fpn_v2",
    score_option="box_score_thresh",
    count_option="box_detections_per_img",
    url="https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
    min_score=0.7,
)
RETINANET = Published(
    name="RetinaNet R50-FPN v2",
    builder="retinanet_resnet50_fpn_v2",
    score_option="score_thresh",
    count_option="detections_per_img",
    url="https://download.pytorch.org/models/retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
    min_score=0.5,
)


class TorchvisionDetector:
    """A PersonDetector with a network of torchvision.

    Args:
        published: Network and weights, which are downloaded on first use: 167 MB or 146 MB.
        device: See `choose_device`: "auto", "cpu", "cuda" …
        min_score: Drop the boxes with a lower score; None: the default of the network.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        retry: When to retry a download and when to give up.
    Raises:
        MissingExtra: torchvision is not installed, or does not match the installed torch.
        UsageError: There is no such device.
        DownloadFailed: The message has the URL and where to put the file.
        DamagedWeights, UnknownWeightFormat, UnsafeWeights, WeightsMismatch: The weight file is not usable.
    """

    def __init__(
        self,
        published: Published = FASTER_RCNN,
        *,
        device: str = "auto",
        min_score: float | None = None,
        progress: Progress | None = None,
        retry: RetryPolicy = DOWNLOAD_RETRY,
    ) -> None:
        detection = load_torchvision_detection()
        self._device = choose_device(device)
        self._made_by = os.getpid()
        use_threads()
        self.min_score = published.min_score if min_score is None else min_score
        path = fetch_file(
            published.name,
            published.url,
            cached_path(published),
            check=published.check,
            progress=progress,
            retry=retry,
        )
        options = {published.score_option: self.min_score, published.count_option: MAX_PEOPLE}
        network: nn.Module = getattr(detection, published.builder)(
            weights=None, weights_backbone=None, **options
        )
        _load(network, path, name=published.name)
        self._network: Any = network.eval().requires_grad_(False).to(self._device)
        self.name = f"{published.name} (COCO, torchvision {_version()})"
        self.batch_frames = 8 if self._device.type == "cuda" else 1

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`. Frames may have any size, also different sizes in one call."""
        people = [PersonBoxes.none() for _ in frames]
        indices = [i for i, frame in enumerate(frames) if _can_be_scaled(frame)]
        if not indices:
            return people
        mind_fork(self._made_by, self._device)
        with torch.inference_mode():
            outputs = self._network([self._prepared(frames[i]) for i in indices])
        for i, answer in zip(indices, outputs, strict=True):
            person = answer["labels"] == _PERSON
            people[i] = people_in(
                answer["boxes"][person].float().cpu().numpy(),
                answer["scores"][person].float().cpu().numpy(),
                width_px=frames[i].shape[1],
                height_px=frames[i].shape[0],
                min_score=self.min_score,
            )
        return people

    def _prepared(self, frame: Frame) -> Tensor:
        """(3, H, W) float, 0 to 1; the network resizes and normalises."""
        on_device = torch.from_numpy(frame.copy()).to(self._device)  # torch warns about read-only arrays
        return on_device.permute(2, 0, 1).float() / 255


def load_torchvision_detection() -> Any:
    """Import the module `torchvision.models.detection`.

    Raises:
        MissingExtra: Not installed, or built for another torch.
    """
    try:
        return importlib.import_module("torchvision.models.detection")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torchvision":
            raise
        raise MissingExtra(
            "this person detector needs torchvision; install it with: pip install 'twinpath[detect]'"
        ) from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:  # "operator torchvision::nms …"
        reason = str(error).strip().partition("\n")[0]
        raise MissingExtra(
            f"torchvision does not load with torch {torch.__version__} ({reason}); install the matching "
            "torchvision, from the same index as torch: pip install --force-reinstall torch torchvision"
        ) from error


def _load(network: nn.Module, path: Path, *, name: str) -> None:
    """Load all parameters and buffers. Raises: WeightsMismatch: The file is of another network."""
    tensors = read_weights(path).tensors
    expected = network.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys())
    shape_mismatch = [
        (key, tuple(tensors[key].shape), tuple(expected[key].shape))
        for key in sorted(expected.keys() & tensors.keys())
        if tensors[key].shape != expected[key].shape
    ]
    if missing or unexpected or shape_mismatch:
        example = (missing or unexpected or [key for key, _, _ in shape_mismatch])[0]
        raise WeightsMismatch(
            f"{path} is not for {name}: {len(missing)} names are missing, {len(unexpected)} unexpected and "
            f"{len(shape_mismatch)} of another shape, first {example}; delete it to fetch it again",
            missing=missing,
            unexpected=unexpected,
            shape_mismatch=shape_mismatch,
        )
    network.load_state_dict(tensors)


def _can_be_scaled(frame: Frame) -> bool:
    height, width = int(frame.shape[0]), int(frame.shape[1])
    return max(height, width) <= _MAX_SIDES_RATIO * min(height, width)


def _version() -> str:
    return str(importlib.import_module("torchvision").__version__)
