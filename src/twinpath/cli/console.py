"""What the commands print with: lines, JSON lines and tables on stdout, notes on stderr."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from twinpath.addresses import mask_secrets
from twinpath.escapes import printable

if TYPE_CHECKING:
    from rich.console import Console

    from twinpath.results.classification import Prediction

BAR_WIDTH = 24


def one_line(message: str) -> str:
    """The message on one line, without secrets of addresses and without what a terminal would obey.

    Line breaks and tabs become spaces, other control characters escapes, also where a file's name has them.
    """
    return printable(mask_secrets(" ".join(message.splitlines())).replace("\t", " "))


def print_note(message: str) -> None:
    """A note to the user, on stderr; the work does not depend on somebody reading it."""
    try:
        print(one_line(message), file=sys.stderr, flush=True)
    except OSError:  # closed, or on a full disk
        discard(sys.stderr)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print_note(f"{record.levelname.lower()}: {record.getMessage()}")


def log_as_notes() -> None:
    """Print warnings that the library logs."""
    logger = logging.getLogger("twinpath")
    if not any(isinstance(handler, _Notes) for handler in logger.handlers):
        logger.addHandler(_Notes(logging.WARNING))


def print_line(text: str = "") -> None:
    """A line of a result on stdout, at once; escaped as `one_line` does it."""
    print(one_line(text), flush=True)


def print_json(value: Any) -> None:
    """One JSON object on a line of its own, at once; ASCII, which every locale can write."""
    print(json.dumps(value, allow_nan=False), flush=True)


def stdout_console() -> Console:
    """For tables; a pipe gets all columns, uncut."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty()
    )


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its head.
        cells: One text for each row.
        dispensable: Where the terminal is narrow, columns go by this number, highest first; 0 stays.
        right: Whether its cells stand at the right.
    """

    title: str
    cells: list[str]
    dispensable: int = 0
    right: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", [one_line(cell) for cell in self.cells])

    @property
    def width(self) -> int:
        return max(len(cell) for cell in (self.title, *self.cells))

    def padded(self) -> list[str]:
        """The title and the cells, all of one width."""
        return [
            cell.rjust(self.width) if self.right else cell.ljust(self.width)
            for cell in (self.title, *self.cells)
        ]


def print_table(columns: Sequence[Column]) -> None:
    """A table whose cells are never cut, so that they can be copied; narrow terminals get fewer columns."""
    from rich.text import Text

    console = stdout_console()
    shown = list(columns)
    while sum(column.width + 2 for column in shown) - 2 > console.width:
        least = max(shown, key=lambda column: column.dispensable)
        if not least.dispensable:
            break
        shown.remove(least)
    for number, cells in enumerate(zip(*(column.padded() for column in shown), strict=True)):
        line = Text("  ".join(cells).rstrip(), style="bold" if number == 0 else "")
        console.print(line, soft_wrap=True)


def print_predictions(predictions: Iterable[Prediction]) -> None:
    """Labels, bars and scores."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column("label")
    table.add_column("bar", style="cyan", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for prediction in predictions:
        table.add_row(
            Text(one_line(prediction.label)), bar(prediction.score), f"{100 * prediction.score:.1f} %"
        )
    stdout_console().print(table)


def bar(share: float) -> str:
    """A share of 1 as a bar of fixed width."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR_WIDTH, "·" if share >= 0 else " ")


class Output:
    """stdout, whose errors say that they are of stdout.

    Attributes:
        outlives_reader: Discard what cannot be written in place of raising an error.
        failure: The first error, apart from a reader's going; None: there was none.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.outlives_reader = False
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if text != "":  # typer tries that, and then b""
            with self._checked():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._checked():
            self._stream.flush()

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            discard(self._stream)
            is_unread = error.errno in (errno.EPIPE, errno.EIO)  # EIO: of a terminal that was closed
            named = OSError(error.errno, os.strerror(error.errno or 0), "stdout")
            if not is_unread:
                self.failure = self.failure or named
            if not self.outlives_reader:
                raise (error if is_unread else named) from error


def outlive_reader() -> None:
    """Make stdout discard what nobody reads any more, as with `| head`, in place of ending the command.

    For commands that write files: these are then complete. The exit code says so; where stdout is a file on a
    full disk, it says that.
    """
    if not isinstance(sys.stdout, Output):
        sys.stdout = cast("TextIO", Output(sys.stdout))
    cast("Output", sys.stdout).outlives_reader = True


def discard(stream: TextIO) -> None:
    """From now on nothing of the stream is written; what is in its buffer must not fail at the exit."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
