"""Open a video file safely, and track the budget of reading it.

Every other module of this package opens files through `open_video`; cameras and URLs are in `live.py`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from twinpath.addresses import is_address
from twinpath.cores import decoder_threads
from twinpath.errors import (
    LimitExceeded,
    NoFrames,
    NotAFile,
    NotAVideo,
    NoVideoStream,
    UnsupportedCodec,
)
from twinpath.paths import display_path
from twinpath.prefetch import check_prefetch
from twinpath.video.file_access import ffmpeg_input, open_binary
from twinpath.video.refused_size import refused_size
from twinpath.video.sniff import FORMAT_WHITELIST, RAW_SUFFIXES, SNIFF_BYTES, gif_size, has_mp4_index, sniff

MAX_READ_ERRORS = 64  # in a row; a demuxer that fails this often makes no progress
DEFAULT_FPS = Fraction(25)  # FFmpeg's default for raw streams, too
_SANE_FPS = (Fraction(1, 1000), Fraction(100_000))
_MICROSECOND = Fraction(1, 1_000_000)

#: Accept metadata in Latin-1. PyAV 19 keeps such bytes and has no such argument.
METADATA_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on reading one video. Exceeding one raises `LimitExceeded`."""

    max_pixels: int = 8192 * 8192  # width x height of a frame; checked before anything is decoded
    max_frames: int | None = 1_000_000  # decoded in one call, selected or not: nine hours at 30 fps
    max_bytes: int = 4 * 2**30  # RGB frames in memory at a time: of one call, or of one clip of a stream
    max_seconds: float | None = None  # wall-clock time of one call or stream; for servers


DEFAULT_LIMITS = Limits()


@dataclass
class Budget:
    """Counts the use of `Limits` while one file is read."""

    path: Path
    limits: Limits
    frames: int = 0
    started: float = field(default_factory=time.monotonic)

    def spend(self, frames: int) -> None:
        """Add decoded frames.

        Raises:
            LimitExceeded: Too many frames, or too much time since the file was opened.
            PrefetchStopped: The frames are not wanted any more.
        """
        check_prefetch()
        self.frames += frames
        if self.limits.max_frames is not None and self.frames > self.limits.max_frames:
            raise LimitExceeded(
                f"{display_path(self.path)}: reading it takes more than {self.limits.max_frames} frames; "
                "cut the video or raise max_frames"
            )
        if self.limits.max_seconds is not None and time.monotonic() - self.started > self.limits.max_seconds:
            raise LimitExceeded(
                f"{display_path(self.path)}: reading it takes longer than {self.limits.max_seconds:g} s; "
                "cut the video or raise max_seconds"
            )

    def check_bytes(self, size_bytes: int, *, what: str) -> None:
        """Check RGB frames before memory is allocated for them.

        Args:
            size_bytes: Size of all frames that would be in memory.
            what: The frames, for the message: "50 frames of 64x48".
        Raises:
            LimitExceeded: More than `Limits.max_bytes`.
        """
        if size_bytes > self.limits.max_bytes:
            raise LimitExceeded(
                f"{display_path(self.path)}: {what} are more than {self.limits.max_bytes} bytes; "
                "scale the video down, take fewer or shorter clips at a time, or raise max_bytes"
            )

    @contextmanager
    def memory_errors(self) -> Iterator[None]:
        """Within the block, a `MemoryError` becomes a `LimitExceeded` that names the file."""
        try:
            yield
        except MemoryError as error:
            raise out_of_memory(self.path) from error


def out_of_memory(path: Path) -> LimitExceeded:
    """The error for a file that needs more memory than is available."""
    return LimitExceeded(f"{display_path(path)}: decoding it takes more memory than there is; scale it down")


def as_fraction(rational: Any) -> Fraction | None:
    """A rational of PyAV; None if it is unset: PyAV 18 returns None for that, PyAV 19 a falsy rational."""
    return Fraction(rational.numerator, rational.denominator) if rational else None


class VideoSource:
    """An open video file: its container, its video stream, and its packets.

    Attributes:
        path: The path as given.
        kind: The demuxer's name, one of `sniff.DEMUXERS`.
        budget: Counts the use of the limits.
        stream: The video stream that is read.
        time_base: Seconds per tick of the stream's clock.
        origin: Presentation time of the first frame, in ticks (MPEG-TS starts at any time).
        nominal_fps: The frame rate in the header, or 25 if it is missing or implausible.
        claimed_frames: Number of frames by the header, or None. Decoding may give another number.
        codec: FFmpeg's name of the decoder.
        claimed_duration_s: Duration of the stream by the header in seconds, or None. Decoding may give
            another.
        read_errors: Number of errors of the demuxer so far.
        on_one_thread: Whether `use_one_thread` was called. It is called on a computer with one core, too:
            frames behind damage differ slightly if decoding starts at another keyframe.
    """

    container: InputContainer
    stream: VideoStream
    time_base: Fraction
    origin: int
    nominal_fps: Fraction
    claimed_frames: int | None
    claimed_duration_s: float | None
    codec: str
    read_errors: int

    def __init__(self, path: Path, *, kind: str, limits: Limits) -> None:
        self.path = path
        self.kind = kind
        self.limits = limits
        self.budget = Budget(path, limits)
        self.on_one_thread = False
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.container.close()

    def _open(self) -> None:
        with ffmpeg_input(self.path) as (address, protocol):
            self.container = av.open(
                address,
                format=self.kind,
                **METADATA_OPTIONS,
                options={
                    **protocol,
                    "format_whitelist": FORMAT_WHITELIST,
                    "max_pixels": str(self.limits.max_pixels),  # opening decodes some frames
                },
            )
        try:
            self.stream = choose_stream(self.container, display_path(self.path))
            self._check_size()
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.options = {"max_pixels": str(self.limits.max_pixels)}  # sizes change midway
        self.stream.thread_type = "FRAME"  # threads for slices of one frame do not report damage
        self.stream.codec_context.thread_count = 1 if self.on_one_thread else decoder_threads()
        self._read_header()
        self.read_errors = 0
        self._at_start = True

    def _check_size(self) -> None:
        context = self.stream.codec_context
        size = (context.width, context.height)
        if 0 in size:
            options = {"format_whitelist": FORMAT_WHITELIST, "max_pixels": str(self.limits.max_pixels)}
            size = refused_size(self.path, kind=self.kind, options=options, **METADATA_OPTIONS)
        check_pixels(*size, path=self.path, limits=self.limits)

    def _read_header(self) -> None:
        """Copy the header's values: after `close` the stream must not be accessed."""
        self.time_base = as_fraction(self.stream.time_base) or _MICROSECOND
        self.origin = self.stream.start_time or 0
        self.nominal_fps = self._nominal_fps()
        self.claimed_frames = self.stream.frames or None
        self.claimed_duration_s = self._claimed_duration_s()
        self.codec = self.stream.codec_context.name

    @property
    def has_pts(self) -> bool:
        """Whether packets have presentation times: raw streams have none, AVI only the decoding order."""
        return self.kind not in ("avi", "h264", "hevc")

    @property
    def can_seek(self) -> bool:
        """Whether the container has a reliable index; otherwise packets are skipped from the start."""
        return self.kind in ("mov", "matroska")

    @property
    def is_raw(self) -> bool:
        """Whether it is H.264 or HEVC without a container, which has no timestamps."""
        return self.kind in ("h264", "hevc")

    def _nominal_fps(self) -> Fraction:
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        if self.is_raw:  # the average rate is only FFmpeg's default; the codec's header may have the rate
            rates.reverse()
        for rate in map(as_fraction, rates):
            if rate is not None and _SANE_FPS[0] <= rate <= _SANE_FPS[1]:
                return rate
        return DEFAULT_FPS

    def _claimed_duration_s(self) -> float | None:
        if self.stream.duration:
            return float(self.stream.duration * self.time_base)
        tag = self.stream.metadata.get("DURATION", "")  # Matroska, as FFmpeg and mkvmerge write it
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video stream from the current position to the end; unreadable parts are skipped."""
        self._at_start = False
        failures = 0
        while failures < MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    if packet.size:
                        yield packet
                    elif packet.pts is None and packet.dts is None:
                        # PyAV marks the end with an empty packet per stream; it cannot decode earlier ones.
                        return
            except av.FFmpegError:
                failures += 1
                self.read_errors += 1
            else:
                return

    def rewind(self) -> None:
        """Go to the start by opening the file again: only this works for every format and any damage."""
        if not self._at_start:
            self._open_again()

    def use_one_thread(self) -> None:
        """Go to the start and decode on one thread from now on.

        Threads share frames that are still being decoded. In a damaged file the result then depends on their
        timing, and behind an error each thread may lose its frame.
        """
        self.on_one_thread = True
        self._open_again()

    def _open_again(self) -> None:
        """Open the file again. Raises: NotAFile: It no longer exists."""
        self.close()
        try:
            self._open()
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotAFile(
                f"{display_path(self.path)} cannot be opened again ({reason}); was it "
                "moved or changed meanwhile?"
            ) from error

    def seek(self, time_s: float) -> bool:
        """Go to a keyframe at or before a time, by the container's index.

        Args:
            time_s: Seconds since the first frame.
        Returns:
            False if this file cannot seek; it is then rewound.
        """
        self._at_start = False
        try:
            self.container.seek(
                self.origin + round(time_s / self.time_base), stream=self.stream, backward=True
            )
        except (av.FFmpegError, OverflowError):
            self.rewind()
            return False
        return True


def open_video(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> VideoSource:
    """Open a video file. Its content decides whether it is one, not its name.

    Args:
        path: A file name: never a URL, a pattern or an FFmpeg protocol.
        limits: `max_pixels` is checked here, before anything is decoded. The other limits count from now on.
    Raises:
        NotAFile: It is missing, unreadable, or no regular file.
        NotAVideo: The content is no video, or its index is missing.
        NoVideoStream: For example audio only.
        NoFrames: A raw stream of 0 bytes.
        UnsupportedCodec: FFmpeg has no decoder for it.
        LimitExceeded: The frames are too large.
    """
    path = Path(path)
    head = _read_head(path)
    kind = sniff(head)
    if not head:
        kind_of_error = NoFrames if path.suffix.lower() in RAW_SUFFIXES else NotAVideo
        raise kind_of_error(f"{display_path(path)} is empty (0 bytes); was the upload complete?")
    if kind is None:
        raise NotAVideo(
            f"{display_path(path)} is not a video that Twinpath reads (MP4, MOV, MKV, "
            "WebM, AVI, MPEG-TS, GIF, "
            "raw H.264 or HEVC); convert it to MP4"
        )
    if kind == "gif":
        check_pixels(*gif_size(head), path=path, limits=limits)
    try:
        return VideoSource(path, kind=kind, limits=limits)
    except MemoryError as error:
        raise out_of_memory(path) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        if kind == "mov" and not _has_index(path):
            raise NotAVideo(
                f"{display_path(path)}: the index is missing; was the upload complete?"
            ) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAVideo(
            f"{display_path(path)} cannot be opened as {kind} ({reason}); is it complete?"
        ) from error


def check_pixels(width: int, height: int, *, path: Path, limits: Limits) -> None:
    """Check the frame size. Raises: LimitExceeded: More pixels than `limits.max_pixels`."""
    if width * height > limits.max_pixels:
        raise LimitExceeded(
            f"{display_path(path)} claims frames of {width}x{height}, more than {limits.max_pixels} pixels; "
            "scale the video down or raise max_pixels"
        )


def _read_head(path: Path) -> bytes:
    """The first bytes of a regular file."""
    try:
        with open_binary(path) as file:
            return file.read(SNIFF_BYTES)
    except FileNotFoundError as error:
        if is_address(str(path)):
            raise NotAFile(
                f"{display_path(path)} is an address, not a file; save the video as a file first"
            ) from error
        raise NotAFile(f"{display_path(path)} does not exist; check the name") from error
    except OSError as error:  # no permission, a name too long, a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAFile(f"{display_path(path)} cannot be read: {reason}") from error


def _has_index(path: Path) -> bool:
    with open_binary(path) as file:
        return has_mp4_index(file)


def choose_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that can be decoded and is no cover picture.

    Args:
        container: An open container.
        name: The file or URL, for messages.
    Raises:
        NoVideoStream: There is none, for example audio only.
        UnsupportedCodec: FFmpeg has no decoder for any of them.
    """
    undecodable = False
    for stream in container.streams:
        if stream.type != "video" or stream.disposition & Disposition.attached_pic:
            continue
        if isinstance(stream, VideoStream) and stream.codec_context is not None:
            return stream
        undecodable = True
    if undecodable:
        raise UnsupportedCodec(
            f"{name}: this FFmpeg has no decoder for its video codec {_codec_name(container)}; "
            "convert it to H.264"
        )
    raise NoVideoStream(f"{name} has no video stream, only {_other_streams(container)}; check the source")


def _other_streams(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) or "an empty container"


def _codec_name(container: InputContainer) -> str:
    """The codec tag of a video stream without a decoder, for example "xxxx / 0x78787878".

    PyAV has no codec context for it, but FFmpeg's description of the file has the tag.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        description: str = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(level)
    found = re.search(r"Video: ([^,\n]*)", description)
    return found[1].strip() if found else "(unknown)"
