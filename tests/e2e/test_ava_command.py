"""`twinpath evaluate --dataset ava`, as a user meets it, on synthetic videos with AVA's names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.support.commands import in_process, twinpath
from tests.support.golden_weights import GOLDEN
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.models.registry import architecture
from twinpath.weights.load import save_weights

TRUTH = """\
-5KQ66BBWC4,0900,0.1,0.1,0.5,0.9,1,0
-5KQ66BBWC4,0902,0.1,0.1,0.5,0.9,1,0
-5KQ66BBWC4,0902,0.5,0.1,0.9,0.9,2,1
1j20qq1JyX4,0901,0.2,0.1,0.6,0.9,2,0
1j20qq1JyX4,0901,0.2,0.1,0.6,0.9,12,0
"""
MODEL = ("--model", "slowfast_tiny_det")
FIGURES = json.loads((GOLDEN / "rules" / "ava_map.json").read_text())


@dataclass(frozen=True)
class Split:
    folder: Path
    arguments: tuple[str | Path, ...]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Two cuts of 3 s, who does what in them, twelve actions, and a network of random weights."""
    folder = tmp_path_factory.mktemp("ava")
    (folder / "videos").mkdir()
    for number, name in enumerate(("-5KQ66BBWC4.mp4", "1j20qq1JyX4_902.mp4")):
        write_clip(folder / "videos" / name, labelled_scene(TEST_SEED + number), height_px=96)
    (folder / "truth.csv").write_text(TRUTH)
    items = (f'item {{\n  name: "action {i}"\n  id: {i}\n}}\n' for i in range(1, 13))
    (folder / "labels.pbtxt").write_text("".join(items))
    torch.manual_seed(0)
    save_weights(architecture("slowfast_tiny_det").build(), folder / "tiny.safetensors")
    files = ("--annotations", folder / "truth.csv", "--label-map", folder / "labels.pbtxt")
    return Split(folder, ("evaluate", "--dataset", "ava", *files))


def scored(split: Split) -> tuple[str | Path, ...]:
    return (*split.arguments, *MODEL, "--weights", split.folder / "tiny.safetensors")


def test_a_network_on_a_split(split: Split, tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    done = twinpath(*scored(split), "--videos", split.folder / "videos", "--out", out, "--json").object
    assert done["dataset"] == "ava"
    assert done["model"].startswith("slowfast_tiny_det")
    assert (done["keyframes"], done["people"], done["failures"], done["notes"]) == (3, 4, [], [])
    assert [row["id"] for row in done["by_action"]] == [1, 2, 12]
    assert [row["true_boxes"] for row in done["by_action"]] == [2, 2, 1]
    assert done["map"] == pytest.approx(sum(row["average_precision"] for row in done["by_action"]) / 3)
    lines = out.read_text().splitlines()
    assert len(lines) == 4 * 12
    assert lines[0].startswith("-5KQ66BBWC4,0900,0.1,0.1,0.5,0.9,1,0.")
    assert list(tmp_path.iterdir()) == [out]
    again = in_process(*split.arguments, "--results", out, "--json").object
    assert (again["map"], again["by_action"]) == (done["map"], done["by_action"])
    assert again["results"] == str(out)


def test_people_that_a_detector_predicts(split: Split, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "-5KQ66BBWC4,0902,0.1,0.1,0.5,0.9,,0.95\n-5KQ66BBWC4,0902,0.5,0.1,0.9,0.9,,0.85\n"
        "-5KQ66BBWC4,0902,0.5,0.1,0.9,0.9,,0.85\n1j20qq1JyX4,0901,0.2,0.1,0.6,0.9,,0.5\n"
    )
    videos = ("--videos", split.folder / "videos", "--people", people)
    assert in_process(*scored(split), *videos, "--json").object["people"] == 2  # of SlowFast's 0.8
    assert in_process(*scored(split), *videos, "--min-person-score", "0.9", "--json").object["people"] == 1


def test_a_video_that_is_missing_is_named_and_the_rest_is_kept(split: Split, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "-5KQ66BBWC4.mp4").write_bytes(
        (split.folder / "videos" / "-5KQ66BBWC4.mp4").read_bytes()
    )
    (tmp_path / "videos" / "1j20qq1JyX4.mp4").write_text("no video")
    out = tmp_path / "results.csv"
    done = in_process(*scored(split), "--videos", tmp_path / "videos", "--out", out, code=4)
    first, last = done.err.splitlines()
    assert first.startswith("twinpath: 1j20qq1JyX4: second 901 left out: ")
    assert last == "twinpath: 1 videos could not be used, or not all of them; each is named above"
    title, *rows, count, mean = done.out.splitlines()
    assert title.split() == ["id", "action", "AP", "true", "boxes"]
    assert [row.split()[:3] for row in rows] == [[str(i), "action", str(i)] for i in (1, 2, 12)]
    assert count.startswith("slowfast_tiny_det")
    assert count.endswith(": 3 people at 2 keyframes")
    assert mean.startswith("frame mAP@0.5 ")
    assert mean.endswith(" % over 3 actions; 9 others have no true box")
    (tmp_path / "videos" / "1j20qq1JyX4.mp4").unlink()
    (tmp_path / "videos" / "1j20qq1JyX4_902.mp4").write_bytes(
        (split.folder / "videos" / "1j20qq1JyX4_902.mp4").read_bytes()
    )
    rest = in_process(*scored(split), "--videos", tmp_path / "videos", "--out", out, "--json").object
    assert rest["people"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "videos"]


def test_results_are_replaced_only_where_that_is_wanted(split: Split, tmp_path: Path) -> None:
    """Neither complete results, nor an input, nor a file that is something else."""
    truth = tmp_path / "truth.csv"
    truth.write_text(TRUTH)
    wanted = (*scored(split), "--videos", split.folder / "videos", "--annotations", truth)
    error = in_process(*wanted, "--out", truth, code=2).error
    assert f"{truth} would be overwritten, and is an input of this run" in error
    assert truth.read_text() == TRUTH
    notes = tmp_path / "notes.txt"
    notes.write_text("by hand")
    assert f"{notes}:1: " in in_process(*wanted, "--out", notes, "--no-resume", code=3).error
    assert notes.read_text() == "by hand"
    out = tmp_path / "results.csv"
    in_process(*wanted, "--out", out)
    before = out.read_bytes()
    error = in_process(*wanted, "--out", out, code=2).error
    assert f"{out} is complete already; give another file, or --no-resume to replace it" in error
    in_process(*wanted, "--out", out, "--no-resume")
    assert out.read_bytes() == before


def test_no_video_at_all_is_an_error(split: Split, tmp_path: Path) -> None:
    (tmp_path / "other.mp4").write_text("no video")
    out = tmp_path / "results.csv"
    error = in_process(*scored(split), "--videos", tmp_path, "--out", out, code=3).error
    assert "no video could be used; -5KQ66BBWC4: 2 seconds left out: no video or folder of frames" in error
    assert not out.exists()


def test_results_are_measured_without_torch_or_a_model(tmp_path: Path) -> None:
    """The official figure for the official files."""
    for name in ("ground_truth", "detections"):
        rows = (",".join(map(str, row)) + "\n" for row in FIGURES[name])
        (tmp_path / f"{name}.csv").write_text("".join(rows))
    files = ("--annotations", tmp_path / "ground_truth.csv", "--results", tmp_path / "detections.csv")
    done = in_process("evaluate", "--dataset", "ava", *files, "--json").object
    assert done["map"] == pytest.approx(FIGURES["result"]["PascalBoxes_Precision/mAP@0.5IOU"], abs=1e-9)
    shown = in_process("evaluate", "--dataset", "ava", *files).out.splitlines()
    assert shown[-1] == "frame mAP@0.5 41.60 % over 9 actions; 51 others have no true box"
    assert any(line.split()[:2] == ["12", "stand"] and "18.00 %" in line for line in shown)


def test_a_fault_in_the_annotations_is_one_line_with_its_place(split: Split, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(TRUTH.replace("0.6,0.9,12", "0.1,0.9,12"))
    done = in_process("evaluate", "--dataset", "ava", "--annotations", bad, "--videos", split.folder, code=3)
    assert done.error == f"twinpath: {bad}:5: x2 = 0.1 is not right of x1 = 0.2"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "--dataset ava needs --annotations"),
        (("--annotations", "a.csv"), "needs --videos or --frames"),
        (("--annotations", "a.csv", "--videos", "v", "--frames", "f"), "one of them"),
        (("--annotations", "a.csv", "--videos", "v", "--frame-list", "l"), "--frame-list needs --frames"),
        (
            ("--annotations", "a.csv", "--videos", "v", "--min-person-score", "1"),
            "--min-person-score needs --people",
        ),
        (("--annotations", "a.csv", "--results", "r", "--videos", "v"), "leave out --videos"),
        (("--annotations", "a.csv", "--results", "r", "--clips", "3"), "are for the synthetic world"),
        (("slowfast_tiny_det", "--model", "slow_r50_8x8"), "both name a model"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], what: str) -> None:
    assert what in in_process("evaluate", "--dataset", "ava", *arguments, code=2).error


def test_options_of_the_other_data_set_and_no_data_set() -> None:
    assert "--at-most is for --dataset ava" in in_process("evaluate", "--at-most", "50", code=2).error
    assert "choose synthetic or ava" in in_process("evaluate", "--dataset", "kinetics", code=2).error


def test_a_network_that_sees_no_boxes_is_refused(split: Split) -> None:
    error = in_process(
        *split.arguments, "--videos", split.folder / "videos", "--model", "slow_r50_8x8", code=2
    )
    assert "slow_r50_8x8 classifies whole clips" in error.error
