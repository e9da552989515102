"""`twinpath classify`, as a user meets it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import (
    COLUMNS,
    SCRIPT,
    TINY,
    environment,
    in_process,
    on_terminal,
    read_first_line,
    start,
    twinpath,
)
from tests.support.golden_weights import GOLDEN, write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath.data.synthetic import ACTIONS
from twinpath.models.registry import architecture
from twinpath.weights.load import save_weights

KEYS = ["video", "model", "engine", "views", "predictions", "warnings", "timing_s", "min_score", "label"]
FIGURES = json.loads((GOLDEN / "rules" / "tutorial_pipeline.json").read_text())


@pytest.mark.parametrize(
    ("reference", "model"),
    [
        ("ptv_slow_r50", "slow_r50_8x8.ptv_k400"),
        # By `make test`, its figures are compared in tests/parity.
        pytest.param("ptv_slowfast_r50", "slowfast_r50_8x8.ptv_k400", marks=pytest.mark.slow),
    ],
)
def test_a_real_video_gives_the_references_top_5(reference: str, model: str, tmp_path: Path) -> None:
    video = real_video("archery.mp4")
    weights = write_golden_checkpoint(reference, tmp_path / "weights.pyth")
    options = ("--model", model, "--weights", weights, "--precision", "fp32", "--json")
    done = twinpath("classify", video, *options)
    weights.unlink()
    (top5,) = [f["top5"] for f in FIGURES if (f["model"], f["video"]) == (reference, video.name)]
    assert [p["index"] for p in done.object["predictions"]] == top5
    assert done.object["model"] == model
    assert done.object["warnings"] == []
    assert done.err == ""


def test_a_table_on_stdout_and_remarks_on_stderr(clips: Path) -> None:
    done = in_process("classify", clips / "a.mp4", *TINY)
    title, *rows = done.out.splitlines()
    assert title == f"{clips / 'a.mp4'}  (1x1 views)"
    assert len(rows) == 5
    assert all(re.fullmatch(r"\w[\w ]*  [█▏▎▍▌▋▊▉·]{24}  [ \d.]{4,5} %", row) for row in rows)
    machine, warning, timing = done.err.splitlines()
    assert re.match(r"slowfast_tiny\.synthetic on openvino .*cpu.*, (bf16|fp32), loaded in", machine)
    assert "trained on Twinpath's synthetic world only" in warning
    assert re.fullmatch(r"decoded in [\d.]+ s, classified in [\d.]+ s", timing)


def test_a_batch_with_a_bad_file_gives_all_the_others(clips: Path, tmp_path: Path) -> None:
    """A file, a pattern and a folder, which names the first file again; one is bad, one is missing."""
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    missing = tmp_path / "missing.mp4"
    wanted = (clips / "b.mp4", bad, missing, clips / "[a]*.mp4", clips)
    done = in_process("classify", *wanted, *TINY, "--json", "--top-k", "3", "--start", "0.5", code=4)
    answers = {line["video"]: line for line in done.objects}
    assert list(answers) == [
        str(p) for p in (clips / "b.mp4", bad, missing, clips / "a.mp4", clips / "more/c.mp4")
    ]
    assert answers[str(bad)]["error"]["type"] == "NotAVideo"
    assert str(bad) in answers[str(bad)]["error"]["message"]
    assert answers[str(missing)]["error"]["type"] == "NotAFile"
    for name in ("a.mp4", "b.mp4", "more/c.mp4"):
        answer = answers[str(clips / name)]
        assert list(answer) == KEYS
        assert (answer["model"], answer["views"]) == ("slowfast_tiny.synthetic", "1x1")
        assert answer["engine"].startswith("openvino")
        assert "synthetic world only" in answer["warnings"][0]
        assert list(answer["timing_s"]) == ["load", "decode", "infer"]
        assert len(answer["predictions"]) == 3
        for prediction in answer["predictions"]:
            assert list(prediction) == ["label", "index", "score"]
            assert ACTIONS[prediction["index"]] == prediction["label"]
        scores = [prediction["score"] for prediction in answer["predictions"]]
        assert scores == sorted(scores, reverse=True)
        assert 0 < scores[0] <= 1
    *each, last = done.err.splitlines()
    assert len(each) == 2
    assert str(bad) in each[0]
    assert str(missing) in each[1]
    assert last == "twinpath: 2 of 5 videos could not be used; each is named above"


def test_thirty_views_of_a_short_clip(clips: Path) -> None:
    answer = in_process(
        "classify", clips / "a.mp4", *TINY, "--views", "3x10", "--json", "--top-k", "99"
    ).object
    assert answer["views"] == "3x10"
    assert len(answer["predictions"]) == len(ACTIONS)
    assert sum(p["score"] for p in answer["predictions"]) == pytest.approx(1, abs=1e-4)


def test_the_terminal_shows_whole_lines(clips: Path) -> None:
    """The bar of the batch and the tables share a terminal; neither may stand in the other's line."""
    seen = on_terminal("classify", clips, *TINY)
    assert "classifying" in seen
    shown = re.sub(r"\x1b\[\??[\d;]*[A-Za-ln-z]", "\r", re.sub(r"\x1b\[[\d;]*m", "", seen))
    lines = [line.rpartition("\r")[2] for line in shown.split("\n")]
    assert [line for line in lines if line.startswith(str(clips))] == [
        f"{clips / name}  (1x1 views)" for name in ("a.mp4", "b.mp4", "more/c.mp4")
    ]
    rows = [line for line in lines if line.endswith(" %")]
    assert len(rows) == 15
    assert all(row.startswith(ACTIONS) for row in rows)
    assert sum("synthetic world only" in line for line in lines) == 1
    assert seen.rstrip().endswith("\x1b[2K")  # the bar is gone
    assert max(len(line) for line in rows) <= COLUMNS


def test_results_go_to_the_file_while_the_bar_is_on_the_terminal(clips: Path, tmp_path: Path) -> None:
    """`twinpath classify FOLDER --json > answers.jsonl`"""
    answers = tmp_path / "answers.jsonl"
    seen = on_terminal("classify", clips, *TINY, "--json", stdout=answers)
    assert "classifying" in seen
    assert "predictions" not in seen
    assert len([json.loads(line) for line in answers.read_text().splitlines()]) == 3


def test_a_start_behind_the_end(clips: Path) -> None:
    done = in_process("classify", clips / "a.mp4", *TINY, "--start", "99", code=2)
    assert done.error == f"twinpath: {clips / 'a.mp4'}: the video lasts 2.40 s; no clip starts at 99 s"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "slowfast_r50_8x8.ptv_k40"), "did you mean slowfast_r50_8x8.ptv_k400?"),
        ((*TINY, "--views", "2x2"), "1x1, 1x10 or 3x10"),
        (("--weights", "w.pyth"), "--weights needs --model"),
        (("--model", "slow_r101_8x8"), "no weights are published for slow_r101_8x8"),
    ],
)
def test_a_wrong_argument(clips: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in in_process("classify", clips, *arguments, code=2).error


@pytest.mark.parametrize("arguments", [("--top-k", "0"), ("--start", "-1"), ("--nonsense",)])
def test_what_the_parser_refuses(clips: Path, arguments: tuple[str, ...]) -> None:
    done = in_process("classify", clips, *TINY, *arguments, code=2)
    assert arguments[0] in done.err
    assert "Usage: twinpath classify" in done.err


def test_weights_of_another_network(clips: Path, tmp_path: Path) -> None:
    weights = tmp_path / "other.safetensors"
    save_weights(architecture("slowfast_tiny").build(blocks=(1, 2, 1, 1)), weights)
    error = in_process("classify", clips / "a.mp4", *TINY, "--weights", weights, code=5).error
    assert f"{weights} does not fit this network: 30 unexpected (fast.res3.1.bn_a.bias, " in error


def test_without_weights_it_says_how_to_get_some(clips: Path, tmp_path: Path) -> None:
    """No network is asked, and the synthetic world's model does not step in."""
    done = twinpath("classify", clips / "a.mp4", code=2, TWINPATH_HOME=str(tmp_path / "home"))
    assert done.out == ""
    assert "https://dl.fbaipublicfiles.com/pytorchvideo/" in done.error
    assert str(tmp_path / "home" / "weights" / "slowfast_r50_8x8.ptv_k400.pyth") in done.error
    assert "twinpath demo" in done.error
    assert not (tmp_path / "home").exists()


@pytest.fixture
def many(clips: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(400):
        os.link(clips / "a.mp4", folder / f"{number:03}.mp4")
    return folder


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_batch_between_whole_lines(many: Path, signum: signal.Signals, code: int) -> None:
    running = start("classify", many, *TINY, "--json")
    assert running.stdout is not None
    lines = [running.stdout.readline(), running.stdout.readline()]
    running.send_signal(signum)
    rest, err = running.communicate(timeout=30)
    assert running.returncode == code
    answers = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert 2 <= len(answers) < 400
    assert err == ""


def test_the_same_command_goes_on_after_a_signal(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    running = start("classify", many, *TINY, "--json", "--out", out)
    assert running.stdout is not None
    first = running.stdout.readline()
    running.send_signal(signal.SIGINT)
    printed, err = running.communicate(timeout=30)
    assert running.returncode == 130
    done = len([first, *printed.splitlines()])
    assert err == f"twinpath: stopped with {done} of 400 videos finished; the same command does the rest\n"
    kept = out.read_text().splitlines()
    assert len(kept) == done
    for path in sorted(many.iterdir())[done + 3 :]:  # no need to wait for all of them
        path.unlink()
    rest = in_process("classify", many, *TINY, "--json", "--out", out)
    assert len(rest.objects) == 3
    assert out.read_text().splitlines()[:done] == kept
    assert in_process("classify", many, *TINY, "--views", "3x1", "--out", out, code=2).error.endswith(
        "holds results of other settings: views is '3x1', before '1x1'; give another place, or --no-resume "
        "to start over"
    )


def test_files_that_nobody_trusts(clips: Path, tmp_path: Path) -> None:
    """Read in another process: the same answers and errors."""
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    wanted = ("classify", clips, bad, *TINY, "--views", "1x3", "--json")
    plain, isolated = in_process(*wanted, code=4), in_process(*wanted, "--isolate", code=4)
    assert isolated.err == plain.err
    for ours, expected in zip(isolated.objects, plain.objects, strict=True):
        assert ours.get("predictions") == expected.get("predictions")
        assert ours.get("error") == expected.get("error")
    alone = in_process("classify", bad, *TINY, "--isolate", code=3)
    assert alone.error == in_process("classify", bad, *TINY, code=3).error


def test_a_reader_that_goes_away(many: Path) -> None:
    """`twinpath classify FOLDER --json | head -1`"""
    running = start("classify", many, *TINY, "--json")
    assert running.stdout is not None
    assert running.stderr is not None
    json.loads(running.stdout.readline())
    running.stdout.close()
    assert running.wait(timeout=30) == 0
    assert running.stderr.read() == ""
    running.stderr.close()


def test_a_reader_that_goes_away_ends_no_file(many: Path, tmp_path: Path) -> None:
    """`twinpath classify FOLDER --out answers.jsonl | head -1`"""
    for path in sorted(many.iterdir())[20:]:
        path.unlink()
    out = tmp_path / "answers.jsonl"
    assert read_first_line("classify", many, *TINY, "--json", "--out", out) == (0, "")
    assert len(out.read_text().splitlines()) == 20


def test_starting_over_keeps_the_old_file_until_the_new_one_is_complete(many: Path, tmp_path: Path) -> None:
    for path in sorted(many.iterdir())[3:]:
        path.unlink()
    out = tmp_path / "answers.jsonl"
    in_process("classify", many, *TINY, "--out", out)
    before = out.read_bytes()
    for number in range(3, 400):
        os.link(many / "000.mp4", many / f"{number:03}.mp4")
    running = start("classify", many, *TINY, "--json", "--out", out, "--no-resume", "--top-k", "2")
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert "videos finished; without --no-resume the same command does the rest" in err
    assert out.read_bytes() == before
    done = len((tmp_path / "answers.partial.jsonl").read_text().splitlines())
    for path in sorted(many.iterdir())[done + 2 :]:
        path.unlink()
    rest = in_process("classify", many, *TINY, "--json", "--out", out, "--top-k", "2")
    assert len(rest.objects) == 2
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {len(line["predictions"]) for line in lines} == {2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.jsonl", "many"]


def test_an_input_or_a_foreign_file_is_not_written_over(clips: Path, tmp_path: Path) -> None:
    video = shutil.copy(clips / "a.mp4", tmp_path / "a.mp4")
    before = video.read_bytes()
    error = in_process("classify", video, *TINY, "--out", video, code=2).error
    assert f"{video} would be overwritten, and is an input of this run" in error
    notes = tmp_path / "notes.txt"
    notes.write_text("by hand")
    for options in ((), ("--no-resume",)):
        error = in_process("classify", video, *TINY, "--out", notes, *options, code=3).error
        assert f"{notes}:1: not a line of a journal" in error
    assert "is no regular file" in in_process("classify", video, *TINY, "--out", "/dev/null", code=2).error
    assert (video.read_bytes(), notes.read_text()) == (before, "by hand")


def test_a_name_that_no_terminal_can_show(clips: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[31m.mp4")
    shutil.copy(clips / "a.mp4", tmp_path / name)
    shutil.copy(clips / "a.mp4", tmp_path / "sea.mp4")
    done = twinpath("classify", tmp_path, *TINY, PYTHONIOENCODING="utf-8:strict")
    assert "caf\\udce9 \\x1b[31m.mp4  (1x1 views)" in done.out
    assert "\x1b" not in done.out + done.err


def test_a_cached_answer_imports_no_torch(clips: Path) -> None:
    """The second time at the latest: torch alone would take two seconds."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", SCRIPT, "classify", str(clips / "a.mp4"), *TINY],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "openvino" in imported
    assert not {name for name in imported if name.partition(".")[0] in ("torch", "torchvision", "lightning")}


def test_engines_can_be_chosen(clips: Path) -> None:
    engines = ("openvino", "torch")
    scores = []
    for engine in engines:
        options = ("--engine", engine, "--precision", "fp32", "--threads", "1", "--json")
        answer = in_process("classify", clips / "a.mp4", *TINY, *options).object
        assert answer["engine"].startswith(engine)
        scores.append([p["score"] for p in answer["predictions"]])
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    error = in_process("classify", clips / "a.mp4", *TINY, "--engine", "onnx", code=2).error
    assert "choose one of auto, torch, openvino" in error


def test_doctor_tells_what_is_here() -> None:
    facts = in_process("doctor", "--json").object
    assert facts["engine"] == "openvino"
    assert facts["torch"]
    assert facts["ffmpeg"].startswith("libavcodec")
    assert facts["isolation"].startswith("limits of memory and time")
    assert "openvino" in in_process("doctor").out
