"""What the clips of one class were taken for, as bars: the most frequent answers with their shares.

prediction_bars("dancing", [("dancing", 12), ("hopping", 3)])
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from twinpath.escapes import printable
from twinpath.render.drawn_text import cut_text, font, text_width

_WIDTH, _MARGIN, _ROW, _TEXT = 560, 20, 26, 14
_MOST_NAME = 190
_INK, _SOFT, _LANE, _WHITE = (27, 36, 48), (93, 107, 122), (244, 246, 249), (255, 255, 255)
_RIGHT, _WRONG = (23, 100, 158), (196, 74, 20)


def prediction_bars(label: str, answers: Sequence[tuple[str, int]]) -> Image.Image:
    """The picture.

    Args:
        label: The true class.
        answers: Names and counts of the answers to show, the most frequent first; with one clip at least.
    """
    clips = max(sum(count for _, count in answers), 1)
    image = Image.new("RGB", (_WIDTH, _MARGIN * 3 + 24 + _ROW * len(answers)), _WHITE)
    canvas = ImageDraw.Draw(image)
    title = cut_text(f"{printable(label)}: what it was taken for", 18, _WIDTH - 2 * _MARGIN)
    canvas.text((_MARGIN, _MARGIN - 4), title, font=font(18), fill=_INK)
    names = [cut_text(printable(name), _TEXT, _MOST_NAME) for name, _ in answers]
    left = _MARGIN + round(max(text_width(name, _TEXT) for name in names)) + 10
    room = _WIDTH - left - 100
    for place, (name, (answer, count)) in enumerate(zip(names, answers, strict=True)):
        top = _MARGIN * 2 + 18 + place * _ROW
        middle = top + _ROW / 2
        canvas.text((left - 10, middle), name, font=font(_TEXT), fill=_INK, anchor="rm")
        canvas.rectangle([left, top + 4, left + room, top + _ROW - 4], fill=_LANE)
        if count:
            colour = _RIGHT if answer == label else _WRONG
            canvas.rectangle([left, top + 4, left + room * count / clips, top + _ROW - 4], fill=colour)
        text = f"{count} ({count / clips:.0%})"
        canvas.text((left + room + 8, middle), text, font=font(_TEXT), fill=_SOFT, anchor="lm")
    return image
