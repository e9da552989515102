"""A timeline to look at: a picture, and a page that explains itself and asks nothing of the network.

write_timeline_view(timeline, Path("match.html"), "html")

Both show a lane for each label: bars where it is seen, and its score over time below them.
"""

from __future__ import annotations

import colorsys
import html
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from twinpath.atomic import atomic_path
from twinpath.results.clock import clock
from twinpath.results.segments import Segment

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

Colour = tuple[int, int, int]

MOST_LANES = {"html": 40, "png": 14}
MOST_POINTS = {"html": 4000, "png": 1200}  # of a curve; the highest of so many neighbours is shown
_LANES_WITHOUT_SEGMENTS = 3  # where nothing was sure enough: the likeliest, to see how far off it was
_MOST_READINGS = 20_000  # windows whose labels the page can tell
_HUES = (205, 25, 145, 280, 50, 340, 175, 95, 255, 0, 120, 305)
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400)


@dataclass(frozen=True, eq=False)
class Lane:
    """What is shown of one label.

    Attributes:
        label: Its name.
        hue: Of its colour, in degrees.
        segments: Where it is seen, in order; empty where nothing was sure enough.
        times_s, scores: (P,) its score over time, in points few enough to draw.
    """

    label: str
    hue: int
    segments: tuple[Segment, ...]
    times_s: NDArray[np.float64]
    scores: NDArray[np.float64]


def write_timeline_view(timeline: Timeline, path: Path, kind: str) -> None:
    """Write one file, whole or not at all.

    Args:
        timeline: A finished one or a part.
        path: Where to.
        kind: One of `VIEW_KINDS`.
    """
    with atomic_path(path) as temporary:
        VIEW_KINDS[kind](timeline, temporary)


def lanes_of(timeline: Timeline, *, most: int, points: int) -> tuple[list[Lane], int]:
    """The labels worth a lane, by their first segment; and how many more there are.

    Args:
        timeline: Any.
        most: Lanes. Where there are more labels, those seen longest and surest stay.
        points: Of a lane's curve, about.
    """
    of_label: dict[int, list[Segment]] = {}
    for segment in timeline.segments:
        of_label.setdefault(segment.index, []).append(segment)
    if of_label:
        weight = {i: sum(s.length_s * s.mean_score for s in own) for i, own in of_label.items()}
        kept = set(sorted(weight, key=lambda i: -weight[i])[:most])
        chosen = [i for i in of_label if i in kept]
    else:
        chosen = _likeliest(timeline)
    times_s, buckets = _buckets(timeline, points)
    lanes = []
    for number, index in enumerate(chosen):
        own_scores = timeline.windows.scores[:, index].astype(np.float64)
        scores = np.pad(np.maximum.reduceat(own_scores, buckets), 1, mode="edge")
        segments = tuple(of_label.get(index, ()))
        hue = _HUES[number % len(_HUES)]
        lanes.append(Lane(timeline.windows.labels[index], hue, segments, times_s, scores))
    return lanes, max(len(of_label) - len(chosen), 0)


def _likeliest(timeline: Timeline) -> list[int]:
    if not len(timeline.windows):
        return []
    shown = np.asarray(timeline.shown)
    highest = timeline.windows.scores[:, shown].max(axis=0)
    return [int(i) for i in shown[np.argsort(-highest, kind="stable")[:_LANES_WITHOUT_SEGMENTS]]]


def _buckets(timeline: Timeline, points: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times of a curve's points, with one more at either end, and the first window of each but those two."""
    windows = timeline.windows
    firsts = np.arange(0, len(windows), max(1, math.ceil(len(windows) / points)))
    if not len(firsts):
        return windows.starts_s, firsts
    counts = np.diff(np.append(firsts, len(windows)))
    middles_s = np.add.reduceat((windows.starts_s + windows.ends_s) / 2, firsts) / counts
    return np.concatenate([windows.starts_s[:1], middles_s, windows.ends_s[-1:]]), firsts


def tick_step_s(duration_s: float, *, most: int) -> float:
    """A round distance for at most so many ticks."""
    return next((step for step in _STEPS_S if duration_s / step <= most), duration_s)


def _facts(timeline: Timeline) -> str:
    windows = timeline.windows
    return (
        f"{clock(windows.duration_s)} long, {len(windows)} windows of {windows.span_s:.2f} s, "
        f"one every {windows.every_s:g} s. {windows.provenance.model} on {windows.engine}. "
        f"Segments from a score of {timeline.rules.min_score:g}."
    )


def _notes(timeline: Timeline) -> list[str]:
    windows = timeline.windows
    notes = list(timeline.warnings)
    if not windows.complete:
        end = f"{clock(windows.done_s)} of {clock(windows.duration_s)}"
        notes.insert(0, f"Unfinished: up to {end}.")
    best = timeline.best()
    if not timeline.segments and best is not None:
        time_s, top = best
        notes.append(
            f"No smoothed score reaches {timeline.rules.min_score:g}; the highest is "
            f"{top.label} with {top.score:.2f} at {clock(time_s)}."
        )
    return notes


def _name(timeline: Timeline) -> str:
    """The video's name, as text that any file can hold."""
    name = Path(timeline.windows.video).name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in name)


# --- the page


def _write_html(timeline: Timeline, path: Path) -> None:
    lanes, more = lanes_of(timeline, most=MOST_LANES["html"], points=MOST_POINTS["html"])
    duration_s = max(timeline.windows.duration_s, 1e-3)
    hidden = f"<p class='facts'>{more} more labels are in the table.</p>" if more else ""
    numbers = {id(segment): n for n, segment in enumerate(timeline.segments)}
    longest = max((len(lane.label) for lane in lanes), default=8)
    parts = {
        "title": html.escape(_name(timeline)),
        "facts": html.escape(_facts(timeline)),
        "notes": "\n".join(f'<p class="note">{html.escape(note)}</p>' for note in _notes(timeline)),
        "name_width": f"min({max(longest, 6) * 0.55 + 2:.1f}rem, 34vw)",
        "lanes": "\n".join(_lane_html(lane, timeline, duration_s, numbers) for lane in lanes),
        "ticks": _ticks_html(duration_s),
        "more": hidden,
        "table": "\n".join(_row_html(s, n, lanes) for n, s in enumerate(timeline.segments)),
        "data": _data_json(timeline, duration_s),
    }
    page = resources.files("twinpath.render").joinpath("timeline_page.html").read_text("utf-8")
    path.write_text(re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page), encoding="utf-8")


def _lane_html(lane: Lane, timeline: Timeline, duration_s: float, numbers: dict[int, int]) -> str:
    """Bars in the upper third of the lane, the curve in the rest; 10,000 units wide, 100 high."""
    scale = 10_000 / duration_s
    bars = []
    for segment in lane.segments:
        title = (
            f"{segment.label}: {clock(segment.start_s)} to {clock(segment.end_s)}, "
            f"mean {100 * segment.mean_score:.0f} %, peak {100 * segment.peak_score:.0f} %"
        )
        bars.append(
            f'<rect class="segment" id="s{numbers[id(segment)]}" x="{segment.start_s * scale:.1f}" y="8" '
            f'width="{max(segment.length_s * scale, 8):.1f}" height="26">'
            f"<title>{html.escape(title)}</title></rect>"
        )
    points = [(t * scale, 96 - 56 * s) for t, s in zip(lane.times_s, lane.scores, strict=True)]
    curve = ""
    if points:
        line = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
        curve = f'<path class="curve" d="M{points[0][0]:.0f},96 L{line} L{points[-1][0]:.0f},96 Z"/>'
    enter = 96 - 56 * timeline.rules.min_score
    unseen = ""
    if not timeline.windows.complete:
        x = timeline.windows.done_s * scale
        unseen = f'<rect class="unseen" x="{x:.1f}" y="0" width="{10_000 - x:.1f}" height="100"/>'
    return (
        f'<div class="row" style="--hue:{lane.hue}"><div class="name" title="{html.escape(lane.label)}">'
        f'{html.escape(lane.label)}</div><div class="track">'
        f'<svg viewBox="0 0 10000 100" preserveAspectRatio="none" role="img">{unseen}'
        f'<line class="enter" x1="0" x2="10000" y1="{enter:.1f}" y2="{enter:.1f}"/>{curve}{"".join(bars)}'
        "</svg></div></div>"
    )


def _ticks_html(duration_s: float) -> str:
    """For a page without scripts; with them they are drawn anew for the page's width."""
    step_s = tick_step_s(duration_s, most=10)
    times_s = [i * step_s for i in range(math.ceil(duration_s / step_s))]
    digits = 1 if step_s < 1 else 0
    return "".join(
        f'<div class="tick" style="left:{100 * t / duration_s:.3f}%">{clock(t, digits)}</div>'
        for t in times_s
    )


def _row_html(segment: Segment, number: int, lanes: Sequence[Lane]) -> str:
    hue = next((lane.hue for lane in lanes if lane.label == segment.label), None)
    dot = f'<span class="dot" style="--hue:{hue}"></span>' if hue is not None else ""
    cells = [
        clock(segment.start_s),
        clock(segment.end_s),
        f"{segment.length_s:.1f} s",
        dot + html.escape(segment.label),
        f"{segment.mean_score:.2f}",
        f"{segment.peak_score:.2f}",
        clock(segment.peak_s),
    ]
    return f'<tr data-segment="s{number}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _data_json(timeline: Timeline, duration_s: float) -> str:
    """What the page's script reads: for each window the three likeliest labels, scores in thousandths."""
    windows = timeline.windows
    every = max(1, math.ceil(len(windows) / _MOST_READINGS))
    used: dict[str, int] = {}
    top = [
        [[used.setdefault(p.label, len(used)), round(1000 * p.score)] for p in timeline.top_of(i)[:3]]
        for i in range(0, len(windows), every)
    ]
    middles_s = (windows.starts_s + windows.ends_s)[::every] / 2
    data = {
        "duration_s": round(duration_s, 3),
        "steps_s": _STEPS_S,
        "labels": list(used),
        "middles_s": [round(float(t), 2) for t in middles_s],
        "top": top,
    }
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


# --- the picture

_SCALE = 2  # drawn larger and made smaller, so that edges are smooth
_WIDTH, _LANE, _MARGIN, _AXIS = 1600, 52, 28, 34
_INK, _SOFT, _LINE, _BAND, _WARN = (
    (27, 36, 48),
    (93, 107, 122),
    (221, 227, 234),
    (244, 246, 249),
    (138, 75, 0),
)


def _write_png(timeline: Timeline, path: Path) -> None:
    lanes, more = lanes_of(timeline, most=MOST_LANES["png"], points=MOST_POINTS["png"])
    _Picture(timeline, lanes, more).image.save(path, format="PNG", optimize=True)


class _Picture:
    """Draws lanes from top to bottom; sizes are of the finished picture."""

    def __init__(self, timeline: Timeline, lanes: Sequence[Lane], more: int) -> None:
        self._timeline = timeline
        self._duration_s = max(timeline.windows.duration_s, 1e-3)
        notes = _notes(timeline) + ([f"{more} more labels are not shown."] if more else [])
        self._top = 84 + 24 * len(notes) + (10 if notes else 0)
        self._bottom = self._top + _LANE * max(len(lanes), 1)
        size = (_WIDTH * _SCALE, (self._bottom + _AXIS + _MARGIN) * _SCALE)
        self.image = Image.new("RGB", size, (255, 255, 255))
        self._canvas = ImageDraw.Draw(self.image)
        longest = max((self._length(lane.label, 18) for lane in lanes), default=0.0)
        self._left = round(_MARGIN + min(max(longest, 60.0), 380.0) + 16)
        self._right = _WIDTH - _MARGIN
        self._write_head(notes)
        for number, lane in enumerate(lanes):
            self._draw_lane(lane, self._top + number * _LANE)
        self._draw_axis()
        self.image = self.image.resize((_WIDTH, size[1] // _SCALE), Image.Resampling.LANCZOS)

    def _x(self, time_s: float) -> float:
        return self._left + (self._right - self._left) * min(max(time_s / self._duration_s, 0.0), 1.0)

    def _length(self, text: str, size: int) -> float:
        return float(ImageFont.load_default(size=size * _SCALE).getlength(text)) / _SCALE

    def _text(self, x: float, y: float, text: str, size: int, colour: Colour, *, most: float = 1e9) -> None:
        """Text with its upper left corner there, cut with an ellipsis where it gets too long."""
        if self._length(text, size) > most:
            while text and self._length(text + "…", size) > most:
                text = text[:-1]
            text += "…"
        font = ImageFont.load_default(size=size * _SCALE)
        self._canvas.text((x * _SCALE, y * _SCALE), text, font=font, fill=colour)

    def _box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        corners = [x0 * _SCALE, y0 * _SCALE, max(x1, x0 + 1) * _SCALE - 1, y1 * _SCALE - 1]
        self._canvas.rectangle(corners, fill=colour)

    def _write_head(self, notes: Sequence[str]) -> None:
        width = self._right - _MARGIN
        self._text(_MARGIN, 18, _name(self._timeline), 26, _INK, most=width)
        self._text(_MARGIN, 54, _facts(self._timeline), 16, _SOFT, most=width)
        for number, note in enumerate(notes):
            self._text(_MARGIN, 84 + 24 * number, note, 16, _WARN, most=width)

    def _draw_lane(self, lane: Lane, top: float) -> None:
        strong, pale = _colour(lane.hue, 0.44), _colour(lane.hue, 0.80)
        self._box(self._left, top + 2, self._right, top + _LANE - 2, _BAND)
        if not self._timeline.windows.complete:
            x = self._x(self._timeline.windows.done_s)
            self._box(x, top + 2, self._right, top + _LANE - 2, _LINE)
        floor, height = top + _LANE - 4, _LANE - 26
        self._dashes(floor - height * self._timeline.rules.min_score)
        line = [
            (self._x(t) * _SCALE, (floor - height * s) * _SCALE)
            for t, s in zip(lane.times_s, lane.scores, strict=True)
        ]
        if len(line) > 1:
            ends = [(line[-1][0], floor * _SCALE), (line[0][0], floor * _SCALE)]
            self._canvas.polygon(line + ends, fill=pale)
            self._canvas.line(line, fill=strong, width=_SCALE, joint="curve")
        for segment in lane.segments:
            x0, x1 = self._x(segment.start_s), self._x(segment.end_s)
            self._box(x0, top + 5, x1, top + 19, strong)
            percent = f"{100 * segment.mean_score:.0f} %"
            if x1 - x0 > self._length(percent, 12) + 10:
                self._text(x0 + 5, top + 4, percent, 12, (255, 255, 255))
        self._text(_MARGIN, top + 13, lane.label, 18, _INK, most=self._left - _MARGIN - 12)

    def _dashes(self, y: float) -> None:
        """The score from which on segments are seen."""
        for x in range(self._left, self._right, 8):
            self._box(x, y, x + 3, y + 1, (190, 200, 210))

    def _draw_axis(self) -> None:
        step_s = tick_step_s(self._duration_s, most=12)
        for i in range(math.floor(self._duration_s / step_s) + 1):
            x = self._x(i * step_s)
            self._box(x, self._bottom, x + 1, self._bottom + 7, _SOFT)
            text = clock(i * step_s, 1 if step_s < 1 else 0)
            left = min(x - self._length(text, 15) / 2, self._right - self._length(text, 15))
            self._text(max(left, self._left - 6), self._bottom + 10, text, 15, _SOFT)
        self._box(self._left, self._bottom, self._right, self._bottom + 1, _SOFT)


def _colour(hue: int, lightness: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)


#: Kinds of view that this module writes.
VIEW_KINDS: dict[str, Callable[[Timeline, Path], None]] = {"html": _write_html, "png": _write_png}
