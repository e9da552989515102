"""What holds for every command, a new one too: the list comes from the app."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.command_list import Command, commands
from tests.support.commands import TINY, in_process

ROOT = Path(__file__).parents[2]
PAGES = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
WITH_JSON = [command for command in commands() if "--json" in command.options]
# Their first sentence does not fit into the list of commands. To be shortened, and this to become empty.
CUT_SHORT = {"stream", "timeline"}
QUICK = ("--clips", "2", "--workers", "1")
# How each command that prints JSON is called, and how many lines it prints. CLIP, CLIPS … are paths.
EXAMPLES: dict[str, tuple[tuple[str, ...], int | None]] = {
    "demo": (("--out", "OUT"), 2),
    "classify": (("CLIP", *TINY), 1),
    "detect": (("CLIP", "--model", "slowfast_tiny_det.synthetic", "--people", "whole", "--out", "OUT"), 1),
    "stream": (("CLIP", *TINY, "--no-realtime"), None),
    "timeline": (("CLIP", *TINY, "--out", "OUT"), 1),
    "features": (("CLIP", *TINY, "--out", "OUT.npz"), 1),
    "explain": (("CLIP", *TINY, "--out", "OUT", "--formats", "json,features.png,kernels.png"), 1),
    "labels": (("ava",), 80),
    "data check": (("CLIPS",), 1),
    "finetune": (("ACTIONS", *TINY, "--out", "OUT", "--folds", "2"), 1),
    "evaluate": (QUICK, 1),
    "doctor": ((), 1),
    "models list": (("x3d_s",), None),
    "models info": (("slowfast_tiny.synthetic", "--draw", "OUT.svg"), 1),
    "models download": (("slowfast_tiny",), 1),
    "models convert": (("WEIGHTS", "OUT.safetensors", "--model", "slowfast_tiny"), 1),
    "models export": ((TINY[1], "OUT"), 1),
    "models verify": ((TINY[1], "--video", "CLIP"), 1),
}


@pytest.mark.parametrize("command", commands(), ids=str)
def test_help(command: Command) -> None:
    """A sentence first, and a text for every argument and option."""
    for flag in ("--help", "-h"):
        done = in_process(*command.words, flag)
        usage, _, first, *_ = done.out.splitlines()
        assert usage.startswith(f"Usage: twinpath {command} ")
        assert re.match(r"  [A-Z]", first)
        assert done.err == ""
    assert not command.undescribed
    assert "--debug" in command.options


def test_the_list_of_commands_has_a_sentence_for_each() -> None:
    shown = in_process("--help").out
    for word in {command.words[0] for command in commands()} - CUT_SHORT:
        assert re.search(rf"^  {word} +[A-Z].*[^.]\.$", shown, re.MULTILINE), word


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_page_shows_it(command: Command) -> None:
    assert re.search(rf"\btwinpath {command}\b", PAGES)


@pytest.mark.parametrize("command", commands(), ids=str)
def test_an_option_that_does_not_exist(command: Command) -> None:
    done = in_process(*command.words, "--no-such-option", code=2)
    assert done.out == ""
    assert done.err.splitlines()[-1].startswith("Error: No such option: --no-such-option")


@pytest.mark.parametrize("command", [c for c in commands() if c.arguments or "--out" in c.options], ids=str)
def test_bad_input_is_one_line_and_a_code(command: Command, tmp_path: Path) -> None:
    """A path below a file is no input, no folder that can be made, and no name."""
    (tmp_path / "file").write_text("no folder")
    nowhere = tmp_path / "file" / "nothing"
    given: list[str | Path] = [nowhere for _ in command.arguments] or ["--out", nowhere]
    for flag in command.required:
        given += [flag, TINY[1] if flag == "--model" else tmp_path / "out.npz"]
    for json_too in ([], ["--json"]) if "--json" in command.options else ([],):
        try:
            done = in_process(*command.words, *given, *json_too, code=2)
        except AssertionError:
            done = in_process(*command.words, *given, *json_too, code=3)
        assert done.error.startswith("twinpath: ")
        assert "bug in Twinpath" not in done.error
        for line in done.out.splitlines():
            assert json_too
            json.loads(line)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", WITH_JSON, ids=str)
def test_json_is_one_object_a_line(
    command: Command, clips: Path, actions: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    assert str(command) in EXAMPLES, "a new command with --json? give an example of it"
    arguments, lines = EXAMPLES[str(command)]
    paths = {"CLIP": clips / "a.mp4", "CLIPS": clips, "OUT": tmp_path / "out", "WEIGHTS": tiny_weights}
    paths["ACTIONS"] = actions
    given = [str(paths.get(a, a)).replace("OUT", str(tmp_path / "out")) for a in arguments]
    done = in_process(*command.words, *given, "--json")
    assert lines is None or len(done.objects) == lines
    assert done.objects
    assert all(isinstance(value, dict) for value in done.objects)
    assert done.out.isascii()


def test_no_example_is_left_of_a_command_that_went() -> None:
    assert set(EXAMPLES) == {str(command) for command in WITH_JSON}
