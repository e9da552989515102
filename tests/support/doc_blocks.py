"""The blocks of code on pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Attributes: where it begins (`page:line`), its kind ("" without a word after the fence), its text."""

    where: str
    kind: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """All between fences, without the fence's indentation."""
    text = page.read_text("utf-8")
    for found in BLOCK.finditer(text):
        indent, kind, inner = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{page.name}:{line}", kind, re.sub(rf"^{indent}", "", inner, flags=re.MULTILINE))


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each command of a shell, without comments, the environment and where its output goes.

    In a block of a console they stand after `$ `, and the rest is output.
    """
    text = block.text.replace("\\\n", " ")
    if block.kind == "console":
        text = "\n".join(re.findall(r"^\$ (.*)$", text, re.MULTILINE))
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for token in [*lexer, ";"]:
            if set(token) <= set("|&;"):
                if words:
                    yield words
                words = []
            elif words or not re.fullmatch(r"[A-Z_]+=.*", token):
                words.append(token)


def without_redirection(words: list[str]) -> list[str]:
    """The words of a command before `> file`."""
    signs = [number for number, word in enumerate(words) if set(word) <= set("<>")]
    return words[: signs[0]] if signs else words
