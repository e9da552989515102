"""`twinpath models export`: a model as a folder that other programs, and machines without torch, can run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from twinpath.cli.completion import model_names
from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug, Reading
from twinpath.errors import UsageError

if TYPE_CHECKING:
    from twinpath.zoo.model_card import ModelCard
    from twinpath.zoo.model_folder import ModelFolder


def export(
    model: Annotated[
        str,
        typer.Argument(
            autocompletion=model_names,
            metavar="NAME|DIR",
            help="A name of `twinpath models list`, or a model folder.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new model folder.")],
    format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="onnx, openvino or torch-export.")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="TYPE",
            help="Of the weights: fp32, fp16 (half as large), or int8, which also computes in it.",
        ),
    ] = "fp32",
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            "--calibrate",
            metavar="VIDEO",
            help="For int8: files, folders or patterns of videos like those that the network will see; "
            "may be given several times.",
        ),
    ] = None,
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

    if calibrate is not None and precision != "int8":
        raise UsageError("calibrate is for precision='int8'")
    if precision == "int8" and format == "openvino":
        folder = _int8(model, out, weights, calibrate)
    else:
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
    if json:
        print_json({"folder": str(out), **folder.card.to_dict()})
    else:
        _print(out, folder.card)


def _int8(model: str, out: Path, weights: Path | None, calibrate: list[str] | None) -> ModelFolder:
    """Export a model in int8, with a bar for each step."""
    from twinpath.cli.batch import find_checked
    from twinpath.cli.console import print_note
    from twinpath.cli.option_names import in_options
    from twinpath.cli.progress import step_bar
    from twinpath.engine.export_int8 import export_int8, speed_warning
    from twinpath.jobs.batch import input_failure
    from twinpath.video.find import skipped_in_words

    videos = None
    if calibrate is not None:
        found = find_checked(calibrate, Reading())
        videos = [video.path for video in found.videos]
        if found.skipped:
            print_note(skipped_in_words(found.skipped))
    skipped = []

    def skip(video: str | os.PathLike[str], error: Exception) -> None:
        skipped.append(video)
        print_note(f"warning: {in_options(str(input_failure(error, Path(video))))}")

    with step_bar() as on_step:
        folder = export_int8(
            model,
            out,
            calibrate=videos,
            weights=weights,
            progress=lambda done, total: on_step(
                f"downloading {model}, MB", done >> 20, (total or done) >> 20
            ),
            on_status=print_note,
            on_step=on_step,
            on_skipped=skip,
        )
    if skipped:
        print_note(
            f"warning: {len(skipped)} of {len(videos or ())} videos could not be used, and were skipped"
        )
    if slower := speed_warning(folder.card):
        print_note(f"warning: {slower}")
    return folder


def _print(out: Path, card: ModelCard) -> None:
    from twinpath.paths import display_path
    from twinpath.zoo.model_card import worst

    scores, logits, same = worst(card.parity)
    clips = ", ".join(str(n) for n in sorted({figure.clips for figure in card.parity}))
    size_bytes = sum(file.size_bytes for file in card.files.values())
    what = "the fp32 graph with torch" if card.precision == "int8" else "with torch"
    rows = {
        "wrote": f"{display_path(out)}, {size_bytes / 1e6:.1f} MB",
        "graph": f"{', '.join(card.files)} ({card.precision})",
        "compared": f"{what}, {clips} clips at once, random and smooth frames",
        "scores": f"differ by at most {scores:.1g}",
        "logits": f"differ by at most {logits:.1g}",
        "best class": "always the same" if same else "not always the same",
        **{
            name.replace("_", " "): value if isinstance(value, str) else f"{value:g}"
            for name, value in card.figures.items()
        },
    }
    width = max(len(title) for title in rows)
    for title, value in rows.items():
        print_line(f"{title.ljust(width)}  {value}")
