"""Where `twinpath stream` shows frames with the newest results: a file, a window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinpath.recognize.live import StreamAnswer
    from twinpath.render.live import AnnotatedFile
    from twinpath.render.live_window import LiveWindow
    from twinpath.video.live import LiveFrame, LiveReader


class FrameViews:
    """The file and the window of a run.

    Args:
        reader: The frames come from it.
        annotate: The MP4 file to write, if any.
        encoder: What encodes it.
        has_window: Whether to open a window.
        inputs: Files that the run reads beside the source.
    Attributes:
        file: The annotated file, if any.
    Raises:
        UsageError: The file is no MP4, is an input, or its folder does not exist; or there is no screen.
        MissingExtra: Windows need a package that is not installed.
    """

    def __init__(
        self,
        reader: LiveReader,
        annotate: Path | None,
        *,
        encoder: str,
        has_window: bool,
        inputs: list[Path],
    ) -> None:
        self.file: AnnotatedFile | None = None
        self._window: LiveWindow | None = None
        self._first_at_s: float | None = None  # on `time.monotonic`
        if annotate is not None:
            from twinpath.render.live import AnnotatedFile

            _check(annotate, reader, inputs)
            self.file = AnnotatedFile(annotate, reader, encoder=encoder)
        if has_window:
            from twinpath.render.live_window import LiveWindow

            self._window = LiveWindow(f"twinpath: {reader.source.shown}")

    def add(self, frame: LiveFrame) -> None:
        """Show a frame; called in the reading thread."""
        if self._first_at_s is None:
            self._first_at_s = time.monotonic()
        for view in self._views():
            view.add(frame)

    def set_results(self, answer: StreamAnswer) -> None:
        """Draw these results on the frames that follow."""
        for view in self._views():
            view.overlay.predictions = answer.predictions
            view.overlay.people = answer.people or ()

    def is_over(self, stop_after_s: float | None) -> bool:
        """Whether the user closed the window, or so many seconds have passed since the first frame."""
        if self._window is not None and not self._window.is_open:
            return True
        return (
            stop_after_s is not None
            and self._first_at_s is not None
            and time.monotonic() - self._first_at_s >= stop_after_s
        )

    def close(self) -> None:
        """Raises: what finishing the file raises."""
        if self._window is not None:
            self._window.close()
        if self.file is not None:
            self.file.close()

    def _views(self) -> Iterator[AnnotatedFile | LiveWindow]:
        if self.file is not None:
            yield self.file
        if self._window is not None:
            yield self._window


def _check(annotate: Path, reader: LiveReader, inputs: list[Path]) -> None:
    """Raises: UsageError: the file cannot be written there."""
    from twinpath.errors import UsageError
    from twinpath.jobs.outputs import check_targets

    if annotate.suffix.lower() != ".mp4":
        raise UsageError(f"--annotate {annotate}: give the name of an MP4 file, something.mp4")
    source = reader.source
    check_targets([annotate], [*inputs, *([Path(source.address)] if source.kind == "file" else [])])
