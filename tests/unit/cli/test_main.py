"""Exit codes and the one line of an error, for what a test cannot bring about from outside."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import twinpath.cli.app
from twinpath.cli import main
from twinpath.cli.garbage import look_as_usual, looked_for_late
from twinpath.cli.loading import best_cached_or_offered
from twinpath.errors import CorruptVideo, DownloadFailed, PartialFailure, TwinpathError, UsageError
from twinpath.weights.fetch import cached_path
from twinpath.zoo.records import record


@pytest.fixture(autouse=True)
def _keep_the_handlers() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str) -> object:
    """The exit code of a command that ends with an error."""

    def app(prog_name: str) -> None:
        raise error

    monkeypatch.setattr(twinpath.cli.app, "make_app", lambda *_: app)
    monkeypatch.setattr(sys, "argv", ["twinpath", "demo", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TwinpathError("ours"), 1),
        (UsageError("ours"), 2),
        (CorruptVideo("ours", frames_decoded=0), 3),
        (OSError(28, "No space left on device", "ours.mp4"), 3),
        (PartialFailure("ours"), 4),
        (DownloadFailed("ours"), 5),
        (KeyError("ours"), 1),
    ],
)
def test_an_error_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    assert run(monkeypatch, error) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twinpath: ")
    assert "ours" in line


def test_a_bug_says_so_and_where_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, ValueError("two\nlines")) == 1
    shown = capsys.readouterr().err
    assert shown == ("twinpath: this is a bug in Twinpath: ValueError: two lines (--debug shows where)\n")
    assert run(monkeypatch, ValueError("two\nlines"), "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_within_an_import_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signum: signal.Signals, code: int
) -> None:
    def app(prog_name: str) -> None:
        try:
            signal.raise_signal(signum)
        except BaseException as stop:  # as extension modules do
            raise ImportError("initialization failed") from stop

    monkeypatch.setattr(twinpath.cli.app, "make_app", lambda *_: app)
    monkeypatch.setattr(sys, "argv", ["twinpath", "demo"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert (caught.value.code, capsys.readouterr().err) == (code, "")


def test_training_without_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*sys.modules]:
        if name.startswith(("twinpath.train.run", "twinpath.train.classification")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)
    from twinpath.cli.train import train
    from twinpath.errors import MissingExtra

    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[train\]'"):
        train(["slowfast_tiny"], out=tmp_path / "run")


def put(name: str) -> None:
    path = cached_path(record(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_the_best_kinetics_weights_in_the_cache_are_taken(
    empty_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put("slow_r50_4x16.ptv_k400")
    put("slow_r50_8x8.ptv_ssv2")
    assert best_cached_or_offered().name == "slow_r50_4x16.ptv_k400"
    put("slow_r50_8x8.ptv_k400")
    assert best_cached_or_offered().name == "slow_r50_8x8.ptv_k400"
    assert "using slow_r50_8x8.ptv_k400, the best Kinetics weights" in capsys.readouterr().err


@pytest.mark.parametrize("agreed", [True, False])
def test_on_a_terminal_a_download_is_offered(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, agreed: bool
) -> None:
    questions = []

    def confirm(question: str, **_: object) -> bool:
        questions.append(question)
        return agreed

    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if agreed:
        assert best_cached_or_offered().name == "slowfast_r50_8x8.ptv_k400"
    else:
        with pytest.raises(UsageError, match="twinpath demo"):
            best_cached_or_offered()
    assert len(questions) == 1
    assert re.search(r"Download slowfast_r50_8x8\.ptv_k400 \(\d+ MB\)\?", questions[0])


def test_one_command_is_made_as_among_all() -> None:
    """And what is no command makes all of them, so that the error can name the nearest."""
    everything = typer.main.get_command(twinpath.cli.app.make_app())
    alone = typer.main.get_command(twinpath.cli.app.make_app("classify"))
    assert list(alone.commands) == ["classify"]  # type: ignore[attr-defined]
    for first in (None, "--debug", "clasify"):
        made = typer.main.get_command(twinpath.cli.app.make_app(first))
        assert list(made.commands) == list(everything.commands)  # type: ignore[attr-defined]
    help_of = [
        (p.name, p.help, p.opts)
        for made in (alone, everything)
        for p in made.commands["classify"].params  # type: ignore[attr-defined]
    ]
    assert help_of[: len(help_of) // 2] == help_of[len(help_of) // 2 :]


@pytest.mark.parametrize("given", [None, "3"])
def test_numpy_has_one_thread_and_what_comes_later_does_not_know(given: str | None) -> None:
    code = (
        "import os, sys; from twinpath.cli.numpy_threads import import_numpy\n"
        "import_numpy()\n"
        "print('numpy' in sys.modules, os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(given is None), str(given)]


def test_garbage_is_looked_for_late_until_the_work_begins() -> None:
    usual = gc.get_threshold()
    with looked_for_late():
        assert gc.get_threshold() > usual
        look_as_usual()
        assert gc.get_threshold() == usual
    with pytest.raises(UsageError), looked_for_late():
        raise UsageError("ours")
    assert gc.get_threshold() == usual
    gc.unfreeze()
