"""Translucent plates with text: drawn once by Pillow, small, then blended into pictures by NumPy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int]
Lines = Sequence[tuple[str, str]]  # (name, value)

_GROUND = (12, 16, 24, 190)  # as the panel of a classification
_NAME = (255, 255, 255, 255)
_VALUE = (200, 210, 222, 255)  # paler: the name is read first
_LEAST_FONT_PX = 12
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)")


class LabelImage:
    """A translucent picture that is drawn on others.

    Attributes:
        size_px: (width, height).
    """

    def __init__(self, rgba: Image.Image) -> None:
        self.size_px = rgba.size
        values = np.asarray(rgba, dtype=np.uint16)
        alpha = values[..., 3:] + (values[..., 3:] >> 7)  # of 256, so that a shift divides
        self._rest = np.broadcast_to(256 - alpha, (*alpha.shape[:2], 3)).copy()
        self._colour = values[..., :3] * alpha

    def draw(self, picture: Picture, x_px: int, y_px: int) -> None:
        """Blend it into a picture, its upper left corner at (x, y), which is inside; the rest is cut off."""
        under = picture[y_px : y_px + self.size_px[1], x_px : x_px + self.size_px[0]]
        height, width = under.shape[:2]
        mixed = under * self._rest[:height, :width]
        mixed += self._colour[:height, :width]
        mixed >>= 8
        under[:] = mixed


class PlatePress:
    """Makes plates in the letters that suit pictures of one size.

    Args:
        size_px: (height, width) of the pictures.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        height, width = size_px
        font_px = min(max(_LEAST_FONT_PX, round(height / 36)), max(6, height // 5))
        self._font = ImageFont.load_default(size=font_px)
        self._row = round(1.4 * font_px)
        self._pad = round(0.4 * font_px)
        self._most_name_px = min(13 * font_px, 0.55 * width)

    def person(self, number: int, lines: Lines, colour: Colour) -> LabelImage:
        """A coloured edge with the person's number, and a row for each (label, score)."""
        edge = round(max(self._font.getlength(str(number)) + 1.2 * self._pad, 0.75 * self._row))
        lines = [(self._fit(name), value) for name, value in lines]
        plate, canvas = self._ground(lines, left=edge, rows=max(1, len(lines)))
        canvas.rectangle([0, 0, edge - 1, plate.height], fill=(*colour, 255))
        red, green, blue = colour
        is_bright = 0.3 * red + 0.59 * green + 0.11 * blue > 110
        ink = (12, 16, 24, 255) if is_bright else _NAME
        canvas.text((edge / 2, self._row / 2), str(number), font=self._font, fill=ink, anchor="mm")
        return LabelImage(plate)

    def table(self, lines: Lines, *, least_width_px: int = 0) -> LabelImage:
        """A row for each (name, value)."""
        return LabelImage(self._ground(lines, left=0, rows=len(lines), least_width_px=least_width_px)[0])

    def _ground(
        self, lines: Lines, *, left: int, rows: int, least_width_px: int = 0
    ) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """The dark ground with the lines on it, to the right of `left`."""
        names_px = max((self._font.getlength(name) for name, _ in lines), default=0)
        values_px = max((self._font.getlength(value) for _, value in lines), default=0)
        width = left + (round(names_px + values_px + 3.5 * self._pad) if lines else 0)
        plate = Image.new("RGBA", (max(width, least_width_px), rows * self._row), _GROUND)
        canvas = ImageDraw.Draw(plate)
        for row, (name, value) in enumerate(lines):
            y = (row + 0.5) * self._row
            canvas.text((left + self._pad, y), name, font=self._font, fill=_NAME, anchor="lm")
            canvas.text((plate.width - self._pad, y), value, font=self._font, fill=_VALUE, anchor="rm")
        return plate, canvas

    def _fit(self, name: str) -> str:
        """The name, without what is in brackets where it is too long, then with its end cut off."""
        if self._font.getlength(name) > self._most_name_px:
            name = _IN_BRACKETS.sub("", name)
        if self._font.getlength(name) <= self._most_name_px:
            return name
        while len(name) > 1 and self._font.getlength(name + "…") > self._most_name_px:
            name = name[:-1]
        return name.rstrip() + "…"
