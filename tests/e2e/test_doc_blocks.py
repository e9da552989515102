"""Every block of code on a page is run, with a drawn clip and the embedded models in place of what it names.

What cannot be run is parsed: commands by the command line itself, Python up to its imports, files by their
readers. A command that stands on several pages is run on the first of them.
"""

from __future__ import annotations

import ast
import csv
import importlib
import importlib.util
import io
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from tests.support.commands import in_process
from tests.support.doc_blocks import BLOCK, Block, blocks, commands, without_redirection
from tests.support.stand_ins import StandIns, embedded_for, in_python
from twinpath.cli.app import make_app
from twinpath.train.recipe import read_recipe

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "docs/concepts", "docs/roads", "benchmarks", "examples", "tests/golden")
PAGES = [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in sorted((ROOT / name).glob("*.md")))]
WITH_BLOCKS = [page for page in PAGES if "```" in page.read_text("utf-8")]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

#: Commands of others.
OTHERS = {"hf auth", "tensorboard", "man", ".", "git", "cd", "docker", "apt-get"}
#: Commands that are parsed only, and why.
NOT_RUN = {
    r"stream (0|rtsp|CAMERA)": "needs a camera",
    r"models (download|verify|push)|hf://": "needs a network",
    r"train ": "trains for long; its recipe and settings are read",
    r"evaluate .*--dataset ava": "needs AVA's files; see test_ava_command.py",
    r"--precision int8": "takes a minute; see test_export_int8.py",
    r"(evaluate|classify|detect) .*runs/": "needs a run; see test_train.py",
    r"--install-completion|--show-completion": "is for the user's shell",
    r"^demo( --out \w+)?$|^explain (?!.*--pathway)": "takes 10 s; test_every_command.py runs the same",
    r"^evaluate (slowfast_tiny\S* )?--clips": "starts processes; see test_every_command.py",
    r"evaluate .*--recipe": "needs the recipe's data; see test_evaluate_data.py",
    r"finetune (results|scenes)": "needs boxes; see test_finetune.py",
    r"--people dfine": "downloads a detector",
}
#: Python that is compiled and whose imports are resolved only, and why.
PYTHON_NOT_RUN = {
    "int8.md": "takes a minute; see test_export_int8.py",
    "read_keyframes": "needs boxes; see test_finetune.py",
    "Explainer": "takes 10 s; see test_explain.py",
}
#: What a page calls by names that its text explains.
BEFORE = {
    "reading.md": """
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.selection import EvenSpan
plan, views = Windows(ClipSampling(num_frames=8, sampling_rate=2), every_s=1.0), [EvenSpan(0.0, 1.0, 8)]
"""
}
#: Folders of a page that have a folder for each class.
LABELLED = {"evaluation.md": {"clips"}}


def first_pages() -> dict[tuple[str, ...], Path]:
    """The page on which a command of Twinpath is run."""
    first: dict[tuple[str, ...], Path] = {}
    for page in WITH_BLOCKS:
        for block in blocks(page):
            for words in commands(block) if block.kind in SHELLS else ():
                first.setdefault(tuple(words), page)
    return first


class Page:
    """The blocks of one page, run one after the other in one folder."""

    def __init__(self, path: Path, stand_ins: StandIns) -> None:
        self.path, self.stand_ins = path, stand_ins
        self.names: dict[str, Any] = {}
        exec(BEFORE.get(path.name, ""), self.names)

    def run(self, block: Block) -> None:
        assert block.kind in KINDS, f"a block of kind {block.kind!r}; known: {', '.join(KINDS)}"
        KINDS[block.kind](self, block)

    def shell(self, block: Block) -> None:
        found = list(commands(block))
        assert found, "no command; is it ```text?"
        for words in found:
            self.command(words)

    def command(self, words: list[str]) -> None:
        first = words[0].removeprefix(".venv/bin/")
        if first == "twinpath":
            self.twinpath(words, without_redirection(words)[1:])
        elif first == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)
        elif first == "pip":
            extras = re.findall(r"\[(\w+)\]", " ".join(words))
            assert words[1] in {"install", "wheel"}
            assert set(extras) <= {*EXTRAS, "socks"}
        elif first in {"python", "python3"}:
            if words[1] == "-m":
                assert importlib.util.find_spec(words[2])
            else:
                assert any((folder / words[1]).is_file() for folder in (ROOT, ROOT / "examples/browser"))
        else:
            assert {first, " ".join(words[:2])} & OTHERS, f"an unknown command: {' '.join(words)}"

    def twinpath(self, words: list[str], arguments: list[str]) -> None:
        command, rest = resolved(arguments)
        text = " ".join(arguments)
        if command.name == "train" and not rest[0].startswith("-"):
            read_recipe(rest[0], [word for word in rest[1:] if not word.startswith("-")])
        if FIRST[tuple(words)] == self.path and not any(re.search(rule, text) for rule in NOT_RUN):
            for word in inputs(rest):
                self.stand_ins.make(word, embedded_for(command))
            changed = self.stand_ins.in_words(rest, command)
            in_process(*arguments[: len(arguments) - len(rest)], *changed)

    def python(self, block: Block) -> None:
        tree = ast.parse(block.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name), f"{node.module} has no {name.name}"
            elif isinstance(node, ast.Import):
                for name in node.names:
                    importlib.import_module(name.name)
        if any(rule in f"{block.where} {block.text}" for rule in PYTHON_NOT_RUN):
            return
        for word in re.findall(r'"([^"\n]+)"', block.text):
            self.stand_ins.make(word)
        exec(compile(in_python(block.text), block.where, "exec"), self.names)

    def toml(self, block: Block) -> None:
        values = tomllib.loads(block.text)
        if "base" in values:
            file = self.stand_ins.here / "recipe.toml"
            file.write_text(block.text, "utf-8")
            read_recipe(str(file))

    def json(self, block: Block) -> None:
        json.loads(block.text)

    def yaml(self, block: Block) -> None:
        yaml.safe_load(block.text)

    def csv(self, block: Block) -> None:
        assert len({len(row) for row in csv.reader(io.StringIO(block.text))}) == 1

    def shown(self, block: Block) -> None:
        """A tree of files, a formula, what a command printed."""
        assert not re.search(r"^\s*(twinpath|make|pip) \w", block.text, re.MULTILINE), "are these commands?"


SHELLS = ("", "sh", "console")
KINDS: dict[str, Callable[[Page, Block], None]] = {
    **dict.fromkeys(SHELLS, Page.shell),
    "python": Page.python,
    "toml": Page.toml,
    "json": Page.json,
    "yaml": Page.yaml,
    "csv": Page.csv,
    "text": Page.shown,
}
FIRST = first_pages()


def resolved(arguments: list[str]) -> tuple[Any, list[str]]:
    """The command of the command line, and its own words, which it has parsed."""
    command: Any = get_command(make_app())
    rest = list(arguments)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    if not hasattr(command, "commands"):
        command.make_context(command.name, list(rest))
    return command, rest


def inputs(words: list[str]) -> list[str]:
    """Words that may name files to read."""
    return [word for before, word in zip(["", *words], words, strict=False) if before != "--out"]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks(
    page: Path,
    clips: Path,
    actions: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    labelled = frozenset(LABELLED.get(page.name, ()))
    run = Page(page, StandIns(clips / "a.mp4", actions, tiny_weights, labelled, tmp_path))
    failed = []
    for block in blocks(page):
        try:
            run.run(block)
        except Exception as error:  # noqa: BLE001 - all of a page are shown
            failed.append(f"{block.where}: {type(error).__name__}: {error or block.text}")
    assert not failed, "\n".join(failed)


def test_no_commands_stand_outside_of_blocks() -> None:
    for page in PAGES:
        text = BLOCK.sub("", page.read_text("utf-8"))
        assert not re.search(r"^    (twinpath|make|pip) \w.*$", text, re.MULTILINE), page
