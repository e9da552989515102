"""torchvision's detectors trained on COCO: Faster R-CNN, as the AVA papers use one, and RetinaNet.

Source: Ren et al., "Faster R-CNN", NIPS 2015; Lin et al., "Focal loss for dense object detection", ICCV 2017;
their improved recipes ("v2") and weights are torchvision's (BSD-3-Clause).
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from twinpath.device import choose_device
from twinpath.errors import DamagedWeights, MissingExtra, WeightsMismatch
from twinpath.people.base import MAX_PEOPLE, Picture, people_in
from twinpath.results.keyframes import PersonBoxes
from twinpath.weights.fetch import DOWNLOAD_RETRY, cached_path, fetch_file
from twinpath.weights.formats import read_weights
from twinpath.weights.sniff import check_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from twinpath.retry import RetryPolicy
    from twinpath.weights.callbacks import Progress

_PERSON = 1  # of the 91 classes of COCO that torchvision uses; 0 is background
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")  # how torch.hub names files: the SHA-256 begins so
_MAX_SIDES_RATIO = 50  # of a picture; scaled, a narrower one has no row of pixels left


@dataclass(frozen=True)
class Published:
    """A network of torchvision and its published weights; `twinpath.weights.fetch` takes it as a record.

    Attributes:
        name: For people and errors.
        builder: The function in `torchvision.models.detection`.
        score_option: That function's name for the lowest score.
        count_option: That function's name for how many boxes a picture may have.
        url: Of the weights; the name of the file ends with the start of its SHA-256.
        min_score: From which a box most likely is a person; networks differ in their scores.
    """

    name: str
    builder: str
    score_option: str
    count_option: str
    url: str
    min_score: float

    @property
    def file_name(self) -> str:
        """In the cache: as published, so that one fetched by hand is found."""
        return self.url.rsplit("/", 1)[-1]

    def check(self, path: Path, *, where: str | None = None) -> None:
        """Refuse a file that is not the published one; raises DamagedWeights or UnknownWeightFormat."""
        check_whole(path, where=where)
        promised = _HASH_IN_NAME.search(self.file_name)
        if promised is None:
            return
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if not actual.startswith(promised[1]):
            raise DamagedWeights(
                f"{where or path} is not the file that torchvision published: its SHA-256 begins with "
                f"{actual[: len(promised[1])]}, not with {promised[1]}"
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
    """A PersonDetector.

    Args:
        published: Network and weights, which are downloaded on first use: 167 MB or 146 MB.
        device: As for `choose_device`: "auto", "cpu", "cuda" …
        min_score: Boxes that score less are left out; None: the network's own `min_score`.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        retry: When a download gives up.
    Raises:
        MissingExtra: torchvision is not installed, or does not fit the torch that is.
        UsageError: There is no such device.
        DownloadFailed: Says which URL to fetch and where to put the file.
        DamagedWeights, UnknownWeightFormat, UnsafeWeights, WeightsMismatch: The file there is not usable.
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

    def __call__(self, pictures: Sequence[Picture], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`; pictures of any size, also of several."""
        answers = [PersonBoxes.none() for _ in pictures]
        places = [i for i, picture in enumerate(pictures) if _can_be_scaled(picture)]
        if not places:
            return answers
        with torch.inference_mode():
            found = self._network([self._prepared(pictures[i]) for i in places])
        for i, answer in zip(places, found, strict=True):
            person = answer["labels"] == _PERSON
            answers[i] = people_in(
                answer["boxes"][person].float().cpu().numpy(),
                answer["scores"][person].float().cpu().numpy(),
                width_px=pictures[i].shape[1],
                height_px=pictures[i].shape[0],
                min_score=self.min_score,
            )
        return answers

    def _prepared(self, picture: Picture) -> Tensor:
        """(3, H, W) in 0 to 1; the network scales and normalises by itself."""
        on_device = torch.from_numpy(picture.copy()).to(
            self._device
        )  # torch refuses arrays that are read-only
        return on_device.permute(2, 0, 1).float() / 255


def load_torchvision_detection() -> Any:
    """The module `torchvision.models.detection`.

    Raises:
        MissingExtra: Not installed, or built for another torch; says so in one line.
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
            f"torchvision does not load with torch {torch.__version__} ({reason}); install the torchvision "
            "that belongs to this torch, from the same index: pip install --force-reinstall torch torchvision"
        ) from error


def _load(network: nn.Module, path: Path, *, name: str) -> None:
    """Set every parameter and buffer. Raises: WeightsMismatch: the file is of another network."""
    tensors = read_weights(path).tensors
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - wanted.keys())
    shape_mismatch = [
        (key, tuple(tensors[key].shape), tuple(wanted[key].shape))
        for key in sorted(wanted.keys() & tensors.keys())
        if tensors[key].shape != wanted[key].shape
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


def _can_be_scaled(picture: Picture) -> bool:
    height, width = int(picture.shape[0]), int(picture.shape[1])
    return max(height, width) <= _MAX_SIDES_RATIO * min(height, width)


def _version() -> str:
    return str(importlib.import_module("torchvision").__version__)
