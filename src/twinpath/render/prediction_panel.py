"""Draw a classification on frames: labels with bars in a translucent panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from twinpath.render.label_image import Frame
from twinpath.results.classification import Prediction

_MAX_PREDICTIONS = 3
_BACKGROUND = (12, 16, 24, 185)
_WHITE = (255, 255, 255, 255)
_BEST_BAR, _OTHER_BAR = (34, 150, 160, 255), (74, 92, 112, 255)


class PredictionPanel:
    """A panel with the best predictions in the upper left corner, the same on every frame.

    Args:
        predictions: Best first; three are shown.
        size_px: (height, width) of the frames.
        title: A line above the labels, for example the true label.
    """

    def __init__(
        self, predictions: Sequence[Prediction], size_px: tuple[int, int], *, title: str = ""
    ) -> None:
        height, width = size_px
        line_px = max(9, height // 24)
        font = ImageFont.load_default(size=0.82 * line_px)
        step_px, margin_px = round(1.3 * line_px), round(0.4 * line_px)
        shown = predictions[:_MAX_PREDICTIONS]
        num_rows = len(shown) + bool(title)
        panel = Image.new("RGBA", (min(width, 11 * line_px), step_px * num_rows + margin_px), _BACKGROUND)
        canvas = ImageDraw.Draw(panel)
        if title:
            canvas.text((1.5 * margin_px, margin_px), title, font=font, fill=_WHITE)
        for i, prediction in enumerate(shown):
            y = margin_px + step_px * (i + bool(title))
            bar_px = (panel.width - 2 * margin_px) * prediction.score
            colour = _OTHER_BAR if i else _BEST_BAR
            canvas.rectangle([margin_px, y, margin_px + bar_px, y + 1.1 * line_px], fill=colour)
            percent = f"{100 * prediction.score:.0f} %"
            right = panel.width - 1.5 * margin_px - font.getlength(percent)
            canvas.text((right, y), percent, font=font, fill=_WHITE)
            canvas.text((1.5 * margin_px, y), prediction.label, font=font, fill=_WHITE)
        rgba = np.asarray(panel, dtype=np.float32)[:height]
        self._alpha = rgba[..., 3:] / 255
        self._premultiplied = rgba[..., :3] * self._alpha

    def draw(self, frame: Frame) -> Frame:
        """A copy of the frame (H, W, 3) uint8 with the panel on it."""
        drawn = frame.copy()
        region = drawn[: self._alpha.shape[0], : self._alpha.shape[1]]
        region[:] = (region * (1 - self._alpha) + self._premultiplied).astype(np.uint8)
        return drawn
