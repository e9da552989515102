"""Detections in many videos, with a detector that reads nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import NotAFile, UsageError
from twinpath.jobs.batch import Outcome
from twinpath.jobs.detect import DetectJob, write_detections
from twinpath.jobs.scored_videos import VideoResult
from twinpath.labels import labels
from twinpath.recognize.detector import Detector, detection_settings
from twinpath.results.detections import Detections
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import Provenance
from twinpath.video.find import InputVideo

MODEL = "slowfast_tiny_det.synthetic"
ACTIONS = labels("synthetic")


class FakeDetector:
    """One person at one keyframe, who does everything a little; something happens meanwhile."""

    model, weights_sha256 = MODEL, None

    def __init__(self, meanwhile: Callable[[Path], object] = lambda path: None) -> None:
        self.meanwhile = meanwhile
        self.scored = 0

    def score(
        self, video: Path, *, on_checkpoint: Any, resume_from: Any, progress: Any, **settings: Any
    ) -> Any:
        provenance = Provenance.of(video, model=MODEL, settings=detection_settings(**settings))
        people = PersonBoxes(np.float32([[0, 0, 8, 8]]), np.float32([1.0]))
        scores = np.linspace(0, 1, len(ACTIONS), dtype=np.float32)[None]
        part = KeyframeScores(
            video=str(video), provenance=provenance, dataset="synthetic", engine="fake", person_detector="p",
            tracker="t", width_px=64, height_px=48, duration_s=1.0, every_s=1.0, labels=ACTIONS,
            keyframes=(Keyframe(0.0, people, np.array([1]), scores),), keyframes_expected=2, complete=False,
            warnings=(), timing_s={}, settings={},
        )  # fmt: skip
        self.scored += 1
        try:
            self.meanwhile(video)
        except KeyboardInterrupt:
            if on_checkpoint is not None:
                on_checkpoint(part)
            raise
        return replace(part, complete=True, keyframes_expected=1)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return bad_videos.make_good(tmp_path)


def run(path: Path, detector: FakeDetector, **job: Any) -> Outcome[VideoResult[Detections]]:
    wanted = DetectJob(
        **{"out": path.parent / "out", "model": MODEL, "people": "whole", "formats": ("json",), **job}
    )
    load = cast("Callable[[], Detector]", lambda: detector)
    (outcome,) = write_detections([InputVideo.of(path)], wanted, load)
    return outcome


def found_labels(outcome: Outcome[VideoResult[Detections]]) -> set[str]:
    assert outcome.result is not None
    tracks = outcome.result.result.tracks
    return {action.label for track in tracks for point in track.points for action in point.actions}


@pytest.mark.parametrize("changes", [False, True])
def test_a_file_that_changes_meanwhile_is_not_done(video: Path, changes: bool) -> None:
    """It was still being copied: a later run scores it again."""
    detector = FakeDetector(lambda path: os.utime(path, (1, 1)) if changes else None)
    done = run(video, detector)
    assert done.result is not None
    assert done.result.files["json"].is_file()
    assert run(video, detector).was_done is not changes
    assert detector.scored == 1 + changes


def test_a_file_that_went_away_is_reported_as_such(video: Path) -> None:
    outcome = run(video.parent / "gone.mp4", FakeDetector())
    assert isinstance(outcome.error, NotAFile)


def test_thresholds_labels_and_drawing_take_the_scores_that_are_there(video: Path) -> None:
    detector = FakeDetector()
    assert found_labels(run(video, detector, min_score=0.0)) == set(ACTIONS)
    some = run(video, detector, min_score=0.0, labels=(ACTIONS[0], ACTIONS[3]))
    assert found_labels(some) == {ACTIONS[0], ACTIONS[3]}
    assert not some.was_done
    each = tuple(1.0 if k else 0.0 for k in range(len(ACTIONS)))
    assert found_labels(run(video, detector, min_score=each)) == {ACTIONS[0], ACTIONS[-1]}
    assert not run(video, detector, min_score=each, top_k=1).was_done
    assert detector.scored == 1


@pytest.mark.parametrize("people", ["whole", "motion"])
def test_a_stopped_run_is_resumed_unless_the_detector_remembers(video: Path, people: str) -> None:
    if people == "motion":
        pytest.importorskip("cv2")

    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    partial = video.parent / "out" / "good.mp4.detect.partial.npz"
    if people == "motion":
        with pytest.raises(KeyboardInterrupt):
            run(video, FakeDetector(stop), people=people)
    else:
        outcome = run(video, FakeDetector(stop), people=people)
        assert outcome.stopped is not None
        assert outcome.result is not None
        assert outcome.result.files == {"scores": partial}
    assert partial.exists() == (people == "whole")


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"every_s": 0.0}, "every_s must be at least"),
        ({"top_k": 0}, "top_k must be at least 1"),
        ({"formats": ("avi",)}, "formats: there is no 'avi'"),
        ({"min_score": 2.0}, "min_score must be"),
        ({"smooth_s": -1.0}, "smooth_s must be"),
        ({"labels": ("wve",)}, "has no label 'wve'; did you mean wave"),
        ({"people": "hgo"}, "hog"),
        ({"tracker": "sort"}, "ocsort"),
        ({"model": "slowfast_tiny.synthetic"}, "classifies whole clips"),
    ],
)
def test_what_is_out_of_range_is_refused_before_the_work(
    video: Path, job: dict[str, Any], words: str
) -> None:
    detector = FakeDetector()
    with pytest.raises(UsageError, match=words):
        run(video, detector, **job)
    assert detector.scored == 0


def test_boxes_are_an_input(video: Path) -> None:
    boxes = video.parent / "out" / "good.mp4.detect.json"
    boxes.parent.mkdir()
    boxes.write_text("{}")
    with pytest.raises(UsageError, match="is an input of this run"):
        run(video, FakeDetector(), people=str(boxes))
