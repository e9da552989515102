"""Boxes of people from files: one data class for all formats, and their common rules."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.json_nodes import Node
from twinpath.paths import display_path
from twinpath.suggest import nearest_name

Box = tuple[float, float, float, float]

TIME_DIGITS = 6  # decimals of seconds: times that are equal so far are the same
ASPECT_TOLERANCE = 0.02  # scaling rounds to whole pixels, or to even ones for a codec
_MAX_NAMES = 5  # of videos in an error message
_NO_MATCH = (0, 0)  # the similarity of another video's name


@dataclass(frozen=True)
class BoxObservation:
    """One person at one time.

    Attributes:
        time_s: In seconds since the first frame.
        box: x1, y1, x2, y2 in relative coordinates, 0 to 1.
        score: 0 to 1; 1 if the file has none.
        track: The track id; None if the file has none.
    """

    time_s: float
    box: Box
    score: float = 1.0
    track: int | str | None = None


@dataclass(frozen=True)
class BoxFile:
    """The boxes of one video.

    Attributes:
        times_s: All times with boxes, or annotated as without people, increasing.
        observations: In the file's order.
        video: The name of the video in the file; "" if it has none.
        mismatched_shape_px: Width and height of the annotated frames, if the aspect ratio differs from the
            video's; else None.
    """

    times_s: tuple[float, ...]
    observations: tuple[BoxObservation, ...]
    video: str = ""
    mismatched_shape_px: tuple[int, int] | None = None


def make_box_file(
    observations: Sequence[BoxObservation],
    times_s: Iterable[float] = (),
    *,
    video: str = "",
    mismatched_shape_px: tuple[int, int] | None = None,
) -> BoxFile:
    """A `BoxFile`; `times_s` are further times, in addition to those of the observations."""
    every = {round(t, TIME_DIGITS) for t in times_s} | {s.time_s for s in observations}
    return BoxFile(tuple(sorted(every)), tuple(observations), video, mismatched_shape_px)


def match_video_name(names: Iterable[str], video: Path, where: str) -> str:
    """Find the name of a video among the names in a file.

    A single name always matches. Of several, the path of the video matches; else the name that shares the
    most trailing components with the path, where the file name may have another suffix, or none.

    Raises:
        InputError: None of several names matches, or several match equally.
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
            f"nearest is {shown(repr(near))}"
        )
    alike = [name for name in distinct if nearness[name] == best]
    if len(alike) > 1:
        listed = shown(", ".join(map(repr, alike[:_MAX_NAMES]))) + (", …" if len(alike) > _MAX_NAMES else "")
        raise InputError(
            f"{where} has boxes of {listed}, and more than one name matches {display_path(video)}"
        )
    return alike[0]


def videos_called(name: str, videos: Iterable[Path]) -> list[Path]:
    """The videos that a name in a file may mean: those that share the most of its path."""
    nearness = {video: _nearness(name, video) for video in videos}
    best = max(nearness.values(), default=_NO_MATCH)
    return [video for video, near in nearness.items() if near == best != _NO_MATCH]


def is_name_of(video: Path, name: str) -> bool:
    """Whether a name in a file may be this video: compares the names without suffix, ignoring case."""
    parts, own = _parts(name), _parts(video.name)
    return bool(parts) and _likeness(parts[-1].casefold(), own[-1].casefold()) > 0


def _nearness(name: str, video: Path) -> tuple[int, int]:
    """The number of trailing components that a name shares with a path, and `_likeness` of the last one."""
    parts, relative, absolute = _parts(name), _parts(str(video)), _parts(str(video.absolute()))
    if parts in (relative, absolute):
        return len(absolute) + 1, 0  # more than any other name
    likeness = _likeness(parts[-1], relative[-1]) if parts else 0
    if not likeness:
        return _NO_MATCH
    shared = 1
    while shared < min(len(parts), len(absolute)) and parts[-shared - 1] == absolute[-shared - 1]:
        shared += 1
    return shared, likeness


def _likeness(name: str, file_name: str) -> int:
    """3: the file name; 2: without its suffix; 1: with another suffix; 0: another name."""
    stem = PurePosixPath(file_name).stem
    is_match = (PurePosixPath(name).stem == stem, name == stem, name == file_name)
    return max((likeness for likeness, matches in enumerate(is_match, 1) if matches), default=0)


def _parts(path: str) -> tuple[str, ...]:
    """The components of a path of any platform, without "." and "..", in one form of Unicode.

    macOS decomposes accented letters in file names, other systems do not.
    """
    path = unicodedata.normalize("NFC", path)
    return PurePosixPath(posixpath.normpath(path.replace("\\", "/"))).parts


def side_order_error(box: Sequence[float], *, may_be_flat: bool = False) -> str:
    """Describes a wrong order of a box's sides; "" if it is right."""
    x1, y1, x2, y2 = box
    if x2 < x1 or (x2 == x1 and not may_be_flat):
        return f"x2 = {x2:g} is not right of x1 = {x1:g}"
    if y2 < y1 or (y2 == y1 and not may_be_flat):
        return f"y2 = {y2:g} is not below y1 = {y1:g}"
    return ""


def format_box(box: Sequence[float]) -> str:
    """A box for a message."""
    return "(" + ", ".join(f"{side:g}" for side in box) + ")"


def image_size(node: Node, size_px: tuple[float, float]) -> tuple[float, float]:
    """Width and height of an entry's frame in pixels; the video's if the entry has none."""
    sizes = []
    for names, default in zip((("width_px", "width"), ("height_px", "height")), size_px, strict=True):
        side = next((side for side in (node.find(name) for name in names) if side), None)
        sizes.append(side.number(at_least=1) if side else default)
    return sizes[0], sizes[1]


def mismatched_shape(size_px: tuple[float, float], shown_px: tuple[float, float]) -> tuple[int, int] | None:
    """A size in a file, if its aspect ratio differs from the displayed frame's; else None."""
    width_share, height_share = (side / of for side, of in zip(size_px, shown_px, strict=True))
    apart = max(width_share, height_share) / min(width_share, height_share) - 1
    return None if apart <= ASPECT_TOLERANCE else (round(size_px[0]), round(size_px[1]))


def relative_box(node: Node, box_px: Sequence[float], size_px: tuple[float, float]) -> Box:
    """A box in pixels to relative coordinates, clipped to the frame.

    Raises:
        InputError: It has no area inside the frame; `node` is its place in the file.
    """
    problem = side_order_error(box_px)
    if problem:
        raise node.error(problem)
    x1, y1, x2, y2 = (min(max(side / of, 0.0), 1.0) for side, of in zip(box_px, size_px * 2, strict=True))
    if x2 <= x1 or y2 <= y1:
        raise node.error(f"{format_box(box_px)} is outside the frame of {size_px[0]:g}x{size_px[1]:g} pixels")
    return x1, y1, x2, y2
