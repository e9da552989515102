"""The documentation: generated pages are current, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.write_api_reference import API, pages

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(path for folder in ("docs", "benchmarks") for path in (ROOT / folder).rglob("*.md")),
]
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)|!\[[^\]]*\]\(([^)]+)\)")


def test_the_api_reference_is_current() -> None:
    there = {path.name: path.read_text("utf-8") for path in API.glob("*.md")}
    stale = [name for name, text in pages().items() if there.get(name) != text]
    assert not stale, "run `make docs`"
    assert there.keys() == pages().keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = [text or image for text, image in LINK.findall(page.read_text("utf-8"))]
    local = [target for target in targets if not target.startswith(("https://", "http://"))]
    assert [target for target in local if not (page.parent / target).exists()] == []
