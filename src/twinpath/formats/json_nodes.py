"""JSON of other programs: values with their place in the file, for error messages."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from twinpath.errors import InputError
from twinpath.escapes import shown

_MOST_PLACE = 120  # characters


@dataclass(frozen=True)
class Node:
    """A value in a JSON file.

    Attributes:
        value: The parsed value.
        file: Name of the file, optionally with a line: "boxes.json", "boxes.jsonl:3".
        place: The place in the file: "annotations[17].bbox"; "" for the whole file.
        items: The entries of a list that was read line by line.
    """

    value: Any
    file: str
    place: str = ""
    items: tuple[Node, ...] | None = None

    def error(self, what: str) -> InputError:
        """An error to raise, with file and place."""
        place = f"{shown(self.place, _MOST_PLACE)}: " if self.place else ""
        return InputError(f"{self.file}: {place}{shown(what)}")

    def has(self, key: str) -> bool:
        """Whether the object has a key; its value may be null."""
        if not isinstance(self.value, dict):
            raise self.error(f"{format_value(self.value)} is not an object")
        return key in self.value

    def find(self, key: str) -> Node | None:
        """The value of a key; None if it is missing or null."""
        value = self.value[key] if self.has(key) else None
        place = f"{self.place}.{key}" if self.place else key
        return None if value is None else Node(value, self.file, place)

    def __getitem__(self, key: str) -> Node:
        """The value of a required key."""
        value = self.find(key)
        if value is None:
            raise self.error(f"{key!r} is missing")
        return value

    def each(self) -> list[Node]:
        """The entries of a list."""
        if self.items is not None:
            return list(self.items)
        if not isinstance(self.value, list):
            raise self.error(f"{format_value(self.value)} is not a list")
        return [Node(entry, self.file, f"{self.place}[{i}]") for i, entry in enumerate(self.value)]

    def number(self, *, at_least: float = -math.inf, at_most: float = math.inf) -> float:
        """A finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error(f"{format_value(self.value)} is not a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"{format_value(self.value)} is not a finite number")
        if not at_least <= number <= at_most:
            limits = f"from {at_least:g}" + (f" to {at_most:g}" if at_most < math.inf else "")
            raise self.error(f"{number:g} is not {limits}")
        return number

    def numbers(self, count: int) -> tuple[float, ...]:
        """A list of `count` finite numbers."""
        entries = self.each()
        if len(entries) != count:
            raise self.error(f"{len(entries)} numbers, not {count}")
        return tuple(entry.number() for entry in entries)

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.error(f"{format_value(self.value)} is not text")
        return self.value

    def name_or_number(self) -> int | str:
        """An id: a whole number or a string."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | str):
            raise self.error(f"{format_value(self.value)} is not a whole number or text")
        return self.value


def parse_json(text: str, where: str) -> Node:
    """Parse JSON, or JSON lines as a list.

    Args:
        text: The text, without a byte order mark.
        where: Name of the file, for messages.
    Raises:
        InputError: Not JSON; names the line.
    """
    try:
        return Node(json.loads(text), where)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise _no_json(f"{where}:{error.lineno}", error) from error
    except (ValueError, RecursionError) as error:
        raise _no_json(where, error) from error
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                lines.append(Node(json.loads(line), f"{where}:{number}"))
            except (ValueError, RecursionError) as error:
                raise _no_json(f"{where}:{number}", error) from error
    return Node([line.value for line in lines], where, items=tuple(lines))


def _no_json(where: str, error: ValueError | RecursionError) -> InputError:
    if isinstance(error, RecursionError):
        return InputError(f"{where}: not JSON: nested too deeply")
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number has too many digits"
    return InputError(f"{where}: not JSON: {reason}")


def format_value(value: object) -> str:
    """A value for a message, at most 40 characters."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"{type(value).__name__} of {type(value).__name__} of …"
    return text if len(text) <= 40 else f"{text[:37]}…"
