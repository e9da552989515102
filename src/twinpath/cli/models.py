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
    pattern: Annotated[str, typer.Argument(help="A shell pattern such as 'slowfast*'.")] = "*",
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
    name: Annotated[str, typer.Argument(help="A name of `twinpath models list`.")],
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell what a model takes, how good it is published to be, and where its weights are."""
    from twinpath.cli.console import print_json

    facts = _facts(name) | {"params": _count_parameters(name)}
    if json:
        print_json(facts)
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        print(f"{key.ljust(width)}  {_readable(value)}")


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
    from rich.table import Table

    from twinpath.cli.console import stdout_console
    from twinpath.zoo.create import input_spec, resolve

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "dataset", "frames x rate", "crop", "top-1", "weights"):
        table.add_column(title, justify="right" if title in {"crop", "top-1"} else "left", no_wrap=True)
    for name in names:
        architecture, record = resolve(name)
        own = None if name == architecture.name else record
        spec = input_spec(name)
        best = f"see {record.name}" if record else "none published"
        table.add_row(
            name,
            own.dataset if own else "",
            f"{spec.num_frames} x {spec.sampling_rate}",
            str(spec.crop_px),
            f"{own.top1:.1f}" if own and own.top1 is not None else "",
            best if own is None else "on this machine" if _where(own) else "to download",
        )
    stdout_console().print(table)


def _readable(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(str(v) for v in value) if isinstance(value, tuple) else str(value)
