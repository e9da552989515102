"""Write RGB arrays to an MP4 that every browser plays: H.264, yuv420p, index at the front."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from twinpath.atomic import atomic_path
from twinpath.errors import LimitExceeded, NoFrames, UsageError
from twinpath.paths import display_path
from twinpath.video.audio import AudioSource
from twinpath.video.encoders import DEFAULT_ENCODER, check_encoder, options_for_quality

_TICKS_PER_SECOND = 90_000  # approximate resolution of frame times

_BT601 = 6  # SMPTE 170M in H.264's table of matrices: swscale's default for RGB to YUV


class VideoWriter:
    """Writes frames to a video file atomically.

        with VideoWriter("out.mp4", width=320, height=240, fps=25) as writer:
            writer.write(frame)                # one frame period after the previous frame
            writer.write(frame, time_s=1.5)    # or at a given time

    Frames are written to a temporary file in the same folder. At the end of the block it replaces `path`; if
    an exception ends the block (Ctrl-C, too), it is removed. Odd sizes are padded by repeating the last row
    or column, as yuv420p needs even ones.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        width: int,
        height: int,
        fps: float | Fraction,
        crf: int = 20,
        preset: str = "fast",
        pixel_aspect: Fraction = Fraction(1),
        encoder: str = DEFAULT_ENCODER,
        audio: AudioSource | None = None,
        comment: str | None = None,
    ) -> None:
        """
        Args:
            path: The file to create or replace.
            width: Frame width in pixels.
            height: Frame height in pixels.
            fps: Frames per second; also written to the header.
            crf: x264's constant rate factor, 0 (lossless, large) to 51; 18 is nearly transparent, 28 visibly
                coarse. Other encoders come near it, or have a fixed bit rate.
            preset: x264's preset, from "ultrafast" to "veryslow": slower makes smaller files.
            pixel_aspect: Sample aspect ratio: width of a pixel over its height, for players.
            encoder: One of `encoders.ENCODERS`. Every browser plays libx264's H.264.
            audio: An audio track to copy; the writer does not close it.
            comment: A comment for the file's metadata, for example what made it.
        Raises:
            UsageError: The folder does not exist, a number is out of range, or the installed FFmpeg has no
                such encoder.
        """
        check_encoder(encoder)
        self.path = Path(path)
        rate = Fraction(fps).limit_denominator(1001)  # 29.97… is 30000/1001
        if width < 1 or height < 1 or rate <= 0 or not 0 <= crf <= 51:
            raise UsageError(
                "width and height must be at least 1, fps above 0 and crf from 0 to 51, not "
                f"{width}x{height} at {fps} fps with crf {crf}"
            )
        if not self.path.parent.is_dir():
            raise UsageError(
                f"cannot write {display_path(self.path)}: the folder does not exist; make it first"
            )
        self._size = (width, height)
        self._rate = rate
        self._ticks_per_frame = max(1, round(_TICKS_PER_SECOND / rate))
        self._next_ticks = 0
        self._audio = audio
        self._comment = comment
        self._frames = 0
        self._first_dts: int | None = None
        self._place = contextlib.ExitStack()
        self._temporary = self._place.enter_context(atomic_path(self.path))
        quality = options_for_quality(
            encoder, crf=crf, preset=preset, width=width, height=height, fps=float(rate)
        )
        self._open(encoder, quality, pixel_aspect)

    def _open(self, encoder: str, encoder_options: dict[str, str], pixel_aspect: Fraction) -> None:
        self._container = av.open(
            "file:" + os.path.abspath(self._temporary),  # noqa: PTH100 - resolve() would follow links
            "w",
            format="mp4",
            options={"movflags": "+faststart"},
        )
        if self._comment is not None:
            self._container.metadata["comment"] = self._comment
        self._stream = cast("VideoStream", self._container.add_stream(encoder, rate=self._rate))
        self._stream.width, self._stream.height = (side + side % 2 for side in self._size)
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {**encoder_options}
        self._stream.codec_context.time_base = 1 / (self._rate * self._ticks_per_frame)
        self._stream.codec_context.thread_count = 2  # fixed, since x264's output depends on it
        # Without a matrix, players guess it from the frame height.
        self._stream.codec_context.colorspace = _BT601
        self._stream.codec_context.sample_aspect_ratio = pixel_aspect
        if self._audio is not None:
            self._audio.join(self._container)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
        else:
            self._give_up(exc)

    def write(self, frame: npt.NDArray[np.uint8], time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            frame: (H, W, 3) uint8 RGB of the writer's size.
            time_s: Its presentation time in seconds since the start; must increase. None: one frame period
                after the previous frame.
        Raises:
            ValueError: Another shape or type, or a time that does not increase.
            LimitExceeded: MP4 does not hold such a time.
        """
        width, height = self._size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"expected a uint8 frame of shape {(height, width, 3)}, got {frame.dtype} {frame.shape}"
            )
        ticks = self._next_ticks
        if time_s is not None:
            ticks = round(time_s * float(self._rate * self._ticks_per_frame))
            earliest = self._next_ticks - self._ticks_per_frame + 1 if self._frames else 0
            if ticks < earliest:
                raise ValueError(f"frame times must increase; {time_s} s comes too late")
        if width % 2 or height % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = ticks
        picture.time_base = 1 / (self._rate * self._ticks_per_frame)
        with self._refusals():
            self._mux(self._stream.encode(picture))
            if self._audio is not None:
                self._audio.write_until(float(ticks / (self._rate * self._ticks_per_frame)))
        self._next_ticks = ticks + self._ticks_per_frame
        self._frames += 1

    def close(self) -> None:
        """Finish the file and move it to `path`.

        Raises:
            NoFrames: No frame was written; no file is created.
            OSError: For example a full disk; an existing file is kept.
        """
        try:
            if not self._frames:
                raise NoFrames(f"no frame was written to {display_path(self.path)}, so no video was made")
            with self._refusals():
                rest = self._stream.encode(None)
                self._lengthen(rest)
                self._mux(rest)
                if self._audio is not None:
                    self._audio.finish()
                self._container.close()
        except BaseException as error:
            self._give_up(error)
            raise
        self._place.close()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._container.mux(packet)

    def _lengthen(self, packets: list[Packet[VideoStream]]) -> None:
        """Let the last packet reach the end of the last frame, which may come long after the one before.

        The length of a track counts decoding times, which are those of earlier frames.
        """
        first_dts = self._first_dts if self._first_dts is not None or not packets else packets[0].dts
        if packets and first_dts is not None and packets[-1].dts is not None:
            duration = self._next_ticks + first_dts - packets[-1].dts
            if duration > self._ticks_per_frame:
                packets[-1].duration = duration

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Within the block, what FFmpeg cannot write is a typed error, for example a gap of years."""
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError | MemoryError):
                raise
            raise LimitExceeded(
                f"{display_path(self.path)} cannot be written as MP4 ({error.strerror}): the times or the "
                "size of its frames are beyond what it holds"
            ) from error

    def discard(self) -> None:
        """Remove the temporary file and leave `path` unchanged."""
        self._give_up(_Discarded())

    def _give_up(self, reason: BaseException) -> None:
        """Remove the temporary file. Raises: OSError: On a full disk; names `path`, not that file."""
        with contextlib.suppress(av.FFmpegError):  # an unfinished file cannot always be closed in order
            self._container.close()
        self._place.__exit__(type(reason), reason, reason.__traceback__)


class _Discarded(Exception):
    """Raised inside `atomic_path` to remove the temporary file."""
