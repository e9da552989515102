"""Open a video file safely, and track the budget of reading it.

Every other module of this package opens files through `open_video`; cameras and URLs are in `live.py`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet, PacketSideData
from av.stream import Disposition
from av.video.stream import VideoStream

from twinpath.cores import decoder_threads
from twinpath.errors import (
    LimitExceeded,
    NoFrames,
    NotAFile,
    NotAVideo,
    UsageError,
)
from twinpath.paths import display_path
from twinpath.prefetch import check_prefetch
from twinpath.video.closing import ClosesAtExit
from twinpath.video.codecs import CODEC_WHITELIST
from twinpath.video.file_access import ffmpeg_input, open_binary, size_bytes
from twinpath.video.foreign import (
    CONVERT,
    Foreign,
    cloud_placeholder,
    foreign_content,
    foreign_picture,
    missing_reason,
)
from twinpath.video.frame_folder import frames_folder
from twinpath.video.not_coded import NotCoded
from twinpath.video.refused_size import refused_size
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.sniff import (
    DEMUXERS,
    FORMAT_WHITELIST,
    RAW_DEMUXERS,
    RAW_SUFFIXES,
    SNIFF_BYTES,
    gif_size,
    has_avi_index,
    has_mp4_fragments,
    has_mp4_index,
    is_cut_asf,
    is_joined_mp4,
    sniff,
)
from twinpath.video.tracks import TrackChoice, choose_track, convert_line, encrypted

MAX_READ_ERRORS = 64  # in a row; a demuxer that fails this often makes no progress
DEFAULT_FPS = Fraction(25)  # FFmpeg's default for raw streams, too
_BEFORE_ANY = -(1 << 40)  # ticks: before any first frame
_ANY_START = ("mpegts", "mpeg", "flv")  # their clocks start at any time
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


class VideoSource(ClosesAtExit):
    """An open video file: its container, its video stream, and its packets.

    Attributes:
        path: The path as given.
        kind: The demuxer's name, one of `sniff.DEMUXERS`; "frames" for a folder of pictures.
        fps: Frames per second, as the caller gives it for what has no times of its own; None: not given.
        budget: Counts the use of the limits.
        stream: The video stream that is read.
        time_base: Seconds per tick of the stream's clock.
        origin: Presentation time of the first frame, in ticks (MPEG-TS starts at any time).
        first_frame_s: When a player shows the first frame, in seconds on its clock. The sound may begin
            earlier.
        nominal_fps: `fps`, if frames have no times; else that in the header, or 25 if it is missing or
            implausible.
        claimed_frames: Number of frames by the header, in AVI and MP4 by the index; or None. Decoding may
            give another number.
        cut_frames: Number of frames by the header that an edit list removes from the index.
        empty_frames: Number of `claimed_frames` without data, which repeat the frame before; known when all
            packets were read.
        codec: FFmpeg's name of the decoder.
        claimed_duration_s: End of the last frame by the header, in seconds since the first frame; or None.
            Decoding may give another.
        read_errors: Number of errors of the demuxer so far.
        on_one_thread: Whether `use_one_thread` was called. It is called on a computer with one core, too:
            frames behind damage differ slightly if decoding starts at another keyframe.
    """

    container: InputContainer
    stream: VideoStream
    time_base: Fraction
    origin: int
    first_frame_s: float
    nominal_fps: Fraction
    claimed_frames: int | None
    cut_frames: int
    claimed_duration_s: float | None
    codec: str
    read_errors: int

    def __init__(self, path: Path, *, kind: str, limits: Limits, fps: Fraction | None = None) -> None:
        self.path = path
        self.fps = fps
        self.kind = kind
        self.limits = limits
        self.budget = Budget(path, limits)
        self.on_one_thread = False
        self.empty_frames = 0
        self._palette: PacketSideData | None = None
        self._not_coded: NotCoded | None = None
        self._track: TrackChoice | None = None
        self._open()

    def close(self) -> None:
        self.container.close()

    def _open(self) -> None:
        # Opening decodes some frames, and sizes change midway.
        options = {"max_pixels": str(self.limits.max_pixels), "codec_whitelist": CODEC_WHITELIST}
        checked = {**options, "format_whitelist": FORMAT_WHITELIST}
        with ffmpeg_input(self.path) as (address, protocol):
            self.container = av.open(
                address,
                format=self.kind,
                **METADATA_OPTIONS,
                options={**protocol, **checked},
            )
        try:
            if self._track is None:
                self._track = choose_track(self.container, self.path)
                if self._track.was_read:
                    self.container.close()
                    self._open()
                    return
            self.stream = self._chosen_stream(self._track.index)
            self._check_size(checked)
        except BaseException:
            self.container.close()
            raise
        self.stream.codec_context.options = options
        self.stream.thread_type = "FRAME"  # threads for slices of one frame do not report damage
        self.stream.codec_context.thread_count = 1 if self.on_one_thread else decoder_threads()
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
        if self.fps is not None and not self.is_raw:
            notes.append("the frame rate that was given is not used: the file has its own times")
        return notes

    def _check_size(self, options: dict[str, str]) -> None:
        context = self.stream.codec_context
        size = (context.width, context.height)
        if 0 in size:
            size = refused_size(self.path, kind=self.kind, options=options, **METADATA_OPTIONS)
        check_pixels(*size, path=self.path, limits=self.limits)

    def _read_header(self) -> None:
        """Copy the header's values: after `close` the stream must not be accessed."""
        self.time_base = as_fraction(self.stream.time_base) or _MICROSECOND
        self.origin = self.stream.start_time or 0
        self.first_frame_s = self._first_frame_s()
        self.nominal_fps = self._nominal_fps()
        self.claimed_frames = self._claimed_frames()
        self.cut_frames = max(self.stream.frames - (self.claimed_frames or 0), 0) if self._has_edits() else 0
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

    def is_cut(self) -> bool:
        """Whether the end of the file is missing, by the size in its header; False: not, or not known."""
        if self.kind != "asf":
            return False
        with open_binary(self.path) as file:
            return is_cut_asf(file)

    @property
    def tolerance_s(self) -> float:
        """How much two times of one frame may differ, in seconds: less than half a frame."""
        return min(TIME_TOLERANCE_S, 0.5 / float(self.nominal_fps))

    @property
    def audio(self) -> list[AudioStream]:
        """The audio tracks, the default one first."""
        return sorted(
            self.container.streams.audio, key=lambda track: not track.disposition & Disposition.default
        )

    @property
    def size_bytes(self) -> int:
        """The size of the file. Raises: NotAFile, OSError: It is gone."""
        return size_bytes(self.path)

    def _nominal_fps(self) -> Fraction:
        if self.is_raw and self.fps is not None:
            return self.fps
        rates = [self.stream.average_rate, self.stream.guessed_rate]
        if self.is_raw or self.kind == "dv":  # the average rate is FFmpeg's default, or its clock's
            rates.reverse()
        for rate in map(as_fraction, rates):
            if rate is not None and _SANE_FPS[0] <= rate <= _SANE_FPS[1]:
                return rate
        return DEFAULT_FPS

    def _first_frame_s(self) -> float:
        """Players show 0 where the clock of the container does; in MPEG, where the first stream begins."""
        first_s = float(self.origin * self.time_base)
        if self.kind in _ANY_START:
            first_s -= (self.container.start_time or 0) / 1_000_000
        return max(first_s, 0.0)

    def _has_edits(self) -> bool:
        return self.kind == "mov" and 0 < len(self.stream.index_entries) != self.stream.frames > 0

    def _claimed_frames(self) -> int | None:
        if self._has_edits():
            return len(self.stream.index_entries)
        if self.kind == "avi" and _has_avi_index(self.path):
            # The header also counts chunks without data, which repeat a frame; FFmpeg's index does not.
            return len(self.stream.index_entries) or None
        return self.stream.frames or None

    def _claimed_duration_s(self) -> float | None:
        if self.kind == "asf":  # has one duration for all streams, of which the sound may be the longest
            return None
        if self.stream.duration:
            return float(self.stream.duration * self.time_base)
        tag = self.stream.metadata.get("DURATION", "")  # Matroska
        try:
            hours, minutes, seconds = tag.split(":")
            claimed_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None
        # FFmpeg counts from the zero of the container, mkvmerge from the first frame.
        is_mkvmerge = "_STATISTICS_WRITING_APP" in self.stream.metadata
        claimed_s -= 0.0 if is_mkvmerge else float(self.origin * self.time_base)
        return claimed_s if claimed_s > 0 else None

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video stream from the current position to the end; unreadable parts are skipped.

        The colours of pictures with a palette are in the first packet of the file only: every keyframe gets
        them, so that decoding may start there.

        Raises:
            UnsupportedCodec: A packet is encrypted.
        """
        self._at_start = False
        failures = count = 0
        while failures < MAX_READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    if packet.size:
                        count += 1
                        self._check_packet(packet)
                        yield packet
                    elif packet.pts is None and packet.dts is None:
                        # PyAV marks the end with an empty packet per stream; it cannot decode earlier ones.
                        if self.kind == "mov" and count < (self.claimed_frames or 0):
                            entries = self.stream.index_entries
                            self.empty_frames = sum(not entry.size for entry in entries)
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
        """Go to the start. Opening the file again decodes some of it, but works for any format and damage."""
        if not self._at_start and not self._seeks_to_start():
            self._open_again()

    def _seeks_to_start(self) -> bool:
        """Go to the start by the index of an MP4 that has all of it in one place, before any decoding."""
        has_index = self.kind == "mov" and self.stream.frames > 0
        if not has_index or self.read_errors or self.stream.codec_context.is_open:
            return False
        try:
            self.container.seek(_BEFORE_ANY, stream=self.stream, backward=True)
        except av.FFmpegError:
            return False
        return True

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


def open_video(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> VideoSource:
    """Open a video file. Its content decides whether it is one, not its name.

    Args:
        path: A file name, never a URL or an FFmpeg protocol; or a folder of numbered pictures, see
            `frame_folder`.
        limits: `max_pixels` is checked here, before anything is decoded. The other limits count from now on.
        fps: Frames per second of pictures and of raw streams, which have no times; None: 25. Files with
            times of their own keep these, with a note.
    Raises:
        UsageError: `fps` is no frame rate.
        NotAFile: It is missing, unreadable, or no regular file.
        NotAVideo: The content is no video, or its index is missing.
        NoVideoStream: For example audio only.
        NoFrames: A raw stream of 0 bytes.
        UnsupportedCodec: Its codec is none of `codecs.VIDEO_CODECS`.
        LimitExceeded: The frames are too large.
    """
    path = Path(path)
    rate = checked_fps(fps)
    if frames_folder(path) is not None:
        from twinpath.video.frame_source import open_frames

        return open_frames(path, limits=limits, fps=rate)
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
        return VideoSource(path, kind=kind, limits=limits, fps=rate)
    except MemoryError as error:
        raise out_of_memory(path) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        if kind == "mov" and not _has_index(path):
            raise NotAVideo(f"{display_path(path)}: {_why_no_index(path)}") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise NotAVideo(
            f"{display_path(path)} cannot be opened as {kind} ({reason}); is it complete?"
        ) from error


def checked_fps(fps: float | None) -> Fraction | None:
    """A frame rate as a fraction. Raises: UsageError: It is out of range."""
    if fps is None:
        return None
    if not (math.isfinite(fps) and _SANE_FPS[0] <= fps <= _SANE_FPS[1]):
        raise UsageError(f"fps must be from {float(_SANE_FPS[0]):g} to {float(_SANE_FPS[1]):g}, not {fps:g}")
    return Fraction(fps).limit_denominator(100_000)


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


def _has_avi_index(path: Path) -> bool:
    with open_binary(path) as file:
        return has_avi_index(file)
