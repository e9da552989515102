"""A file that is played as a live source, read in this process or in another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from av.video.frame import VideoFrame

from twinpath.paths import display_path
from twinpath.video.damage import DamageReport, check_decoded
from twinpath.video.decode_pass import DecodePass
from twinpath.video.isolated.sandbox import open_frames_isolated
from twinpath.video.source import Limits, open_video


class FileConnection:
    """A file, read as by `FrameStream`."""

    def __init__(
        self, path: str, limits: Limits, on_status: Callable[[str], None], *, fps: float | None
    ) -> None:
        self._file = open_video(path, limits=limits, fps=fps)
        self._on_status = on_status
        self.fps = float(self._file.nominal_fps)
        self.damaged = 0
        self.is_recorded = True

    def close(self) -> None:
        self._file.close()

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        decoding = DecodePass(self._file)
        first_s = None
        for time_s, av_frame in decoding:
            first_s = time_s if first_s is None else first_s
            self.damaged = decoding.bad_packets
            yield time_s, av_frame
        check_decoded(decoding, self._file.path)
        report = DamageReport(self._file)
        report.add_whole(decoding, first_s=first_s, ends_at_s=decoding.ends_at_s)
        for warning in report.warnings():
            self._on_status(f"warning: {display_path(self._file.path)}: {warning}")


class IsolatedFileConnection:
    """The frames of a file for `LiveReader`, already RGB and upright.

    Attributes:
        fps: The frame rate of the file's header.
        damaged: Number of damaged packets; unknown here: 0. The warnings at the end count what is missing.
        is_recorded: Always.
    """

    def __init__(
        self, path: str, limits: Limits, on_status: Callable[[str], None], *, fps: float | None = None
    ) -> None:
        """Open the file. Raises: InputError, LimitExceeded, WorkerDied: As `open_frames_isolated`."""
        self._path = path
        self._frames = open_frames_isolated(path, limits=limits, fps=fps)
        self._on_status = on_status
        self.fps = self._frames.fps
        self.damaged = 0
        self.is_recorded = True

    def close(self) -> None:
        self._frames.close()

    def frames(self) -> Iterator[tuple[float | None, VideoFrame]]:
        """Yield the time in seconds and the frame; tell warnings about the file at its end."""
        for time_s, picture in self._frames:
            yield time_s, VideoFrame.from_ndarray(picture, format="rgb24")
        for warning in self._frames.warnings:
            self._on_status(f"warning: {display_path(Path(self._path))}: {warning}")
