"""The decoded frames nearest to given times, of one part of a file, in one pass.

Pictures that neither a target nor another picture needs are not decoded, see `skipping.py`.
In a damaged file some packets do not decode. Each target time then gets the nearest frame that does. A
keyframe of the container's index may be none for the decoder: with intra refresh, as cameras and drones send
it, pictures become whole little by little. Decoding then starts at the beginning of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from av.video.frame import VideoFrame

from twinpath.video.damage import DamageReport
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import Plan, plan_pass
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import VideoSource


class NearestFrames:
    """Decodes one part of a file. Iterate once for (time in seconds, frame), one for each target time.

    If decoding ends early, the last frame is repeated. If no frame decodes, nothing is yielded.

    Attributes:
        plan: The part of the file that is decoded.
        target_s: The target times in seconds, increasing.
        decoded_s: Times of the frames decoded so far, in seconds.
    """

    def __init__(
        self,
        source: VideoSource,
        plan: Plan,
        target_s: Sequence[float],
        *,
        strict: bool = False,
        fallback_end_s: float | None = None,
    ) -> None:
        """
        Args:
            source: An open file.
            plan: The part to decode; covers all targets.
            target_s: Target times in seconds, increasing, at least one.
            strict: Raise at the first packet that does not decode.
            fallback_end_s: If nothing decodes from the plan's keyframe on, decode again from the beginning up
                to this time; all targets then get the last frame before the damage. None: do not.
        """
        self.plan = plan
        self.target_s = target_s
        self.decoded_s: list[float] = []
        self._source = source
        self._strict = strict
        self._fallback_end_s = fallback_end_s
        self._decoding = DecodePass(source, plan=plan, target_s=target_s, strict=strict)

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        frames = iter(self._decoding)
        first = next(frames, None)
        if self._starts_too_late(first):
            self.plan = plan_pass(self._source, end_s=self._end_s())
            self._decoding = DecodePass(
                self._source, plan=self.plan, target_s=self.target_s, strict=self._strict
            )
            frames, first = iter(self._decoding), None
        given = frames if first is None else itertools.chain([first], frames)
        yield from nearest_frames(
            given, self.target_s, decoded_s=self.decoded_s, tolerance_s=self._source.tolerance_s / 10
        )

    def _starts_too_late(self, first: tuple[float, VideoFrame] | None) -> bool:
        """Whether frames are missing that decoding from the beginning of the file may give."""
        if self.plan.from_start:
            return False
        if first is None:
            return self._fallback_end_s is not None
        return first[0] > self.target_s[0] + TIME_TOLERANCE_S

    def _end_s(self) -> float:
        """The end of the part to decode in seconds."""
        return (
            float(self.plan.times_s[-1]) + TIME_TOLERANCE_S
            if self._fallback_end_s is None
            else self._fallback_end_s
        )

    def add_to(self, report: DamageReport, *, last_s: float) -> None:
        """Add the damage up to the target time `last_s` to a report."""
        report.add_planned(
            self.plan, self._decoding, decoded_s=self.decoded_s, first_s=self.target_s[0], last_s=last_s
        )


def nearest_frames(
    frames: Iterable[tuple[float, VideoFrame]],
    target_s: Sequence[float],
    *,
    decoded_s: list[float],
    tolerance_s: float,
) -> Iterator[tuple[float, VideoFrame]]:
    """For each target time the nearest frame that decodes, as soon as it is known.

    Args:
        frames: (time in seconds, frame) of a `DecodePass`.
        target_s: Target times in seconds, increasing.
        decoded_s: A list to which the time of every decoded frame is appended.
        tolerance_s: A frame is that of a target which it precedes by at most this, in seconds.
    Yields:
        (time in seconds, frame), one for each target. If `frames` end early, the last one is repeated; if
        there are none, nothing is yielded.
    """
    previous = None
    index = 0  # of the next target
    for time_s, frame in frames:
        decoded_s.append(time_s)
        while index < len(target_s) and time_s >= target_s[index] - tolerance_s:
            is_previous = previous is not None and target_s[index] - previous[0] < time_s - target_s[index]
            yield previous if previous is not None and is_previous else (time_s, frame)
            index += 1
        if index == len(target_s):
            return
        previous = (time_s, frame)
    if previous is not None:
        for _ in range(index, len(target_s)):
            yield previous
