"""When to try again and when to give up: one policy for downloads and for live sources."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long to try again. All counts begin anew with every progress.

    Waits double from `first_wait_s` to `longest_wait_s`. Each is shortened at random, so that many clients of
    one server do not come back at the same time.

    Attributes:
        max_retries: Retries in a row without progress; None: any number.
        max_s: Seconds without progress, the next wait included.
        first_wait_s: Before the first retry.
        longest_wait_s: Before any retry.
        jitter: By what share, 0 to 1, a wait may be shortened.
    """

    max_retries: int | None = 8  # with these waits about a minute and a half
    max_s: float = float("inf")
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    jitter: float = 0.5

    def wait_s(self, retry: int) -> float:
        """Seconds to wait before a retry, the first of which is number 1."""
        longest_s = min(self.first_wait_s * 2.0 ** min(retry - 1, 32), self.longest_wait_s)
        return longest_s * random.uniform(1 - self.jitter, 1.0)

    def is_exhausted(self, failures: int, elapsed_s: float) -> bool:
        """Whether to give up.

        Args:
            failures: Tries in a row that failed.
            elapsed_s: Seconds since the last progress, and the wait before the next try.
        """
        is_out_of_retries = self.max_retries is not None and failures > self.max_retries
        return is_out_of_retries or elapsed_s > self.max_s
