"""A key frame with the boxes of people, large enough for their labels; beside the same with other labels.

people = shown_people(boxes_xyxy_px, [[("run", 0.7)], []])
picture = keyframe_picture(frame, people)                      # (342, W, 3)
image = keyframe_pair(frame, (true, "true: film at 902 s"), (scored, "scored; missed: run (3%)"))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from twinpath.render.clip_rows import KEYFRAME_PX, captioned
from twinpath.render.label_image import Frame
from twinpath.render.people import PeoplePainter, ShownPerson

People = Sequence[ShownPerson]
_GAP_PX = 8


def shown_people(
    boxes_xyxy_px: ArrayLike, labels: Iterable[Iterable[tuple[str, float | None]]]
) -> list[ShownPerson]:
    """People with numbers from 1 on.

    Args:
        boxes_xyxy_px: (P, 4).
        labels: Of each, see `ShownPerson`.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4).tolist()
    return [
        ShownPerson(number, (x1, y1, x2, y2), tuple(of_person))
        for number, ((x1, y1, x2, y2), of_person) in enumerate(zip(boxes, labels, strict=True), start=1)
    ]


def keyframe_picture(frame: Frame, people: People) -> Frame:
    """The frame, resized to one height for all, with people and their labels.

    Args:
        frame: (H, W, 3) uint8 RGB.
        people: Boxes in pixels of this frame.
    Returns:
        (KEYFRAME_PX, W', 3) uint8.
    """
    height, width = frame.shape[:2]
    size = (max(1, round(width * KEYFRAME_PX / height)), KEYFRAME_PX)
    picture = np.array(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    scale_x, scale_y = size[0] / width, size[1] / height
    scaled = [replace(person, box_xyxy_px=_scaled(person, scale_x, scale_y)) for person in people]
    PeoplePainter((size[1], size[0])).draw(picture, scaled)
    return picture


def _scaled(person: ShownPerson, scale_x: float, scale_y: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = person.box_xyxy_px
    return x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y


def keyframe_pair(frame: Frame, *views: tuple[People, str]) -> Image.Image:
    """A key frame several times beside itself, each time with other people and a line above it.

    Args:
        frame: (H, W, 3) uint8 RGB.
        views: People and their line.
    """
    pictures = [captioned(keyframe_picture(frame, people)[None], line)[0] for people, line in views]
    gap = np.full((pictures[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return Image.fromarray(np.concatenate(parts[1:], axis=1))
