"""What the commands print with: tables on a terminal, progress on stderr, one line for each error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    from twinpath.recognize.results import Prediction

BAR_WIDTH = 24
Item = TypeVar("Item")


def one_line(message: str) -> str:
    """The message without line breaks, also where a file's name has one."""
    return " ".join(message.split("\n")).replace("\r", " ")


def say(message: str) -> None:
    """A note to the user, on stderr."""
    print(one_line(message), file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON object on a line of its own, at once."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def stdout_console() -> Console:
    """For tables; a pipe gets all columns, uncut."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty()
    )


def print_predictions(predictions: Iterable[Prediction]) -> None:
    """Labels, bars and scores."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for column in ("label", "bar", "score"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for prediction in predictions:
        table.add_row(
            prediction.label, f"[cyan]{bar(prediction.score)}[/]", f"{100 * prediction.score:.1f} %"
        )
    stdout_console().print(table)


def bar(share: float) -> str:
    """A share of 1 as a bar of fixed width."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(BAR_WIDTH, "·" if share >= 0 else " ")


def with_progress(items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
    """The same items, with a bar and the time left on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=total < 2 or not console.is_terminal
    ) as bars:
        task = bars.add_task(title, total=total)
        for item in items:
            yield item
            bars.advance(task)
