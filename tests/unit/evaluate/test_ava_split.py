"""A network on a split of AVA: whom it is shown, what becomes of what cannot be read, and going on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinpath.data.ava import frame_folders
from twinpath.errors import UsageError
from twinpath.evaluate.ava import AvaRun, people_to_score, score_split
from twinpath.formats.ava import BoxRows, read_people, read_results, read_truth, write_results
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.journal_parts import JournalPart
from twinpath.models.input_spec import InputSpec
from twinpath.results.provenance import Provenance

LABELS = LabelMap({1: "walk", 3: "jump"}, frozenset(range(1, 5)))
SPEC = InputSpec(4, 2, 32, 32)
TRUTH = """\
a,0900,0.1,0.2,0.5,0.6,1,0
a,0900,0.1,0.2,0.5,0.6,3,0
a,0900,0.5,0.2,1.0,0.6,2,1
a,0901,0.1,0.2,0.5,0.6,3,0
b,0900,0.1,0.2,0.5,0.6,1,0
"""


class FakeEngine:
    """Scores action i of a box by i and by where the box begins; remembers what it was shown."""

    name = "fake"
    num_classes = 4
    batch_clips = 2

    def __init__(self) -> None:
        self.shown: list[tuple[int, tuple[int, ...], list[list[float]]]] = []

    def __call__(self, clips: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        assert len(clips) <= self.batch_clips
        return [self.one(*of_clip) for of_clip in zip(clips, boxes, strict=True)]

    def one(self, clip: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        self.shown.append((int(clip[2, 0, 0, 0]), clip.shape, np.round(boxes, 6).tolist()))
        return (np.arange(1, 5) / 10 + boxes[:, :1] / 1000).astype(np.float32)

    def describe(self) -> str:
        return "fake"


@pytest.fixture
def truth(tmp_path: Path) -> BoxRows:
    (tmp_path / "truth.csv").write_text(TRUTH)
    return read_truth(tmp_path / "truth.csv", LABELS)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Frame i of a is of grey i, of b of grey 100 + i."""
    for name, first in (("a", 0), ("b", 100)):
        (tmp_path / "frames" / name).mkdir(parents=True)
        for i in range(40):
            Image.new("RGB", (80, 40), (first + i,) * 3).save(tmp_path / f"frames/{name}/{i}.png")
    return tmp_path / "frames"


def run(engine: FakeEngine, truth: BoxRows, frames: Path, **options) -> AvaRun:
    return score_split(engine, SPEC, people_to_score(truth), frame_folders(frames), LABELS, **options)


def test_every_person_is_shown_once_with_the_clip_around_the_second(truth: BoxRows, frames: Path) -> None:
    engine, told = FakeEngine(), []
    found = run(engine, truth, frames, progress=lambda done, total: told.append((done, total)))
    assert engine.shown == [
        (0, (4, 40, 80, 3), [[8, 8, 40, 24], [40, 8, 80, 24]]),
        (30, (4, 40, 80, 3), [[8, 8, 40, 24]]),
        (100, (4, 40, 80, 3), [[8, 8, 40, 24]]),
    ]
    assert told == [(2, 3), (3, 3)]
    assert (found.keyframes, found.people, found.failures) == (3, 4, ())


def test_rows_are_of_each_person_and_each_action_that_counts(
    truth: BoxRows, frames: Path, tmp_path: Path
) -> None:
    found = run(FakeEngine(), truth, frames)
    write_results(tmp_path / "results.csv", found.rows)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[:4] == [
        "a,0900,0.1,0.2,0.5,0.6,1,0.108000003",
        "a,0900,0.1,0.2,0.5,0.6,3,0.307999998",
        "a,0900,0.5,0.2,1.0,0.6,1,0.140000001",
        "a,0900,0.5,0.2,1.0,0.6,3,0.340000004",
    ]
    assert len(lines) == 8
    assert read_results(tmp_path / "results.csv", LABELS).videos == ("a", "b")


def test_predicted_people_and_excluded_seconds(truth: BoxRows, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "a,0900,0.1,0.2,0.5,0.6,,0.9\na,0905,0.1,0.2,0.5,0.6,,0.9\nother,0900,0.1,0.2,0.5,0.6,,0.9\n"
    )
    predicted = read_people(path)
    shown = people_to_score(truth, predicted, excluded={("a", 900)})
    assert {video: list(seconds) for video, seconds in shown.items()} == {"a": [905]}
    assert people_to_score(truth, predicted, excluded={("a", 900), ("a", 905)}) == {}


def test_what_cannot_be_read_is_named_and_the_rest_is_done(truth: BoxRows, frames: Path) -> None:
    for picture in (frames / "b").iterdir():
        picture.unlink()
    (frames / "a" / "34.png").write_text("no picture")
    found = run(FakeEngine(), truth, frames)
    assert found.keyframes == 2  # 901 needs the frames 26, 28, 30 and 32
    assert [(f.video, f.seconds) for f in found.failures] == [("b", (900,))]
    assert "b: second 900 left out: " in str(found.failures[0])
    assert "holds no frames" in str(found.failures[0])
    sources = {name: source for name, source in frame_folders(frames).items() if name != "b"}
    found = score_split(FakeEngine(), SPEC, people_to_score(truth), sources, LABELS)
    assert "no video or folder of frames with this name" in found.failures[0].reason


def test_a_run_goes_on_where_it_was_broken_off(truth: BoxRows, frames: Path, tmp_path: Path) -> None:
    whole = run(FakeEngine(), truth, frames)

    class BrokenOff(FakeEngine):
        def one(self, clip: np.ndarray, boxes: np.ndarray) -> np.ndarray:
            if clip[2, 0, 0, 0] == 100:
                raise KeyboardInterrupt
            return super().one(clip, boxes)

    with pytest.raises(KeyboardInterrupt), journal(tmp_path, frames) as lines:
        run(BrokenOff(), truth, frames, journal=lines)
    engine = FakeEngine()
    with journal(tmp_path, frames) as lines:
        rest = run(engine, truth, frames, journal=lines)
    assert [grey for grey, _, _ in engine.shown] == [100]
    assert (rest.keyframes, rest.people) == (3, 4)
    assert np.array_equal(rest.rows.score, whole.rows.score)
    assert np.array_equal(rest.rows.boxes_xyxy, whole.rows.boxes_xyxy)
    again = FakeEngine()
    with journal(tmp_path, frames) as lines:
        run(again, truth, frames, journal=lines)
    assert again.shown == []


def journal(folder: Path, frames: Path) -> JournalPart:
    path = folder / "done.jsonl"
    return JournalPart(path, Provenance(None, "fake", None, {}), list(frames.iterdir()), first=[path])


def test_scores_of_other_people_are_not_taken(truth: BoxRows, frames: Path, tmp_path: Path) -> None:
    with journal(tmp_path, frames) as lines:
        run(FakeEngine(), truth, frames, journal=lines)
    (tmp_path / "truth.csv").write_text(TRUTH.replace("b,0900,0.1", "b,0900,0.2"))
    engine = FakeEngine()
    with journal(tmp_path, frames) as lines:
        run(engine, read_truth(tmp_path / "truth.csv", LABELS), frames, journal=lines)
    assert [grey for grey, _, _ in engine.shown] == [100]


def test_a_label_map_of_more_actions_than_the_network_scores(truth: BoxRows, frames: Path) -> None:
    labels = LabelMap({1: "walk", 5: "fly"}, frozenset(range(1, 6)))
    with pytest.raises(UsageError, match=r"scores 4 actions and the label map has id 5 \(fly\)"):
        score_split(FakeEngine(), SPEC, people_to_score(truth), frame_folders(frames), labels)
