"""`twinpath evaluate MODEL --data DATA`, as a user meets it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import in_process, start, twinpath
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip

TINY = "slowfast_tiny.synthetic"
SEEDS = range(6)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of classes with six clips, one of them in the folder of a class that it does not show."""
    folder = tmp_path_factory.mktemp("data") / "actions"
    for number in SEEDS:
        scene = labelled_scene(TEST_SEED + number)
        label = scene.label if number else ("wave" if scene.label != "wave" else "clap")
        name = label.replace(" ", "_").upper() if number % 2 else label
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_clip(folder / name / f"{number}.mp4", scene, height_px=96)
    return folder


def test_figures_report_and_predictions(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = in_process("evaluate", TINY, "--data", data, "--out", out, "--views", "1x2")
    assert "of 6 clips (95 % interval" in done.out
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "report.json", "confusion.png", "scores.jsonl"} < names
    assert names & {"predictions.parquet", "predictions.csv"}
    values = json.loads((out / "report.json").read_text())
    assert values["summary"]["clips"] == 6
    assert values["summary"]["top1"] < 1
    page = (out / "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == round(6 * (1 - values["summary"]["top1"]))
    again = in_process("evaluate", TINY, "--data", data, "--out", out, "--views", "1x2", "--json")
    assert f"{out} has 6 of 6 files already" in again.err
    assert again.object["top1"] == values["summary"]["top1"]
    assert again.object["confusion"] == values["summary"]["confusion"]


def test_the_worst_mistakes_with_their_maps(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    command = ("evaluate", TINY, "--data", data, "--out", out, "--explain")
    in_process(*command)
    values = json.loads((out / "report.json").read_text())
    (explained,) = values["explained"]
    wrong = next(clip for clip in values["clips"] if clip["answers"][0]["label"] not in clip["truth"])
    assert explained["path"] == wrong["path"]
    assert [one["label"] for one in explained["labels"]] == [wrong["answers"][0]["label"], *wrong["truth"]]
    assert explained["labels"][0]["score"] == pytest.approx(wrong["answers"][0]["score"], abs=0.02)
    assert explained["labels"][0]["score_without"].keys() == {"slow", "fast"}
    page = (out / "report.html").read_text("utf-8")
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(found)))).astype(int)
        for found in re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    ]
    assert len(pictures) == 2
    for picture in pictures:
        assert picture.shape[1] == 4 * 168
        hot = (picture[..., 0] - picture[..., 2] > 90).mean()
        assert 0.001 < hot < 0.3  # the drawn world has no such colours of its own
    assert not np.array_equal(*pictures)
    before = page
    again = in_process(*command)
    assert "6 of 6 files already" in again.err
    assert (out / "report.html").read_text("utf-8") == before


def test_broken_files_are_named_and_counted(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "actions"
    shutil.copytree(data, folder)
    bad = sorted(folder.iterdir())[0] / "bad.mp4"
    bad.write_bytes(b"no video" * 99)
    done = in_process("evaluate", TINY, "--data", folder, "--out", tmp_path / "out", code=4)
    assert f"twinpath: {bad}" in done.err
    assert "1 of 7 videos could not be used" in done.err
    assert "of 6 clips" in done.out
    assert json.loads((tmp_path / "out" / "report.json").read_text())["failed"][0]["path"] == str(bad)


def test_a_table_of_spans(data: Path, tmp_path: Path) -> None:
    video = next(data.rglob("1.mp4"))
    shutil.copy(video, tmp_path / "a.mp4")
    label = labelled_scene(TEST_SEED + 1).label
    table = tmp_path / "clips.csv"
    table.write_text(
        f"path,label,start_s,end_s,split\na.mp4,{label},0,1.2,test\na.mp4,{label},1.2,2.4,train\n"
    )
    done = in_process("evaluate", TINY, "--data", table, "--json")
    assert done.object["clips"] == 1
    assert "1 of 2 clips are evaluated: those of the part 'test'" in done.err
    assert in_process("evaluate", TINY, "--data", table, "--part", "all", "--json").object["clips"] == 2


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_killed_run_goes_on_and_gives_the_same(data: Path, tmp_path: Path) -> None:
    command = ("evaluate", TINY, "--data", data, "--views", "1x8", "--threads", "1", "--out")
    twinpath(*command, tmp_path / "whole")
    running = start(*command, tmp_path / "killed")
    scores = tmp_path / "killed" / "scores.jsonl"
    until_s = time.monotonic() + 60
    while not (scores.is_file() and scores.stat().st_size) and running.poll() is None:
        assert time.monotonic() < until_s
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    twinpath(*command, tmp_path / "killed")
    for name in sorted(path.name for path in (tmp_path / "whole").iterdir()):
        if name == "scores.jsonl":
            assert lines_of(tmp_path / "killed" / name) == lines_of(tmp_path / "whole" / name)
        else:
            assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--data", "{data}"), "--data needs a model"),
        ((TINY, "--data", "{data}", "--dataset", "ava"), "both name what to evaluate on"),
        ((TINY, "--data", "{data}", "--clips", "3"), "make synthetic clips"),
        ((TINY, "--data", "{data}", "--at-most", "3"), "--at-most is for --dataset ava"),
        ((TINY, "--data", "{data}", "--views", "2x2"), "views"),
        ((TINY, "--data", "{data}", "--part", "tset"), "part must be"),
        ((TINY, "--views", "3x10"), "are for --data"),
        ((TINY, "--data", "{data}", "--explain"), "name its folder with --out"),
        (("slowfast_tiny_det.synthetic", "--data", "{data}"), "detection model"),
    ],
)
def test_what_does_not_fit_together(data: Path, options: tuple[str, ...], what: str) -> None:
    words = [option.format(data=data) for option in options]
    assert what in in_process("evaluate", *words, code=2).error


def test_classes_that_the_model_lacks(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "actions"
    shutil.copytree(data, folder)
    sorted(folder.iterdir())[0].rename(folder / "juggling")
    error = in_process("evaluate", TINY, "--data", folder, code=2).error
    assert "lacks 1 of the" in error
    assert "'juggling'" in error
