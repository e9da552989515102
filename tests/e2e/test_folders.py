"""A run over a folder as a user sees it: what was found, what was passed over, folders of frames."""

import json
from pathlib import Path

import numpy as np

from tests.support import bad_videos
from tests.support.commands import TINY, in_process

SKIPPED = "5 files skipped: 3 .txt, 1 .jpg, 1 without an ending"


def make_clips(folder: Path) -> Path:
    bad_videos.make_frames(folder / "throw", range(40))
    bad_videos.make_wmv(folder)
    for name in ("a.txt", "b.txt", "sub/c.txt", "README", "cover.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_a_run_over_a_folder_ends_with_a_count_of_what_was_passed_over(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "clips")
    done = in_process("classify", clips, *TINY, "--json", "--fps", "20")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(line["video"]).name for line in lines[:-1]] == ["throw", "windows.wmv"]
    assert lines[-1] == {"skipped": {".txt": 3, ".jpg": 1, "": 1}}
    assert done.err.splitlines()[-1] == SKIPPED
    assert in_process("classify", clips / "windows.wmv", *TINY).err.count("skipped") == 0


def test_the_count_is_also_told_where_a_video_fails(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "clips")
    (clips / "bad.mp4").write_bytes(b"no video")
    done = in_process("classify", clips, *TINY, "--json", code=4)
    assert SKIPPED in done.err
    assert json.loads(done.out.splitlines()[-1]) == {"skipped": {".txt": 3, ".jpg": 1, "": 1}}


def test_frames_go_through_every_command(tmp_path: Path) -> None:
    folder, out = bad_videos.make_frames(tmp_path / "throw", range(40)), tmp_path / "out"
    fps = ("--fps", "20")
    in_process("timeline", folder, *TINY, *fps, "--out", out)
    timeline = json.loads((out / "throw.timeline.json").read_text())
    assert timeline["duration_s"] == 2.0
    in_process("features", folder, *TINY, *fps, "--out", out / "f.npz", "--isolate")
    with np.load(out / "f.npz") as features:
        assert len(features["embedding"]) >= 1
    detector = ("--model", "slowfast_tiny_det.synthetic", "--people", "whole")
    in_process("detect", folder, *detector, *fps, "--out", out)
    assert (out / "throw.detect.mp4").stat().st_size > 1000
    done = in_process("stream", folder, *TINY, *fps, "--no-realtime")
    assert done.out


def test_another_frame_rate_is_another_result(tmp_path: Path) -> None:
    folder, out = bad_videos.make_frames(tmp_path / "throw", range(40)), tmp_path / "answers.jsonl"
    in_process("classify", folder, *TINY, "--out", out, "--fps", "20")
    again = in_process("classify", folder, *TINY, "--out", out, "--fps", "20")
    assert "1 of 1 answers already" in again.err
    other = in_process("classify", folder, *TINY, "--out", out, code=2)
    assert "fps is not set, before 20.0" in other.err
    (folder / "img_00007.jpg").write_bytes((folder / "img_00008.jpg").read_bytes() + b"x")
    changed = in_process("classify", folder, *TINY, "--out", out, "--fps", "20")
    assert "already" not in changed.err


def test_a_frame_rate_out_of_range_is_told_as_an_option(tmp_path: Path) -> None:
    folder = bad_videos.make_frames(tmp_path / "throw", range(3))
    done = in_process("classify", folder, *TINY, "--fps", "0", code=2)
    assert "--fps must be from 0.001" in done.error
