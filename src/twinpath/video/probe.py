"""The properties of a video file: container, codec, size, frame rate, duration."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from twinpath.video.damage import NOTHING_DECODES, no_frames, nothing_decodes
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import plan_pass
from twinpath.video.file_access import size_bytes
from twinpath.video.sampling import Times
from twinpath.video.source import DEFAULT_LIMITS, Limits, VideoSource, as_fraction, open_video


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Properties by the header and the first frame. Whether they are true, only decoding shows.

    If the header has no duration, as in recordings of a browser, duration and frame rate come from the
    packets.
    """

    path: str
    container: str  # FFmpeg's demuxer: mov (also MP4), matroska (also WebM), avi, mpegts, gif, h264, hevc
    codec: str
    pixel_format: str | None
    width: int  # as displayed, after rotation; pixels
    height: int
    rotation_deg: int  # counter-clockwise, from stored to displayed: 0, 90, 180 or 270
    sample_aspect_ratio: float  # width of a pixel over its height; Twinpath's frames ignore it
    average_fps: float | None  # None: raw streams, which have no clock
    duration_s: float | None  # None: unknown
    frame_count_claimed: int | None
    has_audio: bool
    size_bytes: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"warnings": list(self.warnings)}


def probe(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """Read a video's header and decode its first frame, which has the rotation.

    Args:
        path: A file name, never a URL.
        limits: Limits on size, frames, memory and time. A file without a duration in its header is read to
            the end, but not decoded.
    Raises:
        InputError, LimitExceeded: As `open_video`.
        NoFrames: The file holds no packet of video.
        CorruptVideo: Neither a decoded frame nor the header gives the frame size.
    """
    with open_video(path, limits=limits) as source, source.budget.memory_errors():
        # The header is read first: decoding may overwrite the sizes.
        size = (source.stream.codec_context.width, source.stream.codec_context.height)
        decoding = DecodePass(source)
        frame = next((frame for _, frame in decoding), None)
        if frame is None and not decoding.packets:
            raise no_frames(source.path)
        warnings = []
        if frame is None:
            warnings.append(NOTHING_DECODES)
        elif decoding.bad_packets:
            warnings.append(f"the first {decoding.bad_packets} packets could not be decoded")
        rotation_deg = round(frame.rotation / 90) % 4 * 90 if frame is not None else 0
        if frame is not None:
            size = (frame.width, frame.height)
        if not all(size):  # no frame, and no size in the header: raw streams and MPEG-TS
            raise nothing_decodes(source.path)
        if rotation_deg % 180:
            size = (size[1], size[0])
        return _describe(source, size=size, rotation_deg=rotation_deg, warnings=warnings)


def frame_times(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Times:
    """The presentation time of each frame of a video, by its packets; nothing is decoded.

    Returns:
        (N,) seconds since the first frame, increasing.
    Raises:
        InputError, LimitExceeded: As `open_video`.
    """
    with open_video(path, limits=limits) as source:
        return plan_pass(source).times_s


def _describe(
    source: VideoSource, *, size: tuple[int, int], rotation_deg: int, warnings: list[str]
) -> VideoInfo:
    context = source.stream.codec_context
    pixel_format, aspect = context.pix_fmt, as_fraction(context.sample_aspect_ratio)
    has_audio = any(other.type == "audio" for other in source.container.streams)
    duration_s, fps = source.claimed_duration_s, float(source.nominal_fps)
    if duration_s is None and source.container.duration and not source.is_raw:
        duration_s = source.container.duration / 1_000_000
    if duration_s is None:  # last, since it opens the file again
        duration_s, fps = _measure(source)
    return VideoInfo(
        path=str(source.path),
        container=source.kind,
        codec=source.codec,
        pixel_format=pixel_format,
        width=size[0],
        height=size[1],
        rotation_deg=rotation_deg,
        sample_aspect_ratio=float(aspect) if aspect else 1.0,
        average_fps=None if source.is_raw else fps,
        duration_s=duration_s,
        frame_count_claimed=source.claimed_frames,
        has_audio=has_audio,
        size_bytes=size_bytes(source.path),
        warnings=tuple(warnings),
    )


def _measure(source: VideoSource) -> tuple[float | None, float]:
    """Duration in seconds and frame rate by the packets; the header's frame rate if there are too few."""
    plan = plan_pass(source)
    claimed_fps = float(source.nominal_fps)
    if not len(plan.times_s):
        return None, claimed_fps
    first_s, last_s = float(plan.times_s[0]), float(plan.times_s[-1])
    fps = (len(plan.times_s) - 1) / (last_s - first_s) if last_s > first_s else claimed_fps
    return max(plan.end_s, last_s + 1 / fps), fps
