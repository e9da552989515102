"""`twinpath models download`: published weights onto this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.completion import model_names
from twinpath.cli.options import AsJson, Debug

if TYPE_CHECKING:
    from twinpath.zoo.records import Record

_BYTES_PER_PARAMETER = 4


def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=model_names,
            metavar="NAME",
            help="Names of `twinpath models list`, patterns such as 'x3d_*', or hf://USER/NAME.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All published weights.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before downloading all.")] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Download weights into the cache and print the path of each.

    What is there already is compared with what came, and kept. A download that breaks off goes on with the
    next call.
    """
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.models.fetching import fetch, fetch_from_hub
    from twinpath.errors import PartialFailure, UsageError
    from twinpath.zoo.model_folder import HUB

    outlive_reader()
    if everything and names:
        raise UsageError("--all takes no names; leave one of the two out")
    if not everything and not names:
        raise UsageError("give names or patterns of `twinpath models list`, or --all")
    for address in [name for name in names or [] if name.startswith(HUB)]:
        fetch_from_hub(address, as_json=json)
    names = [name for name in names or [] if not name.startswith(HUB)]
    wanted = _all(yes=yes) if everything else _chosen(names)
    failed = sum(
        not fetch(record, number=number, total=len(wanted), as_json=json)
        for number, record in enumerate(wanted, start=1)
    )
    if failed:
        raise PartialFailure(
            f"{failed} of {len(wanted)} weight files could not be fetched; each is named above"
        )


def _chosen(names: list[str]) -> list[Record]:
    """The records that names and patterns stand for, each once, in order.

    Raises:
        UnknownModel: A name or a pattern without any; says the nearest name.
        UsageError: A network that has no published weights.
    """
    from twinpath.errors import UnknownModel, UsageError
    from twinpath.zoo.create import resolve
    from twinpath.zoo.records import records

    found: dict[str, Record] = {}
    for name in names:
        if any(c in name for c in "*?["):
            matching = records(name)
            if not matching:
                raise UnknownModel(f"no weights match {name!r}; `twinpath models list` shows all")
        else:
            _, record = resolve(name)
            if record is None:
                raise UsageError(f"no weights are published for {name}")
            matching = [record]
        found |= {record.name: record for record in matching}
    return list(found.values())


def _all(*, yes: bool) -> list[Record]:
    """Every record, if the user agrees to so many bytes.

    Raises:
        UsageError: Nobody can be asked, and --yes was not given.
    """
    from twinpath.errors import UsageError
    from twinpath.zoo.facts import where
    from twinpath.zoo.measured import measured
    from twinpath.zoo.records import records

    wanted = records()
    to_fetch = [record for record in wanted if where(record) is None]
    costs = [measured(record.name) for record in to_fetch]
    gigabytes = sum(cost.params for cost in costs if cost) * _BYTES_PER_PARAMETER / 1e9
    size = f"{len(to_fetch)} files of at least {gigabytes:.1f} GB together"
    if to_fetch and not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"--all downloads {size}; say --yes to that")
        typer.confirm(f"Download {size}?", default=False, abort=True, err=True)
    return wanted
