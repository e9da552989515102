"""Text in drawn pictures: what the font has letters for, and as wide as there is room."""

from __future__ import annotations

import functools
import unicodedata

from PIL import Image, ImageDraw, ImageFont

from twinpath.escapes import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(size_px: int) -> Font:
    """Pillow's own font, which needs no file."""
    return ImageFont.load_default(size=size_px)


def drawable(label: str, index: int) -> str:
    """The name; without accents, or its number, where the font lacks a character of it."""
    text = printable(label)
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    missing = _drawn("\U0010ffff")
    for name in (text, plain):
        if all(_drawn(letter) != missing for letter in set(name)):
            return name
    return f"class {index + 1}"


@functools.cache
def _drawn(letter: str) -> bytes:
    """The pixels of a letter."""
    image = Image.new("L", (32, 32))
    ImageDraw.Draw(image).text((4, 4), letter, font=font(16), fill=255)
    return image.tobytes()


def text_width(text: str, size_px: int) -> float:
    """In pixels."""
    return float(font(size_px).getlength(text))


def cut_text(text: str, size_px: int, max_width: float) -> str:
    """The text, with an ellipsis at its end if it is too wide."""
    if text_width(text, size_px) <= max_width:
        return text
    while text and text_width(text + "…", size_px) > max_width:
        text = text[:-1]
    return text.rstrip() + "…"
