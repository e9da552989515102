"""Text of others for a terminal or a message: names, labels, metadata.

printable("a\\nb\\x1b[31m.mp4")    # "a\\\\nb\\\\x1b[31m.mp4"
"""

from __future__ import annotations

import unicodedata

#: Not "letters" by Unicode, but parts of emoji and of words: the joiners.
_JOINERS = "\u200c\u200d"
#: Control and format characters (a terminal's commands, the direction of writing), halves of characters,
#: private and unassigned ones, separators of lines and paragraphs.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MOST = 300  # characters of a message beside the file's name


def printable(text: str) -> str:
    """Text on one line, with an escape ("\\n", "\\x1b", "\\u202e") for what terminals obey or cannot show."""
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in text)


def _is_shown(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _UNSHOWN


def shown(text: str, most: int = _MOST) -> str:
    """What a file holds, as it goes into a message: `printable`; of a long text the beginning and the end."""
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} … {text[-most // 4 :]}"
    return printable(text)
