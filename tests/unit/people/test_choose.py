"""From names to person detectors, and the errors where one is missing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import DownloadFailed, InputError, MissingExtra, UsageError
from twinpath.people.choose import DETECTORS, check_detector, make_detector


def make(spec: str, **options: Any) -> Any:
    return make_detector(spec, video=Path("clip.mp4"), width_px=64, height_px=48, **options)


@pytest.mark.parametrize("spec", ["hog", "motion", "whole"])
def test_detectors_without_download(spec: str) -> None:
    if spec != "whole":
        pytest.importorskip("cv2")
    detector = make(spec)
    assert detector.name
    assert detector.batch_frames >= 1


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "boxes"
    path.write_text("clip,1,0.1,0.1,0.5,0.9\n")
    assert "boxes" in make(str(path)).name


@pytest.mark.parametrize(
    ("spec", "nearest"), [("fastrcnn", "fasterrcnn"), ("dfin", "dfine"), ("hogg", "hog"), ("whole_", "whole")]
)
def test_unknown_word_names_the_nearest(spec: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {nearest}?") as caught:
        make(spec)
    assert "a file of boxes" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["", "boxes.csv", "x" * 5000, "a\0b", "line\nbreak"])
def test_what_is_no_file(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, InputError)) as caught:
        make(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", [*DETECTORS, "dfine=some/model"])
def test_every_detector_is_known_before_it_is_loaded(spec: str) -> None:
    for package in ("torchvision", "transformers", "cv2"):
        pytest.importorskip(package)
    check_detector(spec)
    check_detector(spec, live=True)


def test_boxes_in_a_file_belong_to_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("clip,1,0.1,0.1,0.5,0.9\n")
    check_detector(str(path))
    with pytest.raises(UsageError, match="not for a live source"):
        check_detector(str(path), live=True)
    with pytest.raises(UsageError, match="not for a live source"):
        make_detector(str(path), video=None, width_px=64, height_px=48)


@pytest.mark.parametrize("min_score", [-0.1, 1.5, float("nan")])
def test_scores_that_make_no_sense(min_score: float) -> None:
    with pytest.raises(UsageError, match="min_person_score must be from 0 to 1, not"):
        make("whole", min_score=min_score)


def test_dfine_without_a_name() -> None:
    with pytest.raises(UsageError, match="add a name on the Hugging Face Hub"):
        make("dfine=")


@pytest.mark.parametrize("spec", ["auto", "fasterrcnn"])
def test_torchvision_missing(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[detect\]'") as caught:
        make(spec)
    assert "\n" not in str(caught.value)
    if spec == "auto":
        assert "hog, motion, whole" in str(caught.value)


def test_torchvision_for_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("twinpath.people.torchvision_detector")  # while imports still work

    def fail(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(MissingExtra, match="nms does not exist") as caught:
        make("auto")
    assert "matching torchvision, from the same index as torch" in str(caught.value)
    assert "hog, motion, whole" in str(caught.value)


def test_automatic_choice_without_a_network_says_what_works_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))
    monkeypatch.setenv("TWINPATH_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(DownloadFailed, match=r"fasterrcnn_resnet50_fpn_v2_coco-dd69338a\.pth") as caught:
        make("auto", device="cpu")
    assert str(tmp_path / "weights") in str(caught.value)
    assert "hog, motion, whole" in str(caught.value)


def test_opencv_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for spec in ("hog", "motion"):
        with pytest.raises(MissingExtra, match=f"people='{spec}' needs cv2.*pip install"):
            make(spec)


def test_opencv_5_has_no_hog(monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = pytest.importorskip("cv2")
    if hasattr(cv2, "HOGDescriptor"):
        monkeypatch.delattr(cv2, "HOGDescriptor")
    with pytest.raises(MissingExtra, match=r"version 4 does: pip install 'opencv-python>=4\.9,<5'"):
        make("hog")


def test_transformers_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[dfine\]'"):
        make("dfine")


def test_choosing_imports_nothing_heavy() -> None:
    code = (
        "import sys, twinpath.people, twinpath.people.choose as c; c.make_tracker('iou', every_s=1)\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'transformers', 'trackers', 'supervision', 'scipy'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
