"""`twinpath models push`: a model folder onto the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.console import print_line
from twinpath.cli.options import Debug


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model folder.")],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="Where it goes; made if new.")],
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody see it; otherwise only you do.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Put a model folder on the Hugging Face Hub, for `--model hf://USER/NAME`.

    Log in once with `hf auth login`. The report of a fine-tuning, which shows your videos, stays here.
    """
    from twinpath.cli.console import print_note
    from twinpath.zoo.hub_folders import push_folder
    from twinpath.zoo.model_folder import HUB, read_model_folder

    address = push_folder(read_model_folder(folder), repository, public=public)
    print_note(f"use it with --model {HUB}{repository}")
    print_line(address)
