"""`twinpath models list`: which weights and networks there are."""

from __future__ import annotations

from typing import Annotated

import typer

from twinpath.cli.options import AsJson, Debug


def list_(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="PATTERN", help="A part of the name, or a shell pattern such as 'slow_*ssv2'."
        ),
    ] = "*",
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="classification, or detection of who does what.")
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="slowfast, x3d, mvit …")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Trained on kinetics400, ava …")] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Published by pytorchvideo, pyslowfast, torchvision.")
    ] = None,
    max_gflops: Annotated[
        float | None, typer.Option(min=0, metavar="G", help="At most so many GFLOPs for one view.")
    ] = None,
    cached: Annotated[bool, typer.Option("--cached", help="Only weights on this machine.")] = False,
    sort: Annotated[
        str, typer.Option(metavar="KEY", help="name, accuracy (best first), gflops or params (least first).")
    ] = "name",
    architectures: Annotated[
        bool, typer.Option("--architectures", help="Networks instead, also those without published weights.")
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List published weights, which are names that --model takes.

    GFLOPs are of one view. Input: frames of a clip x frames of a 30 fps video for one of them, side of the
    crop.
    """
    from twinpath.cli.console import print_json
    from twinpath.cli.models.choosing import choose, matching_names, nothing_matches, sorted_by
    from twinpath.cli.models.show_models import print_networks, print_weights

    chosen = choose(
        matching_names(pattern, architectures=architectures),
        {"task": task, "family": family, "dataset": dataset, "upstream": upstream},
        max_gflops=max_gflops,
        cached=cached,
        architectures=architectures,
    )
    if not chosen:
        kind = "network" if architectures else "weights"
        raise nothing_matches(f"no {kind} like {pattern!r} with these options")
    rows = sorted_by(chosen, sort)
    if json:
        for facts in rows:
            print_json(facts)
    elif architectures:
        print_networks(rows)
    else:
        print_weights(rows)
