"""Evaluate a detection model on new scenes of the synthetic world, as H.264 files."""

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
    """Boxes of one scene: ground truth or detections.

    Attributes:
        times_s: (N,) times of their keyframes in seconds.
        boxes_xyxy_px: (N, 4) boxes in pixels.
        actions: (N,) indices into ACTIONS.
        scores: (N,) 0 to 1; 1 for ground truth.
    """

    times_s: NDArray[np.float64]
    boxes_xyxy_px: NDArray[np.float64]
    actions: NDArray[np.int64]
    scores: NDArray[np.float64]


def scenes_with_truth(
    predict: Callable[[Path, Path], SceneBoxes], *, num_scenes: int, seed: int = 0, workers: int = 1
) -> Iterator[tuple[SceneBoxes, SceneBoxes]]:
    """Render scenes to files and predict each; a file is removed after its prediction.

    Args:
        predict: From a video and the file of its ground-truth boxes to the boxes detected at keyframes.
        num_scenes: Number of scenes.
        seed: Seed of the first scene, relative to `TEST_SEED`, which is behind all training seeds.
        workers: Processes that render the next scenes during inference.
    Yields:
        (truth, detections) of each scene, in order of seeds.
    """
    spawn = multiprocessing.get_context("spawn")  # the caller may have threads, which a fork would break
    with (
        tempfile.TemporaryDirectory() as parent,
        ProcessPoolExecutor(workers, mp_context=spawn, initializer=ignore_interrupts) as pool,
    ):
        folders = [Path(parent) / str(i) for i in range(num_scenes)]
        seeds = range(TEST_SEED + seed, TEST_SEED + seed + num_scenes)
        for folder, truth in zip(folders, pool.map(_render, folders, seeds), strict=True):
            yield _true_boxes(truth), predict(folder / truth["video"], folder / ANNOTATIONS)
            for file in folder.iterdir():
                file.unlink()


def _render(folder: Path, seed: int) -> dict[str, Any]:
    """Render a video and its annotations into a folder; returns the annotations."""
    folder.mkdir()
    scene = people_scene(seed)
    write_clip(folder / "scene.mp4", scene, height_px=HEIGHT_PX)
    truth = {"video": "scene.mp4", **truth_of(scene, height_px=HEIGHT_PX, keyframes_s=KEYFRAMES_S)}
    (folder / ANNOTATIONS).write_text(json.dumps(truth) + "\n", encoding="utf-8")
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
    """A `predict` for `scenes_with_truth`: scores all actions in the ground-truth boxes."""
    detections = detector(video, people=boxes, every_s=EVERY_S, min_score=0.0, smooth_s=0.0)
    rows = [
        (point, action) for track in detections.tracks for point in track.points for action in point.actions
    ]
    return SceneBoxes(
        np.asarray([point.time_s for point, _ in rows], dtype=np.float64),
        np.asarray([point.box_xyxy_px for point, _ in rows], dtype=np.float64).reshape(-1, 4),
        np.asarray([action.index for _, action in rows], dtype=np.int64),
        np.asarray([action.score for _, action in rows], dtype=np.float64),
    )


def frame_map_of(pairs: list[tuple[SceneBoxes, SceneBoxes]]) -> FrameMap:
    """The frame mAP@0.5 over the keyframes of (truth, detections) pairs."""
    truth, detections = (_concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return frame_map(truth, detections, classes=range(len(ACTIONS)))


def _concatenate(scenes: list[SceneBoxes]) -> ImageBoxes:
    """The boxes of all scenes, with image indices."""
    thousandths = [np.round(scene.times_s * 1000).astype(np.int64) for scene in scenes]
    return ImageBoxes(
        image=np.concatenate([i * 1_000_000 + times for i, times in enumerate(thousandths)]),
        xyxy=np.concatenate([scene.boxes_xyxy_px for scene in scenes]),
        label=np.concatenate([scene.actions for scene in scenes]),
        score=np.concatenate([scene.scores for scene in scenes]),
    )
