"""A hook of mkdocs: pages from outside docs/, and links that lead to where a page is in the site.

A link to a file that is no page of the site becomes its path, as code.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
#: A page's name in the site, and its file.
OUTSIDE = {
    "index.md": "README.md",
    "examples.md": "examples/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "golden.md": "tests/golden/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "card_classifier.md": "src/twinpath/assets/slowfast_tiny.synthetic.md",
    "card_detector.md": "src/twinpath/assets/slowfast_tiny_det.synthetic.md",
}
CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    for name, path in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links, except in blocks of code."""
    name = page.file.src_uri
    parts = CODE.split(markdown)
    parts[::2] = [turned(part, name) for part in parts[::2]]
    return "".join(parts)


def turned(text: str, name: str) -> str:
    """Text of the page called `name` in the site, with links that lead somewhere there."""
    path = OUTSIDE.get(name, f"docs/{name}")

    def turn(found: re.Match[str]) -> str:
        words, link = found.groups()
        file, hash_mark, anchor = link.partition("#")
        if not file or re.match(r"\w+:", link):
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        uri = in_site(target)
        if uri is not None:
            return f"[{words}]({posixpath.relpath(uri, posixpath.dirname(name) or '.')}{hash_mark}{anchor})"
        plain = words.replace("`", "")
        return f"`{target}`" if plain.strip("/") in target else f"{words} (`{target}`)"

    def picture(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))
        uri = in_site(target) or found[2]
        return f"![{found[1]}]({posixpath.relpath(uri, posixpath.dirname(name) or '.')})"

    return re.sub(r"!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)", picture, LINK.sub(turn, text))


def in_site(path: str) -> str | None:
    """The name in the site of a file of the repository, if it is there."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return next((name for name, outside in OUTSIDE.items() if outside == path), None)
