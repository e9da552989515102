"""`twinpath models convert`: any weight file to one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.zoo.convert import Conversion

_SHOWN = 4
_NAMES_OF = {
    "pytorchvideo": "PyTorchVideo",
    "pyslowfast": "PySlowFast",
    "torchvision": "torchvision",
    "caffe2": "Caffe2",
    "twinpath": "Twinpath",
}


def convert(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Weights as torch, safetensors or Caffe2 wrote them.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file, OUT.safetensors.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The network it is for.  [default: found by its shapes]"),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Give it a new last layer for so many classes.")
    ] = None,
    entry: Annotated[
        str | None,
        typer.Option(
            metavar="KEYS", help="Of a checkpoint with several weights: which, such as model or ema/model."
        ),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write any weight file as safetensors with our names, and tell what it holds."""
    from twinpath.cli.console import print_json
    from twinpath.extras import check_torch

    check_torch("reading weights")
    from twinpath.zoo.convert import convert as convert_file

    done = convert_file(file, out, model=model, num_classes=num_classes, entry=entry)
    if json:
        print_json(done.to_dict())
    else:
        _print(done)


def _print(done: Conversion) -> None:
    rows = {
        "format": done.format,
        "names of": _NAMES_OF[done.naming],
        "network": done.model,
        "also fits": f"{_some(done.also_fits)} (--model chooses)" if done.also_fits else "",
        "classes": f"{done.num_classes}{', the last layer is new: train it' if done.new_head else ''}",
        "entry": done.entry,
        "head": done.head,
        "tensors": f"{done.tensors:,}",
        "params": f"{done.params:,}",
        "left out": f"{len(done.dropped)}: {_some(done.dropped)}" if done.dropped else "nothing",
        "wrote": f"{done.target}, {Path(done.target).stat().st_size / 1e6:.1f} MB",
    }
    for title, value in rows.items():
        if value:
            print_line(f"{title:<9}  {value}")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
