"""A folder of numbered pictures, read as `source.VideoSource` reads a file: packets, then frames of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import VideoFrame

from twinpath.errors import NotAFile
from twinpath.paths import display_path
from twinpath.video.file_access import size_bytes
from twinpath.video.frame_folder import FrameSequence, find_sequence
from twinpath.video.picture_file import PictureDecoder, codec_of, picture_size, read_picture
from twinpath.video.source import DEFAULT_FPS, Limits, VideoSource, check_pixels

_HALF_TICK = 0.5  # times of frames are rounded


@dataclass(eq=False)
class _Picture:
    """A picture as a packet of FFmpeg, with what is used of one. It is read when it is decoded."""

    path: Path
    pts: int
    duration: int
    time_base: Fraction
    size: int = 1
    is_keyframe: bool = True
    is_discard: bool = False

    @property
    def dts(self) -> int:
        return self.pts


class _Decoder:
    """In place of FFmpeg's codec context: a packet to frames, one by one, without delay."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._decoder = PictureDecoder(max_pixels=limits.max_pixels)
        self.width = self.height = 0  # each picture has its own
        self.pix_fmt: str | None = None  # of the first one
        self.sample_aspect_ratio = None

    def decode(self, picture: _Picture | None) -> list[VideoFrame]:
        """Raises: LimitExceeded; FFmpegError: The picture is damaged, or cannot be read."""
        if picture is None:
            return []
        try:
            data = read_picture(picture.path, max_pixels=self._limits.max_pixels)
        except (NotAFile, OSError) as error:
            raise av.InvalidDataError(1, "it cannot be read") from error
        check_pixels(*picture_size(data), path=picture.path, limits=self._limits)
        frame = self._decoder.decode(data)
        self.pix_fmt = self.pix_fmt or frame.format.name
        frame.pts, frame.time_base = picture.pts, picture.time_base
        return [frame]


@dataclass(frozen=True, eq=False)
class _Stream:
    """In place of FFmpeg's stream."""

    codec_context: Any


class FrameFolderSource(VideoSource):
    """The pictures of a folder. Every one of them is a keyframe; damage to one leaves the others.

    Attributes:
        sequence: The pictures.
    """

    sequence: FrameSequence

    def __init__(self, path: Path, *, limits: Limits, fps: Fraction | None) -> None:
        """
        Args:
            path: A folder, or a pattern as FFmpeg's; see `frame_folder`.
            limits: See `open_video`.
            fps: Frames per second; None: 25, with a note.
        Raises:
            NotAFile, NotAVideo, OSError: As `find_sequence`.
        """
        self.sequence = find_sequence(path)
        self._position = 0
        super().__init__(path, kind="frames", limits=limits, fps=fps)

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _open(self) -> None:
        self._position = 0
        self.stream: Any = _Stream(_Decoder(self.limits))
        self.nominal_fps = self.fps or DEFAULT_FPS
        self.time_base = 1 / self.nominal_fps
        self.origin = 0
        self.first_frame_s = 0.0
        self.cut_frames = 0
        self.claimed_frames = len(self.sequence.names)
        self.claimed_duration_s = float((self.sequence.ticks[-1] + 1) * self.time_base)
        self.read_errors = 0
        self.codec = self._first_codec()

    def _first_codec(self) -> str:
        for path in self.sequence.paths:
            try:
                codec = codec_of(read_picture(path, max_pixels=self.limits.max_pixels))
            except (NotAFile, OSError):
                continue
            if codec is not None:
                return codec
        return "mjpeg"

    @property
    def notes(self) -> list[str]:
        notes = list(self.sequence.notes)
        if self.fps is None:
            notes.append(f"pictures have no times: {float(DEFAULT_FPS):g} frames per second assumed")
        return notes

    @property
    def audio(self) -> list[Any]:
        return []

    @property
    def size_bytes(self) -> int:
        return sum(size_bytes(path) for path in self.sequence.paths)

    @property
    def can_seek(self) -> bool:
        return True

    def packets(self) -> Iterator[Any]:
        ticks, names = self.sequence.ticks, self.sequence.names
        while self._position < len(names):
            at = self._position
            self._position += 1
            following = ticks[at + 1] if at + 1 < len(ticks) else ticks[at] + 1
            yield _Picture(self.sequence.folder / names[at], ticks[at], following - ticks[at], self.time_base)

    def rewind(self) -> None:
        self._position = 0

    def use_one_thread(self) -> None:
        self.on_one_thread = True
        self._position = 0

    def seek(self, time_s: float) -> bool:
        """Go to the picture that is on screen at a time in seconds."""
        wanted = time_s / self.time_base + _HALF_TICK
        self._position = max(bisect_right(self.sequence.ticks, wanted) - 1, 0)
        return True


def open_frames(path: Path, *, limits: Limits, fps: Fraction | None) -> FrameFolderSource:
    """Open a folder of frames. Raises: NotAFile, NotAVideo, LimitExceeded: It cannot be read as a video."""
    try:
        return FrameFolderSource(path, limits=limits, fps=fps)
    except OSError as error:
        raise NotAFile(f"{display_path(path)} cannot be read: {error.strerror or error}") from error
