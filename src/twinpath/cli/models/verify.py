"""`twinpath models verify`: do these weights give the labels that their upstream published?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.completion import model_names
from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug, Device

if TYPE_CHECKING:
    from twinpath.evaluate.verify import Verification


def verify(
    name: Annotated[
        str,
        typer.Argument(autocompletion=model_names, metavar="NAME", help="A name of `twinpath models list`."),
    ],
    video: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="PyTorchVideo's archery.mp4.  [default: downloaded, 0.5 MB]"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A weight file in place of the published one.")
    ] = None,
    device: Device = "auto",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run weights on one video and compare the labels with those that the upstream published.

    Where it published none, this checks that the file fits its network and gives scores.
    """
    from twinpath.cli.console import print_json
    from twinpath.cli.progress import download_bar
    from twinpath.errors import WeightsError
    from twinpath.evaluate.verify import verify as verify_weights

    with download_bar(f"downloading for {name}") as progress:
        found = verify_weights(name, video=video, weights=weights, device=device, progress=progress)
    if json:
        print_json(found.to_dict())
    else:
        _print(found)
    if found.agrees is False:
        raise WeightsError(
            f"{found.model} gives other labels than its upstream published; check the weights "
            f"({found.weights}) and the video ({found.video})"
        )


def _print(found: Verification) -> None:
    """What was checked and, where labels are known, both lists side by side."""
    from twinpath.cli.console import Column, print_table

    print_line(f"{found.model}: {found.weights} fits its network and gives scores")
    if found.video is None:
        print_line("its upstream printed no answer to compare with")
        return
    print_line(f"{found.video}, one clip from its beginning:")
    columns = [
        Column("here", [prediction.label for prediction in found.predictions]),
        Column("score", [f"{100 * prediction.score:.1f} %" for prediction in found.predictions], right=True),
    ]
    if found.expected is not None:
        columns.insert(0, Column("upstream", list(found.expected.labels)))
        columns.append(Column("", _marks(found)))
    print_table(columns)
    if found.expected is None:
        print_line("its upstream printed no answer to compare with")
    elif found.agrees:
        count = found.expected.compared
        print_line(
            "the first label is the upstream's" if count == 1 else f"all {count} labels are the upstream's"
        )


def _marks(found: Verification) -> list[str]:
    """What each label is, beside the upstream's."""
    assert found.expected is not None
    pairs = zip(found.expected.labels, (p.label for p in found.predictions), strict=True)
    marks = ["same" if theirs == ours else "DIFFERS" for theirs, ours in pairs]
    count = found.expected.compared
    return [*marks[:count], *["not compared"] * (len(marks) - count)]
