"""Open a video file safely, and track the budget of reading it.

Every other module of this package opens files through `open_video`; cameras and URLs are in `live.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.container import InputContainer
from av.packet import Packet, PacketSideData
from av.video.stream import VideoStream

from twinpath.errors import (
    LimitExceeded,
    NoFrames,
    NotAFile,
    NotAVideo,
)
from twinpath.paths import display_path
from twinpath.prefetch import check_prefetch
from twinpath.video.codecs import CODEC_WHITELIST
from twinpath.video.file_access import ffmpeg_input, open_binary
from twinpath.video.foreign import (
    CONVERT,
    Foreign,
    cloud_placeholder,
    foreign_content,
    foreign_picture,
    missing_reason,
)
from twinpath.video.not_coded import NotCoded
from twinpath.video.sniff import (
    DEMUXERS,
    FORMAT_WHITELIST,
    RAW_DEMUXERS,
    RAW_SUFFIXES,
    SNIFF_BYTES,
    gif_size,
    has_mp4_fragments,
    has_mp4_index,
    is_joined_mp4,
    sniff,
)
from twinpath.video.tracks import TrackChoice, choose_track, convert_line, encrypted

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
        self._palette: PacketSideData | None = None
        self._track: TrackChoice | None = None
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
        # Opening decodes some frames, and sizes change midway.
        options = {"max_pixels": str(self.limits.max_pixels), "codec_whitelist": CODEC_WHITELIST}
        with ffmpeg_input(self.path) as (address, protocol):
            self.container = av.open(
                address,
                format=self.kind,
                **METADATA_OPTIONS,
                options={**protocol, "format_whitelist": FORMAT_WHITELIST, **options},
            )
        try:
            if self._track is None:
                self._track = choose_track(self.container, self.path)
                if self._track.was_read:
                    self.container.close()
                    self._open()
                    return
            self.stream = self._chosen_stream(self._track.index)
            self._check_size()
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.options = options
        self.stream.thread_type = "FRAME"  # threads for slices of one frame do not report damage
        self.stream.codec_context.thread_count = 1 if self.on_one_thread else 0  # 0: FFmpeg's choice
        self._read_header()
        self.read_errors = 0
        self._at_start = True

    def _chosen_stream(self, index: int) -> VideoStream:
        """Raises: NotAFile: The file was opened again, and is another one by now."""
        streams = self.container.streams
        stream = streams[index] if index < len(streams) else None
        if not isinstance(stream, VideoStream):
            raise NotAFile(f"{display_path(self.path)} was changed while it was read; try again")
        return stream

    @property
    def notes(self) -> list[str]:
        """What the user should know about the file beside damage."""
        notes = [self._track.note] if self._track is not None and self._track.note else []
        if self.kind == "mov" and _is_joined(self.path):
            notes.append("another video follows in the file, which players do not show either: not read")
        return notes

    def _check_size(self) -> None:
        context = self.stream.codec_context
        check_pixels(context.width, context.height, path=self.path, limits=self.limits)

    def _read_header(self) -> None:
        """Copy the header's values: after `close` the stream must not be accessed."""
        self.time_base = as_fraction(self.stream.time_base) or _MICROSECOND
        self.origin = self.stream.start_time or 0
        self.nominal_fps = self._nominal_fps()
        self.claimed_frames = self.stream.frames or None
        self.claimed_duration_s = self._claimed_duration_s()
        self.codec = self.stream.codec_context.name
        extradata = self.stream.codec_context.extradata or b""
        self._not_coded = NotCoded(extradata) if self.codec == "mpeg4" else None

    @property
    def has_pts(self) -> bool:
        """Whether packets have presentation times: raw streams have none, AVI only the decoding order."""
        return self.kind != "avi" and not self.is_raw

    @property
    def can_seek(self) -> bool:
        """Whether the container has a reliable index; otherwise packets are skipped from the start."""
        return self.kind in ("mov", "matroska")

    @property
    def can_start_midway(self) -> bool:
        """Whether the times of frames are known if decoding starts at a keyframe in the middle.

        Without presentation times frames are counted, and behind a keyframe B-frames may be missing that
        refer to frames before it.
        """
        return self.has_pts or not self.stream.codec_context.has_b_frames

    @property
    def is_raw(self) -> bool:
        """Whether it is a stream without a container, which has no timestamps."""
        return self.kind in RAW_DEMUXERS

    def _nominal_fps(self) -> Fraction:
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        if self.is_raw or self.kind == "dv":  # the average rate is FFmpeg's default, or its clock's
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
        """Packets of the video stream from the current position to the end; unreadable parts are skipped.

        The colours of pictures with a palette are in the first packet of the file only: every keyframe gets
        them, so that decoding may start there.

        Raises:
            UnsupportedCodec: A packet is encrypted.
        """
        self._at_start = False
        failures = 0
        while failures < MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    if packet.size:
                        self._check_packet(packet)
                        yield packet
                    elif packet.pts is None and packet.dts is None:
                        # PyAV marks the end with an empty packet per stream; it cannot decode earlier ones.
                        return
            except av.FFmpegError:
                failures += 1
                self.read_errors += 1
            else:
                return

    def _check_packet(self, packet: Packet[VideoStream]) -> None:
        """Keep the palette. Raises: UnsupportedCodec: The packet is encrypted."""
        if packet.has_sidedata("encryption_info"):
            raise encrypted(display_path(self.path))
        if packet.has_sidedata("palette"):
            self._palette = packet.get_sidedata("palette")
        elif self._palette is not None and packet.is_keyframe:
            packet.set_sidedata(self._palette)

    def repeats_picture(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet only repeats the picture before it; call it for every packet in order."""
        return self._not_coded is not None and self._not_coded(bytes(packet))

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
        if self._palette is None and self.stream.codec_context.pix_fmt == "pal8":
            self.rewind()
            next(self.packets(), None)
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
        UnsupportedCodec: Its codec is none of `codecs.VIDEO_CODECS`.
        LimitExceeded: The frames are too large.
    """
    path = Path(path)
    head = _read_head(path)
    if not head:
        kind_of_error = NoFrames if path.suffix.lower() in RAW_SUFFIXES else NotAVideo
        raise kind_of_error(f"{display_path(path)} is empty (0 bytes); was the upload complete?")
    kind = sniff(head)
    if kind is None:
        is_placeholder = path.suffix == ".icloud"
        raise _not_a_video(path, cloud_placeholder(path.name) if is_placeholder else foreign_content(head))
    picture = foreign_picture(head)
    if picture is not None and not _has_index(path):
        raise _not_a_video(path, picture)
    if kind == "gif":
        check_pixels(*gif_size(head), path=path, limits=limits)
    try:
        return VideoSource(path, kind=kind, limits=limits)
    except MemoryError as error:
        raise out_of_memory(path) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        if kind == "mov" and not _has_index(path):
            raise NotAVideo(f"{display_path(path)}: {_why_no_index(path)}") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAVideo(
            f"{display_path(path)} cannot be opened as {kind} ({reason}); is it complete?"
        ) from error


def _not_a_video(path: Path, foreign: Foreign | None) -> NotAVideo:
    """The error for a file that is no video; `foreign`: what it is instead, if that is known."""
    name, known = display_path(path), ", ".join(DEMUXERS.values())
    if foreign is None:
        return NotAVideo(f"{name} is not a video that Twinpath reads ({known}); convert it to MP4")
    if foreign.advice == CONVERT:
        return NotAVideo(
            f"{name} is {foreign.what}, which is not a video that Twinpath reads; "
            f"convert it: {convert_line(path)}"
        )
    return NotAVideo(f"{name} is {foreign.what}, not a video; {foreign.advice}")


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
        raise NotAFile(f"{display_path(path)} {missing_reason(path)}") from error
    except OSError as error:  # no permission, a name too long, a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAFile(f"{display_path(path)} cannot be read: {reason}") from error


def _has_index(path: Path) -> bool:
    with open_binary(path) as file:
        return has_mp4_index(file)


def _is_joined(path: Path) -> bool:
    try:
        with open_binary(path) as file:
            return is_joined_mp4(file)
    except (NotAFile, OSError):  # it went away meanwhile; whoever reads on tells
        return False


def _why_no_index(path: Path) -> str:
    with open_binary(path) as file:
        if has_mp4_fragments(file):
            return (
                "a part of a stream (DASH, HLS) without its beginning; join the first part, which has the "
                "index, and the others to one file"
            )
    return "the index is missing; was the upload complete?"
