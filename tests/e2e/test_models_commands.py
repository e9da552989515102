"""`twinpath models …`, as a user meets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from tests.support.commands import COLUMNS, TINY, in_process, on_terminal, twinpath
from tests.support.golden_weights import write_golden_checkpoint
from tests.support.http_server import http_server, respond
from twinpath.models.registry import ARCHITECTURES
from twinpath.weights.load import save_weights
from twinpath.zoo.create import create_model
from twinpath.zoo.records import records

# list


def test_list_shows_weights_by_a_part_of_their_name() -> None:
    for pattern in ("slowfast_r50_8x8", "slowfast_r50_8x8*"):
        listed = twinpath("models", "list", pattern, "--json").objects
        assert [facts["name"] for facts in listed] == [r.name for r in records("slowfast_r50_8x8*")]
    assert listed[0] == listed[0] | {
        "family": "slowfast",
        "task": "classification",
        "upstream": "pyslowfast",
        "dataset": "kinetics400",
        "num_frames": 32,
        "crop_px": 256,
        "cached": None,
    }
    assert "no model matches 'mvot*'" in in_process("models", "list", "mvot*", code=2).error


def test_list_fits_a_terminal() -> None:
    """Names are there to be copied: on 80 columns none is cut."""
    shown = re.sub(r"\x1b\[[\d;]*m", "", on_terminal("models", "list"))
    header, *rows, hint = shown.rstrip().splitlines()
    assert header.split() == ["name", "input", "GFLOPs", "top-1", "%", "cached"]
    assert [row.split()[0] for row in rows] == [r.name for r in records()]
    assert "--architectures" in hint
    assert all(len(line) <= COLUMNS for line in shown.splitlines())


def test_list_into_a_pipe_has_every_column() -> None:
    done = in_process("models", "list", "--task", "detection", "--dataset", "ava", "--sort", "accuracy")
    header, first, *_ = done.out.splitlines()
    columns = ["name", "family", "dataset", "input", "GFLOPs", "params", "top-1", "%", "cached"]
    assert header.split() == columns
    assert first.split()[0] == "slowfast_r101_16x8_det.psf_ava22"
    assert first.split()[-3:] == ["29.4", "mAP", "no"]
    assert done.err == ""


def test_list_of_networks() -> None:
    done = in_process("models", "list", "--architectures")
    rows = {line.split()[0]: line.split()[-1] for line in done.out.splitlines()[1:]}
    assert sorted(rows) == sorted(ARCHITECTURES)
    assert (rows["fast_r50_8x8"], rows["slow_r50_8x8"]) == ("none", "psf_k400")
    assert "networks do: --architectures" in in_process("models", "list", "slow_nln", code=2).error


# info


def test_info_tells_all_of_a_record(tmp_path: Path) -> None:
    home = {"TWINPATH_HOME": str(tmp_path)}
    facts = twinpath("models", "info", "slowfast_r50_8x8.ptv_k400", "--json", **home).object
    assert facts == facts | {
        "num_frames": 32,
        "sampling_rate": 2,
        "short_side_px": 256,
        "crop_px": 256,
        "params": 34_566_488,
        "upstream": "pytorchvideo",
        "upstream_name": "slowfast_r50",
        "labels": "kinetics400",
        "published_top1": 76.94,
        "published_views": "3x10",
        "licence": "Apache-2.0",
        "cached": None,
    }
    assert facts["gflops"] == pytest.approx(65.7, abs=0.1)
    assert facts["url"].endswith("/SLOWFAST_8x8_R50.pyth")


def test_info_says_what_is_in_the_cache(tmp_path: Path) -> None:
    cached = tmp_path / "weights" / "slow_r50_8x8.ptv_k400.pyth"
    cached.parent.mkdir()
    cached.write_bytes(b"there")
    home = {"TWINPATH_HOME": str(tmp_path)}
    listed = twinpath("models", "list", "--cached", "--json", **home).objects
    assert {facts["name"]: facts["cached"] for facts in listed} == {
        "slow_r50_8x8.ptv_k400": str(cached),
        "slowfast_tiny.synthetic": listed[-2]["cached"],
        "slowfast_tiny_det.synthetic": listed[-1]["cached"],
    }
    assert listed[-2]["cached"].endswith("slowfast_tiny.synthetic/weights.safetensors")
    assert listed[-2]["url"] is None


def test_info_of_a_name_that_is_nearly_right() -> None:
    error = in_process("models", "info", "slowfst_r50_8x8", code=2).error
    assert "did you mean slowfast_r50_8x8?" in error


# download

BODY = save({"a.weight": np.arange(1000, dtype=np.float32)})


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server that has every X3D but X3D-L, and the environment in which it is asked."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        is_there = "_l." not in to.path.lower()
        respond(to, 200 if is_there else 404, body=BODY if is_there else b"")

    with http_server(answer) as server:
        yield {"TWINPATH_HOME": str(tmp_path / "home"), "TWINPATH_MIRROR": server.url(), "NO_PROXY": "*"}


def test_download_prints_the_path_of_each_file(mirror: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "home" / "weights"
    done = twinpath("models", "download", "x3d_s.ptv_k400", "x3d_xs*", "x3d_s.*", **mirror)
    names = ["x3d_s.ptv_k400", "x3d_xs.psf_k400", "x3d_xs.ptv_k400", "x3d_s.psf_k400"]
    assert done.out.splitlines() == [str(folder / f"{name}.pyth") for name in names]
    assert all((folder / f"{name}.pyth").read_bytes() == BODY for name in names)
    assert done.err.splitlines() == [f"{name}: downloaded, 0 MB" for name in names]
    again = twinpath("models", "download", "x3d_s.ptv_k400", "slowfast_tiny", "--json", **mirror).objects
    assert [(facts["name"], facts["downloaded"]) for facts in again] == [
        ("x3d_s.ptv_k400", False),
        ("slowfast_tiny.synthetic", False),
    ]
    assert again[0]["size_bytes"] == len(BODY)


def test_download_goes_on_behind_a_failure(mirror: dict[str, str], tmp_path: Path) -> None:
    done = twinpath("models", "download", "x3d_l*", "x3d_m.ptv_k400", "--json", code=4, **mirror)
    assert [facts["name"] for facts in done.objects] == ["x3d_l.psf_k400", "x3d_l.ptv_k400", "x3d_m.ptv_k400"]
    assert done.objects[0]["error"]["type"] == "DownloadFailed"
    assert done.objects[2]["downloaded"] is True
    *each, last = done.err.splitlines()
    assert len(each) == 2
    assert all("404" in line and str(tmp_path / "home") in line for line in each)
    assert last == "twinpath: 2 of 3 weight files could not be fetched; each is named above"
    assert "404" in twinpath("models", "download", "x3d_l.ptv_k400", code=5, **mirror).error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give names or patterns"),
        (("--all",), r"67 files of at least \d+\.\d GB together; say --yes"),
        (("--all", "x3d_s"), "--all takes no names"),
        (("x3d_t",), "did you mean x3d_"),
        (("y3d*",), r"no weights match 'y3d\*'"),
        (("fast_r50_8x8",), "no weights are published for fast_r50_8x8"),
    ],
)
def test_download_of_what(arguments: tuple[str, ...], words: str) -> None:
    assert re.search(words, in_process("models", "download", *arguments, code=2).error)


# convert


def test_convert_tells_what_a_file_is(tmp_path: Path) -> None:
    source = write_golden_checkpoint("ptv_x3d_s", tmp_path / "X3D_S.pyth")
    target = tmp_path / "x3d_s.safetensors"
    done = in_process("models", "convert", source, target, "--model", "x3d_s.ptv_k400")
    facts = {line[:9].strip(): line[11:] for line in done.out.splitlines()}
    assert facts == facts | {
        "format": "torch",
        "names of": "PyTorchVideo",
        "network": "x3d_s.ptv_k400",
        "classes": "400",
        "params": "3,794,274",
        "left out": "nothing",
    }
    assert "x3d_m.ptv_k400" in facts["also fits"]
    assert done.err == ""
    error = in_process("models", "convert", target, target, code=2).error
    assert "is the file to be converted" in error


# verify


def test_verify_without_known_labels(clips: Path) -> None:
    found = in_process("models", "verify", *TINY[1:], "--video", clips / "a.mp4", "--json").object
    assert (found["agrees"], found["video"]) == (None, str(clips / "a.mp4"))
    assert len(found["predictions"]) == 5


def test_verify_shows_both_answers_side_by_side(clips: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    torch.manual_seed(0)  # one network of 400 gives the upstream's label by chance
    save_weights(create_model("x3d_s.ptv_k400"), weights)
    wanted = ("x3d_s.ptv_k400", "--video", clips / "a.mp4", "--weights", weights)
    done = in_process("models", "verify", *wanted, code=5)
    header, first, second, *_ = done.out.splitlines()[2:]
    assert header.split() == ["upstream", "here", "score"]
    assert first.startswith("archery ")
    assert first.endswith(" %  DIFFERS")
    assert second.endswith(" %  not compared")
    assert str(weights) in done.error
    assert "gives other labels than its upstream published" in done.error
