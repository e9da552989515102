"""Clips of the synthetic world: rendered for training, or written as MP4 files with annotations."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.data.synthetic.actions import ACTIONS
from twinpath.data.synthetic.draw import Frames, boxes_xyxy, render, width_of
from twinpath.data.synthetic.scene import Scene, make_scene
from twinpath.video.sampling import keyframe_times
from twinpath.video.writer import VideoWriter

FPS = 30
DURATION_S = 2.4
KEYFRAME_EVERY_S = 0.4

# The seeds of the splits do not overlap.
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 0, 1_000_000_000, 2_000_000_000


def labelled_scene(seed: int) -> Scene:
    """The scene of a seed; actions alternate, so that all labels are equally frequent."""
    return make_scene(seed, action=ACTIONS[seed % len(ACTIONS)])


def people_scene(seed: int) -> Scene:
    """The scene of a seed with several people, each with another action."""
    return make_scene(seed, action=ACTIONS[seed % len(ACTIONS)], kind="people")


@dataclass(frozen=True)
class RenderedClips:
    """A data set of labelled clips, rendered on access.

    Attributes:
        first_seed: Clip i is the scene of seed `first_seed + i`.
        num_clips: Number of clips.
        num_frames: T, frames per clip.
        span_s: Duration of a clip in seconds.
        heights_px: Heights to render at; one is chosen at random for each clip.
    """

    first_seed: int
    num_clips: int
    num_frames: int
    span_s: float
    heights_px: tuple[int, ...] = (128,)

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, i: int) -> tuple[Frames, int]:
        """Frames (T, H, W, 3) uint8 and the index of the label."""
        if not 0 <= i < self.num_clips:
            raise IndexError(i)
        seed = self.first_seed + i
        rng = np.random.default_rng([seed, 0xC1])
        scene = labelled_scene(seed)
        start_s = rng.uniform(0, DURATION_S - self.span_s)
        t_s = start_s + np.linspace(0, self.span_s - 1 / FPS, self.num_frames)
        frames = render(scene, t_s, height_px=int(rng.choice(self.heights_px)))
        return frames, ACTIONS.index(scene.label)


class KeyframeClip(NamedTuple):
    """A clip around a keyframe, its people and their actions.

    Attributes:
        frames: (T, H, W, 3) uint8.
        boxes_xyxy_px: (N, 4) boxes of the people at the keyframe, clipped to the frame.
        actions: (N,) int64 indices into ACTIONS.
    """

    frames: Frames
    boxes_xyxy_px: NDArray[np.float64]
    actions: NDArray[np.int64]


@dataclass(frozen=True)
class RenderedKeyframes:
    """A data set of clips around a keyframe, with several people, rendered on access: for training detection.

    Attributes:
        first_seed: Clip i is of the scene of seed `first_seed + i`.
        num_clips: Number of clips.
        num_frames, sampling_rate: Temporal sampling of a clip.
        heights_px: Heights to render at; one is chosen at random for each clip.
    """

    first_seed: int
    num_clips: int
    num_frames: int
    sampling_rate: float
    heights_px: tuple[int, ...] = (128,)

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, i: int) -> KeyframeClip:
        if not 0 <= i < self.num_clips:
            raise IndexError(i)
        seed = self.first_seed + i
        rng = np.random.default_rng([seed, 0xB0])
        scene = people_scene(seed)
        height_px = int(rng.choice(self.heights_px))
        keyframe_s = rng.uniform(0, DURATION_S)
        times_s = keyframe_times(keyframe_s, num_frames=self.num_frames, sampling_rate=self.sampling_rate)
        frames = render(scene, np.clip(times_s, 0, DURATION_S - 1 / FPS), height_px=height_px)
        boxes_px = _boxes_px(scene, np.array([keyframe_s]), height_px=height_px)[:, 0]
        seen = _is_seen(boxes_px)
        actions = [ACTIONS.index(str(person.action)) for person in scene.people]
        return KeyframeClip(frames, boxes_px[seen], np.asarray(actions, dtype=np.int64)[seen])


def _boxes_px(scene: Scene, times_s: NDArray[np.float64], *, height_px: int) -> NDArray[np.float64]:
    """(people, times, 4) x1, y1, x2, y2 in pixels, clipped to the frame."""
    width_px = width_of(scene, height_px)
    shift = np.array([width_px / 2 / height_px, 0.0] * 2)
    boxes_px = (boxes_xyxy(scene, times_s) + shift) * height_px
    return np.asarray(np.clip(boxes_px, 0, [width_px, height_px] * 2), dtype=np.float64)


def _is_seen(boxes_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(…, 4) to (…): whether a part of the person is in the frame."""
    size = boxes_px[..., 2:] - boxes_px[..., :2]
    return np.asarray(size.prod(axis=-1) > 4)


def truth_of(
    scene: Scene,
    *,
    height_px: int,
    duration_s: float = DURATION_S,
    keyframes_s: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The ground truth of a clip: its label, and box, track and action of each person at each keyframe.

    Keyframes are every `KEYFRAME_EVERY_S` seconds, or at `keyframes_s`. Boxes are x1, y1, x2, y2 in pixels,
    clipped to the frame; a person outside the frame is omitted.
    """
    times_s = np.arange(KEYFRAME_EVERY_S / 2, duration_s, KEYFRAME_EVERY_S)
    if keyframes_s is not None:
        times_s = np.asarray(keyframes_s, dtype=np.float64)
    boxes_px = _boxes_px(scene, times_s, height_px=height_px)
    people = [
        {
            "track": person.track,
            "action": person.action,
            "boxes": [
                {"time_s": round(float(t), 3), "box_xyxy_px": [round(float(v), 1) for v in box]}
                for t, box in zip(times_s, boxes_px[i], strict=True)
                if _is_seen(box)
            ],
        }
        for i, person in enumerate(scene.people)
    ]
    return {
        "seed": scene.seed,
        "label": scene.label,
        "width_px": width_of(scene, height_px),
        "height_px": height_px,
        "fps": FPS,
        "duration_s": duration_s,
        "people": people,
    }


def frames_of(scene: Scene, *, height_px: int, duration_s: float = DURATION_S) -> Frames:
    """All frames of a clip: (duration * FPS, H, W, 3) uint8."""
    return render(scene, np.arange(round(duration_s * FPS)) / FPS, height_px=height_px)


def write_clip(path: Path, scene: Scene, *, height_px: int = 192, duration_s: float = DURATION_S) -> None:
    """Write a scene as an H.264 MP4; the output is reproducible byte for byte."""
    width_px = width_of(scene, height_px)
    with VideoWriter(path, width=width_px, height=height_px, fps=FPS) as writer:
        for frame in frames_of(scene, height_px=height_px, duration_s=duration_s):
            writer.write(frame)


def write_dataset(
    folder: Path,
    *,
    num_clips: int,
    seed: int = TEST_SEED,
    height_px: int = 192,
    kind: Literal["clip", "people"] = "clip",
) -> Iterator[Path]:
    """Write clips, `labels.csv` and `annotations.jsonl`; yields the path of each written clip.

    The two lists are written at the end, atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truths = []
    for i in range(num_clips):
        scene = make_scene(seed + i, action=ACTIONS[(seed + i) % len(ACTIONS)], kind=kind)
        path = folder / f"{i:06d}.mp4"
        write_clip(path, scene, height_px=height_px)
        truths.append({"video": path.name, **truth_of(scene, height_px=height_px)})
        yield path
    with atomic_path(folder / "labels.csv") as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["video", "label", "label_index"])
        table.writerows([t["video"], t["label"], ACTIONS.index(str(t["label"]))] for t in truths)
    with atomic_path(folder / "annotations.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(t) + "\n" for t in truths))
