"""What the commands print with: lines, JSON lines and tables on stdout, notes on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

    from twinpath.results.classification import Prediction

BAR_WIDTH = 24


def one_line(message: str) -> str:
    """The message without line breaks, also where a file's name has one."""
    return " ".join(message.split("\n")).replace("\r", " ")


def print_note(message: str) -> None:
    """A note to the user, on stderr; the work does not depend on somebody reading it."""
    with _discarding(sys.stderr):
        print(one_line(message), file=sys.stderr, flush=True)


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
        table.add_row(Text(prediction.label), bar(prediction.score), f"{100 * prediction.score:.1f} %")
    stdout_console().print(table)


def bar(share: float) -> str:
    """A share of 1 as a bar of fixed width."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR_WIDTH, "·" if share >= 0 else " ")


class _ForgivingOutput:
    """stdout, as long as somebody reads it; then nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _discarding(self._stream):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with _discarding(self._stream):
            self._stream.flush()


def outlive_reader() -> None:
    """Make stdout discard what nobody reads any more, as with `| head`, in place of ending the command.

    For commands that write files: these are then complete, and the exit code says so.
    """
    if not isinstance(sys.stdout, _ForgivingOutput):
        sys.stdout = cast("TextIO", _ForgivingOutput(sys.stdout))


@contextlib.contextmanager
def _discarding(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
