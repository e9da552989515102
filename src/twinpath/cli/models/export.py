"""`twinpath models export`: a model as a folder that other programs, and machines without torch, can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug


def export(
    model: Annotated[
        str, typer.Argument(metavar="NAME|DIR", help="A name of `twinpath models list`, or a model folder.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new model folder.")],
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="onnx, openvino or torch-export.")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            "--precision", metavar="TYPE", help="Of the stored weights: fp32, or fp16 (half as large)."
        ),
    ] = "fp32",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="A weight file to use with the model.")
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a model as a graph with labels, input and hashes, once it computes what torch computes."""
    from twinpath.cli.console import print_json, print_note
    from twinpath.cli.progress import download_bar
    from twinpath.engine.export import export_model
    from twinpath.engine.parity import worst
    from twinpath.paths import display_path

    with download_bar(f"downloading {model}") as progress:
        folder = export_model(
            model,
            out,
            format=cast(Any, format),
            precision=cast(Any, precision),
            weights=weights,
            progress=progress,
            on_status=print_note,
        )
    card = folder.card
    scores, logits, same = worst(card.parity)
    if json:
        print_json({"folder": str(out), **card.to_dict()})
        return
    clips = ", ".join(str(n) for n in sorted({figure.clips for figure in card.parity}))
    size_bytes = sum(file.size_bytes for file in card.files.values())
    rows = {
        "wrote": f"{display_path(out)}, {size_bytes / 1e6:.1f} MB",
        "graph": f"{', '.join(card.files)} ({card.precision})",
        "compared": f"with torch, {clips} clips at once, random and smooth frames",
        "scores": f"differ by at most {scores:.1g}",
        "logits": f"differ by at most {logits:.1g}",
        "best class": "always the same" if same else "not always the same",
    }
    for title, value in rows.items():
        print_line(f"{title:<10}  {value}")
