"""Frame sampling: pure functions on times and frame counts.

The arithmetic matches the reference implementations bit for bit, because a clip that is one frame off gives
other scores: `torch.linspace` computes in float32, and truncation then sometimes gives the frame before.
Sources: the PyTorchVideo tutorials (UniformTemporalSubsample); PySlowFast, `datasets/decoder.py` and
`datasets/transform.py`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from twinpath.errors import NoFrames

Times = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

#: Matroska rounds times to whole milliseconds: a frame this close to a boundary counts as on it.
TIME_TOLERANCE_S = 0.0005

TARGET_FPS = 30.0  # the rate that "sampling rate tau" refers to, in both references


def linspace_indices(first: float, last: float, num: int) -> Indices:
    """`torch.linspace(first, last, num).long()`, bit for bit, without torch.

    Args:
        first: Index of the first sample, may be fractional.
        last: Index of the last sample, may be fractional.
        num: Number of samples, at least 1.
    Returns:
        (num,) int64.
    """
    if num < 1:
        raise ValueError(f"num must be at least 1, not {num}")
    start, end = np.float32(first), np.float32(last)
    if num == 1:
        return np.array([start], dtype=np.float32).astype(np.int64)
    step = (end - start) / np.float32(num - 1)
    i = np.arange(num, dtype=np.float32)
    # torch counts the second half back from the end
    values = np.where(i < num // 2, start + step * i, end - step * (np.float32(num - 1) - i))
    return values.astype(np.float32).astype(np.int64)


def frame_indices(pts_s: npt.ArrayLike, *, start_s: float, span_s: float, num_frames: int) -> Indices:
    """Pick `num_frames` frames evenly over a span of time.

    The span is half open: frames with start_s <= pts < start_s + span_s. If no frame lies in it (behind the
        end,
    or in a gap of a variable frame rate), the frame on screen at `start_s` is repeated.

    Args:
        pts_s: (N,) float64, presentation times in seconds, increasing.
        start_s: Start of the span in seconds.
        span_s: Length of the span in seconds, > 0.
        num_frames: T, at least 1.
    Returns:
        (num_frames,) int64 indices into `pts_s`; frames are repeated where the video is too short.
    Raises:
        NoFrames: `pts_s` is empty.
    Source: PyTorchVideo tutorial, UniformTemporalSubsample; by time, not by index.
    """
    times = np.asarray(pts_s, dtype=np.float64)
    if not span_s > 0:
        raise ValueError(f"span_s must be greater than 0, not {span_s}")
    first, stop = np.searchsorted(times, [start_s - TIME_TOLERANCE_S, start_s + span_s - TIME_TOLERANCE_S])
    if first == stop:
        return np.repeat(on_screen_indices(times, [start_s]), num_frames)
    return linspace_indices(0, int(stop - first) - 1, num_frames) + np.int64(first)


def on_screen_indices(pts_s: npt.ArrayLike, times_s: npt.ArrayLike) -> Indices:
    """The frame on screen at each of the given times: the last frame at or before it, else the first frame.

    Args:
        pts_s: (N,) presentation times in seconds, increasing.
        times_s: (T,) times in seconds.
    Returns:
        (T,) int64 indices into `pts_s`.
    Raises:
        NoFrames: `pts_s` is empty.
    """
    times = np.asarray(pts_s, dtype=np.float64)
    if times.size == 0:
        raise NoFrames("there are no frames to choose from; check the video")
    wanted = np.asarray(times_s, dtype=np.float64) + TIME_TOLERANCE_S
    return np.maximum(np.searchsorted(times, wanted, side="right") - 1, 0).astype(np.int64)


def clip_span_s(num_frames: int, sampling_rate: float) -> float:
    """Duration in seconds of a clip of T frames at sampling rate tau: T * tau / 30."""
    return num_frames * sampling_rate / TARGET_FPS


def keyframe_times(keyframe_s: float, *, num_frames: int, sampling_rate: float) -> Times:
    """The frame times of a clip around a keyframe, which is frame number T // 2: AVA's rule.

    Args:
        keyframe_s: Time of the keyframe in seconds.
        num_frames: T.
        sampling_rate: tau, in frames of a 30 fps video.
    Returns:
        (T,) seconds, increasing. A time before the video's start or behind its end means its first or last
        frame.
    Source: PySlowFast, `get_sequence`: `range(c - T * tau // 2, c + T * tau // 2, tau)`, by time.
    """
    offsets = keyframe_offsets(num_frames, sampling_rate)
    return np.asarray(keyframe_s + offsets / TARGET_FPS, dtype=np.float64)


def keyframe_offsets(num_frames: int, sampling_rate: float) -> Times:
    """(T,) offsets, in frames at 30 fps, from a keyframe to each frame of its clip; see `keyframe_times`."""
    return np.arange(num_frames, dtype=np.float64) * sampling_rate - num_frames * sampling_rate // 2


def keyframe_grid(pts_s: npt.ArrayLike, end_s: float, *, every_s: float) -> Times:
    """The times of a video's keyframes: 0, `every_s`, 2 * `every_s` …, each showing another frame.

    A frame `every_s` or more after the previous frame is always a keyframe, at its own time.

    Args:
        pts_s: (N,) presentation times in seconds, increasing.
        end_s: End of the video in seconds.
        every_s: Distance of the keyframes in seconds.
    Returns:
        (K,) seconds, increasing, all before `end_s`.
    """
    times_s = np.asarray(pts_s, dtype=np.float64)
    numbers = np.ceil(
        (times_s - TIME_TOLERANCE_S) / every_s
    )  # for each frame, the first grid time that shows it
    numbers, first = np.unique(np.maximum(numbers, 0), return_index=True)
    waited_s = np.diff(times_s, prepend=times_s[:1])[first]
    found_s = np.where(waited_s >= every_s - TIME_TOLERANCE_S, times_s[first], numbers * every_s)
    grid_s: Times = found_s[found_s < end_s - TIME_TOLERANCE_S]
    return grid_s


def temporal_view_indices(
    *,
    video_frames: int,
    video_fps: float,
    num_frames: int,
    sampling_rate: float,
    num_views: int,
    use_offset: bool = False,
) -> Indices:
    """Frame indices of N views spread uniformly over a video, by PySlowFast's rule.

    Args:
        video_frames: Frames in the video, at least 1.
        video_fps: Its frame rate.
        num_frames: T, frames per view.
        sampling_rate: tau, in frames of a 30 fps video.
        num_views: N, at least 1.
        use_offset: Spread the views so that the last one ends with the video (`DATA.USE_OFFSET_SAMPLING`).
    Returns:
        (num_views, num_frames) int64.
    Source: PySlowFast, `get_start_end_idx` and `temporal_sampling`.
    """
    if video_frames < 1:
        raise NoFrames("there are no frames to choose from; check the video")
    length = max(1.0, sampling_rate * num_frames / TARGET_FPS * video_fps)
    room = max(video_frames - length, 0)
    rows = []
    for view in range(num_views):
        if not use_offset:
            start = room * view / num_views
        elif num_views == 1:
            start = math.floor(room / 2)
        else:
            start = view * math.floor(room / (num_views - 1))
        rows.append(np.clip(linspace_indices(start, start + length - 1, num_frames), 0, video_frames - 1))
    return np.stack(rows)


def view_times(
    duration_s: float,
    *,
    video_fps: float,
    num_frames: int,
    sampling_rate: float,
    num_views: int,
    use_offset: bool = False,
) -> Times:
    """The views of `temporal_view_indices` as times, for `selection.AtTimes`.

    At a constant frame rate they select the frames of PySlowFast. Each time is the middle of a frame, so that
    rounding in the file does not matter. At a variable frame rate they select the frames on screen at these
    times.

    Args:
        duration_s: Duration of the video in seconds.
        video_fps: Its (average) frame rate.
        num_frames, sampling_rate, num_views, use_offset: See `temporal_view_indices`.
    Returns:
        (num_views, num_frames) float64, seconds since the first frame.
    """
    indices = temporal_view_indices(
        video_frames=max(1, round(duration_s * video_fps)),
        video_fps=video_fps,
        num_frames=num_frames,
        sampling_rate=sampling_rate,
        num_views=num_views,
        use_offset=use_offset,
    )
    return (indices.astype(np.float64) + 0.5) / video_fps


def view_spans(
    duration_s: float, *, span_s: float, num_views: int, use_offset: bool = False
) -> list[tuple[float, float]]:
    """N spans of time spread uniformly over a video; independent of the frame rate.

    Args:
        duration_s: Duration of the video in seconds.
        span_s: Duration of one view in seconds, `clip_span_s(T, tau)`.
        num_views: N, at least 1.
        use_offset: The last view ends with the video; a single view is centred.
    Returns:
        N pairs (start_s, span_s), for `frame_indices` or `selection.EvenSpan`. If the video is shorter than a
        view, all start at 0.
    Source: PySlowFast's rule in seconds, without its rounding to whole frames.
    """
    if num_views < 1:
        raise ValueError(f"num_views must be at least 1, not {num_views}")
    room_s = max(duration_s - span_s, 0.0)
    if not use_offset:
        starts = [room_s * view / num_views for view in range(num_views)]
    elif num_views == 1:
        starts = [room_s / 2]
    else:
        starts = [room_s * view / (num_views - 1) for view in range(num_views)]
    return [(start_s, span_s) for start_s in starts]
