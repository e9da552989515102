"""Where decoding starts and which frames to expect, from the packets of a file.

Planning reads packets without decoding them, which is cheap, and returns the presentation times. Decoding
(`decode_pass.py`) then starts at the right keyframe and stops at the last selected frame. A damaged file may
have packets that do not decode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinpath.errors import LimitExceeded
from twinpath.paths import display_path
from twinpath.video.clock import Clock, follow
from twinpath.video.sampling import Times
from twinpath.video.source import VideoSource

LATE_S = 3.0  # seek if the span starts later than this
REORDER_PACKETS = 16  # the maximum in H.264 and HEVC
_SEEK_MARGINS_S = (0.0, 10.0)  # if the index leads behind the requested start, try once from further back


@dataclass(frozen=True, eq=False)
class Plan:
    """Where to start decoding, and the presentation times to expect from there."""

    times_s: Times  # (N,) sorted, from the keyframe at or before the requested start
    seek_s: float | None  # None: from the beginning of the file
    skip_packets: int  # after the seek
    reached_end: bool  # no packet lies behind the requested end
    end_s: float  # end of the last planned frame, by the duration of its packet
    discarded: int  # packets that an edit list hides
    leading: int  # packets before the first keyframe in time but after it in the file: open GOP

    @property
    def from_start(self) -> bool:
        return self.seek_s is None and self.skip_packets == 0


def plan_pass(source: VideoSource, *, start_s: float = 0.0, end_s: float = np.inf) -> Plan:
    """Read packets, without decoding, for the frames on screen in [start_s, end_s).

    Raises:
        LimitExceeded: There are more frames than the budget allows, or reading the packets took too long.
    """
    if source.can_seek and start_s > LATE_S:
        for margin_s in _SEEK_MARGINS_S:
            seek_s = max(start_s - margin_s, 0.0)
            if not source.seek(seek_s):
                break
            plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=seek_s)
            if plan is not None:
                return plan
    source.rewind()
    plan = _plan_from_here(source, start_s=start_s, end_s=end_s, seek_s=None)
    assert plan is not None
    return plan


def _plan_from_here(
    source: VideoSource, *, start_s: float, end_s: float, seek_s: float | None
) -> Plan | None:
    """The plan from the current file position; None: after a seek no keyframe lies at or before `start_s`."""
    clock = Clock(source)
    times: list[float] = []
    durations: list[float] = []
    skip, behind, discarded, found_keyframe, keyframe_s = 0, 0, 0, False, -np.inf
    for number, packet in enumerate(source.packets()):
        time_s, order_s = clock.packet(packet)
        may_start = number == 0 or source.can_start_midway
        if packet.is_keyframe and time_s <= start_s + source.tolerance_s and may_start:
            skip, found_keyframe, keyframe_s = number, True, time_s
            times, durations = [], []
        if seek_s is not None and not found_keyframe:
            return None
        behind += order_s >= end_s
        if behind > REORDER_PACKETS:
            break
        discarded += packet.is_discard
        if not packet.is_discard and not source.repeats_picture(packet):
            times.append(time_s)
            durations.append(float((packet.duration or 0) * source.time_base))
        _check_budget(source, len(times))
    order = np.argsort(np.asarray(times), kind="stable")
    planned = np.asarray(times, dtype=np.float64)[order]
    # Frames that precede the keyframe refer to the group of pictures before it, which is missing.
    decodable = planned >= keyframe_s
    if not decodable.any():
        decodable[:] = True
    keep = decodable & (planned < max(end_s, start_s + source.tolerance_s))
    if not keep.any() and len(planned):  # the video starts behind the span: use its first frame
        keep = planned == planned[decodable][0]
    last = int(order[keep][-1]) if len(planned) else None
    return Plan(
        times_s=_following(source, planned[keep]),
        seek_s=seek_s,
        skip_packets=skip,
        reached_end=bool(keep[decodable].all()),
        end_s=times[last] + durations[last] if last is not None else 0.0,
        discarded=discarded,
        leading=int(np.count_nonzero(~decodable)),
    )


def _following(source: VideoSource, times_s: Times) -> Times:
    """Sorted times of packets as `Clock.frame` gives those of their frames."""
    if source.kind != "mpeg":
        return times_s
    followed = times_s.copy()
    for k in range(1, len(followed)):
        followed[k] = follow(source, followed[k - 1], followed[k])
    return followed


def _check_budget(source: VideoSource, frames: int) -> None:
    """Check the limits before anything is decoded.

    Raises: LimitExceeded.
    """
    max_frames = source.budget.limits.max_frames
    if max_frames is not None and frames > max_frames:
        raise LimitExceeded(
            f"{display_path(source.path)}: the part to read has more than {max_frames} frames; "
            "cut the video or raise max_frames"
        )
    if frames % 1024 == 0:
        source.budget.spend(0)
