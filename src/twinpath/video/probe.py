"""The properties of a video file: container, codec, size, frame rate, duration."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from twinpath.video.damage import NOTHING_DECODES, no_frames, nothing_decodes
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import plan_pass
from twinpath.video.orientation import Orientation
from twinpath.video.sampling import TIME_TOLERANCE_S, Times
from twinpath.video.source import DEFAULT_LIMITS, Limits, VideoSource, as_fraction, open_video

_NEAR_END_S = 1.0  # how far before the claimed end the last packets are read


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Properties by the header and the first frame. Whether they are true, only decoding shows.

    The duration is that of the packets: of all of them, or where the container has an index, of the last
    ones. If the header claims another duration or none, as in recordings of a browser, the frame rate is
    that of the packets, too.
    """

    path: str
    container: str  # one of `sniff.DEMUXERS` (mov is also MP4, matroska also WebM), or frames
    codec: str
    pixel_format: str | None
    width: int  # as displayed, after rotation; pixels
    height: int
    rotation_deg: int  # counter-clockwise, from stored to displayed: 0, 90, 180 or 270
    is_mirrored: bool  # whether left and right are exchanged before it is rotated
    sample_aspect_ratio: float  # width of a pixel over its height; Twinpath's frames ignore it
    average_fps: float | None  # None: raw streams, which have no clock
    duration_s: float | None  # from the first frame to the end of the last one; None: unknown
    first_frame_s: float  # when a player shows the first frame, on its clock
    frame_count_claimed: int | None
    has_audio: bool
    size_bytes: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"warnings": list(self.warnings)}


def probe(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> VideoInfo:
    """Read a video's header and decode its first frame, which has the rotation.

    Args:
        path: A file name, never a URL.
        limits: Limits on size, frames, memory and time. A file without an index, or without a true duration
            in its header, is read to the end, but not decoded.
        fps: Of folders of pictures and raw streams, see `open_video`.
    Raises:
        InputError, LimitExceeded: As `open_video`.
        NoFrames: The file holds no packet of video.
        CorruptVideo: Neither a decoded frame nor the header gives the frame size.
    """
    with open_video(path, limits=limits, fps=fps) as source, source.budget.memory_errors():
        # The header is read first: decoding may overwrite the sizes.
        size = (source.stream.codec_context.width, source.stream.codec_context.height)
        decoding = DecodePass(source)
        frame = next((frame for _, frame in decoding), None)
        if frame is None and not decoding.packets:
            raise no_frames(source.path)
        warnings = source.notes
        if frame is None:
            warnings.append(NOTHING_DECODES)
        elif decoding.bad_packets:
            warnings.append(f"the first {decoding.bad_packets} packets could not be decoded")
        orientation = Orientation.of(frame) if frame is not None else Orientation()
        if frame is not None:
            size = (frame.width, frame.height)
        if not all(size):  # no frame, and no size in the header: raw streams and MPEG-TS
            raise nothing_decodes(source.path)
        if orientation.swaps_sides:
            size = (size[1], size[0])
        return _describe(source, size=size, orientation=orientation, warnings=warnings)


def frame_times(
    path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS, fps: float | None = None
) -> Times:
    """The presentation time of each frame of a video, by its packets; nothing is decoded.

    Returns:
        (N,) seconds since the first frame, increasing.
    Raises:
        InputError, LimitExceeded: As `open_video`.
    """
    with open_video(path, limits=limits, fps=fps) as source:
        return plan_pass(source).times_s


def _describe(
    source: VideoSource, *, size: tuple[int, int], orientation: Orientation, warnings: list[str]
) -> VideoInfo:
    context = source.stream.codec_context
    pixel_format, aspect = context.pix_fmt, as_fraction(context.sample_aspect_ratio)
    has_audio = bool(source.audio)
    claimed_frames = source.claimed_frames
    duration_s, fps = _duration(source)  # last, since it opens the file again
    return VideoInfo(
        path=str(source.path),
        container=source.kind,
        codec=source.codec,
        pixel_format=pixel_format,
        width=size[0],
        height=size[1],
        rotation_deg=90 * orientation.quarter_turns,
        is_mirrored=orientation.is_mirrored,
        sample_aspect_ratio=float(aspect) if aspect else 1.0,
        average_fps=None if source.is_raw else fps,
        duration_s=duration_s,
        first_frame_s=source.first_frame_s,
        frame_count_claimed=claimed_frames,
        has_audio=has_audio,
        size_bytes=source.size_bytes,
        warnings=tuple(warnings),
    )


def _duration(source: VideoSource) -> tuple[float | None, float]:
    """Duration in seconds and frame rate, by the header where the packets agree with it."""
    claimed_s, claimed_fps = source.claimed_duration_s, float(source.nominal_fps)
    end_s = _end_by_index(source, claimed_s) if claimed_s is not None else None
    if claimed_s is not None and end_s is not None and abs(end_s - claimed_s) <= _same_s(claimed_fps):
        return claimed_s, claimed_fps
    plan = plan_pass(source)
    if not len(plan.times_s):
        return None, claimed_fps
    first_s, last_s = float(plan.times_s[0]), float(plan.times_s[-1])
    fps = claimed_fps
    # The header's rate may be the number of frames over a wrong duration; AVI and MPEG have a rate apart.
    if last_s > first_s and source.kind != "avi" and (claimed_s is None or source.can_seek):
        fps = (len(plan.times_s) - 1) / (last_s - first_s)
    # The last packet may have no duration, or one of a millisecond.
    end_s = plan.end_s if plan.end_s > last_s + 0.5 / fps else last_s + 1 / fps
    is_same = claimed_s is not None and abs(end_s - claimed_s) <= _same_s(claimed_fps)
    return claimed_s if is_same else end_s, fps


def _same_s(fps: float) -> float:
    """Durations that differ by less are the same: rounding, and whether the last frame has one."""
    return 1 / fps + TIME_TOLERANCE_S


def _end_by_index(source: VideoSource, claimed_s: float) -> float | None:
    """End of the last frame in seconds, read from the last packets; None: there is no index, or it is wrong.

    Args:
        source: Where to seek.
        claimed_s: The end by the header. If it lies behind the last frame, the index leads to the last
            keyframe; if it lies before, the packets to the end of the file are read.
    """
    if not source.can_seek or not source.seek(max(claimed_s - _NEAR_END_S, 0.0)):
        return None
    end_s = None
    for packet in source.packets():
        source.budget.spend(0)
        if packet.pts is not None and not packet.is_discard:
            packet_s = float((packet.pts - source.origin + (packet.duration or 0)) * source.time_base)
            end_s = packet_s if end_s is None else max(end_s, packet_s)
    return end_s
