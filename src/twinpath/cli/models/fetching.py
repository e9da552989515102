"""Fetches published weights one by one for `twinpath models download`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.zoo.records import Record


def fetch(record: Record, *, number: int, total: int, as_json: bool) -> bool:
    """Fetch the weights of a record and print their path; returns whether that succeeded.

    Args:
        record: What to fetch.
        number, total: Which one of how many.
        as_json: Print JSON.
    Raises:
        WeightsError, OSError: The only one failed.
    """
    from twinpath.cli.console import print_json, print_note
    from twinpath.cli.progress import download_bar
    from twinpath.errors import WeightsError
    from twinpath.jobs.batch import error_to_dict
    from twinpath.zoo.create import weights_path
    from twinpath.zoo.facts import where

    was_there = where(record) is not None
    count = f" ({number} of {total})" if total > 1 else ""
    try:
        with download_bar(f"downloading {record.name}{count}") as progress:
            path = weights_path(record, progress=progress)
    except (WeightsError, OSError) as error:
        if total == 1:
            raise
        print_note(f"twinpath: {error}")
        if as_json:
            print_json({"name": record.name, **error_to_dict(error)})
        return False
    _print(record, path, was_there=was_there, as_json=as_json)
    return True


def fetch_from_hub(address: str, *, as_json: bool) -> None:
    """Fetch the newest state of a model folder on the Hub and print the path of the folder.

    Raises:
        DownloadFailed: It cannot be fetched.
    """
    from twinpath.cli.console import print_json
    from twinpath.zoo.hub_folders import fetch_folder
    from twinpath.zoo.model_folder import read_model_folder

    path = fetch_folder(address, again=True)
    folder = read_model_folder(address)
    if as_json:
        size_bytes = sum(file.size_bytes for file in folder.card.files.values())
        print_json({"name": address, "path": str(path), "size_bytes": size_bytes, "downloaded": True})
        return
    print_line(str(path))


def _print(record: Record, path: Path, *, was_there: bool, as_json: bool) -> None:
    from twinpath.cli.console import print_json, print_note

    size_bytes = path.stat().st_size
    if as_json:
        facts = {"name": record.name, "path": str(path), "size_bytes": size_bytes}
        print_json(facts | {"downloaded": not was_there})
        return
    print_note(f"{record.name}: {'was there' if was_there else 'downloaded'}, {size_bytes / 1e6:.0f} MB")
    print_line(str(path))
