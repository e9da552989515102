"""Boxes of people as read from files: one form for every format, and the rules of all formats."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from twinpath.errors import InputError
from twinpath.formats.json_nodes import Node
from twinpath.paths import display_path
from twinpath.suggest import nearest_name

Box = tuple[float, float, float, float]

TIME_DIGITS = 6  # of a second: times that agree so far are one
ASPECT_TOLERANCE = 0.02  # between sizes of one picture, scaled to whole pixels, or to even ones for a codec
_MOST_NAMES = 5  # of videos in one error
_NO_MATCH = (0, 0)  # the nearness of another video's name


@dataclass(frozen=True)
class BoxObservation:
    """One person at one time.

    Attributes:
        time_s: Since the video's first frame.
        box: x1, y1, x2, y2 as shares of the picture, 0 to 1.
        score: 0 to 1; 1 where the file gives none.
        track: Which person it is, where the file knows.
    """

    time_s: float
    box: Box
    score: float = 1.0
    track: int | str | None = None


@dataclass(frozen=True)
class BoxFile:
    """The boxes of one video.

    Attributes:
        times_s: All times with boxes or known to be without people, increasing.
        observations: In the file's order.
        video: The name of the video in the file; empty where there is none.
        other_shape_px: Width and height of the pictures on which the boxes were measured, where the file
            gives a size whose aspect ratio is not the video's; else None.
    """

    times_s: tuple[float, ...]
    observations: tuple[BoxObservation, ...]
    video: str = ""
    other_shape_px: tuple[int, int] | None = None


def gathered(
    observations: Sequence[BoxObservation],
    times_s: Iterable[float] = (),
    *,
    video: str = "",
    other_shape_px: tuple[int, int] | None = None,
) -> BoxFile:
    """A `BoxFile`; `times_s` are more times, those of the observations aside."""
    every = {round(t, TIME_DIGITS) for t in times_s} | {s.time_s for s in observations}
    return BoxFile(tuple(sorted(every)), tuple(observations), video, other_shape_px)


def chosen_video(names: Iterable[str], video: Path, where: str) -> str:
    """Which of the names in a file is this video's.

    A single one is taken. Of several, the one that is the video's path; else the one that shares the most of
    the path's last parts, of which the very last may have another suffix, or none.

    Raises:
        InputError: None of several fits, or several fit equally.
    """
    distinct = list(dict.fromkeys(names))
    if not distinct:
        raise InputError(f"{where} holds no boxes")
    if len(distinct) == 1:
        return distinct[0]
    nearness = {name: _nearness(name, video) for name in distinct}
    best = max(nearness.values())
    if best == _NO_MATCH:
        near = nearest_name(video.stem, distinct, cutoff=0.0)
        raise InputError(
            f"{where} has boxes of {len(distinct)} videos, but of none called {video.stem!r}; "
            f"nearest is {near!r}"
        )
    alike = [name for name in distinct if nearness[name] == best]
    if len(alike) > 1:
        listed = ", ".join(map(repr, alike[:_MOST_NAMES])) + (", …" if len(alike) > _MOST_NAMES else "")
        raise InputError(
            f"{where} has boxes of {listed}, and nothing tells which are those of {display_path(video)}"
        )
    return alike[0]


def is_called(video: Path, name: str) -> bool:
    """Whether a name in a file may mean this video: by the name without suffix, in either case."""
    parts = _parts(name)
    return bool(parts) and _likeness(parts[-1].casefold(), video.name.casefold()) > 0


def _nearness(name: str, video: Path) -> tuple[int, int]:
    """How many last parts a name shares with a video's path, and how alike the last is; more is nearer."""
    parts, given, whole = _parts(name), _parts(str(video)), _parts(str(video.absolute()))
    if parts in (given, whole):
        return len(whole) + 1, 0  # nearer than any other name
    likeness = _likeness(parts[-1], video.name) if parts else 0
    if not likeness:
        return _NO_MATCH
    shared = 1
    while shared < min(len(parts), len(whole)) and parts[-shared - 1] == whole[-shared - 1]:
        shared += 1
    return shared, likeness


def _likeness(name: str, file_name: str) -> int:
    """3: the same; 2: the file's without its suffix; 1: with another suffix; 0: another name."""
    stem = PurePosixPath(file_name).stem
    fits = (PurePosixPath(name).stem == stem, name == stem, name == file_name)
    return max((likeness for likeness, fit in enumerate(fits, 1) if fit), default=0)


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path of any system, without "." and ".."."""
    return PurePosixPath(posixpath.normpath(path.replace("\\", "/"))).parts


def problem_of(box: Sequence[float], *, may_be_flat: bool = False) -> str:
    """What is wrong with the order of a box's sides, or nothing."""
    x1, y1, x2, y2 = box
    if x2 < x1 or (x2 == x1 and not may_be_flat):
        return f"x2 = {x2:g} is not right of x1 = {x1:g}"
    if y2 < y1 or (y2 == y1 and not may_be_flat):
        return f"y2 = {y2:g} is not below y1 = {y1:g}"
    return ""


def shown(box: Sequence[float]) -> str:
    """A box for a message."""
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


def size_of(node: Node, size_px: tuple[float, float]) -> tuple[float, float]:
    """Width and height that an entry gives for its pictures, else the video's."""
    sizes = []
    for names, own in zip((("width_px", "width"), ("height_px", "height")), size_px, strict=True):
        given = next((side for side in (node.find(name) for name in names) if side), None)
        sizes.append(given.number(at_least=1) if given else own)
    return sizes[0], sizes[1]


def other_shape(size_px: tuple[float, float], shown_px: tuple[float, float]) -> tuple[int, int] | None:
    """A size in a file, if its aspect ratio is not that of the picture as displayed; else None."""
    width_share, height_share = (side / of for side, of in zip(size_px, shown_px, strict=True))
    apart = max(width_share, height_share) / min(width_share, height_share) - 1
    return None if apart <= ASPECT_TOLERANCE else (round(size_px[0]), round(size_px[1]))


def shares_of(node: Node, box_px: Sequence[float], size_px: tuple[float, float]) -> Box:
    """A box in pixels as shares of the picture, clipped to it.

    Raises:
        InputError: It has no area, or none in the picture; `node` is where it stands.
    """
    problem = problem_of(box_px)
    if problem:
        raise node.error(problem)
    x1, y1, x2, y2 = (min(max(side / of, 0.0), 1.0) for side, of in zip(box_px, size_px * 2, strict=True))
    if x2 <= x1 or y2 <= y1:
        raise node.error(f"{shown(box_px)} lies outside the picture of {size_px[0]:g}x{size_px[1]:g} pixels")
    return x1, y1, x2, y2
