"""Boxes of people as files tell them: one form for every format, and what all formats must obey."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.errors import InputError
from twinpath.people.json_nodes import Node

Box = tuple[float, float, float, float]

TIME_DIGITS = 6  # of a second: times that agree so far are one


@dataclass(frozen=True)
class Sighting:
    """One person at one time.

    Attributes:
        time_s: Since the video's first picture.
        box: x1, y1, x2, y2 as shares of the picture, 0 to 1.
        score: 0 to 1; 1 where the file gives none.
        track: Who it is, where the file knows.
    """

    time_s: float
    box: Box
    score: float = 1.0
    track: int | str | None = None


@dataclass(frozen=True)
class BoxFile:
    """The boxes of one video.

    Attributes:
        times_s: All times that were looked at, also those without people, increasing.
        sightings: In the file's order.
    """

    times_s: tuple[float, ...]
    sightings: tuple[Sighting, ...]


def gathered(sightings: Sequence[Sighting], times_s: Iterable[float] = ()) -> BoxFile:
    """Sightings, and the times at which somebody looked."""
    every = {round(t, TIME_DIGITS) for t in times_s} | {s.time_s for s in sightings}
    return BoxFile(tuple(sorted(every)), tuple(sightings))


def chosen_video(names: Iterable[str], video: Path, where: str) -> str:
    """Which of the names in a file is this video's. Raises: InputError: none of several."""
    distinct = list(dict.fromkeys(names))
    if not distinct:
        raise InputError(f"{where} holds no boxes")
    if len(distinct) == 1:
        return distinct[0]
    for name in distinct:
        if video.stem in (name, Path(name.replace("\\", "/")).stem):
            return name
    near = difflib.get_close_matches(video.stem, distinct, n=1, cutoff=0.0)[0]
    raise InputError(
        f"{where} has boxes of {len(distinct)} videos, but of none called {video.stem!r}; nearest is {near!r}"
    )


def problem_of(box: Sequence[float]) -> str:
    """What is wrong with the order of a box's sides, or nothing."""
    x1, y1, x2, y2 = box
    if x2 <= x1:
        return f"x2 = {x2:g} is not right of x1 = {x1:g}"
    return f"y2 = {y2:g} is not below y1 = {y1:g}" if y2 <= y1 else ""


def shown(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


def size_of(node: Node, size_px: tuple[float, float]) -> tuple[float, float]:
    """Width and height that an entry gives for its pictures, else the video's."""
    sizes = []
    for names, own in zip((("width_px", "width"), ("height_px", "height")), size_px, strict=True):
        given = next((side for side in (node.find(name) for name in names) if side), None)
        sizes.append(given.number(at_least=1) if given else own)
    return sizes[0], sizes[1]


def shares_of(node: Node, box_px: Sequence[float], size_px: tuple[float, float]) -> Box:
    """A box in pixels as shares of the picture, cut off at its edges."""
    problem = problem_of(box_px)
    if problem:
        raise node.error(problem)
    x1, y1, x2, y2 = (min(max(side / of, 0.0), 1.0) for side, of in zip(box_px, size_px * 2, strict=True))
    if x2 <= x1 or y2 <= y1:
        raise node.error(f"{shown(box_px)} lies outside the picture of {size_px[0]:g}x{size_px[1]:g} pixels")
    return x1, y1, x2, y2
