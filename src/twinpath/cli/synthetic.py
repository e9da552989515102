"""`twinpath synthetic`: videos of the synthetic world, with their truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from twinpath.cli.options import Debug


def synthetic(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write clips, labels.csv and annotations.jsonl.")
    ],
    clips: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")] = 24,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same clips.")] = 0,
    height: Annotated[
        int, typer.Option(min=32, max=2160, metavar="PX", help="Of the frames, in pixels.")
    ] = 240,
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="clip: one action; people: each person their own.")
    ] = "clip",
    debug: Debug = False,
) -> None:
    """Make clips of people who act, with labels and boxes."""
    from twinpath.cli.console import print_note
    from twinpath.cli.progress import BatchBar
    from twinpath.data.synthetic import write_dataset
    from twinpath.errors import UsageError

    if kind not in ("clip", "people"):
        raise UsageError(f"--kind {kind!r}: give clip or people")
    chosen = cast(Literal["clip", "people"], kind)
    written = write_dataset(folder, num_clips=clips, seed=seed, height_px=height, kind=chosen)
    for _ in BatchBar("drawing", total=clips).over(written):
        pass
    print_note(f"wrote {clips} clips, labels.csv and annotations.jsonl to {folder}")
