"""How `twinpath stream` prints results: as lines, JSON lines or a table that changes."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from twinpath.cli.stream_tally import Tally
    from twinpath.recognize.live import LiveRecognition, StreamAnswer
    from twinpath.results.detections import Track
    from twinpath.video.live import LiveReader


class Screen(AbstractContextManager[None], Protocol):
    """Prints answers on stdout."""

    def show(self, answer: StreamAnswer | None) -> None:
        """A new answer; None: some time has passed."""

    def end(self, tally: Tally) -> None: ...


def open_screen(model: str, reader: LiveReader, live: LiveRecognition, *, as_json: bool | None) -> Screen:
    """JSON lines, a table on a terminal, or lines of text; None: JSON lines where stdout is no terminal."""
    is_terminal = sys.stdout.isatty()
    if as_json or (as_json is None and not is_terminal):
        return _JsonLines(model, reader.source.shown)
    return _LiveTable(reader.source.shown, live) if is_terminal else _Lines()


def _in_words(answer: StreamAnswer) -> str:
    if answer.people is None:
        return ", ".join(f"{p.label} {100 * p.score:.1f} %" for p in answer.predictions)
    return "; ".join(f"person {track.track_id}: {_actions_in_words(track)}" for track in answer.people)


def _actions_in_words(track: Track) -> str:
    return ", ".join(f"{a.label} {100 * a.score:.1f} %" for seen in track.points for a in seen.actions) or "-"


class _Lines:
    """One line of text for each answer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, answer: StreamAnswer | None) -> None:
        if answer is not None:
            print_line(f"{answer.start_s:.1f}-{answer.end_s:.1f} s  {_in_words(answer) or '-'}")

    def end(self, tally: Tally) -> None:
        pass


class _JsonLines(_Lines):
    """One object for each answer, and one at the end."""

    def __init__(self, model: str, source: str) -> None:
        self._facts = {"source": source, "model": model}

    def show(self, answer: StreamAnswer | None) -> None:
        from twinpath.cli.console import print_json

        if answer is not None:
            print_json({"event": "window", **self._facts, **answer.to_dict()})

    def end(self, tally: Tally) -> None:
        from twinpath.cli.console import print_json

        print_json({"event": "end", **self._facts, **tally.to_dict()})


class _LiveTable(_Lines):
    """One table that changes, on a terminal. Notes on stderr scroll above it."""

    def __init__(self, source: str, live: LiveRecognition) -> None:
        from rich.live import Live

        from twinpath.cli.console import stdout_console

        self._source = source
        self._live = live
        self._answer: StreamAnswer | None = None
        self._table = Live(
            console=stdout_console(),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> None:
        self._table.start()

    def __exit__(self, *_: object) -> None:
        self._table.stop()

    def show(self, answer: StreamAnswer | None) -> None:
        self._answer = answer or self._answer
        self._table.update(self._draw(), refresh=True)

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        from twinpath.cli.console import bar, one_line

        counters, answer = self._live.counters, self._answer
        table = Table.grid(padding=(0, 2))
        when = "waiting for pictures"
        if answer is not None:
            when = f"{answer.start_s:.1f} to {answer.end_s:.1f} s, answered {answer.latency_s:.2f} s later"
            for p in answer.predictions:
                table.add_row(
                    Text(one_line(p.label)), Text(bar(p.score), style="cyan"), f"{100 * p.score:.1f} %"
                )
            for track in answer.people or ():
                table.add_row(Text(f"person {track.track_id}"), Text(one_line(_actions_in_words(track))))
        elif counters.frames_read:
            when = "filling the first window"
        footer = (
            f"{counters.frames_read} frames, {counters.frames_dropped} dropped; "
            f"{counters.windows} windows, {counters.windows_skipped} skipped"
        )
        return Group(Text(f"{self._source}  {when}", style="bold"), table, Text(footer, style="dim"))
