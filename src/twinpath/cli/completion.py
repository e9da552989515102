"""What a shell completes: names that options and arguments take. Imports no network."""

from __future__ import annotations

import os

#: Set by the shell's script while it completes; see `--install-completion`.
VARIABLE = "_TWINPATH_COMPLETE"


def is_completing() -> bool:
    """A shell runs `twinpath` to complete a command line, not to do anything."""
    return VARIABLE in os.environ


def first_word(arguments: list[str]) -> str | None:
    """The first word after `twinpath`, on the command line that runs or that a shell completes."""
    if not is_completing():
        return arguments[0] if arguments else None
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = typed.split()[1:]
    return words[0] if words else None


def model_names(incomplete: str) -> list[str]:
    """Published and embedded models."""
    from twinpath.zoo.records import record_names

    return [name for name in record_names() if name.startswith(incomplete)]


def recipe_names(incomplete: str) -> list[str]:
    """Recipes of the package."""
    from twinpath.train.recipe import built_in_recipes

    return [name for name in built_in_recipes() if name.startswith(incomplete)]


def dataset_names(incomplete: str) -> list[str]:
    """Data sets whose classes are known."""
    from twinpath.labels import datasets

    return [name for name in datasets() if name.startswith(incomplete)]
