"""A timeline as a self-contained HTML page that can be zoomed. Its template is timeline_page.html."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.render.html_page import filled_page
from twinpath.render.timeline_lanes import (
    TICK_STEPS_S,
    TimelineLane,
    facts_line,
    lanes_of,
    note_lines,
    shown_duration_s,
    tick_step_s,
    title_of,
)
from twinpath.results.clock import clock
from twinpath.results.segments import Segment

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

_MAX_LANES, _MAX_POINTS = 40, 4000
_MAX_TICKS = 10  # without JavaScript; with it, the width of the page determines the ticks
_MAX_TIMES_WITH_LABELS = 20_000  # windows whose best labels are in the page
_TOP_K = 3
_UNITS_WIDE, _UNITS_HIGH = 10_000, 100  # of a lane's SVG
_CURVE_FLOOR, _CURVE_HEIGHT = 96, 56  # in these units, from the top


def write_html(timeline: Timeline, path: Path) -> None:
    """Write the page; its times are those of a player's clock."""
    facts, timeline = facts_line(timeline), timeline.on_players_clock()
    lanes, hidden = lanes_of(timeline, max_lanes=_MAX_LANES, max_points=_MAX_POINTS)
    duration_s = shown_duration_s(timeline)
    indices = {id(segment): i for i, segment in enumerate(timeline.segments)}
    longest_name = max((len(lane.label) for lane in lanes), default=8)
    parts = {
        "title": html.escape(title_of(timeline)),
        "facts": html.escape(facts),
        "notes": "\n".join(f'<p class="note">{html.escape(note)}</p>' for note in note_lines(timeline)),
        "name_width": f"min({max(longest_name, 6) * 0.55 + 2:.1f}rem, 34vw)",
        "lanes": "\n".join(_lane(lane, timeline, duration_s, indices) for lane in lanes),
        "ticks": _ticks(duration_s),
        "more": f"<p class='facts'>{hidden} more labels are in the table.</p>" if hidden else "",
        "table": "\n".join(_table_row(s, i, lanes) for i, s in enumerate(timeline.segments)),
        "data": _script_data(timeline, duration_s),
    }
    path.write_text(filled_page("timeline_page.html", parts), encoding="utf-8")


def _lane(lane: TimelineLane, timeline: Timeline, duration_s: float, indices: dict[int, int]) -> str:
    """Bars in the upper third of the lane, the curve in the rest.

    Args:
        lane: The lane to draw.
        timeline: The timeline of the lane.
        duration_s: Length of the time axis in seconds.
        indices: The index of each segment in the timeline, by `id(segment)`.
    """
    scale = _UNITS_WIDE / duration_s
    bars = "".join(_bar(segment, indices[id(segment)], scale) for segment in lane.segments)
    threshold = _CURVE_FLOOR - _CURVE_HEIGHT * timeline.rules.min_score
    unscored = ""
    if not timeline.windows.complete:
        x = timeline.windows.done_s * scale
        unscored = f'<rect class="unseen" x="{x:.1f}" y="0" width="{_UNITS_WIDE - x:.1f}" height="100"/>'
    name = html.escape(lane.label)
    return (
        f'<div class="row" style=" --hue:{lane.hue}"><div class="name" title="{name}">'
        f'{name}</div><div class="track">'
        f'<svg viewBox="0 0 {_UNITS_WIDE} {_UNITS_HIGH}" preserveAspectRatio="none" role="img">{unscored}'
        f'<line class="enter" x1="0" x2="{_UNITS_WIDE}" y1="{threshold:.1f}" y2="{threshold:.1f}"/>'
        f"{_curve(lane, scale)}{bars}</svg></div></div>"
    )


def _bar(segment: Segment, index: int, scale: float) -> str:
    title = (
        f"{segment.label}: {clock(segment.start_s)} to {clock(segment.end_s)}, "
        f"mean {100 * segment.mean_score:.0f} %, peak {100 * segment.peak_score:.0f} %"
    )
    return (
        f'<rect class="segment" id="s{index}" x="{segment.start_s * scale:.1f}" y="8" '
        f'width="{max(segment.length_s * scale, 8):.1f}" height="26">'
        f"<title>{html.escape(title)}</title></rect>"
    )


def _curve(lane: TimelineLane, scale: float) -> str:
    points = [
        (t * scale, _CURVE_FLOOR - _CURVE_HEIGHT * score)
        for t, score in zip(lane.times_s, lane.scores, strict=True)
    ]
    if not points:
        return ""
    line = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
    return (
        f'<path class="curve" d="M{points[0][0]:.0f},{_CURVE_FLOOR} L{line} '
        f'L{points[-1][0]:.0f},{_CURVE_FLOOR} Z"/>'
    )


def _ticks(duration_s: float) -> str:
    """The ticks without JavaScript; with it, they are drawn again for the width of the page."""
    step_s = tick_step_s(duration_s, max_ticks=_MAX_TICKS)
    times_s = [i * step_s for i in range(math.ceil(duration_s / step_s))]
    digits = 1 if step_s < 1 else 0
    return "".join(
        f'<div class="tick" style="left:{100 * t / duration_s:.3f}%">{clock(t, digits)}</div>'
        for t in times_s
    )


def _table_row(segment: Segment, index: int, lanes: Sequence[TimelineLane]) -> str:
    hue = next((lane.hue for lane in lanes if lane.label == segment.label), None)
    dot = f'<span class="dot" style=" --hue:{hue}"></span>' if hue is not None else ""
    cells = [
        clock(segment.start_s),
        clock(segment.end_s),
        f"{segment.length_s:.1f} s",
        dot + html.escape(segment.label),
        f"{segment.mean_score:.2f}",
        f"{segment.peak_score:.2f}",
        clock(segment.peak_s),
    ]
    return f'<tr data-segment="s{index}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _script_data(timeline: Timeline, duration_s: float) -> str:
    """JSON for the page's JavaScript: the three best labels of each window, with scores in thousandths."""
    windows = timeline.windows
    stride = max(1, math.ceil(len(windows) / _MAX_TIMES_WITH_LABELS))
    labels: dict[str, int] = {}
    top = [
        [
            [labels.setdefault(p.label, len(labels)), round(1000 * p.score)]
            for p in timeline.top_of(i)[:_TOP_K]
        ]
        for i in range(0, len(windows), stride)
    ]
    middles_s = (windows.starts_s + windows.ends_s)[::stride] / 2
    data = {
        "duration_s": round(duration_s, 3),
        "steps_s": TICK_STEPS_S,
        "labels": list(labels),
        "middles_s": [round(float(t), 2) for t in middles_s],
        "top": top,
    }
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
