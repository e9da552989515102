"""Names of classes: how they are compared, and which of them are likely the same."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

_SHORTEST_TYPO = 6  # letters; one letter makes another word of a shorter one, walk and talk
_MOST_EXCHANGED = 3  # words; the order of more of them says something: from left to right
_SEPARATORS = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\d+")


def class_name(text: str) -> str:
    """A name as it is compared: composed characters (NFC), no spaces at the ends, one between words.

    A folder that was copied from a Mac has decomposed characters in its name.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def similar_labels(classes: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that are likely one class.

    "open door", "Open_Door" and "door open" are; "jumping" and "jummping", one letter missing, doubled,
    changed or exchanged. Names that differ in a number ("step 1", "step 2") are not.

    Returns:
        Each pair once, in order.
    """
    names = sorted(set(classes))
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for key in set(_keys(name)):
            alike[key].append(name)
    pairs = {
        (first, second)
        for same in alike.values()
        for i, first in enumerate(same)
        for second in same[i + 1 :]
        if _NUMBER.findall(first) == _NUMBER.findall(second)
    }
    return sorted(pairs)


def _words(name: str) -> Sequence[str]:
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).split()


def _keys(name: str) -> Iterator[str]:
    """Two names with a common key are alike: their words in any order, or all letters but one."""
    words = _words(name)
    if not words:  # of punctuation alone
        yield name
        return
    if len(words) <= _MOST_EXCHANGED:
        yield " ".join(sorted(words))
    letters = "".join(words)
    yield letters
    if len(letters) >= _SHORTEST_TYPO:
        yield from (letters[:i] + letters[i + 1 :] for i in range(len(letters)))
