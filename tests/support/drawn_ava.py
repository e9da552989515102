"""A data set of drawn people in AVA's published formats: frames with lists, videos, and files of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from twinpath.data.synthetic import ACTIONS, people_scene, truth_of
from twinpath.data.synthetic.clips import DURATION_S
from twinpath.data.synthetic.draw import render
from twinpath.video.writer import VideoWriter

SECONDS = (901, 902)  # of the 2.4 s from second 900 on
HEIGHT_PX, FPS = 72, 15
HEADER = "original_vido_id video_id frame_id path labels\n"
FIRST_ID = 2  # of the actions; id 1 has no name
ABSENT = (0.02, 0.02, 0.12, 0.3)  # a box of nobody, at the left border


@dataclass(frozen=True)
class DrawnAva:
    """Where it is.

    Attributes:
        folder: Has `frames/NAME/NAME_000001.jpg` …, `videos/NAME_902.mp4`, the lists `train.csv` and
            `val.csv`, true boxes `train_truth.csv` and `val_truth.csv`, boxes of a detector
            `train_people.csv` and `val_people.csv`, `labels.pbtxt` and `excluded.csv`.
        train, validation: Names of the videos.
    """

    folder: Path
    train: tuple[str, ...]
    validation: tuple[str, ...]

    def __call__(self, name: str) -> str:
        """The path of a file."""
        return str(self.folder / name)


def drawn_ava(folder: Path, *, train: int, validation: int, seed: int = 0) -> DrawnAva:
    """Write it.

    Args:
        folder: Empty, or not there.
        train, validation: Videos of each part.
        seed: Of the first scene.
    """
    names = tuple(f"film{number}" for number in range(train + validation))
    parts = {"train": names[:train], "val": names[train:]}
    (folder / "videos").mkdir(parents=True)
    boxes = {name: _write_film(folder, name, seed + number) for number, name in enumerate(names)}
    for part, films in parts.items():
        lines = [
            f'{film} {number} {i} {film}/{path.name} ""\n'
            for number, film in enumerate(films)
            for i, path in enumerate(sorted((folder / "frames" / film).iterdir()))
        ]
        (folder / f"{part}.csv").write_text(HEADER + "".join(lines))
        rows = [row for film in films for row in boxes[film]]
        truth = [
            f"{video},{second:04d},{box},{action},{n}\n"
            for n, (video, second, box, action) in enumerate(rows)
        ]
        (folder / f"{part}_truth.csv").write_text("".join(truth))
        found = [f"{video},{second:04d},{box},{action},0.99\n" for video, second, box, action in rows]
        nobody = ",".join(map(str, ABSENT))
        found += [
            f"{film},{SECONDS[0]:04d},{nobody},,0.95\n{film},{SECONDS[1]:04d},{nobody},,0.5\n"
            for film in films
        ]
        (folder / f"{part}_people.csv").write_text("".join(found))
    items = "".join(f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in enumerate(ACTIONS, FIRST_ID))
    (folder / "labels.pbtxt").write_text(items)
    (folder / "excluded.csv").write_text(f"{names[-1]},{SECONDS[-1]:04d}\n")
    return DrawnAva(folder, parts["train"], parts["val"])


def _write_film(folder: Path, name: str, seed: int) -> list[tuple[str, int, str, int]]:
    """Its frames and its video; video, second, box and action of each of its people."""
    scene = people_scene(seed)
    (folder / "frames" / name).mkdir(parents=True)
    frames = render(scene, np.arange(0, DURATION_S, 1 / FPS), height_px=HEIGHT_PX)
    height, width = frames.shape[1:3]
    with VideoWriter(folder / "videos" / f"{name}_902.mp4", width=width, height=height, fps=FPS) as video:
        for i, frame in enumerate(frames, 1):
            video.write(frame)
            Image.fromarray(frame).save(folder / "frames" / name / f"{name}_{i:06d}.jpg", quality=95)
    truth = truth_of(scene, height_px=height, keyframes_s=[second - 900.0 for second in SECONDS])
    return [
        (
            name,
            900 + round(box["time_s"]),
            ",".join(f"{side:.3f}" for side in np.array(box["box_xyxy_px"]) / ([width, height] * 2)),
            ACTIONS.index(person["action"]) + FIRST_ID,
        )
        for person in truth["people"]
        for box in person["boxes"]
    ]
