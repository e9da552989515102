"""Every command of `twinpath`, read from the app itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command that does something.

    Attributes:
        words: How it is called: ("models", "info").
        arguments: Of its positional arguments, whether each must be given.
        options: The long flags of its options.
        required: The long flags of options that must be given.
        undescribed: Parameters without a help text.
    """

    words: tuple[str, ...]
    arguments: tuple[bool, ...]
    options: frozenset[str]
    required: tuple[str, ...]
    undescribed: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)


@cache
def commands() -> tuple[Command, ...]:
    """All commands, groups taken apart."""
    import typer.main

    from twinpath.cli.app import make_app

    return tuple(_commands(typer.main.get_command(make_app()), ()))


def _commands(node: Any, words: tuple[str, ...]) -> Iterator[Command]:
    if hasattr(node, "commands"):
        for name, child in node.commands.items():
            yield from _commands(child, (*words, name))
        return
    arguments = [p for p in node.params if p.param_type_name == "argument"]
    options = [p for p in node.params if p.param_type_name == "option"]
    longest = {id(p): max(p.opts, key=len) for p in options}
    yield Command(
        words=words,
        arguments=tuple(p.required for p in arguments),
        options=frozenset(flag for p in options for flag in (*p.opts, *p.secondary_opts)),
        required=tuple(longest[id(p)] for p in options if p.required),
        undescribed=tuple(p.name or "" for p in node.params if not getattr(p, "help", None)),
    )
