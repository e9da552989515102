"""The Detector on scenes with true boxes and on people of the test's own making, with random weights."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpath import Detector
from twinpath.data.synthetic import ACTIONS, people_scene, truth_of, write_clip
from twinpath.engine.config import EngineConfig
from twinpath.engine.torch_engine import TorchEngine
from twinpath.errors import NotAVideo, UsageError
from twinpath.formats.keyframes import load_keyframe_scores, save_keyframe_scores
from twinpath.people.base import Frame
from twinpath.recognize import checkpoint
from twinpath.recognize.detector import detections_of, tracks_of
from twinpath.render.track_interpolator import TrackInterpolator
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.video.probe import frame_times
from twinpath.video.writer import VideoWriter

MODEL = "slowfast_tiny_det.synthetic"


class Given:
    """PersonBoxes as the test says, at every keyframe."""

    name = "given"
    batch_frames = 2

    def __init__(self, boxes: Sequence[Sequence[float]]) -> None:
        self.boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        self.times_s: list[float] = []
        self.levels: list[float] = []

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        self.times_s += times_s
        self.levels += [float(picture.mean()) for picture in frames]
        return [PersonBoxes(self.boxes, np.full(len(self.boxes), 0.9, dtype=np.float32)) for _ in frames]


@pytest.fixture(scope="module")
def detect(tiny_detector_weights: Path) -> Detector:
    return Detector(MODEL, tiny_detector_weights, config=EngineConfig(device="cpu", precision="fp32"))


@pytest.fixture(scope="module")
def brighter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.4 s that grow brighter: frame k has the level 3 k."""
    path = tmp_path_factory.mktemp("video") / "brighter.mp4"
    with VideoWriter(path, width=128, height=96, fps=30) as writer:
        for k in range(72):
            writer.write(np.full((96, 128, 3), 3 * k, dtype=np.uint8))
    return path


def test_keyframes_lie_at_every_second(detect: Detector, brighter: Path) -> None:
    people = Given([[10, 10, 60, 90], [70, 5, 120, 95]])
    progress: list[tuple[int, int]] = []
    found = detect(brighter, people=people, min_score=0.0, progress=lambda *done: progress.append(done))
    assert found.keyframes_s == (0.0, 1.0, 2.0)
    assert people.levels == pytest.approx([0, 3 * 30, 3 * 60], abs=3)  # the picture of that very time
    assert progress == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (found.width_px, found.height_px) == (128, 96)
    assert found.duration_s == pytest.approx(2.4)
    assert [track.track_id for track in found.tracks] == [1, 2]
    for track in found.tracks:
        assert [seen.time_s for seen in track.points] == list(found.keyframes_s)
        for seen in track.points:
            assert len(seen.actions) == len(ACTIONS)
            scores = [action.score for action in seen.actions]
            assert scores == sorted(scores, reverse=True)
    values = found.to_dict()
    assert json.loads(json.dumps(values)) == json.loads(json.dumps(values))
    assert values["tracks"][0]["points"][0]["box_xyxy"] == pytest.approx(
        [10 / 128, 10 / 96, 60 / 128, 90 / 96], abs=1e-4
    )


def test_people_are_looked_for_in_as_many_pictures_as_memory_allows(
    detect: Detector, brighter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(Given):
        batch_frames = 16

        def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
            counts.append(len(frames))
            return super().__call__(frames, times_s)

    clip_bytes = 4 * detect.spec.num_frames * 128 * 170 * 3 + 96 * 128 * 3  # resized frames, and a picture
    for max_bytes, expected in ((16 * clip_bytes, [3]), (2 * clip_bytes, [2, 1]), (1, [1, 1, 1])):
        counts: list[int] = []
        monkeypatch.setattr("twinpath.prefetch.BATCH_BYTES", max_bytes)
        assert len(detect(brighter, people=Counting([[10, 10, 60, 90]])).keyframes_s) == 3
        assert counts == expected


def test_several_keyframes_at_once(detect: Detector, brighter: Path, tiny_detector_weights: Path) -> None:
    """As on a GPU; the people, their numbers and their scores are the same."""
    people = Given([[10, 10, 60, 90], [70, 5, 120, 95]])
    alone = detect(brighter, people=people, min_score=0.0)
    together = Detector(MODEL, tiny_detector_weights, config=EngineConfig("torch", "cpu"))
    assert isinstance(together.engine, TorchEngine)
    together.engine.batch_clips = 2
    found = together(brighter, people=people, min_score=0.0)
    assert [track.track_id for track in found.tracks] == [1, 2]
    for ours, theirs in zip(found.tracks, alone.tracks, strict=True):
        for seen, expected in zip(ours.points, theirs.points, strict=True):
            assert seen.box_xyxy_px == expected.box_xyxy_px
            by_index = {action.index: action.score for action in expected.actions}
            assert {action.index: action.score for action in seen.actions} == pytest.approx(
                by_index, abs=2e-4
            )


def test_thresholds_and_smoothing(detect: Detector, brighter: Path) -> None:
    people = Given([[10, 10, 60, 90]])
    alone = detect(brighter, people=people, min_score=0.0, smooth_s=0).tracks[0].points
    smooth = detect(brighter, people=people, min_score=0.0, smooth_s=2.0).tracks[0].points

    def of(seen: object, label: int) -> list[float]:
        return [next(a.score for a in s.actions if a.index == label) for s in seen]  # type: ignore[attr-defined]

    label = max(range(12), key=lambda i: np.ptp(of(alone, i)))
    assert np.ptp(of(smooth, label)) < np.ptp(of(alone, label))
    only = np.full(12, 2.0)
    only[3] = 0.0
    seen = detect(brighter, people=people, min_score=only).tracks[0].points
    assert all([action.label for action in s.actions] == [ACTIONS[3]] for s in seen)


def test_nobody_there(detect: Detector, brighter: Path) -> None:
    found = detect(brighter, people=Given([]))
    assert found.tracks == ()
    assert len(found.keyframes_s) == 3


def test_every_picture_of_a_slow_video_is_looked_at(detect: Detector, tmp_path: Path) -> None:
    """A time-lapse with less than a picture a second: each is looked at once, at its own time."""
    with VideoWriter(tmp_path / "slow.mp4", width=64, height=48, fps=30) as writer:
        for k in range(6):
            writer.write(np.full((48, 64, 3), 40 * k, dtype=np.uint8), time_s=3.4 * k)
    given = Given([[10, 10, 30, 40]])
    found = detect(tmp_path / "slow.mp4", people=given, min_score=0.0)
    assert given.times_s == pytest.approx([0, 3.4, 6.8, 10.2, 13.6, 17.0], abs=0.01)
    assert given.levels == pytest.approx([0, 40, 80, 120, 160, 200], abs=4)
    assert sum(len(track.points) for track in found.tracks) == 6
    shown = TrackInterpolator(found, size_px=(48, 64))
    assert all(len(shown.at(time_s)) == 1 for time_s in frame_times(tmp_path / "slow.mp4"))


@pytest.mark.parametrize(("second", "is_told"), [(902, True), (3, True), (2, False)])
def test_boxes_with_another_clock_are_told(
    detect: Detector, brighter: Path, tmp_path: Path, second: int, is_told: bool
) -> None:
    """AVA counts from the start of the film, and a cut from it begins at 0."""
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(f"brighter,{second:04d},0.1,0.1,0.5,0.9,,0.9\n")
    found = detect(brighter, people=str(boxes))
    clock = [w for w in found.warnings if f"are of {second} to {second} s" in w]
    assert len(clock) == int(is_told)
    assert bool(found.tracks) != is_told


def test_sixty_people(detect: Detector, brighter: Path) -> None:
    boxes = [[2 * i, i % 7, 2 * i + 8, 40 + i % 9] for i in range(60)]
    found = detect(brighter, people=Given(boxes), min_score=0.0)
    assert len(found.tracks) >= 60
    assert sum(len(track.points) for track in found.tracks) == 180


def test_true_boxes_of_a_scene(detect: Detector, tmp_path: Path) -> None:
    scene = people_scene(2_000_000_005)
    write_clip(tmp_path / "scene.mp4", scene, height_px=120)
    truth = {"video": "scene.mp4", **truth_of(scene, height_px=120, keyframes_s=[0, 0.5, 1, 1.5, 2])}
    boxes = tmp_path / "annotations.jsonl"
    boxes.write_text(json.dumps(truth) + "\n")
    found = detect(tmp_path / "scene.mp4", people=str(boxes), every_s=0.5)
    assert len(found.tracks) == len(scene.people)
    for track, person in zip(found.tracks, truth["people"], strict=True):
        for seen, true in zip(track.points, person["boxes"], strict=False):
            assert seen.box_xyxy_px == pytest.approx(true["box_xyxy_px"], abs=1.5)


def test_several_threads_may_share_a_detector(detect: Detector, brighter: Path) -> None:
    """As a server's: nothing of one call is lost or swapped for another's."""
    boxes = [[[10 * i, 5, 10 * i + 40, 80]] for i in range(4)]
    alone = [detect(brighter, people=Given(box), every_s=0.2, min_score=0.0).tracks for box in boxes]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(
            lambda box: detect(brighter, people=Given(box), every_s=0.2, min_score=0.0).tracks, boxes
        )
        assert list(answers) == alone


def test_boxes_may_be_a_path(detect: Detector, brighter: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("brighter,0001,0.1,0.1,0.5,0.9,,0.9\n")
    assert detect(brighter, people=boxes).tracks == detect(brighter, people=str(boxes)).tracks


@pytest.mark.parametrize("min_score", [np.zeros(3), float("nan"), 2, "0.5", [[0.5]], None])
def test_scores_that_make_no_sense_are_said_before_any_work(
    detect: Detector, brighter: Path, min_score: Any
) -> None:
    given = Given([[10, 10, 30, 40]])
    with pytest.raises(UsageError, match="min_score"):
        detect(brighter, people=given, min_score=min_score)
    assert given.times_s == []


@pytest.mark.parametrize(
    ("video", "size_px", "words"),
    [
        ("brighter.mp4", (128, 96), None),
        ("film/brighter.avi", (256, 192), None),
        ("other.mp4", (128, 96), "are of 'other.mp4', by their name"),
        ("brighter.mp4", (96, 128), "are of frames of 96 x 128, stretched to 128 x 96"),
    ],
)
def test_boxes_that_may_be_of_another_video_are_told(
    detect: Detector,
    brighter: Path,
    tmp_path: Path,
    video: str,
    size_px: tuple[int, int],
    words: str | None,
) -> None:
    seen = [{"time_s": 1.0, "box_xyxy_px": [10, 10, 60, 80]}]
    entry = {"video": video, "tracks": [{"track_id": 1, "points": seen}]}
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({**entry, "width_px": size_px[0], "height_px": size_px[1]}))
    of_boxes = [warning for warning in detect(brighter, people=boxes).warnings if "boxes.json" in warning]
    assert len(of_boxes) == int(words is not None)
    assert (words or "") in " ".join(of_boxes)


class Stopping(Given):
    """Ctrl-C when it is asked for the pictures of a batch."""

    def __init__(self, boxes: Sequence[Sequence[float]], at_call: int) -> None:
        super().__init__(boxes)
        self.calls_left = at_call

    def __call__(self, frames: Sequence[Frame], times_s: Sequence[float]) -> list[PersonBoxes]:
        self.calls_left -= 1
        if not self.calls_left:
            raise KeyboardInterrupt
        return super().__call__(frames, times_s)


@pytest.mark.parametrize("tracker", ["iou", "bytetrack"])
@pytest.mark.parametrize("call", [2, 4])
def test_a_stopped_run_is_gone_on_with(
    detect: Detector, brighter: Path, tmp_path: Path, tracker: str, call: int
) -> None:
    boxes = [[10, 10, 50, 80], [60, 10, 100, 80]]
    options: dict[str, Any] = {"every_s": 0.25, "tracker": tracker}
    whole = detect(brighter, people=Given(boxes), min_score=0.0, **options)
    kept: list[KeyframeScores] = []
    with pytest.raises(KeyboardInterrupt):
        detect.score(brighter, people=Stopping(boxes, call), on_checkpoint=kept.append, **options)
    (part,) = kept
    assert not part.complete
    assert len(part) == 2 * (call - 1)

    place = tmp_path / "brighter.keyframes.npz"
    save_keyframe_scores(part, place)
    earlier = load_keyframe_scores(place)
    assert len(earlier) == len(part)
    told: list[tuple[int, int]] = []
    given = Given(boxes)
    rest = detect.score(
        brighter,
        people=given,
        resume_from=earlier,
        progress=lambda done, total: told.append((done, total)),
        **options,
    )
    assert len(given.times_s) == 10 - len(part)
    assert rest.complete
    found = detections_of(rest, min_score=0.0)
    assert found.tracks == whole.tracks
    assert found.keyframes_s == whole.keyframes_s
    assert (told[0], told[-1]) == ((len(part), 10), (10, 10))


def test_going_on_where_all_was_looked_at(detect: Detector, brighter: Path) -> None:
    kept: list[KeyframeScores] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "CHECKPOINT_EVERY_S", 0.0)
        patch.setattr(checkpoint, "CHECKPOINT_SHARE", math.inf)
        whole = detect.score(brighter, people="whole", on_checkpoint=kept.append)
    assert len(kept[-1]) == len(whole)
    again = detect.score(brighter, people="whole", resume_from=kept[-1])
    first, second = (detections_of(scores, min_score=0.0) for scores in (whole, again))
    assert replace(second, timing_s={}) == replace(first, timing_s={})


def test_scores_of_other_settings_are_not_gone_on_from(detect: Detector, brighter: Path) -> None:
    part = replace(detect.score(brighter, people="whole"), complete=False)
    for other, words in (
        ({"every_s": 0.5}, "every_s is 0.5, before 1.0"),
        ({"people": Given([])}, "people is 'given', before 'whole'"),
        ({"min_person_score": 0.3}, "min_person_score is 0.3, before None"),
    ):
        with pytest.raises(UsageError, match=re.escape(words)):
            detect.score(brighter, resume_from=part, **{"people": "whole", **other})  # type: ignore[arg-type]


def test_what_makes_no_sense(
    detect: Detector, tiny_detector_weights: Path, brighter: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="classifies whole clips"):
        Detector("slowfast_tiny.synthetic")
    with pytest.raises(UsageError, match=r"every_s must be at least 0\.01 s, not 0"):
        detect(brighter, people="whole", every_s=0)
    with pytest.raises(UsageError, match="smooth_s must be 0 s or more, not -1"):
        detect(brighter, people="whole", smooth_s=-1)
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    with pytest.raises(NotAVideo):
        detect(bad, people="whole")


def test_tracks_hold_each_person_once_a_keyframe() -> None:
    def keyframe(time_s: float, numbers: list[int]) -> Keyframe:
        n = len(numbers)
        people = PersonBoxes(np.tile([0, 0, 9, 9], (n, 1)).astype(np.float32), np.ones(n, dtype=np.float32))
        scores = np.tile([0.2, 0.9], (n, 1)).astype(np.float32)
        return Keyframe(time_s, people, np.asarray(numbers), scores)

    tracks = tracks_of([keyframe(0.5, [2, 1]), keyframe(1.5, []), keyframe(2.5, [1])], ("sit", "stand"))
    assert [(t.track_id, [s.time_s for s in t.points]) for t in tracks] == [(1, [0.5, 2.5]), (2, [0.5])]
    assert [a.label for a in tracks[0].points[0].actions] == ["stand"]
