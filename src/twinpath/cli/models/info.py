"""`twinpath models info`: all about one name, or a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpath.cli.completion import model_names
from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug
from twinpath.errors import UnknownModel
from twinpath.paths import display_path

if TYPE_CHECKING:
    from twinpath.zoo.facts import Facts


def info(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=model_names,
            metavar="NAME|DIR",
            help="A name of `twinpath models list`, or a model folder, also hf://USER/NAME.",
        ),
    ],
    draw: Annotated[
        Path | None,
        typer.Option(
            "--draw",
            metavar="FILE.svg",
            help="Draw its stages with shapes, parameters and cost. Needs torch.",
        ),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell about one: its input, cost, accuracy, licence and weights."""
    from twinpath.cli.console import print_json

    facts = _facts(name)
    if draw is not None:
        _draw(name, draw)
    if json:
        print_json(facts)
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        print_line(f"{key.ljust(width)}  {_readable(value)}")


def _draw(name: str, out: Path) -> None:
    from twinpath.cli.console import print_note
    from twinpath.extras import check_torch
    from twinpath.render.network_svg import write_network_svg
    from twinpath.zoo.create import is_known
    from twinpath.zoo.model_folder import read_model_folder
    from twinpath.zoo.network_plan import network_plan, network_plan_of_folder

    check_torch("--draw")
    plan = network_plan(name) if is_known(name) else network_plan_of_folder(read_model_folder(name))
    write_network_svg(plan, out)
    print_note(f"wrote {display_path(out)}")


def _facts(name: str) -> Facts:
    from twinpath.zoo.facts import facts_of, facts_of_folder
    from twinpath.zoo.model_folder import HUB, read_model_folder

    if name.startswith(HUB):
        return facts_of_folder(read_model_folder(name))
    try:
        return facts_of(name)
    except UnknownModel as error:
        if Path(name).is_dir():
            return facts_of_folder(read_model_folder(name))
        if not Path(name).exists():
            raise
        raise UnknownModel(
            f"{display_path(name)} is a file, not the name of a model; "
            "`twinpath models convert FILE NEW.safetensors` reports whose weights it holds"
        ) from error


def _readable(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_readable(one)}" for key, one in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (tuple, list)):
        return (", " if any(" " in str(v) for v in value) else " ").join(str(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
