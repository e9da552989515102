"""Bars over batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from twinpath.cli.progress import BatchBar


class Bars:
    """Keeps what a bar is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float | None]] = []

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
    def add_task(self, title: str, **_: object) -> int:
        return 0

    def update(self, task: int, completed: float, total: float | None = None, **_: object) -> None:
        self.seen.append((completed, total))


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Bars:
    made = Bars()
    monkeypatch.setattr("twinpath.cli.progress._bars", lambda: made)
    return made


def test_items_pass_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number

    for count, item in enumerate(BatchBar("making", total=3).over(make()), start=1):
        assert len(made) == count
        assert item == count - 1
    assert capsys.readouterr() == ("", "")


def test_errors_pass() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    items = BatchBar("failing", total=2).over(fail())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk"):
        next(items)


def test_parts_of_an_item_move_the_bar_of_a_batch(bars: Bars) -> None:
    bar = BatchBar("making", total=2)

    def make() -> Iterator[Any]:
        for number in range(2):
            bar(1, 4)
            yield number

    assert list(bar.over(make())) == [0, 1]
    assert [completed for completed, _ in bars.seen] == [0.25, 1, 1.25, 2]


def test_a_single_item_has_a_bar_over_its_parts(bars: Bars) -> None:
    bar = BatchBar("making", total=1)

    def make() -> Iterator[str]:
        for done in range(3):
            bar(done, 3)
        yield "item"

    assert list(bar.over(make())) == ["item"]
    assert bars.seen == [(0, 3), (1, 3), (2, 3)]
