"""Translucent labels: rendered once with Pillow, then alpha-blended into video frames with NumPy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frame = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int]  # RGB
Rows = Sequence[tuple[str, str]]  # (name, value)

_BACKGROUND = (12, 16, 24, 190)  # as in `prediction_panel.py`
_NAME_COLOUR = (255, 255, 255, 255)
_VALUE_COLOUR = (200, 210, 222, 255)  # less prominent than the name
_MIN_FONT_PX = 12
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)")


class LabelImage:
    """A translucent image to blend into video frames.

    Attributes:
        size_px: (width, height).
    """

    def __init__(self, rgba: Image.Image) -> None:
        self.size_px = rgba.size
        values = np.asarray(rgba, dtype=np.uint16)
        alpha = values[..., 3:] + (values[..., 3:] >> 7)  # 0 to 256, so that a shift can replace the division
        self._transparency = np.broadcast_to(256 - alpha, (*alpha.shape[:2], 3)).copy()
        self._premultiplied = values[..., :3] * alpha

    def draw(self, frame: Frame, x_px: int, y_px: int) -> None:
        """Blend the label into a frame, in place.

        Args:
            frame: (H, W, 3) uint8.
            x_px, y_px: The label's upper left corner, inside the frame. The label is clipped at the right and
                lower border.
        """
        region = frame[y_px : y_px + self.size_px[1], x_px : x_px + self.size_px[0]]
        height, width = region.shape[:2]
        blended = region * self._transparency[:height, :width]
        blended += self._premultiplied[:height, :width]
        blended >>= 8
        region[:] = blended


class LabelRenderer:
    """Renders labels with a font size for frames of one size.

    Args:
        size_px: (height, width) of the frames.
    """

    def __init__(self, size_px: tuple[int, int]) -> None:
        height, width = size_px
        font_px = min(max(_MIN_FONT_PX, round(height / 36)), max(6, height // 5))
        self._font = ImageFont.load_default(size=font_px)
        self._row_px = round(1.4 * font_px)
        self._padding_px = round(0.4 * font_px)
        self._max_name_px = min(13 * font_px, 0.55 * width)

    def person(self, track_id: int, rows: Rows, colour: Colour) -> LabelImage:
        """A label with the track id on a coloured edge, and a row for each (label, score)."""
        edge_px = round(
            max(self._font.getlength(str(track_id)) + 1.2 * self._padding_px, 0.75 * self._row_px)
        )
        rows = [(self._shortened(name), value) for name, value in rows]
        image, canvas = self._background(rows, left_px=edge_px, num_rows=max(1, len(rows)))
        canvas.rectangle([0, 0, edge_px - 1, image.height], fill=(*colour, 255))
        red, green, blue = colour
        is_bright = 0.3 * red + 0.59 * green + 0.11 * blue > 110
        ink = (12, 16, 24, 255) if is_bright else _NAME_COLOUR
        canvas.text((edge_px / 2, self._row_px / 2), str(track_id), font=self._font, fill=ink, anchor="mm")
        return LabelImage(image)

    def table(self, rows: Rows, *, min_width_px: int = 0) -> LabelImage:
        """A label with a row for each (name, value)."""
        image, _ = self._background(rows, left_px=0, num_rows=len(rows), min_width_px=min_width_px)
        return LabelImage(image)

    def _background(
        self, rows: Rows, *, left_px: int, num_rows: int, min_width_px: int = 0
    ) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        """The dark background with the rows, to the right of `left_px`."""
        names_px = max((self._font.getlength(name) for name, _ in rows), default=0)
        values_px = max((self._font.getlength(value) for _, value in rows), default=0)
        width_px = left_px + (round(names_px + values_px + 3.5 * self._padding_px) if rows else 0)
        size_px = (max(width_px, min_width_px), num_rows * self._row_px)
        image = Image.new("RGBA", size_px, _BACKGROUND)
        canvas = ImageDraw.Draw(image)
        for i, (name, value) in enumerate(rows):
            y = (i + 0.5) * self._row_px
            left, right = left_px + self._padding_px, image.width - self._padding_px
            canvas.text((left, y), name, font=self._font, fill=_NAME_COLOUR, anchor="lm")
            canvas.text((right, y), value, font=self._font, fill=_VALUE_COLOUR, anchor="rm")
        return image, canvas

    def _shortened(self, name: str) -> str:
        """The name; if it is too wide, without its brackets; then truncated with an ellipsis."""
        if self._font.getlength(name) > self._max_name_px:
            name = _IN_BRACKETS.sub("", name)
        if self._font.getlength(name) <= self._max_name_px:
            return name
        while len(name) > 1 and self._font.getlength(name + "…") > self._max_name_px:
            name = name[:-1]
        return name.rstrip() + "…"
