"""`twinpath train`: a recipe to a trained model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.completion import recipe_names
from twinpath.cli.options import Debug

if TYPE_CHECKING:
    from twinpath.train.machine import Machine
    from twinpath.train.recipe import Recipe


def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=recipe_names,
            metavar="RECIPE SECTION.KEY=VALUE",
            help="A recipe of the package (slowfast_tiny) or a TOML file, and settings that replace its own: "
            "schedule.epochs=30. With --pyslowfast: KEY VALUE pairs, as PySlowFast takes them.",
        ),
    ] = None,
    pyslowfast: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A configuration of PySlowFast (YAML) in place of a recipe."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the network, the groups of parameters, the changes of clips and the schedule, write "
            "the first batches as pictures; train nothing.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the run.  [default: runs/NAME]")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume", help="Resume the run of the folder after its last whole epoch; or refuse."
        ),
    ] = True,
    device: Annotated[str, typer.Option(metavar="TYPE", help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes of this machine.  [default: 1, or torchrun's]"),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Of several processes: ddp, or fsdp, which divides a large network among them.",
        ),
    ] = "ddp",
    debug: Debug = False,
) -> None:
    """Train a model by a recipe. Ctrl-C keeps the last whole epoch."""
    from twinpath.train.machine import Machine

    recipe = _recipe(words or [], pyslowfast)
    folder = out or Path("runs") / recipe.name
    if dry_run:
        _print_dry_run(recipe, folder)
        return
    _train(recipe, folder, resume=resume, machine=Machine(device, devices, strategy))


def _recipe(words: list[str], pyslowfast: Path | None) -> Recipe:
    """The recipe that was asked for, with its settings."""
    from twinpath.cli.show_training import print_translation
    from twinpath.errors import UsageError
    from twinpath.train.recipe import built_in_recipes, read_recipe

    if pyslowfast is None:
        if not words:
            raise UsageError(f"give a recipe: a TOML file or one of {', '.join(built_in_recipes())}")
        return read_recipe(words[0], words[1:])
    with train_extra():
        from twinpath.train.pyslowfast.translate import translate
    translation = translate(pyslowfast, words)
    print_translation(translation)
    return translation.recipe


def _print_dry_run(recipe: Recipe, folder: Path) -> None:
    from twinpath.cli.show_training import print_dry_run, print_first_batches

    with train_extra():
        from twinpath.train.dry_run import dry_run
    print_dry_run(dry_run(recipe))
    print_first_batches(recipe, folder / "dry_run")


def _train(recipe: Recipe, folder: Path, *, resume: bool, machine: Machine) -> None:
    from twinpath.cli.console import print_note
    from twinpath.cli.garbage import look_as_usual
    from twinpath.cli.library_caches import keep_in_cache
    from twinpath.train.recipe import check_folder, holds_run
    from twinpath.train.recipe_checks import DRAWN

    resume = resume and holds_run(folder)
    check_folder(folder, recipe, resume=resume)
    keep_in_cache()
    if recipe.data.kind not in DRAWN:
        _train_on_clips(recipe, folder, resume=resume, machine=machine)
        return
    with train_extra():
        from twinpath.train.run import train as run
    look_as_usual()
    with _how_to_go_on():
        path = run(recipe, folder, resume=resume)
    print_note(f"wrote {path}")
    print_note(f"measure it: twinpath evaluate {recipe.model.network} --weights {path}")


def _train_on_clips(recipe: Recipe, folder: Path, *, resume: bool, machine: Machine) -> None:
    """Train, with a bar of all steps and a line for each epoch."""
    from twinpath.cli.console import print_note
    from twinpath.cli.garbage import look_as_usual
    from twinpath.cli.progress import count_bar
    from twinpath.cli.show_training import print_epoch, print_measured
    from twinpath.train.recipe_checks import MASKED

    with train_extra():
        from twinpath.train.loop.train import train_clips
    look_as_usual()
    with count_bar("training") as progress, count_bar("evaluating") as evaluated, _how_to_go_on():
        model = train_clips(
            recipe,
            folder,
            resume=resume,
            machine=machine,
            on_step=lambda step: progress(step.total, step.of_all),
            on_epoch=print_epoch,
            on_file=evaluated,
            on_evaluation=print_measured,
        )
    if model is not None:
        print_note(f"wrote {model.path}")
        command = "detect" if model.card.task == "detection" else "classify"
        is_encoder = recipe.loss.kind in MASKED
        use = "a recipe with model.start_from={}" if is_encoder else f"twinpath {command} VIDEO --model {{}}"
        print_note(f"use it: {use.format(model.path)}")


@contextlib.contextmanager
def _how_to_go_on() -> Iterator[None]:
    """After Ctrl-C the same command goes on."""
    from twinpath.cli.console import print_note
    from twinpath.errors import Stopped

    try:
        yield
    except Stopped:
        print_note("the same command goes on after the last checkpoint")
        raise


@contextlib.contextmanager
def train_extra() -> Iterator[None]:
    """Imports in the block may lack what the extra `train` brings."""
    from twinpath.errors import MissingExtra

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "lightning", "torchmetrics", "yaml"}:
            raise
        raise MissingExtra(
            "training needs torch and Lightning; install them with: pip install 'twinpath[train]'"
        ) from error
