"""What a video file holds, without reading all of it."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from typing import Any

from twinpath.errors import CorruptVideo, NoFrames
from twinpath.paths import display_path
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import plan_pass
from twinpath.video.sampling import Times
from twinpath.video.source import DEFAULT_LIMITS, Budget, Limits, VideoSource, open_video


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What the header claims and the first frame shows. Only decoding tells how much of it is true."""

    path: str
    container: str  # FFmpeg's demuxer: mov (also MP4), matroska (also WebM), avi, mpegts, gif, h264, hevc
    codec: str
    pixel_format: str | None
    width: int  # as displayed, after rotation; pixels
    height: int
    rotation_deg: int  # counter-clockwise, from stored to displayed: 0, 90, 180 or 270
    sample_aspect_ratio: float  # width of a pixel over its height; Twinpath's frames ignore it
    average_fps: float | None  # None: raw streams, which have no clock
    duration_s: float | None
    frame_count_claimed: int | None
    has_audio: bool
    size_bytes: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self) | {"warnings": list(self.warnings)}


def probe(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """Read a video's header and decode its first frame, which alone knows the rotation.

    Args:
        path: A file's name, never a URL.
        limits: What it may cost.
    Raises:
        InputError, LimitExceeded: everything that `open_video` raises.
        NoFrames: the file holds no packet of video.
        CorruptVideo: nothing tells the size of its pictures.
    """
    with open_video(path, limits=limits) as source:
        # What the header says is read first: decoding may replace the sizes.
        size = (source.stream.codec_context.width, source.stream.codec_context.height)
        decoding = DecodePass(source, plan=None, budget=Budget(source.path, limits), strict=False)
        frame = next((frame for _, frame in decoding), None)
        if frame is None and not decoding.packets:
            raise NoFrames(f"{display_path(source.path)} holds no frames; was the upload complete?")
        warnings = []
        if frame is None:
            warnings.append("none of its frames decodes")
        elif decoding.bad_packets:
            warnings.append(f"the first {decoding.bad_packets} packets could not be decoded")
        rotation_deg = round(frame.rotation / 90) % 4 * 90 if frame is not None else 0
        if frame is not None:
            size = (frame.width, frame.height)
        if not all(size):  # no frame, and the header does not know either: raw streams and MPEG-TS
            raise CorruptVideo(
                f"{display_path(source.path)} is damaged: none of its frames decodes; send it again",
                frames_decoded=0,
            )
        if rotation_deg % 180:
            size = (size[1], size[0])
        return _describe(source, size=size, rotation_deg=rotation_deg, warnings=warnings)


def frame_times(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Times:
    """When each picture of a video is due, as far as its packets tell; nothing is decoded.

    Returns:
        (N,) seconds since the first one, increasing.
    Raises:
        InputError, LimitExceeded: everything that `open_video` raises.
    """
    with open_video(path, limits=limits) as source:
        return plan_pass(source, start_s=0.0, end_s=math.inf, budget=Budget(source.path, limits)).times_s


def _describe(
    source: VideoSource, *, size: tuple[int, int], rotation_deg: int, warnings: list[str]
) -> VideoInfo:
    context = source.stream.codec_context
    duration_s = source.claimed_duration_s
    if duration_s is None and source.container.duration and not source.is_raw:
        duration_s = source.container.duration / 1_000_000
    ratio = context.sample_aspect_ratio
    return VideoInfo(
        path=str(source.path),
        container=source.kind,
        codec=context.name,
        pixel_format=context.pix_fmt,
        width=size[0],
        height=size[1],
        rotation_deg=rotation_deg,
        sample_aspect_ratio=float(ratio) if ratio else 1.0,
        average_fps=None if source.is_raw else float(source.nominal_fps),
        duration_s=duration_s,
        frame_count_claimed=source.claimed_frames,
        has_audio=any(other.type == "audio" for other in source.container.streams),
        size_bytes=source.path.stat().st_size,
        warnings=tuple(warnings),
    )
