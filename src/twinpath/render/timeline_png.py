"""A timeline as a PNG."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from twinpath.render.label_image import Colour
from twinpath.render.timeline_lanes import (
    TimelineLane,
    facts_line,
    lanes_of,
    note_lines,
    shown_duration_s,
    tick_step_s,
    title_of,
)
from twinpath.results.clock import clock

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

_MAX_LANES, _MAX_POINTS, _MAX_TICKS = 14, 1200, 12
_SCALE = 2  # drawn twice as large and resized, for smooth edges
_WIDTH, _LANE, _MARGIN, _AXIS = 1600, 52, 28, 34
_INK, _SOFT, _LINE, _BAND, _WARN = (
    (27, 36, 48),
    (93, 107, 122),
    (221, 227, 234),
    (244, 246, 249),
    (138, 75, 0),
)


def write_png(timeline: Timeline, path: Path) -> None:
    """Write the PNG; its times are those of a player's clock."""
    facts, timeline = facts_line(timeline), timeline.on_players_clock()
    lanes, hidden = lanes_of(timeline, max_lanes=_MAX_LANES, max_points=_MAX_POINTS)
    _TimelineDrawing(timeline, facts, lanes, hidden).image.save(path, format="PNG", optimize=True)


class _TimelineDrawing:
    """Draws the lanes from top to bottom. All sizes are in pixels of the final image.

    Args:
        timeline: The timeline to draw.
        facts: The line below the title.
        lanes: The lanes of its labels.
        hidden: Number of labels with segments but without a lane.
    Attributes:
        image: The final image.
    """

    def __init__(self, timeline: Timeline, facts: str, lanes: Sequence[TimelineLane], hidden: int) -> None:
        self._timeline = timeline
        self._facts = facts
        self._duration_s = shown_duration_s(timeline)
        notes = note_lines(timeline) + ([f"{hidden} more labels are not shown."] if hidden else [])
        self._top = 84 + 24 * len(notes) + (10 if notes else 0)
        self._bottom = self._top + _LANE * max(len(lanes), 1)
        size = (_WIDTH * _SCALE, (self._bottom + _AXIS + _MARGIN) * _SCALE)
        self.image = Image.new("RGB", size, (255, 255, 255))
        self._canvas = ImageDraw.Draw(self.image)
        longest = max((self._text_width(lane.label, 18) for lane in lanes), default=0.0)
        self._left = round(_MARGIN + min(max(longest, 60.0), 380.0) + 16)
        self._right = _WIDTH - _MARGIN
        self._draw_header(notes)
        for number, lane in enumerate(lanes):
            self._draw_lane(lane, self._top + number * _LANE)
        self._draw_axis()
        self.image = self.image.resize((_WIDTH, size[1] // _SCALE), Image.Resampling.LANCZOS)

    def _x(self, time_s: float) -> float:
        return self._left + (self._right - self._left) * min(max(time_s / self._duration_s, 0.0), 1.0)

    def _text_width(self, text: str, size: int) -> float:
        return float(ImageFont.load_default(size=size * _SCALE).getlength(text)) / _SCALE

    def _text(
        self, x: float, y: float, text: str, size: int, colour: Colour, *, max_width: float = 1e9
    ) -> None:
        """Draw text with its upper left corner at (x, y), truncated with an ellipsis if it is too wide."""
        if self._text_width(text, size) > max_width:
            while text and self._text_width(text + "…", size) > max_width:
                text = text[:-1]
            text += "…"
        font = ImageFont.load_default(size=size * _SCALE)
        self._canvas.text((x * _SCALE, y * _SCALE), text, font=font, fill=colour)

    def _fill(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        corners = [x0 * _SCALE, y0 * _SCALE, max(x1, x0 + 1) * _SCALE - 1, y1 * _SCALE - 1]
        self._canvas.rectangle(corners, fill=colour)

    def _draw_header(self, notes: Sequence[str]) -> None:
        width = self._right - _MARGIN
        self._text(_MARGIN, 18, title_of(self._timeline), 26, _INK, max_width=width)
        self._text(_MARGIN, 54, self._facts, 16, _SOFT, max_width=width)
        for number, note in enumerate(notes):
            self._text(_MARGIN, 84 + 24 * number, note, 16, _WARN, max_width=width)

    def _draw_lane(self, lane: TimelineLane, top: float) -> None:
        strong, pale = _colour(lane.hue, 0.44), _colour(lane.hue, 0.80)
        self._fill(self._left, top + 2, self._right, top + _LANE - 2, _BAND)
        if not self._timeline.windows.complete:
            x = self._x(self._timeline.windows.done_s)
            self._fill(x, top + 2, self._right, top + _LANE - 2, _LINE)
        floor, height = top + _LANE - 4, _LANE - 26
        self._draw_threshold(floor - height * self._timeline.rules.min_score)
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
            self._fill(x0, top + 5, x1, top + 19, strong)
            percent = f"{100 * segment.mean_score:.0f} %"
            if x1 - x0 > self._text_width(percent, 12) + 10:
                self._text(x0 + 5, top + 4, percent, 12, (255, 255, 255))
        self._text(_MARGIN, top + 13, lane.label, 18, _INK, max_width=self._left - _MARGIN - 12)

    def _draw_threshold(self, y: float) -> None:
        """Draw a dashed line at the threshold of segments."""
        for x in range(self._left, self._right, 8):
            self._fill(x, y, x + 3, y + 1, (190, 200, 210))

    def _draw_axis(self) -> None:
        step_s = tick_step_s(self._duration_s, max_ticks=_MAX_TICKS)
        for i in range(math.floor(self._duration_s / step_s) + 1):
            x = self._x(i * step_s)
            self._fill(x, self._bottom, x + 1, self._bottom + 7, _SOFT)
            text = clock(i * step_s, 1 if step_s < 1 else 0)
            left = min(x - self._text_width(text, 15) / 2, self._right - self._text_width(text, 15))
            self._text(max(left, self._left - 6), self._bottom + 10, text, 15, _SOFT)
        self._fill(self._left, self._bottom, self._right, self._bottom + 1, _SOFT)


def _colour(hue: int, lightness: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue / 360, lightness, 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)
