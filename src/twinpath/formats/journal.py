"""The results of a batch in a file, one JSON object a line, from which a later run resumes.

with ResultsJournal("results.jsonl", settings, videos) as journal:
    for video in journal.missing:
        journal.add(video, classify(video).to_dict())

Each line is on the disk before the next video begins, so that a crash or a power cut loses at most one. A
line holds the size and the time of change of its video and the settings of the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from twinpath.atomic import atomic_path
from twinpath.errors import InputError, UsageError
from twinpath.paths import display_path
from twinpath.results.window_scores import file_facts

Line = dict[str, Any]

_BEGIN = b'{"video": "'  # of every line that `add` writes


class ResultsJournal:
    """Use it in a `with` block, which locks the file where the platform can.

    Args:
        path: The file; made if it is not there.
        settings: What decides the results beside the video: model, weights, views … Values that JSON knows.
        videos: The videos of this run.
    Attributes:
        missing: Those without a result: new, failed before, or changed since.
    Raises:
        UsageError: The file has results of other settings, or another run is writing to it.
        InputError: The file is no journal of results; it was not changed.
        OSError: It cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], settings: Mapping[str, Any], videos: Iterable[Path]
    ) -> None:
        self.path, self._settings = Path(path), dict(settings)
        self.missing: list[Path] = []
        self._file = self._opened()
        try:
            self._begin(list(videos))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, video: Path, answer: Mapping[str, Any]) -> None:
        """Append a result, or {"error": …}; it is on the disk afterwards."""
        line = {"video": str(video), **answer, "asked": self._settings, "file": _facts(video)}
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _opened(self) -> BinaryIO:
        """The file, opened to append and locked.

        Raises:
            UsageError: Another run has locked it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = self.path.open("ab")
            if not _lock(file):
                file.close()
                raise UsageError(
                    f"{display_path(self.path)}: another run is writing to it; wait, or give another file"
                )
            if _is_at(file, self.path):
                return file
            file.close()  # replaced or removed between opening and locking

    def _begin(self, videos: list[Path]) -> None:
        """Find the missing videos; remove lines that will be written anew, and one that was cut off."""
        lines, is_whole = self._read()
        answered = {line["video"]: line for line in lines if "error" not in line}
        for line in answered.values():
            self._check(line)
        self.missing = [v for v in videos if not _is_of(answered.get(str(v)), v)]
        anew = {str(video) for video in self.missing}
        kept = [line for line in lines if line["video"] not in anew]
        if not is_whole or len(kept) < len(lines):
            self._rewrite(kept)

    def _rewrite(self, lines: list[Line]) -> None:
        """Replace the file by one with these lines, which is locked before it takes the old one's place."""
        with atomic_path(self.path) as temporary:
            file = temporary.open("ab")
            try:
                _lock(file)
                file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
                file.flush()
            except BaseException:
                file.close()
                raise
        self._file.close()
        self._file = file

    def _read(self) -> tuple[list[Line], bool]:
        """All whole lines, and whether nothing follows the last of them.

        Raises:
            InputError: A line was not written by `add`, or what follows the last newline is no begun line.
        """
        *whole, rest = self.path.read_bytes().split(b"\n")
        lines = [self._line(number, text) for number, text in enumerate(whole, 1)]
        if _is_json(rest):  # only its newline is missing
            return [*lines, self._line(len(lines) + 1, rest)], False
        if not (rest.startswith(_BEGIN) or _BEGIN.startswith(rest)):
            raise self._foreign(len(lines) + 1)
        return lines, not rest

    def _line(self, number: int, text: bytes) -> Line:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not (
            isinstance(line, dict)
            and isinstance(line.get("video"), str)
            and isinstance(line.get("asked"), dict)
            and "file" in line
            and isinstance(line["file"], dict | None)
        ):
            raise self._foreign(number)
        return line

    def _foreign(self, number: int) -> InputError:
        return InputError(
            f"{display_path(self.path)}:{number}: not a line of a journal of results; give another file"
        )

    def _check(self, line: Line) -> None:
        names = [name for name in self._settings if line["asked"].get(name) != self._settings[name]]
        if names:
            name = names[0]
            raise UsageError(
                f"{display_path(self.path)} has answers with {name} "
                f"{line['asked'].get(name)!r}, and now it is "
                f"{self._settings[name]!r}; give another file, or the same settings"
            )


def _lock(file: BinaryIO) -> bool:
    """Whether the file is ours alone now; True where the platform has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is the one that the path leads to."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_of(line: Line | None, video: Path) -> bool:
    """Whether this is a result of the file as it is now."""
    return line is not None and line["file"] is not None and line["file"] == _facts(video)


def _facts(video: Path) -> Line | None:
    """Size and time of change; None where the file cannot be found."""
    try:
        size_bytes, modified_s = file_facts(video)
    except (OSError, ValueError):
        return None
    return {"size_bytes": size_bytes, "modified_s": modified_s}
