"""How `twinpath data check` prints its result: a table of classes and what is odd, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.cli.console import print_line

if TYPE_CHECKING:
    from twinpath.data.labelled.check import DataCheck

_MOST_CLASSES = 60  # of the table; the page has all
_MOST_COPIES = 12
_MOST_NAMED = 4  # of a set of copies


def print_check(check: DataCheck, written: Sequence[Path], *, as_json: bool) -> None:
    """Print a checked data set.

    Args:
        check: The data set.
        written: The files that were written, the page first.
        as_json: One JSON object.
    """
    from twinpath.cli.batch import files_in_words
    from twinpath.cli.console import print_json, print_note
    from twinpath.render.data_page import facts_in_words
    from twinpath.results.clock import clock

    if as_json:
        print_json(check.to_dict() | {"files": [str(path) for path in written]})
    else:
        print_line(f"{facts_in_words(check)} · {clock(check.total_s, 0)} that can be used")
        _print_classes(check)
        _print_copies(check)
        for problem in check.problems():
            print_line(f"! {problem}")
        if not check.problems():
            print_line("nothing is odd")
    if written:
        print_note(f"wrote {files_in_words(written)}")


def _print_classes(check: DataCheck) -> None:
    from twinpath.cli.console import Column, bar, print_table
    from twinpath.render.data_page import PART_TITLES, parts_of

    classes = check.classes[:_MOST_CLASSES]
    most = max((c.usable for c in check.classes), default=0)
    of_parts = [
        Column(PART_TITLES[part], [str(c.parts.get(part, 0)) for c in classes], dispensable=1, right=True)
        for part in parts_of(check.classes)
    ]
    print_table(
        [
            Column("class", [c.label for c in classes]),
            Column("", [bar(c.usable / max(most, 1)) for c in classes], dispensable=5),
            Column("clips", [str(c.usable) for c in classes], right=True),
            Column("lost", [str(c.clips - c.usable) for c in classes], dispensable=3, right=True),
            Column("groups", [str(c.groups) for c in classes], dispensable=2, right=True),
            *of_parts,
            Column("median", [_seconds(c.median_s) for c in classes], dispensable=4, right=True),
            Column("longest", [_seconds(c.longest_s) for c in classes], dispensable=6, right=True),
        ]
    )
    if len(check.classes) > len(classes):
        print_line(f"and {len(check.classes) - len(classes)} more classes")


def _print_copies(check: DataCheck) -> None:
    from twinpath.paths import display_path
    from twinpath.render.data_page import copies_in_words

    for copies in check.copies[:_MOST_COPIES]:
        names = [display_path(check.data.clips[number].path) for number in copies.clips[:_MOST_NAMED]]
        more = len(copies.clips) - len(names)
        print_line(f"{copies_in_words(copies)}: {', '.join(names)}{f' and {more} more' if more else ''}")
    if len(check.copies) > _MOST_COPIES:
        print_line(f"and {len(check.copies) - _MOST_COPIES} more sets of copies")


def _seconds(length_s: float | None) -> str:
    return "" if length_s is None else f"{length_s:.1f} s"
