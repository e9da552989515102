"""Tables of parameter names that convert both ways.

A row pairs one of our names with an upstream's. Placeholders in braces have the same value on both sides:
`{n}`, a single letter, is a number; `{abc}`, several letters, is one of those letters; `{leaf}` is weight,
bias, running_mean or running_var.

    ("slow.res{s}.{n}.conv_{abc}.{leaf}", "s{s}.pathway0_res{n}.branch2.{abc}.{leaf}")

Where an upstream has several arrays for one of ours, the row has several of its names, and the arrays are
concatenated along their first dimension in that order.

    ("blocks.{n}.attention.qkv.{leaf}", "blocks.{n}.attn.q.{leaf}", "blocks.{n}.attn.k.{leaf}", …)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Naming = Literal["twinpath", "pytorchvideo", "pyslowfast", "torchvision", "caffe2"]

_LEAF = "weight|bias|running_mean|running_var"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class ParameterSlot:
    """The array of ours, or the part of one, that an upstream's array is.

    Attributes:
        ours: Our name.
        part: Index of the part.
        parts: Number of parts.
    """

    ours: str
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class NameTable:
    """Names of one family of networks at one upstream, and ours.

    Attributes:
        naming: Whose names.
        rows: Our name, then theirs; the first row that matches counts.
        folded: Patterns and replacements that bring variants of their names to one form before.
        dropped: Patterns of their names that no network of ours needs.
    """

    naming: Naming
    rows: Sequence[tuple[str, ...]]
    folded: Sequence[tuple[str, str]] = ()
    dropped: Sequence[str] = ()

    def to_ours(self, name: str) -> ParameterSlot | None:
        """The array of ours that their array is; None where no row has the name."""
        for pattern, replacement in self.folded:
            name = re.sub(pattern, replacement, name)
        for pattern_, ours, part, parts in self._from_theirs:
            if found := pattern_.fullmatch(name):
                return ParameterSlot(_fill(ours, found), part, parts)
        return None

    def to_theirs(self, name: str) -> tuple[str, ...] | None:
        """Their name of our array, several where they keep it in parts; None where no row has it."""
        for pattern, theirs in self._from_ours:
            if found := pattern.fullmatch(name):
                return tuple(_fill(template, found) for template in theirs)
        return None

    def is_dropped(self, name: str) -> bool:
        """Whether no network of ours needs it."""
        return any(re.search(pattern, name) for pattern in self.dropped)

    def known(self, names: Iterable[str]) -> int:
        """How many of these are names of theirs."""
        return sum(self.knows(name) for name in names)

    def knows(self, name: str) -> bool:
        """Whether it is a name of theirs."""
        for pattern, replacement in self.folded:
            name = re.sub(pattern, replacement, name)
        return self._any_of_theirs.fullmatch(name) is not None

    def known_ours(self, names: Iterable[str]) -> int:
        """How many of these are names of ours."""
        return sum(self._any_of_ours.fullmatch(name) is not None for name in names)

    @cached_property
    def _any_of_theirs(self) -> re.Pattern[str]:
        """One pattern for all rows: many names are asked for, of many tables."""
        return _any(pattern for pattern, *_ in self._from_theirs)

    @cached_property
    def _any_of_ours(self) -> re.Pattern[str]:
        return _any(pattern for pattern, _ in self._from_ours)

    @cached_property
    def _from_theirs(self) -> list[tuple[re.Pattern[str], str, int, int]]:
        return [
            (_pattern(template), ours, part, len(theirs))
            for ours, *theirs in self.rows
            for part, template in enumerate(theirs)
        ]

    @cached_property
    def _from_ours(self) -> list[tuple[re.Pattern[str], list[str]]]:
        return [(_pattern(ours), theirs) for ours, *theirs in self.rows if _varies(*theirs) <= _varies(ours)]


def _any(patterns: Iterable[re.Pattern[str]]) -> re.Pattern[str]:
    """What matches any of them; no table has a placeholder twice on one side."""
    return re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern) for pattern in patterns))


def _varies(*templates: str) -> set[str]:
    """The placeholders of templates; a row that has more of them on their side converts one way only."""
    return {name for template in templates for name in _PLACEHOLDER.findall(template)}


def _pattern(template: str) -> re.Pattern[str]:
    """A template's regular expression, with a named group for each placeholder."""
    pattern, end = "", 0
    seen: set[str] = set()
    for found in _PLACEHOLDER.finditer(template):
        name = found[1]
        pattern += re.escape(template[end : found.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{_values_of(name)})"
        seen.add(name)
        end = found.end()
    return re.compile(pattern + re.escape(template[end:]))


def _values_of(placeholder: str) -> str:
    if placeholder == "leaf":
        return _LEAF
    return r"\d+" if len(placeholder) == 1 else f"[{placeholder}]"


def _fill(template: str, found: re.Match[str]) -> str:
    return _PLACEHOLDER.sub(lambda placeholder: found[placeholder[1]], template)
