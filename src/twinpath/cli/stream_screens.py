"""What `twinpath stream` says: answers as lines, JSON lines or a table, and a tally at the end."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType

    from twinpath.recognize.live import Counters, LiveRecognition, StreamAnswer
    from twinpath.render.live import AnnotatedFile
    from twinpath.results.detections import Track
    from twinpath.video.live import LiveReader


class Tally:
    """What there is to say at the end.

    Args:
        reader: What was read from.
        file: What was written, if anything.
    Attributes:
        reason: Why it ended.
        counters: The last ones.
    """

    def __init__(self, reader: LiveReader, file: AnnotatedFile | None) -> None:
        self.reason = "end of the source"
        self.counters: Counters | None = None
        self._reader = reader
        self._file = file
        self._latencies_s = (0.0, 0.0)  # sum, maximum
        self._answers = 0

    def add(self, answer: StreamAnswer) -> None:
        self._answers += 1
        total_s, most_s = self._latencies_s
        self._latencies_s = (total_s + answer.latency_s, max(most_s, answer.latency_s))

    @property
    def mean_latency_s(self) -> float:
        return self._latencies_s[0] / max(self._answers, 1)

    def to_dict(self) -> dict[str, Any]:
        assert self.counters is not None
        file = self._file
        written = (
            {"frames_written": file.frames_written, "frames_left_out": file.frames_left_out} if file else {}
        )
        return {
            "reason": self.reason,
            **asdict(self.counters),
            "latency_mean_s": round(self.mean_latency_s, 3),
            "latency_max_s": round(self._latencies_s[1], 3),
            "reconnects": self._reader.reconnects,
            "packets_damaged": self._reader.damaged,
            **written,
        }

    def __str__(self) -> str:
        counters, file = self.counters, self._file
        assert counters is not None
        parts = [
            f"{counters.windows} windows answered, {counters.windows_skipped} skipped",
            f"{counters.frames_read} frames read, {counters.frames_used} used, "
            f"{counters.frames_dropped} dropped",
        ]
        if self._answers:
            parts.append(f"latency {self.mean_latency_s:.2f} s, at most {self._latencies_s[1]:.2f} s")
        if self._reader.reconnects:
            parts.append(f"reconnections: {self._reader.reconnects}")
        if self._reader.damaged:
            parts.append(f"damaged packets: {self._reader.damaged}")
        if file is not None and file.frames_written:
            left_out = f", {file.frames_left_out} left out" if file.frames_left_out else ""
            parts.append(f"wrote {file.path} ({file.frames_written} frames{left_out})")
        return "; ".join(parts)


class Screen(AbstractContextManager[None], Protocol):
    """Where answers go, on stdout."""

    def display_path(self, answer: StreamAnswer | None) -> None:
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

    def display_path(self, answer: StreamAnswer | None) -> None:
        if answer is not None:
            said = _in_words(answer) or "-"
            print(f"{answer.start_s:.1f}-{answer.end_s:.1f} s  {said}", flush=True)

    def end(self, tally: Tally) -> None:
        pass


class _JsonLines(_Lines):
    """One object for each answer, and one at the end."""

    def __init__(self, model: str, source: str) -> None:
        self._who = {"source": source, "model": model}

    def display_path(self, answer: StreamAnswer | None) -> None:
        from twinpath.cli.console import print_json

        if answer is not None:
            print_json({"event": "window", **self._who, **answer.to_dict()})

    def end(self, tally: Tally) -> None:
        from twinpath.cli.console import print_json

        print_json({"event": "end", **self._who, **tally.to_dict()})


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

    def display_path(self, answer: StreamAnswer | None) -> None:
        self._answer = answer or self._answer
        self._table.update(self._draw(), refresh=True)

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        from twinpath.cli.console import bar

        counters, answer = self._live.counters, self._answer
        table = Table.grid(padding=(0, 2))
        when = "waiting for pictures"
        if answer is not None:
            when = f"{answer.start_s:.1f} to {answer.end_s:.1f} s, answered {answer.latency_s:.2f} s later"
            for p in answer.predictions:
                table.add_row(Text(p.label), Text(bar(p.score), style="cyan"), f"{100 * p.score:.1f} %")
            for track in answer.people or ():
                table.add_row(Text(f"person {track.track_id}"), Text(_actions_in_words(track)))
        elif counters.frames_read:
            when = "filling the first window"
        footer = (
            f"{counters.frames_read} frames, {counters.frames_dropped} dropped; "
            f"{counters.windows} windows, {counters.windows_skipped} skipped"
        )
        return Group(Text(f"{self._source}  {when}", style="bold"), table, Text(footer, style="dim"))
