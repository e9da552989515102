"""All commands, put together. Light: `twinpath --help` imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

from twinpath import __version__
from twinpath.cli.classify import classify
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

app = typer.Typer(
    help="Recognise which activity a video shows, with the SlowFast family of networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"twinpath {__version__}")
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
