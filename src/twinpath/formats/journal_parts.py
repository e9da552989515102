"""Journals of several processes that share the videos of a run: each writes its own, the first one has all of
them in the end. One process is the first of one.

share, first = Share(), Path("scores.jsonl")
with JournalPart(part_of(first, share.process), run, own, first=[first]) as journal:
    known = {video: line for video, line in journal.lines.items() if can_be_taken(line)}
    journal.keep(known)
    ...  # journal.add(…) for each of the others
    parts = gathered(share, answers, journal, own)

    scores.jsonl        of the first process
    scores.1.jsonl      of the second one, as long as the run lasts; after a kill any process takes its lines
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from twinpath.errors import InputError, UsageError
from twinpath.formats.journal import Line, ResultsJournal, done_lines, read_journal
from twinpath.results.provenance import Provenance

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """Which files one of several processes scores: every n-th.

    Each file is scored by one process, so that it counts once whatever their number. (PySlowFast's sampler
    fills the last round with clips that are scored again.)

    Attributes:
        process, processes: Which one, from 0, and of how many.
        gather: Gives the first process what each of them has, in order, and the others nothing; collective.
    """

    process: int = 0
    processes: int = 1
    gather: Callable[[Any], list[Any]] = lambda own: [own]

    def part(self, files: Iterable[Item]) -> list[Item]:
        """The files of this process, of those of all."""
        return list(files)[self.process :: self.processes]


class JournalPart(ResultsJournal):
    """The journal of one process, and what those of others have of its videos. Use it in a `with` block.

    Args:
        path: The file of this process; created if it does not exist.
        run: See `ResultsJournal`.
        videos: Of this process.
        first: The files to which the first process may write; parts of others are beside the first of them.
        resume: Take what is there; False: start over.
    Attributes:
        lines: Of this process's videos, in whatever file.
    Raises:
        UsageError, InputError, OSError: As `ResultsJournal`, also for parts of others.
    """

    def __init__(
        self,
        path: Path,
        run: Provenance,
        videos: Iterable[Path],
        *,
        first: Sequence[Path],
        resume: bool = True,
    ) -> None:
        self._first = first
        self.lines: Mapping[Path, Line] = {}
        own = list(videos)
        super().__init__(path, run, own)
        try:
            self.lines = self._left(own) | self.done if resume else self.done
        except BaseException:
            self._file.close()
            raise

    def keep(self, videos: Container[Path]) -> None:
        """Take lines of these videos from other files into the own one."""
        self.adopt(line for video, line in self.lines.items() if video in videos and video not in self.done)

    def written(self, videos: Iterable[Path]) -> list[Line]:
        """The lines of these videos as they stand in the own file."""
        return list(done_lines(self.path, self._run, videos).values())

    def join(self, lines: Sequence[Line]) -> None:
        """Take the lines of the other processes into this one, the first one's, and remove their parts."""
        there = {line["video"]: line for line in self.written(Path(line["video"]) for line in lines)}
        self.adopt(line for line in lines if there.get(line["video"]) != line)
        for path in _parts_beside(self._first[0]):
            with contextlib.suppress(InputError):  # somebody else's
                read_journal(path)
                path.unlink()

    def _left(self, videos: Sequence[Path]) -> dict[Path, Line]:
        """What is in the files of the first process, and in those that others of a stopped run left."""
        lines: dict[Path, Line] = {}
        for path in _parts_beside(self._first[0]):
            lines |= done_lines(path, self._run, videos)
        for path in self._first:
            with contextlib.suppress(FileNotFoundError, UsageError):  # whether they fit, its process says
                lines |= done_lines(path, self._run, videos)
        return lines


def gathered(share: Share, own: Item, journal: JournalPart | None, videos: Iterable[Path]) -> list[Item]:
    """What all processes have, in the first one; nothing in the others. Collective.

    The first one's journal gets the lines of the others, whose parts are removed.

    Args:
        share: Of this process.
        own: What it has; as one that another process can take, where there are several.
        journal: Of this process; None: none is kept.
        videos: Those of this process whose lines count.
    """
    if share.processes == 1:
        if journal is not None:
            journal.join([])
        return [own]
    lines = [] if journal is None else journal.written(videos)
    parts = share.gather((own, lines))
    if parts and journal is not None:
        journal.join([line for _, of_part in parts[1:] for line in of_part])
    return [found for found, _ in parts]


def part_of(first: Path, process: int) -> Path:
    """The journal of a process beside that of the first one."""
    return first.with_name(f"{first.stem}.{process}{first.suffix}") if process else first


def _parts_beside(first: Path) -> list[Path]:
    """The journals of other processes than the first; also of those that started over."""
    name = re.compile(rf"{re.escape(first.stem)}\.\d+(\.partial)?{re.escape(first.suffix)}")
    return sorted(path for path in first.parent.iterdir() if name.fullmatch(path.name))
