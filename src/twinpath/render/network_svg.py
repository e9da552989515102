"""A network drawn as SVG: its stages in a row with what goes out of each, parameters and cost.

write_network_svg(network_plan("slowfast_r50_8x8"), Path("slowfast.svg"))

A stage is a stack of sheets, one for a frame: as high as its maps have rows, as wide as it has channels (both
in logarithms). The bar at its text has the share of the cost. A SlowFast has two rows with the lateral
connections between them. The colours follow the reader's: light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from twinpath.atomic import atomic_path
from twinpath.errors import UsageError
from twinpath.paths import display_path
from twinpath.render.html_page import escaped
from twinpath.results.network_plan import NetworkPlan, NetworkStage, Shape

_COLUMN, _LEFT, _TITLE = 136, 20, 64
_STACK = 92  # height of the stacks of a row
_LINE = 17
_BAR = 100
_LEAST_WIDTH = 760  # room for the line of totals
_DEEPEST = 34.0  # of a stack, along x
_LATERALS = 26  # between the rows of a SlowFast

_STYLE = """
svg { --paper: #fff; --ink: #1b2430; --soft: #5d6b7a; --line: #c9d2dc; --sheet: #dbe9f5; --edge: #17649e;
  --fast: #fbe3d8; --fastedge: #c44a14; font-family: system-ui, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14181e; --ink: #e6ebf1; --soft: #a3b0be; --line: #3a4552; --sheet: #1d3a52; --edge: #74b9ec;
    --fast: #51291a; --fastedge: #f0834d; }
}
.paper { fill: var(--paper); }
text { fill: var(--ink); font-size: 12px; }
.title { font-size: 17px; font-weight: 600; }
.name { font-size: 14px; font-weight: 600; }
.soft { fill: var(--soft); }
.sheet { fill: var(--sheet); stroke: var(--edge); }
.fast .sheet { fill: var(--fast); stroke: var(--fastedge); }
.track { fill: var(--line); }
.cost { fill: var(--edge); }
.fast .cost { fill: var(--fastedge); }
.flow { fill: none; stroke: var(--soft); stroke-width: 1.4; }
.tip { fill: var(--soft); }
.fast .flow { stroke: var(--fastedge); }
.fast .tip { fill: var(--fastedge); }
"""


def write_network_svg(plan: NetworkPlan, out: Path) -> None:
    """Draw a network.

    Args:
        plan: Its stages.
        out: The SVG to create or replace.
    Raises:
        UsageError: `out` ends in something else, or its folder does not exist.
        OSError: It cannot be written.
    """
    if out.suffix.lower() != ".svg":
        raise UsageError(f"cannot write {display_path(out)}: name a file that ends in .svg")
    if not out.parent.is_dir():
        raise UsageError(f"cannot write {display_path(out)}: the folder does not exist; make it first")
    with atomic_path(out) as temporary:
        temporary.write_text(network_svg(plan), encoding="utf-8")


def network_svg(plan: NetworkPlan) -> str:
    """The same as text."""
    drawing = _Drawing(plan)
    head = plan.stages[-1]
    of = {
        place: [s for s in plan.stages[:-1] if s.place == place] for place in ("", "slow", "fast", "lateral")
    }
    if of["slow"]:
        slow = drawing.row("slow", of["slow"], plan.slow_frames or 1, top=_TITLE, text_above=True)
        fast = drawing.row("fast", of["fast"], plan.num_frames, top=slow.bottom + _LATERALS)
        drawing.laterals(of["lateral"], slow.middle, fast.middle)
        middle = (slow.middle + fast.middle) / 2
        drawing.head(head, len(of["slow"]) + 1, middle, arrows_from=(slow.middle, fast.middle))
        bottom, columns = fast.bottom, len(of["slow"]) + 2
    else:
        row = drawing.row("clip", of[""], plan.num_frames, top=_TITLE)
        drawing.head(head, len(of[""]) + 1, row.middle, arrows_from=(row.middle,))
        bottom, columns = row.bottom, len(of[""]) + 2
    width, height = 2 * _LEFT + max(columns * _COLUMN, _LEAST_WIDTH), round(bottom + 14)
    described = escaped(f"{plan.name}: {_totals(plan)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{described}">\n<title>{described}</title>\n'
        f'<style>{_STYLE}</style>\n<rect class="paper" width="{width}" height="{height}"/>\n'
        f'<text class="title" x="{_LEFT}" y="28">{escaped(plan.name)}</text>\n'
        f'<text class="soft" x="{_LEFT}" y="47">{escaped(_totals(plan))}</text>\n'
        + "\n".join(drawing.parts)
        + "\n</svg>\n"
    )


def _totals(plan: NetworkPlan) -> str:
    counted = f", {plan.boxes} box" if plan.boxes else ""
    return (
        f"{plan.params:,} parameters, {plan.gflops:.4g} GFLOPs a clip of {_frames(plan.num_frames)}, "
        f"{plan.crop_px} px{counted}. Shapes are channels × frames × rows × columns."
    )


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


class _RowPlace(NamedTuple):
    """Where a row of the picture lies, along y."""

    middle: float
    bottom: float


class _Drawing:
    """Elements of the picture, in order."""

    def __init__(self, plan: NetworkPlan) -> None:
        self._plan = plan
        self._most = max(stage.multiply_adds for stage in plan.stages)
        self.parts: list[str] = []

    def row(
        self,
        kind: str,
        stages: Sequence[NetworkStage],
        num_frames: int,
        *,
        top: float,
        text_above: bool = False,
    ) -> _RowPlace:
        """The clip and the stages side by side: "clip", "slow" or "fast"."""
        clip: Shape = (3, num_frames, self._plan.crop_px, self._plan.crop_px)
        per = self._plan.num_frames // num_frames
        every = {"slow": [f"1 frame of {per}"], "fast": ["every frame"], "clip": []}[kind]
        texts = [[kind if kind == "clip" else f"{kind} pathway", _shape(clip), *every]]
        texts += [self._text(stage) for stage in stages]
        room = max(len(lines) for lines in texts) * _LINE + 16
        stacks, text = (top + room, top) if text_above else (top, top + _STACK)
        shapes = [clip, *(stage.shape for stage in stages if stage.shape is not None)]
        self.parts.append('<g class="fast">' if kind == "fast" else "<g>")
        for column, (shape, lines) in enumerate(zip(shapes, texts, strict=True)):
            self._stack(shape, column, stacks + _STACK / 2)
            self._lines(lines, column, text)
            if column:
                self._arrow(column, stacks + _STACK / 2)
                self._cost(stages[column - 1], column, text + room - 8)
        self.parts.append("</g>")
        return _RowPlace(stacks + _STACK / 2, top + _STACK + room)

    def head(self, head: NetworkStage, column: int, y: float, *, arrows_from: Sequence[float]) -> None:
        """The last column."""
        x = self._x(column)
        for start in arrows_from:
            self.parts.append(
                f'<path class="flow" d="M{x - 36} {start:.1f} C{x - 16} {start:.1f} {x - 28} {y:.1f} '
                f'{x - 9} {y:.1f}"/>'
            )
        self.parts.append(_tip(x - 4, y))
        self.parts.append(f'<rect class="sheet" x="{x}" y="{y - 30:.1f}" width="10" height="60" rx="3"/>')
        scored = f"{self._plan.num_classes} scores {'a box' if self._plan.boxes else 'a clip'}"
        lines = [head.name, scored, _amount(head.params), _gflops(head)]
        self._lines(lines, column, y + _STACK / 2)
        self._cost(head, column, y + _STACK / 2 + len(lines) * _LINE + 8)

    def laterals(self, laterals: Sequence[NetworkStage], slow_y: float, fast_y: float) -> None:
        """From each stage of the fast pathway up to what the next slow stage takes."""
        self.parts.append('<g class="fast">')
        for column, stage in enumerate(laterals, start=1):
            assert stage.shape is not None
            x, start, end = self._x(column) + _COLUMN - 26, fast_y - 8, slow_y + 8
            self.parts.append(
                f'<path class="flow" d="M{x} {start:.1f} V{end:.1f}"/>{_tip(x, end - 2, up=True)}'
            )
            lines = [f"+ {stage.shape[0]} channels", _amount(stage.params), _gflops(stage)]
            for i, line in enumerate(lines):
                y = (slow_y + fast_y) / 2 - 11 + i * 15
                kind = "soft" if i else "plain"
                self.parts.append(
                    f'<text class="{kind}" x="{x - 7}" y="{y:.1f}" text-anchor="end">{line}</text>'
                )
        self.parts.append("</g>")

    def _text(self, stage: NetworkStage) -> list[str]:
        assert stage.shape is not None
        return [stage.name, _shape(stage.shape), *stage.what, _amount(stage.params), _gflops(stage)]

    def _lines(self, lines: Sequence[str], column: int, top: float) -> None:
        for i, line in enumerate(lines):
            kind = ("name", "plain", "soft")[min(i, 2)]
            y = top + (i + 1) * _LINE
            self.parts.append(
                f'<text class="{kind}" x="{self._x(column)}" y="{y:.1f}">{escaped(line)}</text>'
            )

    def _cost(self, stage: NetworkStage, column: int, y: float) -> None:
        """A bar: the cost over that of the most costly stage."""
        x, share = self._x(column), stage.multiply_adds / self._most
        self.parts.append(
            f'<rect class="track" x="{x}" y="{y + 1:.1f}" width="{_BAR}" height="3"/>'
            f'<rect class="cost" x="{x}" y="{y:.1f}" width="{max(share * _BAR, 0.5):.1f}" height="5"/>'
        )

    def _stack(self, shape: Shape, column: int, middle: float) -> None:
        """A sheet for each frame, the last one behind."""
        channels, frames, rows, _ = shape
        high = 14 + 54 * math.log2(rows + 1) / math.log2(self._plan.crop_px + 1)
        wide = 4 + 3.2 * math.log2(channels + 1)
        step = min(4.0, _DEEPEST / max(frames - 1, 1))
        edge = 0.8 if step > 2 else 0.35
        for i in range(frames):
            left = self._x(column) + step * (frames - 1 - i)
            up = middle - high / 2 - 0.35 * step * ((frames - 1) / 2 - i)
            self.parts.append(
                f'<rect class="sheet" x="{left:.1f}" y="{up:.1f}" width="{wide:.1f}" height="{high:.1f}" '
                f'stroke-width="{edge}"/>'
            )

    def _arrow(self, column: int, y: float) -> None:
        x = self._x(column)
        self.parts.append(f'<path class="flow" d="M{x - 36} {y:.1f} H{x - 9}"/>{_tip(x - 4, y)}')

    def _x(self, column: int) -> int:
        return _LEFT + column * _COLUMN


def _tip(x: float, y: float, *, up: bool = False) -> str:
    if up:
        return f'<path class="tip" d="M{x:.1f} {y:.1f} l-4 7 h8 z"/>'
    return f'<path class="tip" d="M{x:.1f} {y:.1f} l-7 -4 v8 z"/>'


def _shape(shape: Shape) -> str:
    return " × ".join(str(side) for side in shape)


def _amount(params: int) -> str:
    if params >= 999_500:
        return f"{params / 1e6:.2f} M parameters"
    return f"{params / 1e3:.1f} k parameters" if params >= 1000 else f"{params} parameters"


def _gflops(stage: NetworkStage) -> str:
    giga = stage.multiply_adds / 1e9
    return f"{giga:.2f} GFLOPs" if giga >= 0.1 else f"{giga:.4f} GFLOPs"
