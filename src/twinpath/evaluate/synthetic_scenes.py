"""Evaluate a detection model on fresh scenes of the synthetic world, as H.264 files."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.synthetic import ACTIONS, TEST_SEED, people_scene, truth_of, write_clip
from twinpath.evaluate.synthetic_clips import ignore_interrupts
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map

if TYPE_CHECKING:
    from twinpath.recognize.detector import Detector

EVERY_S = 1.0
KEYFRAMES_S = (0.0, 1.0, 2.0)  # of a scene
HEIGHT_PX = 240
ANNOTATIONS = "annotations.jsonl"


@dataclass(frozen=True, eq=False)
class SceneBoxes:
    """Boxes of one scene, true or found.

    Attributes:
        times_s: (N,) of their keyframes.
        boxes_xyxy_px: (N, 4).
        actions: (N,) indices into ACTIONS.
        scores: (N,) 0 to 1; of true boxes 1.
    """

    times_s: NDArray[np.float64]
    boxes_xyxy_px: NDArray[np.float64]
    actions: NDArray[np.int64]
    scores: NDArray[np.float64]


def scenes_with_truth(
    predict: Callable[[Path, Path], SceneBoxes], *, num_scenes: int, seed: int = 0, workers: int = 1
) -> Iterator[tuple[SceneBoxes, SceneBoxes]]:
    """Make scenes as files and predict each; a file is removed as soon as it is done.

    Args:
        predict: From a video and the file of its true boxes to the boxes found at keyframes.
        num_scenes: How many.
        seed: Of the first scene, counted from `TEST_SEED`, which lies behind every seed of training.
        workers: Processes that make scenes while the network runs on others.
    Yields:
        (truth, found) of each scene, in order of seeds.
    """
    spawn = multiprocessing.get_context("spawn")  # the caller may have threads, which a fork would break
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=spawn, initializer=ignore_interrupts) as pool,
    ):
        places = [Path(folder) / str(i) for i in range(num_scenes)]
        seeds = range(TEST_SEED + seed, TEST_SEED + seed + num_scenes)
        for place, truth in zip(places, pool.map(_make, places, seeds), strict=True):
            yield _true_boxes(truth), predict(place / truth["video"], place / ANNOTATIONS)
            for file in place.iterdir():
                file.unlink()


def _make(place: Path, seed: int) -> dict[str, Any]:
    """A folder with a video and its annotations; returns these."""
    place.mkdir()
    scene = people_scene(seed)
    write_clip(place / "scene.mp4", scene, height_px=HEIGHT_PX)
    truth = {"video": "scene.mp4", **truth_of(scene, height_px=HEIGHT_PX, keyframes_s=KEYFRAMES_S)}
    (place / ANNOTATIONS).write_text(json.dumps(truth) + "\n", encoding="utf-8")
    return truth


def _true_boxes(truth: dict[str, Any]) -> SceneBoxes:
    rows = [
        (box["time_s"], box["box_xyxy_px"], ACTIONS.index(person["action"]))
        for person in truth["people"]
        for box in person["boxes"]
    ]
    return SceneBoxes(
        np.asarray([time_s for time_s, _, _ in rows], dtype=np.float64),
        np.asarray([box for _, box, _ in rows], dtype=np.float64).reshape(-1, 4),
        np.asarray([action for _, _, action in rows], dtype=np.int64),
        np.ones(len(rows)),
    )


def detect_in_true_boxes(detector: Detector, video: Path, boxes: Path) -> SceneBoxes:
    """A `predict` for `scenes_with_truth`: the scores of all actions in the boxes of a file."""
    found = detector(video, people=boxes, every_s=EVERY_S, min_score=0.0, smooth_s=0.0)
    rows = [(point, action) for track in found.tracks for point in track.points for action in point.actions]
    return SceneBoxes(
        np.asarray([point.time_s for point, _ in rows], dtype=np.float64),
        np.asarray([point.box_xyxy_px for point, _ in rows], dtype=np.float64).reshape(-1, 4),
        np.asarray([action.index for _, action in rows], dtype=np.int64),
        np.asarray([action.score for _, action in rows], dtype=np.float64),
    )


def frame_map_of(pairs: list[tuple[SceneBoxes, SceneBoxes]]) -> FrameMap:
    """Pairs (truth, found) of scenes to the frame mAP@0.5 over their keyframes."""
    truth, found = (_gathered([pair[side] for pair in pairs]) for side in (0, 1))
    return frame_map(truth, found, classes=range(len(ACTIONS)))


def _gathered(scenes: list[SceneBoxes]) -> ImageBoxes:
    """Boxes of all scenes, each with the number of its picture."""
    thousandths = [np.round(scene.times_s * 1000).astype(np.int64) for scene in scenes]
    return ImageBoxes(
        image=np.concatenate([i * 1_000_000 + times for i, times in enumerate(thousandths)]),
        xyxy=np.concatenate([scene.boxes_xyxy_px for scene in scenes]),
        label=np.concatenate([scene.actions for scene in scenes]),
        score=np.concatenate([scene.scores for scene in scenes]),
    )
