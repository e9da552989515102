"""What `twinpath stream` sums up at the end: windows, frames, latencies, interruptions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.recognize.frame_ring import Counters
    from twinpath.recognize.live import StreamAnswer
    from twinpath.render.live import AnnotatedFile
    from twinpath.video.live import LiveReader


class Tally:
    """What became of a live source.

    Args:
        reader: Read the source.
        file: The annotated file, if any.
    Attributes:
        reason: Why it ended.
        counters: The last ones.
    """

    def __init__(self, reader: LiveReader, file: AnnotatedFile | None) -> None:
        self.reason = "end of the source"
        self.counters: Counters | None = None
        self._reader = reader
        self._file = file
        self._latencies_s = (0.0, 0.0)  # sum, maximum
        self._answers = 0

    def add(self, answer: StreamAnswer) -> None:
        self._answers += 1
        total_s, most_s = self._latencies_s
        self._latencies_s = (total_s + answer.latency_s, max(most_s, answer.latency_s))

    @property
    def mean_latency_s(self) -> float:
        return self._latencies_s[0] / max(self._answers, 1)

    def to_dict(self) -> dict[str, Any]:
        assert self.counters is not None
        file = self._file
        written = {}
        if file is not None:  # a file that could not be finished holds nothing
            frames_written = file.frames_written if file.is_complete else 0
            written = {"frames_written": frames_written, "frames_left_out": file.frames_left_out}
        return {
            "reason": self.reason,
            **asdict(self.counters),
            "latency_mean_s": round(self.mean_latency_s, 3),
            "latency_max_s": round(self._latencies_s[1], 3),
            "reconnects": self._reader.reconnects,
            "packets_damaged": self._reader.damaged,
            **written,
        }

    def __str__(self) -> str:
        counters, file = self.counters, self._file
        assert counters is not None
        parts = [
            f"{counters.windows} windows answered, {counters.windows_skipped} skipped",
            f"{counters.frames_read} frames read, {counters.frames_used} used, "
            f"{counters.frames_dropped} dropped",
        ]
        if self._answers:
            parts.append(f"latency {self.mean_latency_s:.2f} s, at most {self._latencies_s[1]:.2f} s")
        if self._reader.reconnects:
            parts.append(f"reconnections: {self._reader.reconnects}")
        if self._reader.damaged:
            parts.append(f"damaged packets: {self._reader.damaged}")
        if file is not None and file.is_complete:
            left_out = f", {file.frames_left_out} left out" if file.frames_left_out else ""
            parts.append(f"wrote {file.path} ({file.frames_written} frames{left_out})")
        return "; ".join(parts)
