"""A video with the people of its detections drawn on every frame.

    warnings = annotate_video(Path("match.mp4"), detections, Path("out.mp4"))

Boxes are interpolated between keyframes. Frames are decoded in a thread; x264 encodes in threads of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from twinpath.prefetch import Prefetcher
from twinpath.render.contact_sheet import SHEET_SUFFIXES, contact_sheet
from twinpath.render.output_check import check_output
from twinpath.render.people import Hud, PeoplePainter
from twinpath.render.track_interpolator import TrackInterpolator
from twinpath.results.detections import Detections
from twinpath.video.audio import AudioTrack
from twinpath.video.decode import FrameStream
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.source import DEFAULT_LIMITS, Limits
from twinpath.video.writer import VideoWriter

Progress = Callable[[int, int], None]  # frames done, frames expected

_PREFETCH_BYTES = 1 << 26  # of decoded frames that wait to be drawn on
_MIN_STEP_S = 1e-4  # damaged files repeat a time; the container needs increasing ones
_CRF, _PRESET = 20, "veryfast"


def annotate_video(
    video: Path,
    detections: Detections,
    out: Path,
    *,
    top_k: int = 3,
    hud: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write the video again with its people drawn on it: every frame at its time, upright, with its sound.

    H.264 in an MP4; an odd size is padded by repeating the last row or column. The first sound track is
    copied where MP4 takes its codec, else it becomes AAC. The file appears whole or not at all.

    Args:
        video: The video that `detections` were made from.
        detections: Tracks with their actions. Boxes are scaled where the video has another size.
        out: An MP4 to make or replace; or a PNG or JPEG, for a `contact_sheet`.
        top_k: How many actions of a person are shown at most.
        hud: Also show time, number of people and speeds in a corner.
        limits: What reading the video may cost. `max_seconds` includes drawing and encoding.
        progress: Called with the frames done and expected after each frame.
    Returns:
        Warnings about the video file, for example that it is damaged.
    Raises:
        UsageError: `out` is no MP4, PNG or JPEG, is the video itself, or its folder does not exist.
        InputError, LimitExceeded: From reading the video; nothing is left at `out`.
        OSError: `out` cannot be written.
    """
    if out.suffix.lower() in SHEET_SUFFIXES:
        return contact_sheet(video, detections, out, top_k=top_k, limits=limits)
    check_output(out, video=video, suffixes=(".mp4",))
    info = probe(video, limits=limits)
    people = TrackInterpolator(detections, size_px=(info.height, info.width))
    painter = PeoplePainter((info.height, info.width), top_k=top_k)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(FrameStream(video, limits=limits))
        audio = stack.enter_context(AudioTrack(video, limits=limits))
        frames = stack.enter_context(
            Prefetcher(stream, size_bytes=lambda item: item[1].nbytes, most_bytes=_PREFETCH_BYTES)
        )
        writer = stack.enter_context(_writer(out, info, fps=stream.fps, audio=audio))
        expected = round(detections.duration_s * stream.fps)
        last_s = -_MIN_STEP_S
        for done, (time_s, frame) in enumerate(frames, start=1):
            shown = people.at(time_s)
            painter.draw(frame, shown, hud=_hud(detections, time_s, len(shown)) if hud else None)
            last_s = max(time_s, last_s + _MIN_STEP_S)
            writer.write(frame, time_s=last_s)
            if progress is not None:
                progress(done, max(done, expected))
    return (*stream.warnings, *audio.warnings)


def _writer(out: Path, info: VideoInfo, *, fps: float, audio: AudioTrack) -> VideoWriter:
    pixel_aspect = Fraction(info.sample_aspect_ratio).limit_denominator(1000)
    return VideoWriter(
        out,
        width=info.width,
        height=info.height,
        fps=fps,
        crf=_CRF,
        preset=_PRESET,
        pixel_aspect=1 / pixel_aspect if info.rotation_deg % 180 else pixel_aspect,
        audio=audio,
    )


def _hud(detections: Detections, time_s: float, people: int) -> Hud:
    actions_s, total_s = detections.timing_s.get("actions", 0.0), sum(detections.timing_s.values())
    return Hud(
        time_s=time_s,
        people=people,
        keyframes_per_s=len(detections.keyframes_s) / actions_s if actions_s > 0 else None,
        video_s_per_s=detections.duration_s / total_s if total_s > 0 else None,
    )
