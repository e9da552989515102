"""`twinpath models info`: all about one name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug
from twinpath.errors import UnknownModel
from twinpath.paths import display_path
from twinpath.zoo.facts import facts_of


def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `twinpath models list`.")],
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell about one: its input, cost, accuracy, licence and weights."""
    from twinpath.cli.console import print_json

    try:
        facts = facts_of(name)
    except UnknownModel as error:
        if not Path(name).exists():
            raise
        raise UnknownModel(
            f"{display_path(name)} is a file, not the name of a model; "
            "`twinpath models convert FILE NEW.safetensors` reports whose weights it holds"
        ) from error
    if json:
        print_json(facts)
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        print_line(f"{key.ljust(width)}  {_readable(value)}")


def _readable(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, (tuple, list)):
        return " ".join(str(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
