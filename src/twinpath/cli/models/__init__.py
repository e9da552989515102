"""`twinpath models`: which networks and weights there are, and what to do with them. One file a command."""

from __future__ import annotations

import typer

from twinpath.cli.models.convert import convert
from twinpath.cli.models.download import download
from twinpath.cli.models.export import export
from twinpath.cli.models.info import info
from twinpath.cli.models.listing import list_
from twinpath.cli.models.push import push
from twinpath.cli.models.verify import verify

models = typer.Typer(
    help="List, download, convert, export, share and verify models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
models.command("list")(list_)
models.command()(info)
models.command()(download)
models.command()(convert)
models.command()(export)
models.command()(push)
models.command()(verify)
