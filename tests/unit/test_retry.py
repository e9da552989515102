"""When to try again and when to give up."""

from __future__ import annotations

import pytest

from twinpath.retry import RetryPolicy


def test_waits_double_up_to_the_longest() -> None:
    exact = RetryPolicy(first_wait_s=0.5, longest_wait_s=6.0, jitter=0.0)
    assert [exact.wait_s(retry) for retry in (1, 2, 3, 4, 5, 6, 500)] == [0.5, 1, 2, 4, 6, 6, 6]


def test_waits_are_shortened_at_random() -> None:
    waits = [RetryPolicy(first_wait_s=2.0, jitter=0.25).wait_s(1) for _ in range(200)]
    assert min(waits) >= 1.5
    assert max(waits) <= 2.0
    assert max(waits) - min(waits) > 0.2


@pytest.mark.parametrize(
    ("policy", "failures", "elapsed_s", "exhausted"),
    [
        (RetryPolicy(max_retries=3), 3, 1e9, False),
        (RetryPolicy(max_retries=3), 4, 0.0, True),
        (RetryPolicy(max_retries=0), 1, 0.0, True),
        (RetryPolicy(max_retries=None), 10**6, 1e9, False),
        (RetryPolicy(max_retries=None, max_s=60.0), 2, 60.0, False),
        (RetryPolicy(max_retries=None, max_s=60.0), 2, 60.1, True),
    ],
)
def test_when_to_give_up(policy: RetryPolicy, failures: int, elapsed_s: float, exhausted: bool) -> None:
    assert policy.is_exhausted(failures, elapsed_s) is exhausted
