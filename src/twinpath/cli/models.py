"""`twinpath models`: which networks and weights there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.zoo.records import Record

models = typer.Typer(
    help="List networks and published weights, and tell about one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models.command("list")
def list_(
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="A shell pattern such as 'slowfast*'.")
    ] = "*",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show every name that --model takes."""
    from twinpath.cli.console import print_json
    from twinpath.errors import UnknownModel
    from twinpath.zoo.create import list_models

    names = list_models(pattern)
    if not names:
        raise UnknownModel(f"no model matches {pattern!r}; `twinpath models list` shows all")
    if json:
        for name in names:
            print_json(_facts(name))
        return
    _print_table(names)


@models.command()
def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `twinpath models list`.")],
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell about one: its input, accuracy, licence and weights."""
    from twinpath.cli.console import print_json

    facts = _facts(name) | {"params": _count_parameters(name)}
    if json:
        print_json(facts)
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        print(f"{key.ljust(width)}  {_readable(value)}", flush=True)


def _facts(name: str) -> dict[str, Any]:
    from twinpath.zoo.create import input_spec, resolve

    architecture, record = resolve(name)
    if name == architecture.name:
        alone = {"name": name, "family": architecture.family}
        return alone | _input(name) | {"best_weights": record.name if record else None}
    assert record is not None
    spec = input_spec(name)
    return {
        "name": name,
        "architecture": architecture.name,
        "family": architecture.family,
        **_input(name),
        "mean": spec.mean,
        "std": spec.std,
        "dataset": record.dataset,
        "num_classes": record.num_classes,
        "published_top1": record.top1,
        "published_top5": record.top5,
        "published_map": record.map,
        "published_views": f"{record.views[0]}x{record.views[1]}",
        "published_gflops_per_view": record.gflops,
        "published_params_m": record.params_m,
        "licence": record.licence,
        "url": record.url or None,
        "cached": _where(record),
        "note": record.note or None,
    }


def _input(name: str) -> dict[str, Any]:
    from twinpath.zoo.create import input_spec

    spec = input_spec(name)
    return {
        "num_frames": spec.num_frames,
        "sampling_rate": spec.sampling_rate,
        "short_side_px": spec.short_side_px,
        "crop_px": spec.crop_px,
    }


def _where(record: Record) -> str | None:
    """Path of the weights on this machine; None: not here."""
    from twinpath.weights.fetch import cached_path

    path = record.embedded_path or cached_path(record)
    return str(path) if path.is_file() else None


def _count_parameters(name: str) -> int:
    """Parameters, counted on a network that holds no memory."""
    import torch

    from twinpath.zoo.create import create_model

    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name).parameters())


def _print_table(names: list[str]) -> None:
    """Narrow enough for a terminal of 80 columns: names are to be copied, so none is cut."""
    from rich.table import Table

    from twinpath.cli.console import stdout_console
    from twinpath.zoo.create import resolve

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "dataset", "top-1 %", "here"):
        table.add_column(title, justify="right" if title == "top-1 %" else "left", no_wrap=True)
    for name in names:
        architecture, record = resolve(name)
        if name == architecture.name:
            best = record.name.removeprefix(name) if record else "no published weights"
            table.add_row(name, f"takes {best}" if record else best, "", "")
        elif record is not None:
            top1 = "" if record.top1 is None else f"{record.top1:.1f}"
            table.add_row(name, record.dataset, top1, "yes" if _where(record) else "no")
    stdout_console().print(table)


def _readable(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return " ".join(str(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
