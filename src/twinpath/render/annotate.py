"""Draw the people of detections on every frame of a video.

    warnings = annotate_video(Path("match.mp4"), detections, Path("out.mp4"))

Boxes are interpolated between keyframes. Another thread decodes; x264 encodes in its own threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from twinpath.prefetch import Prefetcher
from twinpath.render.contact_sheet import SHEET_SUFFIXES, contact_sheet
from twinpath.render.output_check import check_output
from twinpath.render.people import Hud, PeoplePainter
from twinpath.render.track_interpolator import TrackInterpolator
from twinpath.results.detections import Detections
from twinpath.video.audio import AudioSource, AudioTrack
from twinpath.video.color import Rgb
from twinpath.video.decode import FrameStream
from twinpath.video.encoders import DEFAULT_ENCODER
from twinpath.video.isolated import open_audio_isolated, open_frames_isolated, probe_isolated
from twinpath.video.isolated.whole import IsolatedAudio, IsolatedFrames
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.source import DEFAULT_LIMITS, Limits
from twinpath.video.writer import VideoWriter

Progress = Callable[[int, int], None]  # frames done, frames expected

_PREFETCH_BYTES = 1 << 26  # of decoded frames in the queue
_LONG_FRAMES = 2.5  # a last frame that stays longer is shown once more before the end
_MIN_STEP_S = 1e-4  # damaged files repeat timestamps; the container needs increasing ones
_CRF, _PRESET = 20, "veryfast"


def annotate_video(
    video: Path,
    detections: Detections,
    out: Path,
    *,
    top_k: int = 3,
    hud: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    fps: float | None = None,
    isolate: bool = False,
    encoder: str = DEFAULT_ENCODER,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Write a copy of the video with its people drawn on it; timestamps and audio are kept.

    H.264 in an MP4, unless another encoder is chosen; an odd size is padded by repeating the last row or
    column. The first audio track is copied if its codec is common in MP4, else encoded as AAC. The file is
    written atomically.

    Args:
        video: The video of `detections`.
        detections: Tracks with their actions. Boxes are scaled if the video has another size.
        out: The MP4 to create or replace; or a PNG or JPEG, for a `contact_sheet`.
        top_k: Maximum number of actions per person.
        hud: Also show time, number of people and speeds in a corner.
        fps: Of folders of pictures and raw streams, see `open_video`.
        limits: Limits of reading the video. `max_seconds` includes drawing and encoding.
        isolate: Read the video in a sandboxed process. The audio is then always encoded anew.
        encoder: FFmpeg's name of the encoder, see `encoders.ENCODERS`; VP9 in place of H.264, for example.
        progress: Called after each frame with the number of frames done and the expected total.
    Returns:
        Warnings about the video file, for example that it is damaged.
    Raises:
        UsageError: `out` is no MP4, PNG or JPEG, is the video itself, or its folder does not exist.
        InputError, LimitExceeded, WorkerDied: The video cannot be read; `out` is not written.
        OSError: `out` cannot be written.
    """
    if out.suffix.lower() in SHEET_SUFFIXES:
        return contact_sheet(video, detections, out, top_k=top_k, limits=limits, fps=fps, isolate=isolate)
    check_output(out, video=video, suffixes=(".mp4",))
    info = (probe_isolated if isolate else probe)(video, limits=limits, fps=fps)
    people = TrackInterpolator(detections, size_px=(info.height, info.width))
    painter = PeoplePainter((info.height, info.width), top_k=top_k)
    with contextlib.ExitStack() as stack:
        stream: FrameStream | IsolatedFrames
        audio: AudioTrack | IsolatedAudio
        if isolate:
            stream = stack.enter_context(open_frames_isolated(video, limits=limits, fps=fps))
            audio = stack.enter_context(open_audio_isolated(video, limits=limits))
        else:
            stream = stack.enter_context(FrameStream(video, limits=limits, fps=fps))
            audio = stack.enter_context(AudioTrack(video, limits=limits))
        frames = stack.enter_context(
            Prefetcher(stream, size_bytes=lambda item: item[1].nbytes, max_bytes=_PREFETCH_BYTES)
        )
        writer = stack.enter_context(_writer(out, info, encoder, fps=stream.fps, audio=audio))
        expected = round(detections.duration_s * stream.fps)
        last_s = -_MIN_STEP_S
        for done, (time_s, frame) in enumerate(_with_the_end(frames, stream), start=1):
            shown = people.at(time_s)
            painter.draw(frame, shown, hud=_hud(detections, time_s, len(shown)) if hud else None)
            last_s = max(time_s, last_s + _MIN_STEP_S)
            writer.write(frame, time_s=last_s)
            if progress is not None:
                progress(done, max(done, expected))
    return (*stream.warnings, *audio.warnings)


def _with_the_end(
    frames: Iterable[tuple[float, Rgb]], stream: FrameStream | IsolatedFrames
) -> Iterator[tuple[float, Rgb]]:
    """The frames of the stream; the last one once more before the end, where it stays much longer.

    A screen recorder writes none while nothing moves.
    """
    last: tuple[float, Rgb] | None = None
    for item in frames:
        if last is not None:
            yield last
        last = item
    if last is None:
        return
    frame_s = 1 / stream.fps
    is_long = stream.ends_at_s is not None and stream.ends_at_s - last[0] > _LONG_FRAMES * frame_s
    again = last[1].copy() if is_long else None  # the first copy will be drawn on
    yield last
    if again is not None and stream.ends_at_s is not None:
        yield stream.ends_at_s - frame_s, again


def _writer(out: Path, info: VideoInfo, encoder: str, *, fps: float, audio: AudioSource) -> VideoWriter:
    pixel_aspect = Fraction(info.sample_aspect_ratio).limit_denominator(1000)
    return VideoWriter(
        out,
        width=info.width,
        height=info.height,
        fps=fps,
        crf=_CRF,
        preset=_PRESET,
        encoder=encoder,
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
