"""A confusion matrix as a PNG, or as a picture.

write_confusion_png(evaluation, Path("confusion.png"))
confusion_image(labels, counts, title="Sports")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from twinpath.atomic import atomic_path
from twinpath.escapes import printable
from twinpath.metrics.evaluation import summarise
from twinpath.render.confusion_cells import ConfusionCells
from twinpath.render.drawn_text import Font, cut_text, drawable, font, text_width
from twinpath.render.label_image import Colour
from twinpath.results.evaluation import Evaluation, EvaluationSummary

Confusion = tuple[tuple[int, ...], ...]

_SCALE = 2  # drawn twice as large and resized, for smooth edges
_MARGIN, _HEADER = 28, 92
_MOST_LABEL = 230
_INK, _SOFT, _LANE, _WHITE = (27, 36, 48), (93, 107, 122), (244, 246, 249), (255, 255, 255)
_RIGHT, _WRONG = (23, 100, 158), (196, 74, 20)


def write_confusion_png(
    evaluation: Evaluation,
    path: Path,
    *,
    title: str = "Confusion matrix",
    summary: EvaluationSummary | None = None,
) -> None:
    """Write the picture: a row for each true class, a column for each answer.

    Args:
        evaluation: Of single-label data.
        path: The PNG to create or replace.
        title: Stands above it.
        summary: Its figures, if they are known already.
    Raises:
        ValueError: Of multi-label data there is no such matrix.
        InputError: Not one clip was evaluated.
        OSError: The file cannot be written.
    """
    summary = summary or summarise(evaluation)
    if summary.confusion is None:
        raise ValueError("multi-label data has no confusion matrix")
    assert summary.top1 is not None
    assert summary.top1_interval is not None
    low, high = summary.top1_interval
    facts = (
        f"top-1 {100 * summary.top1:.1f} % of {summary.clips} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    image = confusion_image(evaluation.labels, summary.confusion, title=title, facts=facts)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def confusion_image(
    labels: Sequence[str], confusion: Confusion, *, title: str = "Confusion matrix", facts: str = ""
) -> Image.Image:
    """The picture.

    Args:
        labels: Names of the C classes.
        confusion: (C, C) clips by true class (row) and answer (column), at least one.
        title, facts: Stand above it.
    """
    return _MatrixDrawing(labels, confusion, title, facts).image


class _MatrixDrawing:
    """Draws a matrix; arguments as of `confusion_image`. All sizes are in pixels of the final image.

    Attributes:
        image: The final image.
    """

    def __init__(self, labels: Sequence[str], confusion: Confusion, title: str, facts: str) -> None:
        self._cells = ConfusionCells.of(confusion)
        self._labels = [drawable(labels[index], index) for index in self._cells.indices]
        count = len(self._labels)
        self._cell = max(22, min(72, 640 // count))
        self._font_px = max(11, min(18, round(self._cell * 0.55)))
        longest = max(_width(label, self._font_px) for label in self._labels)
        room = round(min(longest, _MOST_LABEL)) + 14
        self._left, self._top = _MARGIN + 26 + room, _HEADER + 26 + room
        side = self._cell * count
        width = max(self._left + side + _MARGIN, 560)
        self._image = Image.new("RGB", (width * _SCALE, (self._top + side + _MARGIN) * _SCALE), _WHITE)
        self._canvas = ImageDraw.Draw(self._image)
        self._draw_header(title, facts, width - 2 * _MARGIN)
        for row in range(count):
            self._draw_label(row, room)
            for column in range(count):
                self._draw_cell(row, column)
        self._draw_axes(side)
        size = (width, self._top + side + _MARGIN)
        self.image = self._image.resize(size, Image.Resampling.LANCZOS)

    def _draw_header(self, title: str, facts: str, width: int) -> None:
        self._text(_MARGIN, 20, _cut(printable(title), 24, width), 24, _INK)
        self._text(_MARGIN, 54, _cut(facts, 16, width), 16, _SOFT)
        if self._cells.hidden:
            shown, of = len(self._labels), len(self._labels) + self._cells.hidden
            note = f"the {shown} of {of} classes with the most mistakes"
            self._text(_MARGIN, 76, _cut(note, 16, width), 16, _SOFT)

    def _draw_label(self, index: int, room: int) -> None:
        """The name before its row, and above its column."""
        text = _cut(self._labels[index], self._font_px, room - 8)
        middle = (index + 0.5) * self._cell
        at = (self._left - 8) * _SCALE, (self._top + middle) * _SCALE
        self._canvas.text(at, text, font=_font(self._font_px), fill=_INK, anchor="rm")
        upright = Image.new("RGB", (room * _SCALE, self._cell * _SCALE), _WHITE)
        place = (0, self._cell * _SCALE / 2)
        ImageDraw.Draw(upright).text(place, text, font=_font(self._font_px), fill=_INK, anchor="lm")
        turned = upright.rotate(90, expand=True)
        corner = round((self._left + index * self._cell) * _SCALE), (self._top - 8 - room) * _SCALE
        self._image.paste(turned, corner)

    def _draw_cell(self, row: int, column: int) -> None:
        strength = self._cells.strength(row, column)
        colour = _RIGHT if row == column else _WRONG
        x, y = self._left + column * self._cell, self._top + row * self._cell
        box = [x * _SCALE + 1, y * _SCALE + 1, (x + self._cell) * _SCALE - 2, (y + self._cell) * _SCALE - 2]
        self._canvas.rectangle(box, fill=_mixed(colour, strength))
        if strength:
            text = str(self._cells.counts[row, column])
            size = min(self._font_px, round(1.6 * (self._cell - 4) / max(len(text), 1)))
            at = (x + self._cell / 2) * _SCALE, (y + self._cell / 2) * _SCALE
            ink = _WHITE if strength > 0.5 else _INK
            self._canvas.text(at, text, font=_font(max(size, 7)), fill=ink, anchor="mm")

    def _draw_axes(self, side: int) -> None:
        """What rows and columns are."""
        middle = self._left + side / 2
        self._canvas.text(
            (middle * _SCALE, (_HEADER + 12) * _SCALE), "answer", font=_font(15), fill=_SOFT, anchor="mm"
        )
        strip = Image.new("RGB", (side * _SCALE, 24 * _SCALE), _WHITE)
        ImageDraw.Draw(strip).text(
            (side * _SCALE / 2, 12 * _SCALE), "true class", font=_font(15), fill=_SOFT, anchor="mm"
        )
        self._image.paste(strip.rotate(90, expand=True), (_MARGIN * _SCALE, self._top * _SCALE))

    def _text(self, x: float, y: float, text: str, size: int, colour: Colour) -> None:
        self._canvas.text((x * _SCALE, y * _SCALE), text, font=_font(size), fill=colour)


def _font(size: int) -> Font:
    return font(size * _SCALE)


def _width(text: str, size: int) -> float:
    return text_width(text, size * _SCALE) / _SCALE


def _cut(text: str, size: int, max_width: float) -> str:
    return cut_text(text, size * _SCALE, max_width * _SCALE)


def _mixed(colour: Colour, strength: float) -> Colour:
    """Between the empty cell and the full colour."""
    red, green, blue = (
        round(empty + strength * (full - empty)) for empty, full in zip(_LANE, colour, strict=True)
    )
    return red, green, blue
