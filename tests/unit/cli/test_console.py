"""What the commands print with."""

from __future__ import annotations

import json

import pytest

from twinpath.cli.console import BAR_WIDTH, Part, bar, one_line, print_json, print_predictions, with_progress
from twinpath.results.classification import Prediction


@pytest.mark.parametrize(
    ("share", "start"),
    [(0.0, "·"), (0.5, "█" * 12 + "·"), (1.0, "█" * 24), (1.5, "█" * 24), (-1.0, " "), (1 / 48, "▌·")],
)
def test_a_bar_has_one_width(share: float, start: str) -> None:
    drawn = bar(share)
    assert len(drawn) == BAR_WIDTH
    assert drawn.startswith(start)


def test_a_message_has_one_line() -> None:
    assert one_line("two\nlines\r\nhere") == "two lines  here"


def test_json_is_one_line_that_every_locale_can_write(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"video": "Straße\n\udce9.mp4", "score": 0.5}
    print_json(value)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.count("\n") == 1
    assert json.loads(printed) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json(float("nan"))


def test_labels_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_predictions([Prediction("Putting [something] down", 3, 0.25), Prediction("a", 1, 0.125)])
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Putting [something] down  {bar(0.25)}  25.0 %"
    assert second.split() == ["a", bar(0.125), "12.5", "%"]


def test_progress_passes_items_on_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    made: list[int] = []

    def make() -> object:
        for number in range(3):
            made.append(number)
            yield number

    for count, item in enumerate(with_progress(make(), total=3, title="making"), start=1):
        assert len(made) == count
        assert item == count - 1
    assert capsys.readouterr() == ("", "")


def test_progress_passes_errors_on() -> None:
    def fail() -> object:
        yield 1
        raise OSError("disk")

    items = with_progress(fail(), total=2, title="failing")
    assert next(items) == 1
    with pytest.raises(OSError, match="disk"):
        next(items)


def test_progress_within_an_item_is_told_to_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Bars:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...
        def add_task(self, title: str, total: int) -> int:
            return 0

        def update(self, task: int, completed: float) -> None:
            seen.append(completed)

    monkeypatch.setattr("twinpath.cli.console._bars", lambda display_path: Bars())
    part = Part()
    part(1, 2)  # nobody listens yet

    def make() -> object:
        for number in range(2):
            part(1, 4)
            yield number

    assert list(with_progress(make(), total=2, title="making", part=part)) == [0, 1]
    assert seen == [0.25, 1, 1.25, 2]
