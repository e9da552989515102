"""The commands, put together. Light: `twinpath --help` imports nothing heavy."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated, Any

import typer

from twinpath import __version__
from twinpath.cli.console import print_line, print_note
from twinpath.cli.options import Debug

#: As they stand in the help. Each is a function or a group of its name in the module of its name.
_COMMANDS = (
    "demo",
    "classify",
    "detect",
    "stream",
    "timeline",
    "features",
    "explain",
    "models",
    "labels",
    "data",
    "finetune",
    "evaluate",
    "train",
    "synthetic",
    "doctor",
)


class _App(typer.Typer):
    """Prints usage errors as all other notes are: what a user typed may hold anything."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            code = super().__call__(*args, standalone_mode=False, **kwargs)
        except typer.Abort:
            print_note("Aborted!")
            sys.exit(1)
        except Exception as error:
            show = getattr(error, "show", None)  # of a usage error; its class depends on typer's version
            if show is None:
                raise
            shown = io.StringIO()
            show(file=shown)
            for line in shown.getvalue().splitlines():
                print_note(line)
            sys.exit(getattr(error, "exit_code", 2))
        if isinstance(code, int) and code:  # of `typer.Exit`
            sys.exit(code)


def make_app(first: str | None = None) -> _App:
    """The command line.

    Args:
        first: The first word that the user gave. Where it is a command, the others are left out: importing
            them and building their options takes longer than running a small network.
    """
    app = _App(
        help="Recognise which activity a video shows, with the SlowFast family of networks.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in (first,) if first in _COMMANDS else _COMMANDS:
        command = getattr(importlib.import_module(f"twinpath.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command()(command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print_line(f"twinpath {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    pass
