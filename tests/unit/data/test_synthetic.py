"""The synthetic world: same seed same world, true boxes, and actions that mean what they say."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinpath.data.synthetic import (
    ACTIONS,
    TEST_SEED,
    TRAIN_SEED,
    VALIDATION_SEED,
    RenderedClips,
    labelled_scene,
    make_scene,
    render,
    truth_of,
    write_clip,
    write_dataset,
)
from twinpath.data.synthetic.actions import PERFORM
from twinpath.data.synthetic.draw import width_of
from twinpath.data.synthetic.figure import JOINT, Body, joints
from twinpath.labels import labels
from twinpath.train.recipe import read_recipe
from twinpath.video.decode import FrameStream
from twinpath.video.probe import probe

TIMES_S = np.arange(0, 2.4, 0.1)


def posture(action: str, seed: int = 1) -> np.ndarray:
    """(T, joints, 3) of an action in the body's axes."""
    return joints(PERFORM[action](np.random.default_rng(seed)).motion(TIMES_S), Body())


def test_a_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    first, again, other = (render(labelled_scene(s), TIMES_S[:4], height_px=64) for s in (5, 5, 17))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_a_frame_does_not_depend_on_which_others_are_drawn() -> None:
    scene = next(s for s in map(labelled_scene, range(100)) if s.noise == 0)
    together = render(scene, TIMES_S, height_px=64)
    alone = render(scene, TIMES_S[7:8], height_px=64)
    assert np.array_equal(together[7], alone[0])


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_moves_within_reach_and_stands_on_the_ground(action: str) -> None:
    for seed in range(5):
        xyz = posture(action, seed)
        assert np.isfinite(xyz).all()
        ankles = xyz[:, [JOINT["ankle_l"], JOINT["ankle_r"]], 1]
        assert ankles.min() > 0
        assert xyz[..., 1].max() < 2.9
        thigh = np.linalg.norm(xyz[:, JOINT["hip_l"]] - xyz[:, JOINT["knee_l"]], axis=-1)
        assert thigh == pytest.approx(Body().thigh)


def test_sitting_down_backwards_is_standing_up() -> None:
    def seat_height(action: str, t_s: np.ndarray) -> np.ndarray:
        motion = PERFORM[action](np.random.default_rng(1)).motion
        return joints(motion(t_s), Body())[:, JOINT["pelvis"], 1]

    t_s = np.arange(0, 2.4, 0.001)
    half_way_s = t_s[np.argmin(np.abs(seat_height("sit down", t_s) - seat_height("stand up", t_s)))]
    away_s = np.linspace(-1, 1, 21)
    down = seat_height("sit down", half_way_s + away_s)
    assert down[0] - down[-1] > 0.3
    assert np.allclose(down, seat_height("stand up", half_way_s - away_s), atol=0.01)


def test_actions_do_what_they_are_called() -> None:
    assert posture("jump")[:, [JOINT["ankle_l"], JOINT["ankle_r"]], 1].min(axis=1).max() > 0.25
    assert (posture("wave")[:, [JOINT["hand_l"], JOINT["hand_r"]], 1].max(axis=1) > 1.5).all()
    hands = posture("clap")
    apart = np.linalg.norm(hands[:, JOINT["hand_l"]] - hands[:, JOINT["hand_r"]], axis=-1)
    assert apart.min() < 0.12 < 0.4 < apart.max()
    speed = {a: np.ptp(posture(a)[:, JOINT["pelvis"], 2]) for a in ("walk", "run", "clap")}
    assert speed["clap"] < 0.2 < speed["walk"] < speed["run"]
    head = posture("bow")[:, JOINT["head"], 1]
    assert head.max() - head.min() > 0.3


def test_labels_come_in_the_order_of_the_networks_logits() -> None:
    assert labels("synthetic") == ACTIONS


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_boxes_lie_on_the_figures(seed: int) -> None:
    """The pixels that change when the figure is taken away fill its box."""
    scene = make_scene(seed, action="wave", num_people=1)
    away = replace(scene, people=(replace(scene.people[0], place_xz_m=(500.0, 0.0)),))
    keyframe = truth_of(scene, height_px=120)["people"][0]["boxes"][1]
    pictures = [render(s, np.array([keyframe["time_s"]]), height_px=120)[0] for s in (scene, away)]
    rows, columns = np.nonzero((pictures[0] != pictures[1]).any(axis=-1))
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert seen == pytest.approx(keyframe["box_xyxy_px"], abs=3)


def test_scenes_for_detection_have_people_with_actions_of_their_own() -> None:
    scene = make_scene(4, kind="people", num_people=4)
    truth = truth_of(scene, height_px=180)
    assert [p["track"] for p in truth["people"]] == [0, 1, 2, 3]
    assert all(p["action"] in ACTIONS for p in truth["people"])
    for person in truth["people"]:
        for keyframe in person["boxes"]:
            x1, y1, x2, y2 = keyframe["box_xyxy_px"]
            assert 0 <= x1 < x2 <= truth["width_px"]
            assert 0 <= y1 < y2 <= truth["height_px"]


def test_an_unknown_action_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="sit down"):
        make_scene(0, action="fly")


def test_clips_for_a_trainer_have_the_asked_shape_and_every_label() -> None:
    stream = RenderedClips(first_seed=0, num_clips=12, num_frames=5, span_s=2.0, heights_px=(48,))
    made = [stream[i] for i in range(len(stream))]
    assert [label for _, label in made] == list(range(12))
    assert all(frames.shape[:2] == (5, 48) and frames.dtype == np.uint8 for frames, _ in made)
    with pytest.raises(IndexError):
        stream[12]


@pytest.mark.parametrize("name", ["slowfast_tiny", "slowfast_tiny_det", "slowfast_tiny_painted"])
def test_training_validation_and_test_never_share_a_clip(name: str) -> None:
    recipe = read_recipe(name)
    assert TRAIN_SEED + recipe.schedule.epochs * recipe.data.clips_per_epoch < VALIDATION_SEED
    assert VALIDATION_SEED + recipe.data.validation_clips < TEST_SEED


def test_a_written_clip_is_an_ordinary_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    scene = labelled_scene(3)
    write_clip(path, scene, height_px=96)
    info = probe(path)
    assert (info.codec, info.height, info.average_fps) == ("h264", 96, 30.0)
    with FrameStream(path) as stream:
        decoded = np.stack([frame for _, frame in stream])
    drawn = render(scene, np.arange(len(decoded)) / 30, height_px=96)
    assert len(decoded) == 72
    assert np.abs(decoded.astype(float) - drawn).mean() < 12


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_gives_the_same_bytes_whatever_else_runs(tmp_path: Path, seed: int) -> None:
    """Alone, again, and several at a time: 426 x 240, where x264's macroblock tree differed between runs."""
    scene = make_scene(seed, action="walk", kind="people")
    assert width_of(scene, 240) == 426

    def written(name: str) -> bytes:
        path = tmp_path / name
        write_clip(path, scene, height_px=240, duration_s=0.8)
        return path.read_bytes()

    first = written("first.mp4")
    assert written("again.mp4") == first
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(written, [f"{i}.mp4" for i in range(4)])) == {first}


def test_another_process_with_other_threads_writes_the_same_bytes(tmp_path: Path) -> None:
    write_clip(tmp_path / "here.mp4", labelled_scene(4), height_px=100, duration_s=0.8)
    code = (
        "import os, sys\n"
        "if hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from twinpath.data.synthetic import labelled_scene, write_clip\n"
        "write_clip(Path(sys.argv[1]), labelled_scene(4), height_px=100, duration_s=0.8)\n"
    )
    there = tmp_path / "there.mp4"
    subprocess.run(
        [sys.executable, "-c", code, there], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert there.read_bytes() == (tmp_path / "here.mp4").read_bytes()


def test_a_data_set_has_its_labels_and_annotations_beside_it(tmp_path: Path) -> None:
    assert len(list(write_dataset(tmp_path, num_clips=3, seed=1, height_px=48))) == 3
    with (tmp_path / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    truths = [json.loads(line) for line in (tmp_path / "annotations.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == [ACTIONS[1], ACTIONS[2], ACTIONS[3]]
    assert [truth["video"] for truth in truths] == [row["video"] for row in rows]
    assert all((tmp_path / row["video"]).is_file() for row in rows)
