"""One safe way to open a video file, and the budgets that reading it may spend.

Every other module of this package opens files through `open_video`.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from twinpath.errors import (
    LimitExceeded,
    NoFrames,
    NotAFile,
    NotAVideo,
    NoVideoStream,
    UnsupportedCodec,
)
from twinpath.paths import display_path
from twinpath.video.sniff import FORMAT_WHITELIST, RAW_SUFFIXES, SNIFF_BYTES, gif_size, has_mp4_index, sniff

_MAX_READ_ERRORS = 64  # in a row; a demuxer that fails this often makes no progress
_DEFAULT_FPS = Fraction(25)  # what FFmpeg assumes for raw streams, too
_SANE_FPS = (Fraction(1, 1000), Fraction(100_000))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading one video may cost. Whatever passes a limit raises `LimitExceeded`."""

    max_pixels: int = 8192 * 8192  # width x height of one picture; checked before anything is decoded
    max_frames: int | None = 1_000_000  # that come by in one call, wanted or not: nine hours at 30 fps
    max_bytes: int = 4 * 2**30  # RGB frames that one call returns: 10 views of 16 frames in 4K
    max_seconds: float | None = None  # of the clock on the wall, for one call; a server sets it


DEFAULT_LIMITS = Limits()


@dataclass
class Budget:
    """Counts what one call spends of its `Limits`."""

    path: Path
    limits: Limits
    frames: int = 0
    started: float = field(default_factory=time.monotonic)

    def spend(self, frames: int) -> None:
        """Raises: LimitExceeded: too many frames, or too much time."""
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


class VideoSource:
    """An open video file: its container, its video stream, and the packets in it.

    Attributes:
        path: As the caller gave it.
        kind: The demuxer's name, one of `sniff.DEMUXERS`.
        stream: The video stream that is read.
        origin: Presentation time of the first picture, in the stream's time base (MPEG-TS starts anywhere).
        read_errors: How often the demuxer failed on what was read of it.
        on_one_thread: Whether `use_one_thread` was called. It is, too, on a computer with one core: pictures
            behind damage look a little otherwise where decoding begins at another keyframe.
    """

    container: InputContainer
    stream: VideoStream
    origin: int
    read_errors: int

    def __init__(self, path: Path, *, kind: str, limits: Limits) -> None:
        self.path = path
        self.kind = kind
        self.limits = limits
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
        # "file:" and an absolute path keep a name such as "concat:a|b" or "-x.mp4" a name.
        self.container = av.open(
            "file:" + os.path.abspath(self.path),  # noqa: PTH100 - resolve() would follow symbolic links
            format=self.kind,
            metadata_errors="replace",  # a title in Latin-1 is no reason to refuse a video
            options={
                "protocol_whitelist": "file",
                "format_whitelist": FORMAT_WHITELIST,
                "max_pixels": str(self.limits.max_pixels),  # opening decodes a little, to learn the format
            },
        )
        try:
            self.stream = _choose_stream(self.container, self.path)
            self._check_size()
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.options = {"max_pixels": str(self.limits.max_pixels)}  # sizes change midway
        self.stream.thread_type = "FRAME"  # threads for slices of one frame do not tell of damage
        self.stream.codec_context.thread_count = 1 if self.on_one_thread else 0  # 0: as FFmpeg likes
        self.origin = self.stream.start_time or 0
        self.read_errors = 0
        self._at_start = True

    def _check_size(self) -> None:
        context = self.stream.codec_context
        check_pixels(context.width, context.height, path=self.path, limits=self.limits)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of the stream's clock."""
        return self.stream.time_base or Fraction(1, 1_000_000)

    @property
    def has_pts(self) -> bool:
        """Whether packets carry presentation times: raw streams have none, AVI only an order."""
        return self.kind not in ("avi", "h264", "hevc")

    @property
    def can_seek(self) -> bool:
        """Whether the container has an index to trust; elsewhere packets are skipped from the start."""
        return self.kind in ("mov", "matroska")

    @property
    def is_raw(self) -> bool:
        """H.264 or HEVC without a container: no clock at all."""
        return self.kind in ("h264", "hevc")

    @property
    def nominal_fps(self) -> Fraction:
        """The frame rate the file claims, or 25 where it claims nothing believable."""
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        if self.is_raw:  # "average" is only FFmpeg's default here; the codec's own header may know
            rates.reverse()
        for rate in rates:
            if rate is not None and _SANE_FPS[0] <= rate <= _SANE_FPS[1]:
                return Fraction(rate)
        return _DEFAULT_FPS

    @property
    def claimed_frames(self) -> int | None:
        """How many frames the header claims, or None. Believe what decodes."""
        return self.stream.frames or None

    @property
    def claimed_duration_s(self) -> float | None:
        """How long the header says that this stream is, or None. Believe what decodes."""
        if self.stream.duration:
            return float(self.stream.duration * self.time_base)
        tag = self.stream.metadata.get("DURATION", "")  # Matroska, as FFmpeg and mkvmerge write it
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video stream from here to the end; where reading fails, go on behind the damage."""
        self._at_start = False
        failures = 0
        while failures < _MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    if packet.size:
                        yield packet
                    elif packet.pts is None and packet.dts is None:
                        # PyAV marks the end so, once per stream, and stumbles over those that appear midway.
                        return
            except av.FFmpegError:
                failures += 1
                self.read_errors += 1
            else:
                return

    def rewind(self) -> None:
        """Start over. A fresh file is the one way that works for every format and every state of damage."""
        if not self._at_start:
            self._open_again()

    def use_one_thread(self) -> None:
        """Start over and decode on one thread from now on.

        Threads share pictures that they are still decoding. In a damaged file what one of them gets to see
        then depends on the other's haste, and behind an error each thread may lose its picture.
        """
        self.on_one_thread = True
        self._open_again()

    def _open_again(self) -> None:
        """Raises: NotAFile: it is not there any more."""
        self.close()
        try:
            self._open()
        except (av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotAFile(
                f"{display_path(self.path)} cannot be opened again ({reason}); was it "
                "moved or changed meanwhile?"
            ) from error

    def seek(self, time_s: float) -> bool:
        """Go to a keyframe at or before a time, as far as the container knows.

        Args:
            time_s: Seconds since the first picture.
        Returns:
            False where this file cannot seek; it is then rewound.
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
    """Open a video file, whatever its name, and nothing but a video file.

    Args:
        path: Always a file's name: never a URL, a pattern or an FFmpeg protocol.
        limits: `max_pixels` is checked here, before anything is decoded.
    Raises:
        NotAFile: missing, unreadable, or no regular file.
        NotAVideo: the bytes are no video, or its index is missing.
        NoVideoStream: for example audio only.
        NoFrames: a raw stream without a byte.
        UnsupportedCodec: there is no decoder for it.
        LimitExceeded: the pictures are too large.
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
    except (av.FFmpegError, ValueError) as error:
        if kind == "mov" and not _has_index(path):
            raise NotAVideo(
                f"{display_path(path)}: the index is missing; was the upload complete?"
            ) from error
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAVideo(
            f"{display_path(path)} cannot be opened as {kind} ({reason}); is it complete?"
        ) from error


def check_pixels(width: int, height: int, *, path: Path, limits: Limits) -> None:
    """Raises: LimitExceeded: one picture has more pixels than `limits.max_pixels`."""
    if width * height > limits.max_pixels:
        raise LimitExceeded(
            f"{display_path(path)} claims pictures of {width}x{height}, more than "
            f"{limits.max_pixels} pixels; "
            "scale the video down or raise max_pixels"
        )


def _read_head(path: Path) -> bytes:
    """The first bytes of a regular file. `stat` comes before `open`: opening a FIFO waits for ever."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
            raise NotAFile(f"{display_path(path)} is {what}, not a file; give the name of a video file")
        with path.open("rb") as file:
            return file.read(SNIFF_BYTES)
    except FileNotFoundError as error:
        raise NotAFile(f"{display_path(path)} does not exist; check the name") from error
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAFile(f"{display_path(path)} cannot be read: {reason}") from error


def _has_index(path: Path) -> bool:
    with path.open("rb") as file:
        return has_mp4_index(file)


def _choose_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is no cover picture."""
    undecodable = False
    for stream in container.streams:
        if stream.type != "video" or stream.disposition & Disposition.attached_pic:
            continue
        context = stream.codec_context
        if context is not None and isinstance(stream, VideoStream):
            return stream
        undecodable = True
    if undecodable:
        raise UnsupportedCodec(
            f"{display_path(path)}: this FFmpeg has no decoder for its video codec {_codec_name(container)}; "
            "convert it to H.264"
        )
    raise NoVideoStream(
        f"{display_path(path)} has no video stream, only {_other_streams(container)}; check the file"
    )


def _other_streams(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) or "an empty container"


def _codec_name(container: InputContainer) -> str:
    """The codec tag of a video stream without a decoder, for example "xxxx / 0x78787878".

    PyAV gives no codec context for it, but FFmpeg's description, which goes through its log, has the tag.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        description: str = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(level)
    found = re.search(r"Video: ([^,\n]*)", description)
    return found[1].strip() if found else "(unknown)"
