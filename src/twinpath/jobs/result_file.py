"""One file that holds the results of many videos: resumed, refused, or begun anew beside the old one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinpath.errors import InputError
from twinpath.jobs.outputs import check_folder, check_targets, sweep_targets
from twinpath.jobs.score_files import other_settings
from twinpath.locks import exclusive
from twinpath.paths import MOST_NAME_BYTES, cut_name
from twinpath.results.provenance import Provenance


@dataclass(frozen=True)
class ResultFile:
    """Where a run keeps its results.

    Attributes:
        path: The file that is written to while the run is in progress.
        final: Where the results belong: the same file; or the one of an earlier run, which stays until this
            run is complete.
        is_resumed: Whether `path` holds results that this run takes.
    """

    path: Path
    final: Path
    is_resumed: bool

    def complete(self) -> None:
        """Put the results in their place."""
        if self.path != self.final and self.path.exists():
            self.path.replace(self.final)


@contextlib.contextmanager
def open_result_file(
    out: Path,
    run: Provenance,
    *,
    resume: bool,
    read: Callable[[Path], Sequence[Provenance]],
    inputs: Sequence[Path],
) -> Iterator[ResultFile]:
    """Where the results of a run go, and whether there are some already. Within the block no other run may
    write there.

    Args:
        out: The file that was named for them.
        run: What decides results beside the videos.
        resume: Take results that are there; False: start over.
        read: Of what the results in a file are; raises InputError where it holds none.
        inputs: Files that the run reads.
    Raises:
        UsageError: The file is an input, no regular file, or has results of other settings; or another run
            is writing to it.
        InputError: The file is there and has no results; it is not changed.
    """
    check_folder(out.parent)
    check_targets([out, partial_path(out)], inputs)
    with exclusive(out):
        yield _find(out, run, resume=resume, read=read)


def _find(
    out: Path, run: Provenance, *, resume: bool, read: Callable[[Path], Sequence[Provenance]]
) -> ResultFile:
    partial = partial_path(out)
    sweep_targets([out, partial])
    if not out.exists():
        return ResultFile(out, out, is_resumed=False)
    earlier = read(out)
    if not resume:
        if partial.exists():
            read(partial)  # raises where it is not a run's
            partial.unlink()
        return ResultFile(partial, out, is_resumed=False)
    other = next((made for made in earlier if not made.same_run(run)), None)
    if other is None:
        _forget(partial, run, read)
        return ResultFile(out, out, is_resumed=True)
    if partial.exists() and all(made.same_run(run) for made in read(partial)):
        return ResultFile(partial, out, is_resumed=True)
    raise other_settings(out, other, run)


def _forget(partial: Path, run: Provenance, read: Callable[[Path], Sequence[Provenance]]) -> None:
    """Remove what a run that started over left, where the results of the same settings are complete."""
    if partial.exists():
        with contextlib.suppress(InputError):  # somebody else's
            if all(made.same_run(run) for made in read(partial)):
                partial.unlink()


def partial_path(out: Path) -> Path:
    """Where a run that starts over keeps its results until it is complete: answers.partial.jsonl."""
    ending = f".partial{out.suffix}"
    return out.with_name(cut_name(out.stem, MOST_NAME_BYTES - len(os.fsencode(ending))) + ending)
