"""Bars on stderr, where that is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, TypeVar, cast

from twinpath.cli.console import print_note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from twinpath.weights.callbacks import Progress as DownloadProgress

Item = TypeVar("Item")


class BatchBar:
    """A bar over the items of a batch; of a single item over its parts. Gone while a result is printed.

    bar = BatchBar("scoring", total=len(videos))
    for outcome in bar.over(write_timelines(videos, job, load, progress=bar)):
        ...

    Args:
        title: Stands before the bar.
        total: How many items there are.
    """

    def __init__(self, title: str, *, total: int) -> None:
        self.total = total
        self._bars = _bars()
        self._task = self._bars.add_task(title, total=total if total > 1 else None, visible=total > 1)
        self._done = 0

    def __call__(self, done: int, parts: int) -> None:
        """How many parts of the current item are done, and of all."""
        if self.total > 1:
            self._bars.update(self._task, completed=self._done + done / max(parts, 1))
        else:
            self._bars.update(self._task, completed=done, total=parts, visible=parts > 1)

    def further(self, title: str) -> Callable[[int, int], None]:
        """A function to call with how many of something else are done, and of all: a second bar, then."""
        task = self._bars.add_task(title, visible=False)
        return lambda done, total: self._bars.update(task, completed=done, total=total, visible=True)

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the bar is there while one is being made."""
        iterator = iter(items)
        while True:
            with self._bars:
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            self._done += 1
            if self.total > 1:
                self._bars.update(self._task, completed=self._done)
            yield item


@contextlib.contextmanager
def count_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how many are done, and of all; a bar from the first call on."""
    with _bars() as bars:
        task = bars.add_task(title, visible=False)

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=total > 1)

        yield update


@contextlib.contextmanager
def step_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with what is done now, how many of it are done, and of all.

    A bar has the time left. Where nobody would see a bar, each step is a note when it begins.
    """
    step = ""
    with _bars() as bars:
        task = bars.add_task("", visible=False)

        def update(title: str, done: int, total: int) -> None:
            nonlocal step
            if title != step:
                step = title
                if isinstance(bars, _NoBars):
                    print_note(f"{title}: {total} ...")
                else:
                    bars.reset(task, description=title, visible=True)
            bars.update(task, completed=done, total=total)

        yield update


@contextlib.contextmanager
def download_bar(title: str) -> Iterator[DownloadProgress]:
    """A function to call with the bytes that are done and expected; a bar from the first call on."""
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


def _bars() -> Progress | _NoBars:
    """A bar with a count and the time left."""
    if not sys.stderr.isatty():
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
