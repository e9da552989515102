"""The page of examples/browser in a headless Chromium, and the script that puts onnxruntime-web beside it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twinpath
from tests.support.browser import PAGE, needs_browser, use_page
from tests.support.http_server import http_server, whole
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.recognize.classifier import Classifier
from twinpath.video.sampling import frame_indices
from twinpath.video.writer import VideoWriter

ASSETS = Path(twinpath.__file__).parent / "assets"
TINY = "slowfast_tiny.synthetic"
NUMBERED = {"numbered.mp4": 60, "short.mp4": 5, "picture.mp4": 1}  # frames
FPS, NUM_FRAMES, SPAN_S = 25, 16, 64 / 30  # of the numbered videos; of the network
CLIPS = ("clip.mp4", "small.mp4")

Shown = dict[str, dict[str, Any]]


def _write_site(site: Path) -> None:
    """Videos and models, good and bad."""
    write_clip(site / "clip.mp4", labelled_scene(TEST_SEED), height_px=192)
    write_clip(site / "small.mp4", labelled_scene(TEST_SEED + 4), height_px=90)
    for name, count in NUMBERED.items():
        with VideoWriter(site / name, width=64, height=64, fps=FPS) as writer:
            for number in range(count):
                writer.write(np.full((64, 64, 3), _gray(number), dtype=np.uint8))
    (site / "text.mp4").write_text("This is a text.\n" * 99)
    shutil.copytree(ASSETS / TINY, site / "tiny")
    shutil.copytree(ASSETS / TINY, site / "bare" / "tiny")
    shutil.copytree(ASSETS / "slowfast_tiny_det.synthetic", site / "detector")
    shutil.copytree(ASSETS / TINY, site / "changed")
    graph = bytearray((site / "changed" / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (site / "changed" / "model.onnx").write_bytes(graph)
    shutil.copytree(ASSETS / TINY, site / "larger")
    card = json.loads((site / "larger" / "model.json").read_text("utf-8"))
    card["input"]["crop_px"] = 112
    (site / "larger" / "model.json").write_text(json.dumps(card), "utf-8")


def _gray(number: int | np.integer) -> int:
    """Of a frame of a numbered video: 3 apart, so that coding does not blur them."""
    return 20 + 3 * int(number)


def _case(
    page: str, *videos: str, folder: list[str] | None = None, other: str | None = None
) -> dict[str, Any]:
    return {"page": page, "videos": videos, "folder": folder, "other": other}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_browser()
    path = tmp_path_factory.mktemp("site")
    _write_site(path)
    return path


@pytest.fixture(scope="module")
def shown(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """What the page shows, case by case, in one run of the browser."""
    with http_server(whole(b"{}")) as other:
        elsewhere = other.url("/tiny")
        cases = {
            "clip.mp4": _case("index.html?model=tiny", "clip.mp4", other=elsewhere),
            "small.mp4": _case("index.html", "small.mp4", folder=["tiny/model.json", "tiny/model.onnx"]),
            **{name: _case("index.html?model=tiny", name) for name in NUMBERED},
            "text": _case("index.html?model=tiny", "text.mp4"),
            "text, then a clip": _case("index.html?model=tiny", "text.mp4", "clip.mp4"),
            "no model": _case("index.html", "clip.mp4"),
            "nothing": _case("index.html?model=nothing"),
            "elsewhere": _case(f"index.html?model={elsewhere}"),
            "detector": _case("index.html?model=detector"),
            "changed": _case("index.html?model=changed"),
            "larger": _case("index.html?model=larger"),
            "no graph": _case("index.html", folder=["tiny/model.json"]),
            "no runtime": _case("bare/index.html?model=tiny"),
        }
        found = use_page(site, cases, tmp_path_factory.mktemp("browser"))
        assert other.paths == []
    return found


@pytest.mark.parametrize("name", CLIPS)
def test_the_page_finds_what_the_classifier_finds(name: str, shown: Shown, site: Path) -> None:
    page = shown[name]
    assert (page["state"], page["status"]) == ("done", "")
    wanted = Classifier(TINY)(site / name).predictions
    label, _, share = page["answers"][0]
    assert label == wanted[0].label
    assert float(share.removesuffix(" %")) == pytest.approx(100 * wanted[0].score, abs=2)
    assert len(page["answers"]) == 5
    assert page["widths"] == sorted(page["widths"], reverse=True)
    assert page["widths"][0] > 2 * page["widths"][1]
    assert "12 labels of synthetic, 16 frames of 96×96" in page["model"]
    assert "knows no real videos" in page["model"]


@pytest.mark.parametrize(("name", "count"), NUMBERED.items())
def test_the_page_takes_the_frames_that_the_classifier_takes(name: str, count: int, shown: Shown) -> None:
    times_s = np.arange(count) / FPS
    picks = frame_indices(times_s, start_s=0, span_s=SPAN_S, num_frames=NUM_FRAMES)
    seen = shown[name]["frames"]
    wanted = [_gray(picks[i * (NUM_FRAMES - 1) // 7]) for i in range(8)]  # eight are shown
    assert np.abs(np.subtract(seen, wanted)).max() <= 1


def test_the_page_contacts_nobody_but_its_server(shown: Shown) -> None:
    page = shown["clip.mp4"]
    assert page["refused"] is True
    origins = {address.rsplit(":", 1)[0] + ":" for address in page["fetched"]}
    assert origins == {"http://127.0.0.1:"}
    assert {address.split("/", 3)[3] for address in page["fetched"]} == {
        "page.js",
        "tiny/model.json",
        "tiny/model.onnx",
        "onnxruntime/ort.wasm.bundle.min.mjs",
        "onnxruntime/ort-wasm-simd-threaded.wasm",
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", "This browser cannot decode text.mp4"),
        ("nothing", "There is no model.json in nothing. Make the folder with: twinpath models export x3d_xs"),
        ("elsewhere", "The model must lie beside this page, not at http://127.0.0.1:"),
        ("detector", "needs boxes of people"),
        ("changed", "changed/model.onnx is not the file that its model.json describes"),
        ("larger", "takes another input than this page makes: N × 16 × 112 × 112 × 3 bytes"),
        ("no graph", "holds no model.onnx. Export the model with --format onnx."),
        ("no runtime", "onnxruntime-web is not beside this page. Run fetch_runtime.py"),
    ],
)
def test_the_page_says_what_is_wrong(name: str, message: str, shown: Shown) -> None:
    page = shown[name]
    assert page["state"] == "error"
    assert message in page["status"]
    assert not page["result"]


def test_the_page_asks_for_a_model(shown: Shown) -> None:
    assert (shown["no model"]["state"], shown["no model"]["status"]) == ("idle", "Now choose a model.")


def test_the_page_goes_on_after_a_bad_video(shown: Shown) -> None:
    assert shown["text, then a clip"]["answers"] == shown["clip.mp4"]["answers"]


def _fetch(tmp_path: Path, package: Path) -> subprocess.CompletedProcess[str]:
    script = shutil.copy(PAGE / "fetch_runtime.py", tmp_path)
    return subprocess.run(
        [sys.executable, script, str(package)], capture_output=True, text=True, check=False, cwd=tmp_path
    )


def test_another_runtime_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = 5
            archive.addfile(member, io.BytesIO(b"other"))
    done = _fetch(tmp_path, package)
    assert done.returncode == 1
    assert (
        "ort.wasm.bundle.min.mjs is not the file of onnxruntime-web@1.30.0; nothing was kept" in done.stderr
    )
    assert list((tmp_path / "onnxruntime").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"no archive", "is no package: not an archive of tar"),
    ],
)
def test_what_is_no_package_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    package = tmp_path / "package.tgz"
    if content is not None:
        package.write_bytes(content)
    done = _fetch(tmp_path, package)
    assert done.returncode == 1
    assert message in done.stderr
