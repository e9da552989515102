"""The drawings of docs/concepts are those that the code draws."""

from __future__ import annotations

import pytest

from scripts.draw_concepts import DRAWINGS, IMAGES


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_current(name: str) -> None:
    assert (IMAGES / name).read_text("utf-8") == DRAWINGS[name]().svg(), (
        "run `python -m scripts.draw_concepts`"
    )
