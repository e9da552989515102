"""The figure in the embedded model's card is what the command prints. Five minutes: `make test-slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinpath as package
from commands import twinpath
from twinpath.zoo.records import record

CARD = Path(package.__file__).parent / "assets" / "slowfast_tiny.synthetic.md"


@pytest.mark.slow
def test_the_embedded_model_is_as_good_as_its_card_says() -> None:
    measured = twinpath("test", "--clips", "1000", "--json", timeout_s=1800).object
    assert measured["top1"] >= 0.95
    # Other processors round otherwise: a clip or two may fall the other way.
    assert 100 * measured["top1"] == pytest.approx(record("slowfast_tiny.synthetic").top1, abs=0.3)


def test_card_and_record_state_the_same_accuracy() -> None:
    assert f"**{record('slowfast_tiny.synthetic').top1} % top-1**" in CARD.read_text()
