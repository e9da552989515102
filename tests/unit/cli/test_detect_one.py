"""One video of `twinpath detect`: what later runs may take as done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.cli.detect_one import Job, detect_into_files, is_done
from twinpath.errors import NotAFile
from twinpath.recognize.detector import Detector
from twinpath.results.detections import Detections
from twinpath.results.provenance import Provenance

RUN = Provenance(None, "m", None, {"every_s": 1.0})
JOB = Job("whole", "iou", 1.0, np.full(80, 0.5), None, 1.5, ("json",), 3, False, True, RUN)


def detector(meanwhile: Callable[[Path], None]) -> Detector:
    """Finds nobody; something happens while it works."""

    def detect(video: Path, **_: Any) -> Detections:
        meanwhile(video)
        return Detections(
            video=str(video), model="m", dataset="ava2.2", engine="e", person_detector="p", tracker="t",
            width_px=64, height_px=48, duration_s=1.0, every_s=1.0, keyframes_s=(0.0,), tracks=(),
            warnings=(), timing_s={},
        )  # fmt: skip

    return cast(Detector, detect)


@pytest.mark.parametrize("changes", [False, True])
def test_a_file_that_changes_meanwhile_is_not_done(tmp_path: Path, changes: bool) -> None:
    """It was still being copied: a later run looks at it again."""
    video, base = bad_videos.make_good(tmp_path), tmp_path / "out" / "video"
    looked = detector(lambda path: os.utime(path, (1, 1)) if changes else None)
    done = detect_into_files(JOB, looked, video, base, lambda done, total: None)
    assert done.error is None
    assert done.files["json"].is_file()
    assert is_done(JOB, video, base) is not changes


def test_a_file_that_went_away_is_told_as_such(tmp_path: Path) -> None:
    gone = tmp_path / "gone.mp4"
    done = detect_into_files(JOB, detector(lambda _: None), gone, tmp_path / "gone", lambda done, total: None)
    assert isinstance(done.error, NotAFile)
