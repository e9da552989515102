"""The results of a batch in a file, one JSON object per line, from which a later run resumes.

with ResultsJournal("results.jsonl", Provenance.of(None, model=…, settings=…), videos) as journal:
    for video in journal.missing:
        source = FileFacts.of(video)
        journal.add(video, classify(video).to_dict(), source)

Each line is written and synced before the next video, so that a crash or a power failure loses at most one
result. A line is {"video": …, the result or "error": …, "provenance": …}.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from twinpath.atomic import atomic_path
from twinpath.errors import InputError, UsageError
from twinpath.locks import lock, open_locked
from twinpath.paths import display_path
from twinpath.results.provenance import FileFacts, Provenance

Line = dict[str, Any]
_LINE_START = b'{"video": "'  # of every line that `add` writes


class _Entry(NamedTuple):
    """A line of the file and its provenance."""

    line: Line
    provenance: Provenance

    @property
    def video(self) -> str:
        name: str = self.line["video"]
        return name


class ResultsJournal:
    """A file of results that this run appends to. Use it in a `with` block; the file is locked if possible.

    Args:
        path: The file; created if it does not exist.
        run: The provenance of the results without the videos; its `source` is None.
        videos: The videos of this run.
    Attributes:
        missing: The videos without a valid result: new, failed, or changed since.
        done: The lines of the other videos.
    Raises:
        UsageError: The file has results of another model or other settings, or another run is writing to it.
        InputError: The file is no journal of results; it is left unchanged.
        OSError: It cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], run: Provenance, videos: Iterable[Path]) -> None:
        self.path, self._run = Path(path), run
        self.missing: list[Path]
        self.done: dict[Path, Line]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_locked(self.path)
        try:
            self._load(list(videos))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _named(self.path):
            self._file.close()

    def add(self, video: Path, result: Mapping[str, Any], source: FileFacts | None) -> None:
        """Append a result, or {"error": …}, and sync the file.

        Args:
            video: One of the run.
            result: Values that JSON knows.
            source: Facts of the file before it was read, so that one that changes meanwhile is done anew.
        Raises:
            OSError: The disk is full or refuses.
        """
        provenance = replace(self._run, source=source)
        line = {"video": str(video), **result, "provenance": provenance.to_dict()}
        with _named(self.path):
            self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def facts_of(self, video: Path) -> FileFacts | None:
        """The facts of a file now, for `add`; None: it cannot be accessed."""
        return self._run.for_file(video).source

    def adopt(self, lines: Iterable[Line]) -> None:
        """Append whole lines of other journals of the same run, and sync the file once.

        Raises:
            OSError: The disk is full or refuses.
        """
        with _named(self.path):
            self._file.writelines(json.dumps(line, allow_nan=False).encode() + b"\n" for line in lines)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _load(self, videos: list[Path]) -> None:
        """Find the missing videos; remove lines that will be rewritten, and a truncated last line."""
        entries, is_complete = _read(self.path)
        self.done = _done(self.path, entries, self._run, videos)
        self.missing = [video for video in videos if video not in self.done]
        rewritten = {str(video) for video in self.missing}
        kept_lines = [entry.line for entry in entries if entry.video not in rewritten]
        if not is_complete or len(kept_lines) < len(entries):
            self._rewrite(kept_lines)

    def _rewrite(self, lines: list[Line]) -> None:
        """Replace the file by one with these lines; the new file is locked before it replaces the old one."""
        with atomic_path(self.path) as temporary:
            file = temporary.open("ab")
            try:
                lock(file)
                file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
                file.flush()
            except BaseException:
                file.close()
                raise
        self._file.close()
        self._file = file


def done_lines(path: Path, run: Provenance, videos: Iterable[Path]) -> dict[Path, Line]:
    """The lines of a journal that a run takes. It is only read: another process may be writing to it.

    Args:
        path: The file.
        run, videos: See `ResultsJournal`.
    Raises:
        UsageError: The file has results of another model or other settings.
        InputError: The file is no journal of results.
        OSError: It cannot be read.
    """
    entries, _ = _read(path)
    return _done(path, entries, run, videos)


def _done(path: Path, entries: Iterable[_Entry], run: Provenance, videos: Iterable[Path]) -> dict[Path, Line]:
    """The lines of videos that have not changed since. Raises: UsageError: Those of another run."""
    finished = {entry.video: entry for entry in entries if "error" not in entry.line}
    for entry in finished.values():
        differences = replace(entry.provenance, source=None).differences(run)
        if differences:
            raise UsageError(
                f"{display_path(path)} has results of another run: {'; '.join(differences)}; "
                "give another file, or run as before"
            )
    found = ((video, finished.get(str(video))) for video in videos)
    return {video: entry.line for video, entry in found if entry and entry.provenance.is_of(video)}


def read_journal(path: str | os.PathLike[str]) -> list[Provenance]:
    """The provenances of the results in a journal; the file is left unchanged.

    Raises:
        InputError: The file is no journal of results.
        OSError: It cannot be read.
    """
    entries, _ = _read(Path(path))
    return [entry.provenance for entry in entries if "error" not in entry.line]


def _read(path: Path) -> tuple[list[_Entry], bool]:
    """All complete lines, and whether the file ends after the last of them.

    Raises:
        InputError: A line was not written by `add`, or the rest of the file is no truncated line.
    """
    *complete, rest = path.read_bytes().split(b"\n")
    entries = [_entry(path, number, text) for number, text in enumerate(complete, 1)]
    if _is_json(rest):  # only its newline is missing
        return [*entries, _entry(path, len(entries) + 1, rest)], False
    if not (rest.startswith(_LINE_START) or _LINE_START.startswith(rest)):
        raise _not_a_journal(path, len(entries) + 1)
    return entries, not rest


def _entry(path: Path, number: int, text: bytes) -> _Entry:
    try:
        line = json.loads(text)
        provenance = Provenance.from_dict(line["provenance"])
        if not isinstance(line["video"], str):
            raise ValueError("video is no string")
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise _not_a_journal(path, number) from error
    return _Entry(line, provenance)


def _not_a_journal(path: Path, number: int) -> InputError:
    return InputError(f"{display_path(path)}:{number}: not a line of a journal of results; give another file")


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error of the disk within the block names the file."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
