"""`twinpath features`, as a user meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from tests.support.commands import TINY, in_process, on_terminal, read_first_line, start, twinpath
from twinpath.formats.features import FeatureTable

SPAN_S = 16 * 4 / 30


def test_a_batch_with_a_bad_file_gives_all_the_others(clips: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    out = tmp_path / "new" / "features.npz"
    wanted = (clips / "b.mp4", bad, clips)
    done = twinpath("features", *wanted, *TINY, "--out", out, "--json", code=4)
    first, failed, *rest = done.objects
    assert first == {"video": str(clips / "b.mp4"), "clips": 2, "warnings": []}
    assert (failed["video"], failed["error"]["type"]) == (str(bad), "NotAVideo")
    assert [line["video"] for line in rest] == [str(clips / "a.mp4"), str(clips / "more/c.mp4")]
    reason, written, last = done.err.splitlines()
    assert reason == f"twinpath: {failed['error']['message']}"
    assert written == f"wrote {out}: 6 embeddings of 768 numbers of 3 videos"
    assert last == "twinpath: 1 of 4 videos could not be used; each is named above"
    with np.load(out, allow_pickle=False) as file:
        assert file["embedding"].shape == (6, 768)
        assert file["embedding"].dtype == np.float32
        assert file["model"] == TINY[1]
        assert file["video"].tolist() == [
            str(clips / n) for n in ("b.mp4", "a.mp4", "more/c.mp4") for _ in "12"
        ]
        assert file["start_s"][:2] == pytest.approx([0, SPAN_S])
        assert file["end_s"][:2] == pytest.approx([SPAN_S, 2.4])


def test_one_video_into_a_table(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.parquet"
    arguments = ("--out", out, "--every", "0.1", "--dtype", "float16")
    seen = on_terminal("features", clips / "a.mp4", *TINY, *arguments)
    assert "extracting" in seen
    assert f"{clips / 'a.mp4'}  4 clips" in seen
    rows = parquet.read_table(out).to_pylist()
    assert [row["start_s"] for row in rows] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert len(rows[0]["embedding"]) == 768


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "f.csv"), "must end with .npz or .parquet"),
        (("--out", "f.npz", "--dtype", "int8"), "--dtype must be float32 or float16"),
        (("--out", "f.npz", "--every", "0"), "--every must be at least 0.01 s, not 0"),
        (("--out", "f.npz", "--model", "slow_r50_4x16_det.ptv_ava"), "is a detection model"),
    ],
)
def test_a_wrong_argument(clips: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = twinpath("features", clips / "a.mp4", *TINY, *arguments, code=2, cwd=tmp_path)
    assert words in done.error
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_nothing_was_found(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no video")
    out = tmp_path / "f.npz"
    done = in_process("features", tmp_path, *TINY, "--out", out, code=4)
    assert done.err.splitlines()[-1] == f"twinpath: none of 2 videos could be used; {out} was not written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_a_foreign_file_or_an_input_is_not_written_over(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.npz"
    out.write_bytes(b"old")
    for options in ((), ("--no-resume",)):
        error = in_process("features", clips, *TINY, "--out", out, *options, code=3).error
        assert f"{out} is no valid file of features" in error
    assert out.read_bytes() == b"old"
    weights = tmp_path / "w.npz"
    weights.write_bytes(b"weights")
    error = in_process("features", clips, *TINY, "--weights", weights, "--out", weights, code=2).error
    assert "is an input of this run" in error
    assert weights.read_bytes() == b"weights"


def test_a_later_run_adds_what_is_missing(clips: Path, tmp_path: Path) -> None:
    """New videos, changed ones, and those that failed; rows of videos that it does not name stay."""
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    shutil.copy(clips / "a.mp4", one)
    two.write_text("no video")
    out = tmp_path / "f.npz"

    def run(*videos: Path, code: int = 0, options: tuple[str, ...] = ()) -> list[str]:
        """The names of the videos that were read."""
        done = in_process("features", *videos, *TINY, "--out", out, "--json", *options, code=code)
        return [Path(line["video"]).name for line in done.objects if "error" not in line]

    def rows() -> list[str]:
        return [Path(name).name for name in FeatureTable.load(out).videos]

    assert run(one, two, code=4) == ["one.mp4"]
    assert rows() == ["one.mp4"]
    shutil.copy(clips / "b.mp4", two)
    assert run(one, two) == ["two.mp4"]
    assert run(one, two) == []
    assert run(clips / "more" / "c.mp4") == ["c.mp4"]
    os.utime(one, (1, 1))
    assert run(one) == ["one.mp4"]
    assert sorted(rows()) == ["c.mp4", "one.mp4", "two.mp4"]
    assert (
        "--every is 1.0, before None"
        in in_process(*("features", one, *TINY, "--out", out, "--every", "1"), code=2).error
    )
    assert run(one, options=("--every", "1", "--no-resume")) == ["one.mp4"]
    assert rows() == ["one.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "one.mp4", "two.mp4"]


def test_a_reader_that_goes_away_ends_no_file(clips: Path, tmp_path: Path) -> None:
    """`twinpath features FOLDER | head -1`"""
    out = tmp_path / "f.npz"
    code, err = read_first_line("features", clips, *TINY, "--out", out)
    assert code == 0, err
    assert len(FeatureTable.load(out).videos) == 3


def test_a_complete_file_survives_a_second_run_that_is_stopped(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    os.link(clips / "a.mp4", folder / "000.mp4")
    out = tmp_path / "f.npz"
    in_process("features", folder, *TINY, "--out", out)
    before = out.read_bytes()
    for number in range(1, 300):
        os.link(clips / "a.mp4", folder / f"{number:03}.mp4")
    running = start("features", folder, *TINY, "--out", out, "--json", "--no-resume", "--dtype", "float16")
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "without --no-resume the same command does the rest" in err
    assert out.read_bytes() == before
    done = len(FeatureTable.load(tmp_path / "f.partial.npz").videos)
    for path in sorted(folder.iterdir())[done + 1 :]:
        path.unlink()
    rest = in_process("features", folder, *TINY, "--out", out, "--json", "--dtype", "float16")
    assert len(rest.objects) == 1
    assert len(FeatureTable.load(out).videos) == done + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "many"]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_done(clips: Path, tmp_path: Path, signum: signal.Signals, code: int) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        os.link(clips / "a.mp4", folder / f"{number:03}.mp4")
    out = tmp_path / "f.npz"
    running = start("features", folder, *TINY, "--out", out, "--json")
    assert running.stdout is not None
    lines = [running.stdout.readline(), running.stdout.readline()]
    running.send_signal(signum)
    rest, err = running.communicate(timeout=30)
    assert running.returncode == code
    videos = [json.loads(line)["video"] for line in [*lines, *rest.splitlines()]]
    (line,) = err.splitlines()
    assert f"{out} has what was done: " in line
    with np.load(out) as file:
        assert 4 <= len(file["embedding"]) < 600
        assert set(videos) <= set(file["video"].tolist())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "many"]
