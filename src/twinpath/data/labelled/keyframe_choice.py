"""Which annotated times become keyframes, and who is in the picture then."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from twinpath.formats.annotated import AnnotatedBox, AnnotatedVideo
from twinpath.formats.box_observations import TIME_DIGITS
from twinpath.video.sampling import TIME_TOLERANCE_S, Times

_ROUNDING_S = 0.002  # in a file with milliseconds
_BEHIND_END_S = 1.0  # a keyframe may lie behind the last frame, which is shown for some time
_CUT_BEGINS_AT_S = 900  # of AVA's videos

TimedPeople = list[tuple[float, list[AnnotatedBox]]]  # times in seconds since the first frame, increasing


def keyframes_by_time(
    annotated: AnnotatedVideo, times_s: Times, every_s: float, begins_at_s: float | None
) -> TimedPeople:
    """Times in seconds and the people there. Raises: InputError: A time behind the end."""
    by_time: dict[float, list[AnnotatedBox]] = {}
    for track in annotated.tracks:
        for box in track:
            by_time.setdefault(round(box.at, TIME_DIGITS), []).append(box)
    if not by_time:
        return []
    last_s = float(times_s[-1]) + _BEHIND_END_S
    begins_s = 0.0
    if annotated.is_relative:  # AVA CSV
        is_cut = min(by_time) >= _CUT_BEGINS_AT_S and max(by_time) > last_s
        begins_s = (_CUT_BEGINS_AT_S if is_cut else 0.0) if begins_at_s is None else begins_at_s
    for time_s, people in by_time.items():
        if not 0 <= time_s - begins_s <= last_s:
            raise annotated.error(
                people[0].place,
                f"{time_s:g} s is not in the video, whose last frame is at {begins_s + times_s[-1]:.1f} s; "
                "is it of another one?",
            )
    chosen = spread(sorted(by_time), every_s)
    return [(time_s - begins_s, by_time[time_s]) for time_s in chosen]


def spread(times_s: Sequence[float], every_s: float) -> list[float]:
    """Of increasing times the first, and then each that lies `every_s` or more behind the last one taken."""
    chosen: list[float] = []
    for time_s in times_s:
        if not chosen or time_s - chosen[-1] >= every_s - _ROUNDING_S:
            chosen.append(time_s)
    return chosen


def keyframes_by_frame(annotated: AnnotatedVideo, times_s: Times, every_s: float) -> TimedPeople:
    """The same of frames. Raises: InputError: A frame behind the end."""
    tracks = [_Path(track) for track in annotated.tracks]
    for track in annotated.tracks:
        if track[-1].at >= len(times_s):
            last = track[-1]
            if last.is_outside and last.at == len(times_s):
                continue  # gone behind the last frame
            raise annotated.error(
                last.place, f"the video has {len(times_s)} frames, numbered from 0; is it of another one?"
            )
    set_frames = sorted(
        {int(box.at) for t in annotated.tracks for box in t if box.is_set and not box.is_outside}
    )
    seconds = [float(times_s[frame]) for frame in set_frames]
    frame_at = dict(zip(seconds, set_frames, strict=True))
    chosen = [frame_at[time_s] for time_s in spread(seconds, every_s)]
    covered = [span for track in tracks for span in track.spans()]
    chosen = _with_frames_between(chosen, times_s, every_s, covered)
    found = [
        (float(times_s[f]), [box for track in tracks if (box := track.at(f)) is not None]) for f in chosen
    ]
    return [(time_s, people) for time_s, people in found if people]


def _with_frames_between(
    frames: Sequence[int], times_s: Times, every_s: float, covered: Sequence[tuple[int, int]]
) -> list[int]:
    """Frames, and others between them, so that those with somebody in them are about `every_s` apart.

    Args:
        frames: Increasing.
        times_s: Of all frames.
        every_s: 0: none are added.
        covered: First and last frame of each stretch with somebody in it.
    """
    if not every_s or not covered:
        return list(frames)
    last = max(end for _, end in covered)
    ends = [*frames[1:], *([last + 1] if frames and last > frames[-1] else [])]
    added = set(frames)
    for first, end in zip(frames, ends, strict=False):
        end_s = float(times_s[min(end, len(times_s) - 1)])
        number = math.floor((end_s - float(times_s[first])) / every_s + _ROUNDING_S)
        for k in range(1, number + (end == last + 1)):
            at_s = float(times_s[first]) + k * every_s
            frame = int(np.searchsorted(times_s, at_s - TIME_TOLERANCE_S))
            if first < frame < end and any(begin <= frame <= until for begin, until in covered):
                added.add(frame)
    return sorted(added)


class _Path:
    """One person's way through the frames: between two boxes on the line from one to the other."""

    def __init__(self, boxes: Sequence[AnnotatedBox]) -> None:
        self._boxes, self._frames = boxes, [int(box.at) for box in boxes]

    def spans(self) -> list[tuple[int, int]]:
        """First and last frame of each stretch in which the person is there."""
        found: list[tuple[int, int]] = []
        for n, box in enumerate(self._boxes):
            if box.is_outside:
                continue
            is_last = n + 1 == len(self._boxes)
            end = self._frames[n] if is_last else self._frames[n + 1] - self._boxes[n + 1].is_outside
            if found and found[-1][1] >= self._frames[n] - 1:
                found[-1] = (found[-1][0], end)
            else:
                found.append((self._frames[n], end))
        return found

    def at(self, frame: int) -> AnnotatedBox | None:
        """The box at a frame; None: the person is not there. Actions last until the next box."""
        n = bisect_right(self._frames, frame) - 1
        if n < 0 or self._boxes[n].is_outside:
            return None
        before = self._boxes[n]
        if before.at == frame:
            return before
        if n + 1 == len(self._boxes):
            return None
        after = self._boxes[n + 1]
        share = (frame - before.at) / (after.at - before.at)
        x1, y1, x2, y2 = (
            (1 - share) * a + share * b for a, b in zip(before.box_xyxy, after.box_xyxy, strict=True)
        )
        return AnnotatedBox(frame, (x1, y1, x2, y2), before.actions, before.place, is_set=False)
