"""The answers of a batch in a file, one JSON object a line, from which a later run goes on.

with ResultsJournal("answers.jsonl", asked, videos) as answers:
    for video in answers.missing:
        answers.add(video, classify(video).to_dict())

Each line is on the disk before the next video begins, so that a crash or a power cut loses at most one. A
line tells of which file it is, by size and time of change, and what was asked.
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


class ResultsJournal:
    """Use it in a `with` block: nobody else may write to the file meanwhile.

    Args:
        path: The file; made if it is not there.
        settings: What decides the answers beside the video: model, weights, views … Values that JSON knows.
        videos: That answers are wanted of.
    Attributes:
        missing: Those that have no answer yet: new, failed before, or changed since.
    Raises:
        UsageError: The file has answers to something else, or another run is writing to it.
        InputError: The file is none of ours; nothing was changed.
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
        """Put the answer, or {"error": …}, behind the others, on the disk."""
        line = {"video": str(video), **answer, "asked": self._settings, "file": _facts(video)}
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _opened(self) -> BinaryIO:
        """Behind its last line, and locked where the platform can."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab")
        try:
            import fcntl
        except ImportError:  # Windows
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise UsageError(
                f"{display_path(self.path)}: another run is writing to it; wait, or give another file"
            ) from error
        return file

    def _begin(self, videos: list[Path]) -> None:
        """Find what is missing; take out the lines that will be written anew, and one that was cut off."""
        lines, is_whole = self._read()
        answered = {line["video"]: line for line in lines if "error" not in line}
        for line in answered.values():
            self._check(line)
        self.missing = [v for v in videos if not _is_of(answered.get(str(v)), v)]
        anew = {str(video) for video in self.missing}
        kept = [line for line in lines if line["video"] not in anew]
        if is_whole and len(kept) == len(lines):
            return
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)
        old = self._file
        self._file = self._opened()
        old.close()

    def _read(self) -> tuple[list[Line], bool]:
        """All lines, and whether the last one is whole."""
        *whole, rest = self.path.read_bytes().split(b"\n")
        return [self._line(number, text) for number, text in enumerate(whole, 1)], not rest

    def _line(self, number: int, text: bytes) -> Line:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not (
            isinstance(line, dict)
            and isinstance(line.get("video"), str)
            and isinstance(line.get("asked"), dict)
            and isinstance(line.get("file"), dict | None)
        ):
            raise InputError(
                f"{display_path(self.path)}:{number}: `twinpath classify --out` did "
                "not write this; give another file"
            )
        return line

    def _check(self, line: Line) -> None:
        names = [name for name in self._settings if line["asked"].get(name) != self._settings[name]]
        if names:
            name = names[0]
            raise UsageError(
                f"{display_path(self.path)} has answers with {name} "
                f"{line['asked'].get(name)!r}, and now it is "
                f"{self._settings[name]!r}; give another file with --out, or ask as before"
            )


def _is_of(line: Line | None, video: Path) -> bool:
    """Whether this is an answer of the file as it is now."""
    return line is not None and line["file"] is not None and line["file"] == _facts(video)


def _facts(video: Path) -> Line | None:
    """None where the file cannot be looked at."""
    try:
        size_bytes, modified_s = file_facts(video)
    except (OSError, ValueError):
        return None
    return {"size_bytes": size_bytes, "modified_s": modified_s}
