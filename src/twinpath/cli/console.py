"""What the commands print with: tables on a terminal, progress on stderr, one line for each error."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from twinpath.results.classification import Prediction
    from twinpath.weights.fetch import Progress as DownloadProgress

BAR_WIDTH = 24
Item = TypeVar("Item")


def one_line(message: str) -> str:
    """The message without line breaks, also where a file's name has one."""
    return " ".join(message.split("\n")).replace("\r", " ")


def print_note(message: str) -> None:
    """A note to the user, on stderr."""
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


class _NoBars:
    """In place of bars that nobody would see: loading rich takes time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add_task(self, title: str, **_: object) -> TaskID:
        return cast("TaskID", 0)

    def update(self, task: TaskID, **_: object) -> None:
        pass


def _bars(*, display_path: bool = True) -> Progress | _NoBars:
    """A bar with a count and the time left, on stderr if that is a terminal."""
    if not (display_path and sys.stderr.isatty()):
        return _NoBars()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,  # rich would send results that go to a file to the terminal instead
    )


class Part:
    """Tells `with_progress` how far the item is that is being made: call it with how many of how many."""

    on_status: Callable[[float], None] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self.on_status is not None and total:
            self.on_status(done / total)


def with_progress(
    items: Iterable[Item], *, total: int, title: str, part: Part | None = None
) -> Iterator[Item]:
    """The same items, with a bar and the time left on stderr if that is a terminal.

    The bar is there while an item is being made, and gone while the caller has it and may print.

    Args:
        items: What takes time to make.
        total: How many there are.
        title: Stands before the bar.
        part: Called by who makes an item, where that takes long.
    """
    bars = _bars(display_path=total > 1)
    task = bars.add_task(title, total=total)
    done = 0
    if part is not None:
        part.on_status = lambda share: bars.update(task, completed=done + share)
    iterator = iter(items)
    while True:
        with bars:
            try:
                item = next(iterator)
            except StopIteration:
                return
        done += 1
        bars.update(task, completed=done)
        yield item


@contextlib.contextmanager
def count_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many are done, of how many; a bar on stderr from the first call on."""
    with _bars() as bars:
        task = bars.add_task(title, visible=False)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=total > 1)

        yield update


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[DownloadProgress]:
    """A bar on stderr, for `fetch(…, progress=…)`; shows nothing until the first piece arrives."""
    if not sys.stderr.isatty():  # loading rich would take time
        yield lambda done_bytes, total_bytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as DownloadBars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with DownloadBars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None, visible=False)

        def update(done_bytes: int, total_bytes: int | None) -> None:
            bars.update(task, completed=done_bytes, total=total_bytes, visible=True)

        yield update
