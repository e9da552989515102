"""Create person detectors and trackers by name. Imports torch and OpenCV only if they are needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.errors import DownloadFailed, MissingExtra, UsageError
from twinpath.people.base import PersonDetector, Tracker, lost_after_s
from twinpath.suggest import nearest_name

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress

DETECTORS = ("auto", "fasterrcnn", "retinanet", "dfine", "hog", "motion", "whole")
TRACKERS = ("iou", "bytetrack", "ocsort")

_MODEL_PREFIX = "dfine="
_NEEDS = {  # (packages, command that installs them)
    "fasterrcnn": (("torchvision",), "pip install 'twinpath[detect]'"),
    "retinanet": (("torchvision",), "pip install 'twinpath[detect]'"),
    "dfine": (("transformers", "torch"), "pip install 'twinpath[dfine]'"),
    "hog": (("cv2",), "pip install 'twinpath[hog]'"),
    "motion": (("cv2",), "pip install 'twinpath[hog]'"),
}
_WITHOUT_DOWNLOAD = "the person detectors hog, motion, whole and a file of boxes need no download"


def check_detector(spec: str, *, live: bool = False) -> None:
    """Check the name of a detector without importing or downloading anything.

    Args:
        spec: See `make_detector`.
        live: For a live source, which does not accept a file of boxes.
    Raises:
        UsageError: No such detector and no such file, or a file of boxes for a live source.
        MissingExtra: A required package is not installed; the message has the command that installs it.
    """
    name = "dfine" if spec.startswith(_MODEL_PREFIX) else spec
    if spec == _MODEL_PREFIX:
        raise UsageError(f"people={spec!r}: add a name on the Hugging Face Hub, or a folder")
    if name == "auto" and not _is_installed("torchvision"):
        raise MissingExtra(
            "finding people needs torchvision (pip install 'twinpath[detect]') and its weights, a download; "
            + _WITHOUT_DOWNLOAD
        )
    if name in _NEEDS:
        packages, install = _NEEDS[name]
        for package in packages:
            if not _is_installed(package):
                raise MissingExtra(f"people={name!r} needs {package}; install it with: {install}")
    elif name not in DETECTORS:
        path = Path(spec)
        if not spec or not _exists(path):
            raise UsageError(
                f"people={spec!r}: no such detector, and no such file; {_hint(spec, DETECTORS)}"
                f"choose one of {', '.join(DETECTORS)}, dfine=MODEL or a file of boxes"
            )
        if live:
            raise UsageError(
                f"people={spec!r}: a file of boxes works for a video only, not for a live source"
            )


def make_detector(
    spec: str,
    *,
    video: Path | None,
    width_px: int,
    height_px: int,
    device: str = "auto",
    min_score: float | None = None,
    isolate: bool = False,
    progress: Progress | None = None,
) -> PersonDetector:
    """Create a person detector for one video.

    Args:
        spec: One of `DETECTORS`, "dfine=NAME_OR_FOLDER" (any detector of transformers with a class "person"),
            or a file of boxes. "auto" is torchvision's Faster R-CNN.
        video: The video; its name selects the boxes in a file. None: a live source.
        width_px, height_px: Size of the displayed frames in pixels.
        device: The device of the network: "auto", "cpu", "cuda" …
        min_score: Minimum score of a person, 0 to 1; None: the default of the detector.
        isolate: Read the video, if the boxes in a file need its times, in a sandboxed process.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
    Raises:
        UsageError: No such detector and no such file, or a score out of range.
        MissingExtra: A required package is not installed; the message has the command that installs it.
        WeightsError: Its weights cannot be downloaded or used.
        InputError: The file of boxes cannot be used.
    """
    if min_score is not None and not 0 <= min_score <= 1:
        raise UsageError(f"min_person_score must be from 0 to 1, not {min_score:g}")
    check_detector(spec, live=video is None)
    if spec == "auto":
        return _automatic(device, min_score, progress)
    if spec in ("fasterrcnn", "retinanet"):
        return _torchvision(spec, device, min_score, progress)
    if spec == "dfine" or spec.startswith(_MODEL_PREFIX):
        return _transformers(spec, device, min_score)
    if spec == "hog":
        from twinpath.people import hog_detector

        return hog_detector.HogDetector(min_score=_or(min_score, hog_detector.DEFAULT_MIN_SCORE))
    if spec == "motion":
        from twinpath.people import motion_detector

        return motion_detector.MotionDetector(min_score=_or(min_score, motion_detector.DEFAULT_MIN_SCORE))
    if spec == "whole":
        from twinpath.people.whole_frame import WholeFrame

        return WholeFrame()
    from twinpath.people.file_boxes import FileBoxes

    assert video is not None  # as `check_detector` ensures
    lowest = _or(min_score, 0.0)
    return FileBoxes(
        Path(spec),
        video=video,
        width_px=width_px,
        height_px=height_px,
        min_score=lowest,
        isolate=isolate,
    )


def serves_any_video(spec: str) -> bool:
    """Whether a detector is stateless, so that one can be used for several videos."""
    return spec in ("auto", "fasterrcnn", "retinanet", "dfine", "hog", "whole") or spec.startswith(
        _MODEL_PREFIX
    )


def make_tracker(name: str, *, every_s: float) -> Tracker:
    """Create a tracker for one video.

    Args:
        name: One of `TRACKERS`.
        every_s: Distance of the keyframes in seconds, > 0.
    Raises:
        UsageError: No such tracker.
        MissingExtra: A required package is not installed; the message has the command that installs it.
    """
    if not 0 < every_s < float("inf"):
        raise UsageError(f"every_s must be above 0 s, not {every_s:g}")
    if name == "iou":
        from twinpath.people.iou_tracker import IouTracker, TrackRules

        return IouTracker(TrackRules(lost_s=lost_after_s(every_s)))
    if name in ("bytetrack", "ocsort"):
        from twinpath.people.trackers_tracker import TrackersTracker

        return TrackersTracker("bytetrack" if name == "bytetrack" else "ocsort", every_s=every_s)
    hint = _hint(name, TRACKERS)
    raise UsageError(f"tracker={name!r}: no such tracker; {hint}choose one of {', '.join(TRACKERS)}")


def _automatic(device: str, min_score: float | None, progress: Progress | None) -> PersonDetector:
    """Faster R-CNN; if it fails, the error also names the detectors that need no download."""
    try:
        return _torchvision("fasterrcnn", device, min_score, progress)
    except MissingExtra as error:
        raise MissingExtra(f"{error}; {_WITHOUT_DOWNLOAD}") from error
    except DownloadFailed as error:
        raise DownloadFailed(f"{error}; {_WITHOUT_DOWNLOAD}") from error


def _torchvision(
    spec: str, device: str, min_score: float | None, progress: Progress | None
) -> PersonDetector:
    from twinpath.people.torchvision_detector import FASTER_RCNN, RETINANET, TorchvisionDetector

    published = FASTER_RCNN if spec == "fasterrcnn" else RETINANET
    return TorchvisionDetector(published, device=device, min_score=min_score, progress=progress)


def _transformers(spec: str, device: str, min_score: float | None) -> PersonDetector:
    from twinpath.people.transformers_detector import DEFAULT_MIN_SCORE, DEFAULT_MODEL, TransformersDetector

    model = DEFAULT_MODEL if spec == "dfine" else spec.removeprefix(_MODEL_PREFIX)
    return TransformersDetector(model, device=device, min_score=_or(min_score, DEFAULT_MIN_SCORE))


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or contains NUL
        return False


def _hint(name: str, names: tuple[str, ...]) -> str:
    nearest = nearest_name(name, names)
    return f"did you mean {nearest}? " if nearest else ""


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
