"""The retry policy of downloads and live sources."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter. Progress resets all counts.

    Waits double from `first_wait_s` to `longest_wait_s`. Each is shortened randomly, so that many clients of
    a server do not retry at the same time.

    Attributes:
        max_retries: Maximum number of retries without progress; None: no maximum.
        max_s: Maximum time without progress in seconds, the next wait included.
        first_wait_s: Wait before the first retry in seconds.
        longest_wait_s: Maximum wait in seconds.
        jitter: Maximum share, 0 to 1, by which a wait is shortened.
    """

    max_retries: int | None = 8  # about 90 s with these waits
    max_s: float = float("inf")
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    jitter: float = 0.5

    def wait_s(self, retry: int) -> float:
        """Seconds to wait before a retry; the first retry is number 1."""
        longest_s = min(self.first_wait_s * 2.0 ** min(retry - 1, 32), self.longest_wait_s)
        return longest_s * random.uniform(1 - self.jitter, 1.0)

    def is_exhausted(self, failures: int, elapsed_s: float) -> bool:
        """Whether to give up.

        Args:
            failures: Failed attempts without progress.
            elapsed_s: Seconds since the last progress, including the wait before the next attempt.
        """
        is_out_of_retries = self.max_retries is not None and failures > self.max_retries
        return is_out_of_retries or elapsed_s > self.max_s
