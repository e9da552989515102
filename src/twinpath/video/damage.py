"""Damage found while a video was read, as warnings for the user and as errors.

Damage makes strict reading fail. A note is a property of the file that changes its frames.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinpath.errors import CorruptVideo, NoFrames
from twinpath.paths import display_path
from twinpath.video.color import RgbConverter
from twinpath.video.decode_pass import DecodePass
from twinpath.video.decode_plan import Plan
from twinpath.video.file_access import check_readable
from twinpath.video.sampling import TIME_TOLERANCE_S
from twinpath.video.source import VideoSource

NOTHING_DECODES = "none of its frames decodes"
_SHORT_S = 0.5  # a video that ends this much before its header's duration is incomplete; less is rounding


def no_frames(path: Path) -> NoFrames:
    """The error for a file without a packet of video."""
    return NoFrames(f"{display_path(path)} holds no frames; was the upload complete?")


def nothing_decodes(path: Path) -> CorruptVideo:
    """The error for a file with packets of video, none of which decodes."""
    return CorruptVideo(
        f"{display_path(path)} is damaged: {NOTHING_DECODES}; send it again", frames_decoded=0
    )


def check_decoded(decoding: DecodePass, path: Path) -> None:
    """Check a pass through a whole file at its end.

    Raises:
        NoFrames: There was no packet of video.
        CorruptVideo: None of them decoded.
    """
    if not decoding.decoded:
        raise nothing_decodes(path) if decoding.packets else no_frames(path)


class DamageReport:
    """Collects the findings of one or more passes through one file."""

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        self._decoded = 0
        self._expected = 0
        self._bad_packets = 0
        self._corrupt = 0
        self._guessed = 0
        self._discarded = 0
        self._leading = 0
        self._lost_head_s = 0.0
        self._ends_at_s: float | None = None
        self._is_cut = False
        self._resized = 0
        self._recoloured = 0
        self._is_readable = False  # known to be

    def add_planned(
        self,
        plan: Plan,
        decoding: DecodePass,
        *,
        decoded_s: Sequence[float],
        first_s: float,
        last_s: float,
    ) -> None:
        """Add a pass that followed a plan. Skipped packets count as if they were decoded.

        Args:
            plan: The expected frames.
            decoding: The pass.
            decoded_s: Times of the decoded frames in seconds, increasing.
            first_s: Time of the first target frame in seconds. Frames before it that do not decode from a
                keyframe in the middle of the file do not count: with intra refresh there are such.
            last_s: Time of the last target frame in seconds; later damage does not count.
        """
        tolerance_s = self._source.tolerance_s
        begin_s, end_s = -np.inf, last_s + tolerance_s
        expected = int(np.searchsorted(plan.times_s, end_s, side="right"))
        if not plan.from_start and len(decoded_s):
            begin_s = min(decoded_s[0], first_s) - tolerance_s
            expected -= int(np.searchsorted(plan.times_s, begin_s))
        skipped = decoding.skipping
        decoded = bisect_right(decoded_s, end_s) + skipped.count(begin_s, end_s)
        reaches_end = plan.reached_end and plan.times_s[-1] <= end_s
        if plan.from_start and len(decoded_s):
            begins_s = min([decoded_s[0], *skipped.times_s[:1]])
            if plan.times_s[0] < begins_s - TIME_TOLERANCE_S:
                self._lost_head_s = float(begins_s - plan.times_s[0])
        if plan.from_start:
            self._discarded, self._leading = plan.discarded, plan.leading
        self._add(
            decoding,
            decoded=decoded,
            expected=expected,
            is_whole_file=reaches_end and plan.from_start,
            ends_at_s=plan.end_s if reaches_end else None,
        )

    def add_whole(self, decoding: DecodePass, *, first_s: float | None, ends_at_s: float) -> None:
        """Add a pass without a plan, through the whole file.

        Args:
            decoding: The pass.
            first_s: Time of its first frame in seconds; None: there was none.
            ends_at_s: End of its last frame in seconds.
        """
        if first_s is not None and first_s > decoding.first_packet_s + TIME_TOLERANCE_S:
            self._lost_head_s = first_s - decoding.first_packet_s
        self._discarded, self._leading = decoding.discarded, decoding.leading
        self._add(
            decoding,
            decoded=decoding.decoded,
            expected=decoding.packets,
            is_whole_file=True,
            ends_at_s=ends_at_s,
        )

    def _add(
        self,
        decoding: DecodePass,
        *,
        decoded: int,
        expected: int,
        is_whole_file: bool,
        ends_at_s: float | None,
    ) -> None:
        source = self._source
        if ends_at_s is not None:
            self._is_cut = source.is_cut()
        if decoding.hides_frames and not decoding.bad_packets and 2 * decoded >= expected - 1:
            expected = decoded
        elif is_whole_file and source.claimed_frames:
            hidden = self._discarded + self._leading + source.empty_frames
            expected = max(expected, source.claimed_frames - hidden)
        elif ends_at_s is not None and source.claimed_duration_s is not None:
            claimed_s = source.claimed_duration_s
            self._ends_at_s = ends_at_s if ends_at_s < claimed_s - _SHORT_S else None
        self._decoded += decoded
        self._expected += max(expected, decoded)
        self._bad_packets += decoding.bad_packets
        self._corrupt += decoding.corrupt
        self._guessed += decoding.guessed

    def add_conversion(self, convert: RgbConverter) -> None:
        """Add the frames that were resized or recoloured."""
        self._resized += convert.resized
        self._recoloured += convert.recoloured

    def damage(self) -> list[str]:
        """One line for each kind of damage; empty for an undamaged file.

        Raises:
            NotAFile: There is damage because the disk of the file fails.
        """
        lines = []
        if self._decoded < self._expected:
            bad = f"; {self._bad_packets} packets could not be decoded" if self._bad_packets else ""
            lines.append(
                f"decoded {self._decoded} of {self._expected} frames: the file is damaged or incomplete{bad}"
            )
        elif self._bad_packets or self._source.read_errors:
            count = self._bad_packets + self._source.read_errors
            lines.append(f"decoded {self._decoded} frames, but {count} packets are damaged")
        if self._lost_head_s:
            lines.append(f"the first {self._lost_head_s:.2f} s do not decode")
        if self._ends_at_s is not None:
            lines.append(
                f"the video ends at {self._ends_at_s:.2f} s of the {self._source.claimed_duration_s:.2f} s "
                "that its header claims: the file is incomplete"
            )
        if self._is_cut and not lines:
            lines.append("the file is shorter than its header claims: it is incomplete")
        if self._corrupt:
            lines.append(f"{self._corrupt} decoded frames are marked as corrupt")
        if lines and not self._is_readable and self._source.kind != "frames":
            check_readable(self._source.path)
            self._is_readable = True
        return lines

    def warnings(self) -> list[str]:
        """Damage, then notes."""
        lines = self.damage() + self._source.notes
        cut = self._discarded + self._source.cut_frames
        if cut:
            claimed = (self._source.claimed_frames or 0) + self._source.cut_frames
            lines.append(
                f"{cut} frames are cut away by the file's edit list and are not shown "
                f"({claimed} in the header)"
            )
        if self._leading:
            lines.append(
                f"frames before the first keyframe cannot be decoded ({self._leading}): "
                "the recording starts at an open group of pictures"
            )
        if self._guessed and self._source.fps is None:
            fps = float(self._source.nominal_fps)
            lines.append(f"the file has no timestamps: {fps:g} frames per second assumed")
        if self._resized:
            lines.append(
                f"the frame size changes midway: {self._resized} frames scaled to the size of the first"
            )
        if self._recoloured:
            lines.append(
                f"FFmpeg cannot convert the colours of {self._recoloured} frames as they are tagged: "
                "shown as if they had no tags"
            )
        return lines

    def raise_damage(self, *, frames_decoded: int) -> None:
        """Raises: CorruptVideo: There is damage."""
        damage = self.damage()
        if damage:
            raise CorruptVideo(
                f"{display_path(self._source.path)} is damaged: {damage[0]}; repair it or leave it out",
                frames_decoded=frames_decoded,
            )
