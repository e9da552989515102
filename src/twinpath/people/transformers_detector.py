"""D-FINE, RT-DETR and other detectors of Hugging Face's `transformers` with a class "person".

Source: Peng et al., "D-FINE", ICLR 2025; Zhao et al., "DETRs beat YOLOs on real-time object detection"
(RT-DETR), CVPR 2024. Code in a model's repository is never executed, and no pickled weights are loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from twinpath.device import choose_device, mind_fork, use_threads
from twinpath.errors import DownloadFailed, MissingExtra, UnknownWeightFormat, UsageError
from twinpath.people.base import Frame, people_in
from twinpath.results.keyframes import PersonBoxes
from twinpath.zoo.hub_access import first_line, why_not_there

DEFAULT_MODEL = "ustc-community/dfine-small-coco"
DEFAULT_MIN_SCORE = 0.5

_FAILURES = (OSError, ValueError, KeyError, RuntimeError)  # of transformers if it cannot load a model
_PERSON_LABELS = ("person", "people", "human", "pedestrian")


class TransformersDetector:
    """A PersonDetector with a network of transformers.

    Args:
        name_or_path: A model on the Hugging Face Hub, or a folder that `save_pretrained` wrote.
        device: See `choose_device`: "auto", "cpu", "cuda" …
        min_score: Drop the boxes with a lower score.
    Raises:
        MissingExtra: transformers is not installed, or does not load.
        UsageError: There is no such device, or the model has no class "person".
        DownloadFailed: The model is not cached and cannot be downloaded.
        UnknownWeightFormat: The folder holds no such model.
    """

    def __init__(
        self,
        name_or_path: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        min_score: float = DEFAULT_MIN_SCORE,
    ) -> None:
        transformers = _load_transformers()
        self._device = choose_device(device)
        self._made_by = os.getpid()
        use_threads()
        self.min_score = min_score
        network, self._processor = _load_model(transformers, name_or_path)
        self._person = _person_of(network.config.id2label, name_or_path)
        self._network: Any = network.eval().requires_grad_(False).to(self._device)
        self.name = f"{name_or_path} (transformers {transformers.__version__})"
        self.batch_frames = 8 if self._device.type == "cuda" else 1

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        """See `PersonDetector`. Frames may have any size, also different sizes in one call."""
        if not frames:
            return []
        mind_fork(self._made_by, self._device)
        sizes = [frame.shape[:2] for frame in frames]
        inputs = self._processor(
            images=[frame.copy() for frame in frames],  # torch warns about read-only arrays
            input_data_format="channels_last",  # else a frame three pixels high is read as planes
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            outputs = self._network(**inputs)
            found = self._processor.post_process_object_detection(
                outputs, threshold=self.min_score, target_sizes=sizes
            )
        return [
            people_in(
                answer["boxes"][answer["labels"] == self._person].float().cpu().numpy(),
                answer["scores"][answer["labels"] == self._person].float().cpu().numpy(),
                width_px=width,
                height_px=height,
                min_score=self.min_score,
            )
            for answer, (height, width) in zip(found, sizes, strict=True)
        ]


def _load_transformers() -> Any:
    """Import the package. Raises: MissingExtra: It is not installed, or does not load."""
    install = "pip install 'twinpath[dfine]'"
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"people='dfine' needs {error.name}; install it with: {install}") from error
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingExtra(f"transformers does not load ({reason}); install it with: {install}") from error


def _load_model(transformers: Any, name_or_path: str) -> tuple[Any, Any]:
    """Network and image processor, from a folder, the Hub's cache, or the Hub.

    Raises:
        DownloadFailed: A name that is not in the Hub's cache and cannot be downloaded.
        UnknownWeightFormat: A folder without such a model.
    """
    if Path(name_or_path).is_dir():
        with _without_bars(transformers):  # nothing is downloaded yet
            try:
                return _parts_of(transformers, name_or_path, local_files_only=True)
            except _FAILURES as error:
                raise UnknownWeightFormat(
                    f"{name_or_path} holds no detector of transformers ({first_line(error)})"
                ) from error
    with contextlib.suppress(*_FAILURES), _without_bars(transformers):
        return _parts_of(transformers, name_or_path, local_files_only=True)
    reason = why_not_there(name_or_path, "config.json")
    if reason is not None:
        raise _no_download(name_or_path, reason)
    try:
        return _parts_of(transformers, name_or_path, local_files_only=False)
    except _FAILURES as error:
        raise _no_download(name_or_path, first_line(error)) from error


def _parts_of(transformers: Any, name_or_path: str, *, local_files_only: bool) -> tuple[Any, Any]:
    """Network and image processor. Raises: MissingExtra; and _FAILURES if they cannot be loaded."""
    options = {"trust_remote_code": False, "local_files_only": local_files_only}
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name_or_path, **options)
        network = transformers.AutoModelForObjectDetection.from_pretrained(
            name_or_path, use_safetensors=True, dtype=torch.float32, **options
        )
    except ImportError as error:  # of what a processor or a backbone needs
        reason = first_line(error)
        raise MissingExtra(
            f"{name_or_path} needs more: {reason}; install it with: pip install 'twinpath[dfine]'"
        ) from error
    return network, processor


def _no_download(name: str, reason: str) -> DownloadFailed:
    return DownloadFailed(
        f"cannot load {name} from the Hugging Face Hub ({reason}); fetch "
        f"https://huggingface.co/{name} another way and give its folder: people='dfine=FOLDER'"
    )


@contextlib.contextmanager
def _without_bars(transformers: Any) -> Iterator[None]:
    bars = transformers.utils.logging
    had_bars = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if had_bars:
            bars.enable_progress_bar()


def _person_of(labels: Mapping[int, str], name: str) -> int:
    """The index of the class "person". Raises: UsageError: There is none."""
    by_label = {label.casefold(): int(index) for index, label in labels.items()}
    for label in _PERSON_LABELS:
        if label in by_label:
            return by_label[label]
    shown = ", ".join(list(labels.values())[:5])
    raise UsageError(f"{name} has no class 'person' among its {len(labels)} ({shown} …)")
