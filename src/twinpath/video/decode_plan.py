"""What is before and behind decoding: a plan of the packets to decode, choosing among frames, RGB.

Planning reads packets without decoding them, which is cheap, and yields the presentation times; decoding
(`decode_pass.py`) then starts at the right keyframe and can stop at the last wanted frame. Packets of broken
files lie, so it never relies on the plan: it takes the nearest frame that does come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded
from twinpath.paths import display_path
from twinpath.video.clock import Clock
from twinpath.video.sampling import TIME_TOLERANCE_S, Times
from twinpath.video.source import Budget, VideoSource

LATE_S = 3.0  # a span that starts later than this is worth a seek
_SEEK_MARGINS_S = (0.0, 10.0)  # where the index leads behind the wanted start, try once from further back
REORDER_PACKETS = 16  # the most that H.264 and HEVC reorder


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to start decoding, and the presentation times to expect from there."""

    times_s: Times  # (N,) sorted, from the keyframe at or before the wanted start
    seek_s: float | None  # None: from the beginning of the file
    skip_packets: int  # after the seek
    reached_end: bool  # no packet lies behind the wanted end
    end_s: float  # when the last planned frame leaves the screen
    discarded: int  # packets before them that an edit list hides
    leading: int  # packets before the first keyframe in time but after it in the file: open GOP

    @property
    def from_start(self) -> bool:
        return self.seek_s is None and self.skip_packets == 0


def plan_pass(source: VideoSource, *, start_s: float, end_s: float, budget: Budget) -> Plan:
    """Read packets, without decoding, for what is on screen in [start_s, end_s)."""
    if source.can_seek and start_s > LATE_S:
        for margin_s in _SEEK_MARGINS_S:
            seek_s = max(start_s - margin_s, 0.0)
            if not source.seek(seek_s):
                break
            plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=seek_s, budget=budget)
            if plan is not None:
                return plan
    source.rewind()
    plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=None, budget=budget)
    assert plan is not None
    return plan


def _plan_from_here(
    source: VideoSource, *, start_s: float, end_s: float, seek_s: float | None, budget: Budget
) -> Plan | None:
    """None: after a seek there is no keyframe at or before the wanted start."""
    clock = Clock(source)
    times: list[float] = []
    durations: list[float] = []
    skip, behind, discarded, found_keyframe, keyframe_s = 0, 0, 0, False, -np.inf
    for number, packet in enumerate(source.packets()):
        time_s, order_s = clock.packet(packet)
        if packet.is_keyframe and time_s <= start_s + TIME_TOLERANCE_S:
            skip, found_keyframe, keyframe_s = number, True, time_s
            times, durations = [], []
        if seek_s is not None and not found_keyframe:
            return None
        behind += order_s >= end_s
        if behind > REORDER_PACKETS:
            break
        discarded += packet.is_discard
        if not packet.is_discard:
            times.append(time_s)
            durations.append(float((packet.duration or 0) * source.time_base))
        _check_plan(len(times), budget)
    order = np.argsort(np.asarray(times), kind="stable")
    planned = np.asarray(times, dtype=np.float64)[order]
    # Pictures that precede the keyframe refer to the group of pictures before it, which is not there.
    decodable = planned >= keyframe_s
    if not decodable.any():
        decodable[:] = True
    keep = decodable & (planned < max(end_s, start_s + TIME_TOLERANCE_S))
    if not keep.any() and len(planned):  # the video starts behind the span: its first frame is what there is
        keep = planned == planned[decodable][0]
    last = int(order[keep][-1]) if len(planned) else None
    return Plan(
        times_s=planned[keep],
        seek_s=seek_s,
        skip_packets=skip,
        reached_end=bool(keep[decodable].all()),
        end_s=times[last] + durations[last] if last is not None else 0.0,
        discarded=discarded,
        leading=int(np.count_nonzero(~decodable)),
    )


def _check_plan(frames: int, budget: Budget) -> None:
    """A budget that the packets alone pass needs no decoding to be passed."""
    most = budget.limits.max_frames
    if most is not None and frames > most:
        raise LimitExceeded(
            f"{display_path(budget.path)}: the wanted part has more than {most} frames; "
            "cut the video or raise max_frames"
        )
    if frames % 1024 == 0:
        budget.spend(0)


def check_bytes(shape: tuple[int, ...], *, budget: Budget) -> None:
    """Raises: LimitExceeded: frames of `shape`, (N, H, W, 3), are more than one call may return."""
    if math.prod(shape) > budget.limits.max_bytes:
        raise LimitExceeded(
            f"{display_path(budget.path)}: {shape[0]} frames of {shape[2]}x{shape[1]} are more than "
            f"{budget.limits.max_bytes} bytes; ask for fewer views at a time or raise max_bytes"
        )


def nearest_frames(
    frames: Iterable[tuple[float, VideoFrame]], target_s: Sequence[float], *, seen_s: list[float]
) -> Iterator[tuple[float, VideoFrame]]:
    """For each of some times the nearest frame that decodes, as soon as it is known; stops after the last.

    Args:
        frames: As a `DecodePass` gives them.
        target_s: Wanted times in seconds, increasing.
        seen_s: Gets the time of every frame that came by.
    Yields:
        (time in seconds, frame), one for each target. Where frames end early the last one stands for the
        rest; nothing where none decodes.
    """
    previous = None
    found = 0
    for time_s, frame in frames:
        seen_s.append(time_s)
        while found < len(target_s) and time_s >= target_s[found] - TIME_TOLERANCE_S / 10:
            is_previous = previous is not None and target_s[found] - previous[0] < time_s - target_s[found]
            yield previous if previous is not None and is_previous else (time_s, frame)
            found += 1
        if found == len(target_s):
            return
        previous = (time_s, frame)
    if previous is not None:
        for _ in range(found, len(target_s)):
            yield previous
