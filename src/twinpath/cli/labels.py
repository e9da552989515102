"""`twinpath labels`: the classes of a dataset, in order of a network's answers."""

from __future__ import annotations

from typing import Annotated

import typer

from twinpath.cli.completion import dataset_names
from twinpath.cli.console import print_line
from twinpath.cli.options import AsJson, Debug


def labels(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=dataset_names,
            metavar="NAME",
            help="A dataset, such as kinetics400.  [default: name them all]",
        ),
    ] = None,
    evaluated: Annotated[
        bool, typer.Option("--evaluated", help="Only the 60 of AVA's 80 actions that its mAP counts.")
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print the classes of a dataset, each with its number."""
    from twinpath.cli.console import print_json
    from twinpath.errors import UsageError
    from twinpath.labels import ava_evaluated_ids, canonical, class_ids
    from twinpath.labels import labels as names_of

    if name is None:
        _print_datasets(json=json)
        return
    dataset = canonical(name)
    counted = ava_evaluated_ids() if dataset == "ava" else None
    if evaluated and counted is None:
        raise UsageError(f"--evaluated is for ava; of {dataset} all classes are evaluated")
    rows = [
        {"index": index, "id": number, "label": label}
        for index, (number, label) in enumerate(zip(class_ids(dataset), names_of(dataset), strict=True))
    ]
    for row in rows:
        is_counted = counted is None or row["id"] in counted
        if evaluated and not is_counted:
            continue
        if json:
            print_json(row if counted is None else row | {"evaluated": is_counted})
        else:
            print_line(f"{row['id']:>3}  {row['label']}")


def _print_datasets(*, json: bool) -> None:
    from twinpath.cli.console import print_json
    from twinpath.labels import datasets
    from twinpath.labels import labels as names_of

    for dataset in datasets():
        count = len(names_of(dataset))
        if json:
            print_json({"dataset": dataset, "num_classes": count})
        else:
            print_line(f"{dataset:<22}  {count:>3} classes")
