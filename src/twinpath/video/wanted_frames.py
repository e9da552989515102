"""The decoded frames nearest to given times: of one part of a file, in one pass.

The packets of a damaged file may announce frames that do not decode, so the nearest frame that does decode
is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from av.video.frame import VideoFrame

from twinpath.video.damage import DamageReport
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import Plan, plan_pass
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import VideoSource


class WantedFrames:
    """Decodes one part of a file. Iterate once for (time in seconds, frame), one for each wanted time.

    Where decoding ends early the last frame is repeated for the rest; where no frame decodes there is none.

    Attributes:
        plan: The plan that is followed.
        target_s: The wanted times in seconds, increasing.
        seen_s: Times of the frames decoded so far.
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
            plan: Covers all targets.
            target_s: Wanted times in seconds, increasing, at least one.
            strict: Raise at the first packet that does not decode.
            fallback_end_s: Where nothing decodes from the plan's keyframe on, decode again from the beginning
                up to this time; the last frame before the damage then stands for all. None: do not.
        """
        self.plan = plan
        self.target_s = target_s
        self.seen_s: list[float] = []
        self._source = source
        self._strict = strict
        self._fallback_end_s = fallback_end_s
        self._decoding = DecodePass(source, plan=plan, strict=strict)

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        yield from nearest_frames(self._decoding, self.target_s, seen_s=self.seen_s)
        if self.seen_s or self._fallback_end_s is None or self.plan.from_start:
            return
        self.plan = plan_pass(self._source, end_s=self._fallback_end_s)
        self._decoding = DecodePass(self._source, plan=self.plan, strict=self._strict)
        yield from nearest_frames(self._decoding, self.target_s, seen_s=self.seen_s)

    def add_to(self, report: DamageReport, *, last_s: float) -> None:
        """Report what went wrong up to the wanted time `last_s`."""
        report.add_planned(self.plan, self._decoding, seen_s=self.seen_s, last_s=last_s)


def nearest_frames(
    frames: Iterable[tuple[float, VideoFrame]], target_s: Sequence[float], *, seen_s: list[float]
) -> Iterator[tuple[float, VideoFrame]]:
    """For each of some times the nearest frame that decodes, as soon as it is known; stops after the last.

    Args:
        frames: As a `DecodePass` gives them.
        target_s: Wanted times in seconds, increasing.
        seen_s: A list to which the time of every decoded frame is appended.
    Yields:
        (time in seconds, frame), one for each target. Where decoding ends early the last frame is repeated
        for the rest; nothing where no frame decodes.
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
