"""How well and how fast own actions are learned from few synthetic clips:

    python -m scripts.measure_finetune [--clips 30] [--method head]

draws eight classes of motion that no model has seen (a textured shape moves left, right, up or down, grows,
shrinks, turns one way or the other), 40 frames each, and runs `twinpath finetune` on the folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.video.writer import VideoWriter

FRAMES, FPS, HEIGHT, WIDTH = 40, 30, 120, 160
MOTIONS = (
    "moves left", "moves right", "moves up", "moves down",
    "grows", "shrinks", "turns clockwise", "turns anticlockwise",
)  # fmt: skip


def motion_clip(motion: str, seed: int) -> NDArray[np.uint8]:
    """(FRAMES, HEIGHT, WIDTH, 3): a shape before a blurred background; place, size, colour and speed vary."""
    rng = np.random.default_rng([seed, MOTIONS.index(motion)])
    small = rng.integers(30, 226, (6, 8, 3), dtype=np.uint8)
    background = Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    texture = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(
        (64, 64), Image.Resampling.NEAREST
    )
    x, y = rng.uniform(0.35, 0.65) * WIDTH, rng.uniform(0.35, 0.65) * HEIGHT
    side, speed, start = rng.uniform(28, 44), rng.uniform(0.6, 1.4), rng.uniform(0, 360)
    frames = []
    for t in np.linspace(-0.5, 0.5, FRAMES):
        step, size, angle = 60 * speed * t, side, start
        dx = {"moves left": -step, "moves right": step}.get(motion, 0.0)
        dy = {"moves up": -step, "moves down": step}.get(motion, 0.0)
        size *= float(np.exp({"grows": 1.2 * t, "shrinks": -1.2 * t}.get(motion, 0.0) * speed))
        angle += {"turns clockwise": -180 * t, "turns anticlockwise": 180 * t}.get(motion, 0.0) * speed
        shape = texture.resize((round(size), round(size))).convert("RGBA").rotate(angle, expand=True)
        frame = background.copy()
        frame.paste(shape, (round(x + dx - shape.width / 2), round(y + dy - shape.height / 2)), shape)
        frames.append(np.asarray(frame))
    noise = rng.integers(-12, 13, (FRAMES, HEIGHT, WIDTH, 1))
    return np.clip(np.stack(frames).astype(np.int64) + noise, 0, 255).astype(np.uint8)


def write_motions(folder: Path, *, clips: int, first_seed: int = 0) -> None:
    """So many MP4 files of each class, in folders of their names."""
    for motion in MOTIONS:
        (folder / motion).mkdir(parents=True)
        for i in range(clips):
            with VideoWriter(folder / motion / f"{i:03}.mp4", width=WIDTH, height=HEIGHT, fps=FPS) as writer:
                for frame in motion_clip(motion, first_seed + i):
                    writer.write(frame)


def main() -> None:
    """Draw, fine-tune, print the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=30, help="of each class")
    parser.add_argument("--method", default="head")
    parser.add_argument("--keep", type=Path, help="folder for the clips and the model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = options.keep or Path(name)
        write_motions(place / "motions", clips=options.clips)
        command = [sys.executable, "-m", "twinpath", "finetune", str(place / "motions")]
        command += ["--model", "slowfast_tiny.synthetic", "--method", options.method]
        began_s = time.perf_counter()
        subprocess.run([*command, "--out", str(place / "motions-model")], check=True)
        print(f"{time.perf_counter() - began_s:.0f} s")


if __name__ == "__main__":
    main()
