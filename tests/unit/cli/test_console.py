"""What the commands print with."""

from __future__ import annotations

import json
import os
import sys

import pytest

from twinpath.cli.console import (
    BAR_WIDTH,
    bar,
    one_line,
    outlive_reader,
    print_json,
    print_note,
    print_predictions,
)
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
    assert one_line("two\nlines\r\nhere") == "two lines here"


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


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_that_nobody_reads_ends_no_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes never do; results do not in commands that write files."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, name, stream)
        outlive_reader()
        for _ in range(3):
            print_json({"a": 1}) if name == "stdout" else print_note("a")
        sys.stdout.flush()
