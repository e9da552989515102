"""`twinpath train`: a recipe to a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.options import Debug


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe of the package (slowfast_tiny) or a TOML file.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the run.  [default: runs/NAME]")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", help="Resume the run of the folder after its last whole epoch; or refuse."
        ),
    ] = True,
    debug: Debug = False,
) -> None:
    """Train a model by a recipe. Ctrl-C keeps the last whole epoch."""
    from twinpath.cli.console import print_note
    from twinpath.cli.garbage import look_as_usual
    from twinpath.cli.library_caches import keep_in_cache
    from twinpath.errors import MissingExtra
    from twinpath.train.recipe import check_folder, holds_run, read_recipe

    checked = read_recipe(recipe)
    folder = out or Path("runs") / checked.name
    resume = resume and holds_run(folder)
    check_folder(folder, checked, resume=resume)
    keep_in_cache()
    try:
        from twinpath.train.run import train as run
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "lightning", "torchmetrics"}:
            raise
        raise MissingExtra(
            "training needs torch and Lightning; install them with: pip install 'twinpath[train]'"
        ) from error
    look_as_usual()
    path = run(checked, folder, resume=resume)
    print_note(f"wrote {path}")
    print_note(f"measure it: twinpath evaluate {checked.model} --weights {path}")
