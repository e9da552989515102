"""Views of a timeline: a PNG, or a self-contained HTML page.

write_timeline_view(timeline, Path("match.html"), "html")

Both show a lane for each label: bars for its segments, and the curve of its score below them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.atomic import atomic_path
from twinpath.render.timeline_html import write_html
from twinpath.render.timeline_png import write_png

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

#: The function that writes each kind of view.
VIEW_KINDS: dict[str, Callable[[Timeline, Path], None]] = {"html": write_html, "png": write_png}


def write_timeline_view(timeline: Timeline, path: Path, kind: str) -> None:
    """Write one file atomically.

    Args:
        timeline: Complete or unfinished.
        path: The file to create or replace.
        kind: One of `VIEW_KINDS`.
    Raises:
        OSError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        VIEW_KINDS[kind](timeline, temporary)
