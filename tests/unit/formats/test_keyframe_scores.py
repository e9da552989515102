"""Scores of keyframes in a file, from which a later run resumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import InputError
from twinpath.formats.keyframes import load_keyframe_scores, save_keyframe_scores
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import FileFacts, Provenance

LABELS = ("stand", "wave ü", "sit")


def keyframe(time_s: float, ids: list[int], *, has_own_ids: bool = False) -> Keyframe:
    rng = np.random.default_rng(len(ids))
    boxes = rng.uniform(0, 99, (len(ids), 4)).astype(np.float32)
    track_ids = np.asarray(ids, dtype=np.int64)
    people = PersonBoxes(boxes, rng.random(len(ids), dtype=np.float32), track_ids if has_own_ids else None)
    return Keyframe(time_s, people, track_ids, rng.random((len(ids), len(LABELS)), dtype=np.float32))


def keyframe_scores(*keyframes: Keyframe) -> KeyframeScores:
    return KeyframeScores(
        video="match.mp4",
        provenance=Provenance(FileFacts(1000, 1.5), "net.weights", None, {"every_s": 1.0}),
        dataset="ava2.2",
        engine="by hand",
        person_detector="eyes",
        tracker="fingers",
        width_px=640,
        height_px=360,
        duration_s=6.0,
        every_s=1.0,
        labels=LABELS,
        keyframes=keyframes,
        keyframes_expected=6,
        complete=False,
        warnings=("hm",),
        timing_s={"decode": 0.25},
        settings={"min_score": 0.5},
    )


@pytest.mark.parametrize(
    "keyframes",
    [
        (),
        (keyframe(0.0, []),),
        (keyframe(0.0, [1, 2]), keyframe(1.0, []), keyframe(2.0, [2], has_own_ids=True)),
    ],
    ids=["no keyframe", "nobody", "some"],
)
def test_scores_survive_their_file(tmp_path: Path, keyframes: tuple[Keyframe, ...]) -> None:
    given = keyframe_scores(*keyframes)
    place = tmp_path / "new folder" / "match.scores.npz"
    save_keyframe_scores(given, place)
    found = load_keyframe_scores(place)
    assert replace(found, keyframes=()).__dict__ == replace(given, keyframes=()).__dict__
    assert len(found) == len(keyframes)
    for ours, theirs in zip(found.keyframes, keyframes, strict=True):
        assert ours.time_s == theirs.time_s
        for name in ("boxes_xyxy_px", "scores", "track_ids"):
            assert np.array_equal(getattr(ours.people, name), getattr(theirs.people, name))
        assert np.array_equal(ours.track_ids, theirs.track_ids)
        assert np.array_equal(ours.scores, theirs.scores)
        assert (ours.scores.dtype, ours.track_ids.dtype) == (np.float32, np.int64)
    assert [path.name for path in place.parent.iterdir()] == ["match.scores.npz"]


def test_how_far_a_part_reaches() -> None:
    part = keyframe_scores(keyframe(0.0, []), keyframe(1.0, [1]))
    assert (part.done_s, keyframe_scores().done_s) == (1.0, 0.0)
    assert replace(part, complete=True).done_s == 6.0
    assert part.with_settings({}).settings == {}


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "other", "pickle", "arrays", "format"])
def test_a_file_that_holds_no_scores(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "x.scores.npz"
    save_keyframe_scores(keyframe_scores(keyframe(0.0, [1, 2]), keyframe(1.0, [1])), place)
    data = place.read_bytes()
    with np.load(place) as file:
        arrays = dict(file)
    if damage == "other":
        np.savez(place, scores=np.zeros(3))
    elif damage == "pickle":
        np.savez(place, facts=np.array([{}], dtype=object))
    elif damage == "arrays":
        np.savez(place, **{**arrays, "num_people": np.array([3, 1])})
    elif damage == "format":
        np.savez(
            place, **{**arrays, "facts": np.asarray(str(arrays["facts"]).replace("scores 2", "scores 9"))}
        )
    else:
        place.write_bytes({"empty": b"", "text": b"hello" * 9, "cut": data[: len(data) // 2]}[damage])
    with pytest.raises(InputError, match=r"x\.scores\.npz is no valid file of keyframe scores"):
        load_keyframe_scores(place)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_keyframe_scores(tmp_path / "x.npz")
