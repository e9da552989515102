"""Rows 1 to 33 of the list of faults, as a user meets them: an exit code and one line that names the file."""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.support import bad_videos
from tests.support.commands import TINY, in_process, twinpath
from twinpath.models.registry import architecture
from twinpath.weights.load import save_weights

REFUSED = [  # the recipe, the exit code, and words of the message
    ("make_empty", 3, "is empty"),  # 1
    ("make_random", 3, "not a video"),
    ("make_text", 3, "not a video"),
    ("make_empty_h264", 3, "is empty"),  # 2
    ("make_headless_fragments", 3, "holds no frames"),
    ("make_lost_index", 3, "the index is missing; was the upload complete?"),  # 3
    ("make_unknown_codec", 3, "does not read its video codec xxxx"),  # 8
    ("make_audio_only", 3, "has no video stream, only audio"),  # 9
    ("make_gif_bomb", 6, "claims frames of 16000x16000"),  # 20
    ("make_playlist", 3, "not a video"),  # 22
    ("make_concat_list", 3, "not a video"),  # 23
    ("make_fifo", 3, "a pipe"),  # 26
]


@pytest.mark.parametrize(("recipe", "code", "words"), REFUSED)
def test_one_line_names_the_file(tmp_path: Path, recipe: str, code: int, words: str) -> None:
    path = getattr(bad_videos, recipe)(tmp_path)
    siblings = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    done = in_process("classify", path, *TINY, "--json", code=code)
    assert done.error.startswith("twinpath: ")
    assert str(path) in done.error
    assert words in done.error
    assert done.out == ""
    assert siblings == {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


def test_a_device_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:  # 26
    assert "/dev/zero is a pipe, a socket or a device" in classify("/dev/zero")
    assert f"{tmp_path / 'none.mp4'} does not exist" in classify(tmp_path / "none.mp4")
    folder = bad_videos.make_folder(tmp_path)
    assert f"{folder} is an empty folder, not a video" in classify(folder)
    assert f"the folder {folder.parent} holds no videos" in classify(folder.parent)
    assert "matches no file" in classify(tmp_path / "*.webm")


def classify(video: str | Path) -> str:
    return twinpath("classify", video, *TINY, code=3, timeout_s=30).error


@pytest.mark.parametrize("command", ["classify", "timeline", "features", "detect"])
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://joe:s3cret@host/live", "rtsp://***@host/live is an address"),
        ("HTTPS:/joe:s3cret@host/a.mp4?token=s3cret", "HTTPS:/***@host/a.mp4?*** is an address"),
        ("joe:s3cret@host/live", "***@host/live is an address"),
        ("-", "not from stdin; save the video as a file first"),
    ],
)
def test_an_address_is_no_file(command: str, address: str, shown: str, tmp_path: Path) -> None:
    """The way out is named, and the password is not."""
    out = ("--out", tmp_path / "out.npz") if command == "features" else ()
    model = ("--model", "slowfast_tiny_det.synthetic") if command == "detect" else TINY
    done = in_process(command, address, *model, *out, code=2)
    assert shown in done.error
    assert "s3cret" not in done.out + done.err
    assert address == "-" or "`twinpath stream` reads" in done.error


def test_an_address_that_python_takes_for_a_file(tmp_path: Path) -> None:
    from twinpath.errors import NotAFile
    from twinpath.video.source import open_video

    with pytest.raises(NotAFile, match=r"rtsp:/\*\*\*@host/live is an address, not a file") as caught:
        open_video(Path("rtsp://joe:s3cret@host/live"))
    assert "s3cret" not in str(caught.value)


def test_what_shows_only_when_it_is_decoded(tmp_path: Path) -> None:
    data = bytearray(bad_videos.make_good_faststart(tmp_path).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "nothing.mp4"
    path.write_bytes(data)
    assert f"{path} is damaged: none of its frames decodes" in classify(path)


def test_a_playlist_reaches_nobody(tmp_path: Path) -> None:  # 24
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        classify(bad_videos.make_remote_playlist(tmp_path, port=port))
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_damaged_video_gives_an_answer_and_says_what_is_lost(tmp_path: Path) -> None:  # 4 to 7
    recipes = ("make_truncated", "make_flipped_bytes", "make_noise", "make_zeroed_tail", "make_lost_head")
    paths = [getattr(bad_videos, recipe)(tmp_path) for recipe in recipes]
    done = in_process("classify", *paths, *TINY)
    for path in paths:
        assert f"{path}  (1x1 views)" in done.out
        (lost,) = re.findall(rf"^warning: {path}: decoded (\d+) of (\d+) frames", done.err, re.MULTILINE)
        assert 5 <= int(lost[0]) < int(lost[1]) <= 50


UNUSUAL = {  # 10 to 21: the recipe, and a word of the warning that it deserves
    "make_variable_rate": None,
    "make_huge_gaps": None,
    "make_offset_ts": None,
    "make_cut_without_reencoding": "cut away",
    "make_rotated": None,
    "make_odd_size": None,
    "make_vp9": None,
    "make_two_pixels": None,
    "make_one_frame": None,
    "make_unknown_colours": "cannot convert the colours",
    "make_hevc_10_bit": None,
    "make_gif": None,
    "make_mjpeg_avi": None,
    "make_interlaced": None,
    "make_wrong_extension": None,
    "make_open_gop_ts": "open group of pictures",
    "make_joined_ts": "scaled",
    "make_raw_h264": "25 frames per second assumed",
    "make_ten_thousand_fps": None,
}


def test_unusual_videos_are_answered(tmp_path: Path) -> None:
    paths = {}
    for recipe in UNUSUAL:
        folder = tmp_path / recipe
        folder.mkdir()
        paths[recipe] = getattr(bad_videos, recipe)(folder)
    answers = in_process("classify", *paths.values(), *TINY, "--json").objects
    for (recipe, path), answer in zip(paths.items(), answers, strict=True):
        assert answer["video"] == str(path)
        assert len(answer["predictions"]) == 5
        *others, synthetic = answer["warnings"]
        assert "synthetic world" in synthetic
        word = UNUSUAL[recipe]
        assert (word is None and not others) or (word is not None and word in others[0]), (recipe, others)


def test_a_name_is_only_a_name(tmp_path: Path) -> None:  # 25
    for name in bad_videos.STRANGE_NAMES:
        bad_videos.make_strange_name(tmp_path, name)
    done = twinpath("classify", *TINY, "--json", "--", *bad_videos.STRANGE_NAMES, cwd=tmp_path)
    assert [answer["video"] for answer in done.objects] == list(bad_videos.STRANGE_NAMES)


def test_ninety_of_a_hundred(tmp_path: Path) -> None:
    good = bad_videos.make_good(tmp_path)
    batch = tmp_path / "batch"
    batch.mkdir()
    for number in range(100):
        if number % 10 == 7:
            (batch / f"{number:02}.mp4").write_bytes(b"no video")
        else:
            os.link(good, batch / f"{number:02}.mp4")
    out = tmp_path / "answers.jsonl"
    done = in_process("classify", batch, *TINY, "--json", "--out", out, code=4)
    failed = [line["video"] for line in done.objects if "error" in line]
    assert failed == [str(batch / f"{number:02}.mp4") for number in range(7, 100, 10)]
    assert sum("predictions" in line for line in done.objects) == 90
    *named, last = done.err.splitlines()
    assert len(named) == 10
    assert all(path in line for path, line in zip(failed, named, strict=True))
    assert last == "twinpath: 10 of 100 videos could not be used; each is named above"
    assert [json.loads(line)["video"] for line in out.read_text().splitlines()] == [
        line["video"] for line in done.objects
    ]

    mended = failed[:3]
    for path in mended:
        Path(path).write_bytes(good.read_bytes())
    again = in_process("classify", batch, *TINY, "--json", "--out", out, code=4)
    assert again.err.startswith(f"{out} has 90 of 100 answers already\n")
    assert [line["video"] for line in again.objects] == failed
    assert [line["video"] for line in again.objects if "error" in line] == failed[3:]
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(kept) == 100
    assert sorted(line["video"] for line in kept if "error" in line) == failed[3:]
    for path in failed[3:]:
        Path(path).unlink()
    rest = in_process("classify", batch, *TINY, "--out", out)
    assert rest.out == ""
    assert rest.error == f"{out} has 93 of 93 answers already"


# Weights


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def make_truncated_torch(folder: Path) -> Path:  # 29
    path = folder / "weights.pth"
    torch.save(architecture("slowfast_tiny").build().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-100_000])
    return path


def make_code(folder: Path) -> Path:  # 31
    path = folder / "weights.pkl"
    path.write_bytes(pickle.dumps({"state_dict": _Code()}))
    return path


def make_not_a_number(folder: Path) -> Path:  # 32
    path = folder / "weights.safetensors"
    save_weights(architecture("slowfast_tiny").build(), path)
    tensors = load_file(path)
    tensors["head.projection.bias"] = np.full_like(tensors["head.projection.bias"], np.nan)
    save_file(tensors, path)
    return path


def make_text_weights(folder: Path) -> Path:
    path = folder / "weights.pyth"
    path.write_text("no weights\n" * 100)
    return path


@pytest.mark.parametrize("make", [make_truncated_torch, make_code, make_not_a_number, make_text_weights])
def test_bad_weights_are_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    video = bad_videos.make_good(tmp_path)
    weights = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = in_process("classify", video, *TINY, "--weights", weights, code=5)
    assert done.error.startswith("twinpath: ")
    assert str(weights) in done.error
    assert done.out == ""
    assert not (tmp_path / "executed").exists()


def test_weights_that_do_not_exist(tmp_path: Path) -> None:
    video = bad_videos.make_good(tmp_path)
    error = in_process("classify", video, *TINY, "--weights", tmp_path / "none.pyth", code=3).error
    assert str(tmp_path / "none.pyth") in error


def test_a_download_that_reaches_nobody(tmp_path: Path) -> None:  # 33
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = twinpath(
        "classify",
        bad_videos.make_good(tmp_path),
        "--model",
        "slow_r50_8x8.ptv_k400",
        code=5,
        TWINPATH_HOME=str(tmp_path / "home"),
        TWINPATH_MIRROR=f"http://127.0.0.1:{port}",
    ).error
    assert f"fetch http://127.0.0.1:{port}/pytorchvideo/model_zoo/kinetics/SLOW_8x8_R50.pyth" in error
    assert str(tmp_path / "home" / "weights" / "slow_r50_8x8.ptv_k400.pyth") in error
