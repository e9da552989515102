"""All commands, put together. Light: `twinpath --help` imports nothing heavy."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from twinpath import __version__
from twinpath.cli.classify import classify
from twinpath.cli.console import print_line, print_note
from twinpath.cli.demo import demo
from twinpath.cli.detect import detect
from twinpath.cli.doctor import doctor
from twinpath.cli.evaluate import evaluate
from twinpath.cli.features import features
from twinpath.cli.labels import labels
from twinpath.cli.models import models
from twinpath.cli.options import Debug
from twinpath.cli.stream import stream
from twinpath.cli.synthetic import synthetic
from twinpath.cli.timeline import timeline
from twinpath.cli.train import train


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


app = _App(
    help="Recognise which activity a video shows, with the SlowFast family of networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print_line(f"twinpath {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    pass


app.command()(demo)
app.command()(classify)
app.command()(detect)
app.command()(stream)
app.command()(timeline)
app.command()(features)
app.add_typer(models, name="models")
app.command()(labels)
app.command()(evaluate)
app.command()(train)
app.command()(synthetic)
app.command()(doctor)
