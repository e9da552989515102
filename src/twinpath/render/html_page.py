"""Self-contained HTML pages: templates of this folder, filled in."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from twinpath.escapes import printable


def filled_page(template: str, parts: Mapping[str, str]) -> str:
    """A template of this folder with its {{names}} replaced.

    Args:
        template: Name of the file.
        parts: HTML for each name; text of others must be escaped, see `escaped`.
    """
    page = resources.files("twinpath.render").joinpath(template).read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def escaped(text: str) -> str:
    """Text of others for a page, within tags or a quoted attribute."""
    return html.escape(printable(text))


def notes_html(notes: tuple[str, ...] | list[str]) -> str:
    """A paragraph for each."""
    return "\n".join(f'<p class="note">{escaped(note)}</p>' for note in notes)


def file_link(path: Path, start_s: float | None = None, end_s: float | None = None) -> str:
    """The address of a file for an attribute, with the span that a player begins with and ends at."""
    if start_s is None and end_s is None:
        return html.escape(path.absolute().as_uri())
    span = f"{start_s or 0:g}" + ("" if end_s is None else f",{end_s:g}")
    return html.escape(f"{path.absolute().as_uri()}#t={span}")
