"""Exports in int8: calibrated on videos or the synthetic world, and the same answers together as alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import in_process
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.engine.config import EngineConfig
from twinpath.engine.export_int8 import ClipCounts, check_together, export_int8, speed_warning
from twinpath.engine.int8_speed import clip_ms
from twinpath.engine.open import open_engine
from twinpath.engine.openvino_import import ov
from twinpath.errors import ExportDiffers, InputError, MissingExtra, NotAFile, NotAVideo, UsageError
from twinpath.zoo.model_folder import read_model_folder
from twinpath.zoo.records import record

TINY, TINY_DETECTOR = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
INT8 = ("--format", "openvino", "--precision", "int8")
FEW = ClipCounts(8, 20)


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINPATH_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of which each gives 10 clips, one that is none, and something else."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(4):
        write_clip(folder / f"{i}.mp4", labelled_scene(TEST_SEED + i), height_px=96, duration_s=7)
    (folder / "bad.mp4").write_bytes(b"no video at all")
    (folder / "notes.txt").write_text("no video either", "utf-8")
    return folder


def test_a_model_is_exported_with_clips_of_videos_and_runs(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    done = in_process("models", "export", TINY, out, *INT8, "--calibrate", videos, "--json")
    figures = done.object["figures"]
    assert done.object["precision"] == "int8"
    assert figures["same_answers_as_fp32"] >= 0.99
    assert figures["int8_layers"] >= 30
    assert (figures["clips_for_calibration"], figures["clips_for_validation"]) == (20, 20)
    assert (figures["clips_of"], figures["videos_skipped"]) == ("4 videos", 1)
    assert {figure["clips"] for figure in done.object["parity"]} == {1, 2, 5}
    assert "bad.mp4 is a text file, not a video" in done.err
    assert "1 of 5 videos could not be used" in done.err
    assert "1 file skipped: 1 .txt" in done.err
    assert figures["float_precision"] in ("fp32", "bf16")
    float_ms, int8_ms = figures["ms_a_clip_in_float"], figures["ms_a_clip_in_int8"]
    assert min(float_ms, int8_ms) > 0
    assert ("no faster" in done.err) == (int8_ms >= float_ms)

    folder = read_model_folder(out)
    assert folder.card.files["model.bin"].size_bytes < 1_500_000
    assert "nncf" in folder.card.versions
    assert "| int8 layers | " in (out / "README.md").read_text("utf-8")
    frames = np.random.default_rng(1).integers(0, 256, (16, 120, 160, 3), dtype=np.uint8)
    for output in ("scores", "embed"):
        one, other = (
            open_engine(model, output=output, config=EngineConfig("openvino", "cpu", "fp32"))([frames])[0]
            for model in (str(out), TINY)
        )
        assert one.shape == other.shape
    command = ("classify", videos / "3.mp4", "--json", "--model")
    labels = [in_process(*command, model).object["predictions"][0]["label"] for model in (out, TINY)]
    assert labels[0] == labels[1]


@pytest.mark.slow
def test_a_detector_is_exported_with_the_synthetic_world(tmp_path: Path) -> None:
    seen: list[str] = []
    made = export_int8(
        TINY_DETECTOR, tmp_path / "mine", counts=FEW, on_step=lambda title, done, total: seen.append(title)
    )
    assert made.card.figures["clips_of"] == "the synthetic world"
    assert list(dict.fromkeys(seen)) == ["rendering clips", "float answers", "calibration", "comparison"]
    engine = open_engine(str(tmp_path / "mine"), output="boxes")
    frames = np.random.default_rng(1).integers(0, 256, (16, 120, 160, 3), dtype=np.uint8)
    boxes = np.array([[10.0, 10.0, 60.0, 110.0], [90.0, 5.0, 150.0, 100.0]])
    assert engine([frames], [boxes])[0].shape == (2, 12)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((TINY, "--precision", "int8"), "--precision 'int8' is for --format openvino, not 'onnx'"),
        ((TINY, *INT8[2:], "--format", "torch-export"), "is for --format openvino, not 'torch-export'"),
        ((TINY, "--calibrate", "clips"), "--calibrate is for --precision int8"),
        (
            ("x3d_xs.ptv_k400", *INT8),
            "--calibrate: int8 needs videos like those that x3d_xs.ptv_k400 will see",
        ),
        ((TINY, *INT8, "--calibrate", "rtsp://host/a"), "is an address, and this command reads files"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], error: str, tmp_path: Path) -> None:
    name, *options = arguments
    done = in_process("models", "export", name, tmp_path / "out", *options, code=2)
    assert error in done.error
    assert not list(tmp_path.iterdir())


def test_too_few_clips_and_no_readable_video(videos: Path, tmp_path: Path) -> None:
    out, bad = tmp_path / "out", videos / "bad.mp4"
    with pytest.raises(UsageError, match="at least 20 clips for validation, not 10; give more or longer"):
        export_int8(TINY, out, calibrate=[videos / "0.mp4", videos / "1.mp4"])
    with pytest.raises(NotAFile, match=r"no\.mp4 does not exist"):
        export_int8(TINY, out, calibrate=[videos / "no.mp4"])
    with pytest.raises(NotAVideo, match=r"bad\.mp4"):
        export_int8(TINY, out, calibrate=[bad])
    told: list[Any] = []
    with pytest.raises(InputError, match="none of 2 videos for calibration can be read"):
        export_int8(TINY, out, calibrate=[bad, bad], on_skipped=lambda *what: told.append(what))
    assert [type(error) for _, error in told] == [NotAVideo, NotAVideo]
    assert not list(tmp_path.iterdir())


def test_without_nncf_it_ends_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[int8\]'"):
        export_int8(TINY, tmp_path / "out", on_step=lambda *_: pytest.fail("it renders clips"))


def test_where_int8_does_not_help_it_is_said() -> None:
    called: list[str] = []

    def run(name: str, ms: float) -> Any:
        return lambda inputs: (called.append(name), time.sleep(ms / 1e3))

    compiled = {"fp32": run("fp32", 1), "int8": run("int8", 5)}
    found = clip_ms(compiled, [["a"], ["b"]], least_rounds=3, seconds=0)
    assert called == ["fp32", "int8"] * 6
    assert (found["fp32"] >= 1, found["int8"] >= 5) == (True, True)
    folder = record(TINY).embedded_folder
    assert folder is not None
    card = read_model_folder(folder).card
    figures: dict[str, float | str] = {"float_precision": "fp32", "ms_a_clip_in_float": 10.0}
    for int8_ms, warning in (
        (
            12.5,
            "int8 is no faster than fp32 on this CPU: a clip takes 12.5 ms, in fp32 10 ms; only the files ",
        ),
        (9.9, None),
    ):
        sentence = speed_warning(replace(card, figures={**figures, "ms_a_clip_in_int8": int8_ms}))
        assert sentence == (warning and f"{warning}are smaller")
    assert speed_warning(card) is None


def test_clips_that_have_other_scores_together_are_an_error() -> None:
    frames = ov.opset13.parameter([1, 2, 4, 4, 3], ov.Type.f32, "frames")
    model = ov.Model([ov.opset13.reduce_mean(frames, np.array([1, 2, 3]))], [frames])
    clips = [[np.full((1, 2, 4, 4, 3), value, np.float32)] for value in (1, 2, 3, 4, 5)]

    def graph(frames: np.ndarray) -> np.ndarray:
        return frames.mean(axis=(1, 2, 3))

    check_together(model, graph, clips)
    for wrong, message in (
        (lambda frames: graph(frames)[::-1], "gives 2 clips together other scores than alone, by 1 "),
        (lambda frames: graph(frames)[:1], r"scores of shape \(1, 3\) for 2 clips, not \(2, 3\)"),
        (lambda frames: graph(frames) + np.nan, "numbers that are not finite"),
    ):
        with pytest.raises(ExportDiffers, match=message):
            check_together(model, wrong, clips)
