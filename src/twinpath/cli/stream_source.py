"""The options of `twinpath stream` that tell how its source is read, and when to give it up."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from twinpath.cli.options import Fps

if TYPE_CHECKING:
    from twinpath.retry import RetryPolicy
    from twinpath.video.live import ConnectionOptions, LiveReader


@dataclass(frozen=True)
class SourceOptions:
    """How a live source is read."""

    realtime: Annotated[
        bool | None,
        typer.Option(
            "--realtime/--no-realtime",
            help="Play at its own speed, not as fast as it comes.  [default: files]",
        ),
    ] = None
    max_retries: Annotated[
        int | None,
        typer.Option(
            "--max-retries", min=0, metavar="N", help="Give up after so many failed tries.  [default: 8]"
        ),
    ] = None
    retry_for: Annotated[
        float | None,
        typer.Option(
            "--retry-for", min=0, metavar="S", help="Give up so long after the last picture; inf: never."
        ),
    ] = None
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.1, metavar="S", help="To wait for a server's answer or next data."),
    ] = 10.0
    transport: Annotated[
        str, typer.Option("--rtsp-transport", metavar="NAME", help="tcp, or udp, which waits for nothing.")
    ] = "tcp"
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate of an rtsps:// or https:// server.")
    ] = False
    fps: Fps = None

    def reader(self, source: str, stop: threading.Event) -> LiveReader:
        """Reads a source until it ends or `stop` is set; a file that cannot be opened is an error now.

        Raises:
            UsageError: There is no such kind of source or transport.
            InputError, LimitExceeded: The file cannot be opened.
        """
        from twinpath.cli.console import print_note
        from twinpath.video.live import LiveReader, parse_source

        reader = LiveReader(
            parse_source(source),
            stop=stop,
            on_status=print_note,
            realtime=self.realtime,
            retry=self._retry(),
            connection=self._connection(),
            fps=self.fps,
        )
        reader.check()
        return reader

    def _connection(self) -> ConnectionOptions:
        from twinpath.errors import UsageError
        from twinpath.video.live import ConnectionOptions

        if self.transport not in ("tcp", "udp"):
            raise UsageError(f"--rtsp-transport {self.transport!r}: give tcp or udp")
        transport = cast('Literal["tcp", "udp"]', self.transport)
        return ConnectionOptions(timeout_s=self.timeout, rtsp_transport=transport, verify=not self.insecure)

    def _retry(self) -> RetryPolicy:
        """A limit in seconds alone stands for itself: the number of tries is then free."""
        from twinpath.retry import RetryPolicy

        if self.retry_for is None:
            return RetryPolicy() if self.max_retries is None else RetryPolicy(max_retries=self.max_retries)
        return RetryPolicy(max_retries=self.max_retries, max_s=self.retry_for)
