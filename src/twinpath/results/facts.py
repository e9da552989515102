"""Values of an earlier run, read back from JSON: each is checked before it is used.

facts = checked_facts(json.loads(text), {"video": TEXT, "duration_s": SECONDS})
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

MOST_SECONDS = 1e9  # of a time or a duration: 31 years

Fact = tuple[str, Callable[[Any], bool]]  # what a value must be, for people and as a test


def is_number(value: Any) -> bool:
    """Whether it is an int or a float, finite and not too large for a float."""
    try:
        return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


#: What a fact may be.
TEXT: Fact = ("text", _is_text)
FLAG: Fact = ("true or false", lambda value: isinstance(value, bool))
COUNT: Fact = ("a count", lambda value: type(value) is int and 0 <= value < 1 << 31)
BYTES: Fact = ("a number of bytes", lambda value: type(value) is int and 0 <= value < 1 << 62)
SECONDS: Fact = ("a time in seconds", lambda value: is_number(value) and 0 <= value <= MOST_SECONDS)
TEXTS: Fact = ("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value)))
NUMBERS: Fact = (
    "an object of numbers",
    lambda value: isinstance(value, dict) and all(map(is_number, value.values())),
)
OBJECT: Fact = ("an object", lambda value: isinstance(value, dict))


def checked_facts(values: Any, kinds: Mapping[str, Fact]) -> dict[str, Any]:
    """The values of these names.

    Raises:
        ValueError: One is missing, or of another kind; or `values` is no object.
    """
    if not isinstance(values, dict):
        raise ValueError("an entry is no object")
    for name, (what, is_kind) in kinds.items():
        if name not in values or not is_kind(values[name]):
            raise ValueError(f"{name} is not {what}")
    return {name: values[name] for name in kinds}
