"""Clips for experiments of minutes: a patterned disc that circles or swings, of six patterns.

    python examples/drawn_shapes.py world/train --clips 960 --seed 0

A pattern is fine and does not change: a few frames tell it, to a network with enough channels. A disc circles
once in 12 to 20 frames of a 30th of a second: only close frames tell which way. So each pathway of a SlowFast
sees what the other one hardly can. With `--turn 40 60 --period 7 10` both are easy to see. With `--motions 4`
it also swings from side to side, or up and down.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.video.writer import VideoWriter

PATTERNS = ("rows", "columns", "diagonals", "squares", "rings", "spokes")
MOTIONS = ("clockwise", "anticlockwise", "sideways", "upright")  # the first two of them, or all
SIDE_PX, FRAMES, FPS = 72, 72, 30
TURN_FRAMES, PERIOD_PX = (12.0, 20.0), (4.5, 6.5)
Range = tuple[float, float]

Plane = NDArray[np.float64]


def pattern(name: str, y: Plane, x: Plane, period_px: float) -> Plane:
    """0 to 1 for positions in pixels from the centre of the disc."""
    wave = 2 * np.pi / period_px
    if name == "squares":
        return 0.5 + 0.5 * np.sin(wave * x) * np.sin(wave * y)
    phase = {
        "rows": wave * y,
        "columns": wave * x,
        "diagonals": wave * (x + y) / np.sqrt(2),
        "rings": wave * np.hypot(x, y),
        "spokes": 6 * np.arctan2(y, x),
    }[name]
    return 0.5 + 0.5 * np.sin(phase)


def draw(
    index: int, seed: int, turn: Range = TURN_FRAMES, period: Range = PERIOD_PX, num_motions: int = 2
) -> tuple[str, NDArray[np.uint8]]:
    """The label and (T, H, W, 3) frames of clip `index`; ranges of frames a circle and pixels a wave."""
    rng = np.random.default_rng((seed, index))
    kind = index % (len(PATTERNS) * num_motions)
    name, motion = PATTERNS[kind // num_motions], MOTIONS[kind % num_motions]
    along_y, along_x = motion != "sideways", motion != "upright"
    turns = (-1 if motion == "anticlockwise" else 1) * np.arange(FRAMES) / rng.uniform(*turn)
    angle = 2 * np.pi * (turns + rng.uniform())
    middle, orbit_px, radius_px = rng.uniform(28, 44, 2), rng.uniform(8, 14), rng.uniform(11, 15)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float64)
    dark, light, behind = rng.uniform(0, 0.4, 3), rng.uniform(0.6, 1.0, 3), rng.uniform(0.1, 0.9, 3)
    waves = np.sin(rows * rng.uniform(0.05, 0.3) + columns * rng.uniform(0.05, 0.3) + rng.uniform(0, 6))
    background = np.clip(behind + 0.15 * waves[..., None], 0, 1)
    period_px, frames = rng.uniform(*period), np.empty((FRAMES, SIDE_PX, SIDE_PX, 3), np.uint8)
    for frame, turn in zip(frames, angle, strict=True):
        y = rows - middle[0] - along_y * orbit_px * np.sin(turn)
        x = columns - middle[1] - along_x * orbit_px * np.cos(turn)
        covers = np.clip(radius_px - np.hypot(x, y) + 0.5, 0, 1)[..., None]
        disc = dark + (light - dark) * pattern(name, y, x, period_px)[..., None]
        frame[:] = np.clip(
            255 * (background * (1 - covers) + disc * covers) + rng.normal(0, 6, frame.shape), 0, 255
        )
    return f"{name} {motion}", frames


def write(
    folder: Path,
    num_clips: int,
    seed: int,
    turn: Range = TURN_FRAMES,
    period: Range = PERIOD_PX,
    num_motions: int = 2,
) -> None:
    """Write MP4 files and `labels.csv`, unless they are there."""
    if (folder / "labels.csv").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(num_clips):
        label, frames = draw(index, seed, turn, period, num_motions)
        path = folder / f"{index:05d}.mp4"
        with VideoWriter(path, width=SIDE_PX, height=SIDE_PX, fps=FPS, preset="ultrafast") as writer:
            for frame in frames:
                writer.write(frame)
        rows.append((path.name, label))
        print(f"\rdrawing {folder}: {index + 1} of {num_clips}", end="", file=sys.stderr)
    print(file=sys.stderr)
    with atomic_path(folder / "labels.csv") as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("video", "label"), *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=960)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turn", type=float, nargs=2, default=TURN_FRAMES)
    parser.add_argument("--period", type=float, nargs=2, default=PERIOD_PX)
    parser.add_argument("--motions", type=int, choices=(2, 4), default=2)
    options = parser.parse_args()
    ranges = tuple(options.turn), tuple(options.period)
    write(options.folder, options.clips, options.seed, *ranges, options.motions)
