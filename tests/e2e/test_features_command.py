"""`twinpath features`, as a user meets it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from tests.support.commands import TINY, on_terminal, start, twinpath

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
        (("--out", "f.csv"), "something.npz or something.parquet"),
        (("--out", "f.npz", "--dtype", "int8"), "give float32 or float16"),
        (("--out", "f.npz", "--every", "0"), "makes no sense"),
        (("--out", "f.npz", "--model", "slow_r50_4x16_det.ptv_ava"), "sees persons in boxes"),
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
    out.write_bytes(b"old")
    done = twinpath("features", tmp_path, *TINY, "--out", out, code=4)
    assert done.err.splitlines()[-1] == f"twinpath: none of 2 videos could be used; {out} was not written"
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "f.npz"]


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
