"""A classification drawn on frames: labels with bars in a translucent panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from twinpath.results.classification import Prediction

Frame = NDArray[np.uint8]


class AnswerPanel:
    """The same panel on every frame of a size; made once, small, in the upper left corner.

    Args:
        predictions: Best first; three are shown.
        size_px: (height, width) of the frames.
        title: A line above, for example the true label.
    """

    def __init__(
        self, predictions: Sequence[Prediction], size_px: tuple[int, int], *, title: str = ""
    ) -> None:
        height, width = size_px
        line = max(9, height // 24)
        font = ImageFont.load_default(size=0.82 * line)
        step, margin = round(1.3 * line), round(0.4 * line)
        rows: list[tuple[str, float | None]] = [(p.label, p.score) for p in predictions[:3]]
        rows = [(title, None), *rows] if title else rows
        panel = Image.new("RGBA", (min(width, 11 * line), step * len(rows) + margin), (12, 16, 24, 185))
        canvas = ImageDraw.Draw(panel)
        for i, (text, score) in enumerate(rows):
            y = margin + step * i
            if score is not None:
                length = (panel.width - 2 * margin) * score
                colour = (
                    (34, 150, 160, 255)
                    if (text, score) == rows[-len(predictions[:3])]
                    else (74, 92, 112, 255)
                )
                canvas.rectangle([margin, y, margin + length, y + 1.1 * line], fill=colour)
                percent = f"{100 * score:.0f} %"
                right = panel.width - 1.5 * margin - font.getlength(percent)
                canvas.text((right, y), percent, font=font, fill=(255, 255, 255, 255))
            canvas.text((1.5 * margin, y), text, font=font, fill=(255, 255, 255, 255))
        rgba = np.asarray(panel, dtype=np.float32)[:height]
        self._alpha = rgba[..., 3:] / 255
        self._colour = rgba[..., :3] * self._alpha

    def draw(self, frame: Frame) -> Frame:
        """A copy of the frame (H, W, 3) uint8 with the panel on it."""
        drawn = frame.copy()
        under = drawn[: self._alpha.shape[0], : self._alpha.shape[1]]
        under[:] = (under * (1 - self._alpha) + self._colour).astype(np.uint8)
        return drawn
