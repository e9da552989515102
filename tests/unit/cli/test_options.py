"""Options in groups, and messages of the library in the words of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from twinpath.cli.option_groups import option_groups
from twinpath.cli.option_names import in_options


@dataclass(frozen=True)
class Group:
    depth: Annotated[int, typer.Option("--depth", min=1, help="How deep.")] = 2
    is_open: Annotated[bool, typer.Option("--open")] = False


@option_groups
def command(*, name: Annotated[str, typer.Argument()], group: Group, last: str = "z") -> None:
    """Does something."""
    print(name, group, last)


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(command)
    return made


def test_a_group_is_one_argument_and_many_options(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, ["a", "--depth", "3", "--open"])
    assert done.output == "a Group(depth=3, is_open=True) z\n"
    assert CliRunner().invoke(app, ["a"]).output == "a Group(depth=2, is_open=False) z\n"
    assert CliRunner().invoke(app, ["a", "--depth", "0"]).exit_code == 2
    assert "How deep." in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("every_s must be at least 0.01 s, not 0", "--every must be at least 0.01 s, not 0"),
        ("compile is for engine='torch'; OpenVINO …", "--compile is for --engine torch; OpenVINO …"),
        ("engine 'onnx' is not known", "--engine 'onnx' is not known"),
        ("formats: there is no 'pdf'", "--formats: there is no 'pdf'"),
        ("f.npz …; give another place, or resume=False to", "f.npz …; give another place, or --no-resume to"),
        ("use views='1x1'", "use --views 1x1"),
        ("people.mp4 is damaged: views is a word", "people.mp4 is damaged: views is a word"),
        ("x=1 must be so", "x=1 must be so"),
        ("a.mp4: takes longer; raise max_seconds", "a.mp4: takes longer; raise --max-seconds"),
        ("f.npz …: top_k is 3, before 2; give", "f.npz …: --top-k is 3, before 2; give"),
        ("top_k.mp4 and clips/top_k are damaged", "top_k.mp4 and clips/top_k are damaged"),
    ],
)
def test_arguments_become_options(message: str, shown: str) -> None:
    assert in_options(message) == shown
