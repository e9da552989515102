"""Cells of tables: no spreadsheet runs a name or a label."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support.timelines import scores_by_hand
from twinpath.formats.text_columns import escape_cell, unescape_cell
from twinpath.formats.timelines import write_timeline_file
from twinpath.recognize.timeline import timeline_of
from twinpath.results.segments import SegmentRules


@pytest.mark.parametrize("text", ["=1", "+1", "@a", "\tx", "\rx", "-1+1", "- 1", "'=1", "''=1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert escape_cell(text) == f"'{text}"
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("text", ["", "a=1", "-5KQ66BBWC4", "-a-b", "--", "'a'", "stand/walk (a=b)"])
def test_other_texts_stay(text: str) -> None:
    assert escape_cell(text) == unescape_cell(text) == text


def test_labels_of_a_timeline(tmp_path: Path) -> None:
    found = timeline_of(scores_by_hand([[0.9], [0.9]], ("=HYPERLINK(A1)",)), SegmentRules(min_score=0.5))
    write_timeline_file(found, tmp_path / "x.csv", "csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["label"] == "'=HYPERLINK(A1)"
