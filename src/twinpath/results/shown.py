"""What a file holds, as it goes into a message: on one line, in characters that show, not too long."""

from __future__ import annotations

from twinpath.escapes import printable

_MOST = 300  # characters of a message beside the file's name


def shown(text: str, most: int = _MOST) -> str:
    """The text with escapes in place of what does not show; of a long one the beginning and the end."""
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} … {text[-most // 4 :]}"
    return printable(text)
