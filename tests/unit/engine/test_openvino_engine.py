"""The OpenVINO backend: the same answers as torch, from a cache that survives damage and races."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from twinpath import known_files
from twinpath.engine import open as choose
from twinpath.engine import openvino_convert, openvino_engine
from twinpath.engine.compiled_cache import entry_path, read_entry, write_entry
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine
from twinpath.engine.torch_engine import TorchEngine
from twinpath.errors import LimitExceeded, MissingExtra, UsageError
from twinpath.models.exportable import Exportable
from twinpath.models.registry import architecture
from twinpath.weights import hashes
from twinpath.zoo.create import input_spec

TINY = "slowfast_tiny.synthetic"
TORCH = EngineConfig("torch", "cpu")


def clip(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, height, width, 3), dtype=np.uint8)


PRECISIONS = ["fp32", "bf16"] if "BF16" in openvino_engine.capabilities() else ["fp32"]


def test_bf16_is_refused_where_the_cpu_has_it_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "capabilities", lambda: ("FP32", "INT8"))
    with pytest.raises(UsageError, match="this CPU does not compute in it"):
        open_engine(TINY, config=EngineConfig("openvino", "cpu", "bf16"))


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [("AVX2", False), ("avx512_core_vnni", False), ("SSE41", False), ("AVX512_CORE_BF16", True), ("", True)],
)
def test_bf16_is_not_chosen_where_the_environment_excludes_it(
    limit: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Core:
        def get_property(self, *_: object) -> list[str]:
            return ["FP32", "BF16"]

    monkeypatch.setattr(openvino_engine, "_core", Core)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert openvino_engine.capabilities() == (("FP32", "BF16") if allowed else ("FP32",))
    assert openvino_engine.choose_precision(EngineConfig()) == ("bf16" if allowed else "fp32")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_frames_of_any_size_and_three_crops(precision: str) -> None:
    """One compiled network; the answers are torch's."""
    engine = open_engine(TINY, config=EngineConfig.parse("openvino", "cpu", precision, 2))
    exact = open_engine(TINY, config=TORCH)
    assert isinstance(engine, OpenVinoEngine)
    assert isinstance(exact, TorchEngine)
    assert engine.num_classes == exact.num_classes == 12
    close = 1e-4 if precision == "fp32" else 0.01
    for height, width in ((96, 96), (120, 160), (160, 121), (480, 270)):
        clips = [clip(height, width, seed) for seed in (0, 1)]
        assert np.stack(engine(clips)) == pytest.approx(np.stack(exact(clips)), abs=close)
        three, exact_three = (np.stack(e.with_crops(3)(clips)) for e in (engine, exact))
        assert three.shape == (2, 3, 12)
        assert three == pytest.approx(exact_three, abs=close)
    assert f"2 threads, {precision}" in engine.describe()
    engine.warm_up(64, 80)


def test_embeddings() -> None:
    engine = open_engine(TINY, output="embed", config=EngineConfig("openvino", "cpu", "fp32"))
    exact = open_engine(TINY, output="embed", config=TORCH)
    (ours,), (theirs,) = engine([clip(96, 128)]), exact([clip(96, 128)])
    assert ours == pytest.approx(theirs, abs=1e-3 * float(np.abs(theirs).max()))


def test_a_cached_network_needs_no_torch(empty_home: Path) -> None:
    statuses: list[str] = []
    open_engine(TINY, on_status=statuses.append)
    assert len(statuses) == 1
    assert "once" in statuses[0]
    open_engine(TINY, on_status=statuses.append)
    assert len(statuses) == 1
    code = (
        "import sys, numpy as np\n"
        "from twinpath import Classifier\n"
        f"answer = Classifier({TINY!r})(np.zeros((16, 96, 96, 3), np.uint8))\n"
        "print(answer.engine, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("openvino")
    assert done.stdout.strip().endswith("False")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "header", "foreign"])
def test_a_damaged_entry_is_made_anew(
    damage: str, empty_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (before,) = open_engine(TINY)([clip(96, 96)])
    (entry,) = (empty_home / "engines").glob("*.ov")
    content = entry.read_bytes()
    if damage == "foreign":  # whole, but nothing that OpenVINO knows
        write_entry(entry, b"no network", {"num_classes": 12, "precision": "bf16"})
    else:
        changed = {
            "cut": content[: len(content) // 2],
            "flipped": content[:-100] + bytes(255 - b for b in content[-100:]),
            "empty": b"",
            "header": content[:28] + b"{" * 40 + content[68:],
        }[damage]
        entry.write_bytes(changed)
    (again,) = open_engine(TINY)([clip(96, 96)])
    assert "made anew" in caplog.text
    assert again == pytest.approx(before, abs=1e-6)
    assert read_entry(entry) is not None


def test_two_may_make_the_same_entry(empty_home: Path) -> None:
    path = entry_path("racing", {"a": 1})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: write_entry(path, bytes([n]) * 100_000, {"n": n}), range(20)))
    entry = read_entry(path)
    assert entry is not None
    assert bytes(entry.content) == bytes([entry.facts["n"]]) * 100_000
    assert {p.name for p in path.parent.iterdir()} == {path.name, "key"}


def test_a_changed_weight_file_of_equal_size_has_another_compiled_network(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its modification time is set back; and as long as it does not change, it is read once."""
    planned, hashed = [], []
    weights = tmp_path / "weights.bin"

    def file_digest(file: Any, name: str) -> Any:
        hashed.append(file.name)
        return hashlib.new(name, file.read())

    def plan() -> Path:
        hashes._sha256.cache_clear()  # as in a new process
        open_engine("slowfast_tiny", weights, config=EngineConfig("openvino"))
        return planned[-1]

    monkeypatch.setattr(known_files, "SETTLED_S", -10.0)  # as if it had been written long ago
    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    monkeypatch.setattr(choose._Compilation, "engine", lambda self, *_: planned.append(self.path))
    weights.write_bytes(b"first")
    first = plan()
    write_entry(first, b"", {})
    assert [plan(), plan()] == [first, first]
    assert len(hashed) == 1
    before = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"other")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert plan() != first
    assert len(hashed) == 2


def test_what_the_key_depends_on() -> None:
    assert entry_path("m", {"a": 1, "b": 2}) == entry_path("m", {"b": 2, "a": 1})
    assert entry_path("m", {"a": 1}) != entry_path("m", {"a": 2})


def test_entries_not_used_for_longest_go(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinpath.engine.compiled_cache.KEEP_BYTES", 2500)
    paths = [entry_path("m", {"n": n}) for n in range(4)]
    for age, path in enumerate(paths):
        write_entry(path, bytes(1000), {})
        os.utime(path, (age, age))
    write_entry(paths[0], bytes(1000), {})
    assert {p.name for p in paths[0].parent.glob("*.ov")} == {paths[0].name, paths[3].name}


def test_a_network_that_openvino_does_not_know_goes_to_torch(
    empty_home: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from twinpath.engine.openvino_convert import NotConvertible

    tried = []

    def refuse(*_: object, **__: object) -> None:
        tried.append(1)
        raise NotConvertible("no such operation")

    monkeypatch.setattr("twinpath.engine.openvino_convert.convert", refuse)
    for _ in range(2):
        caplog.clear()
        assert isinstance(open_engine(TINY, tiny_weights), TorchEngine)
        assert "cannot run slowfast_tiny.synthetic (no such operation); torch does" in caplog.text
    assert len(tried) == 1  # remembered


def test_openvino_that_fails_to_compile_is_named_where_it_was_asked_for(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/plugin.cpp:84:\nException from src/node.cpp:1:\nno kernel\n\n")

    monkeypatch.setattr(openvino_engine, "compile_network", fail)
    with pytest.raises(
        UsageError, match=r"OpenVINO cannot run slowfast_tiny.synthetic \(no kernel\); choose engine 'torch'"
    ):
        open_engine(TINY, config=EngineConfig("openvino"))
    assert isinstance(open_engine(TINY, config=EngineConfig(device="cpu")), TorchEngine)
    assert "cannot run slowfast_tiny.synthetic (no kernel); torch does" in caplog.text


def test_lack_of_memory_while_compiling_is_not_remembered(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/allocator.cpp:79:\nstd::bad_alloc\n")

    with monkeypatch.context() as patch:
        patch.setattr(openvino_engine, "compile_network", fail)
        with pytest.raises(LimitExceeded, match=r"compiling slowfast_tiny\.synthetic needs more memory"):
            open_engine(TINY, config=EngineConfig(device="cpu"))
    assert isinstance(open_engine(TINY, config=EngineConfig("openvino")), OpenVinoEngine)


@pytest.mark.parametrize(
    "error", [RuntimeError("Device with CPU name is not registered"), ImportError("no x.so")]
)
def test_an_openvino_that_does_not_load_is_no_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(openvino_engine, "capabilities", fail)
    assert isinstance(open_engine(TINY, config=EngineConfig(device="cpu")), TorchEngine)
    assert f"it does not load: {error}" in caplog.text
    with pytest.raises(UsageError, match=r"OpenVINO cannot run .* choose engine 'torch'"):
        open_engine(TINY, config=EngineConfig("openvino"))
    assert choose.engine_facts()["engine"] == "torch"


@pytest.mark.parametrize(
    ("reason", "expected", "message"),
    [
        ("[CPU] Gather node\nFailed to allocate 9830400 bytes of memory", LimitExceeded, "needs more memory"),
        (
            "Exception from src/node.cpp:1:\nshapes differ",
            UsageError,
            r"fails to run .*tiny.* \(shapes differ\)",
        ),
    ],
)
def test_openvino_that_fails_while_it_runs(
    reason: str, expected: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def infer(self, inputs: object, *, share_inputs: bool) -> None:
            raise RuntimeError(reason)

    engine = open_engine(TINY, config=EngineConfig("openvino", "cpu", "fp32"))
    (before,) = engine([clip(96, 96)])
    monkeypatch.setattr(engine, "_request", Failing())
    with pytest.raises(expected, match=message):
        engine([clip(96, 96)])
    assert np.array_equal(engine([clip(96, 96)])[0], before)


def test_configurations_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (("vino", "auto", "auto", None), "engine 'vino' is not known; choose one of auto, torch, openvino"),
        (("auto", "auto", "auto", 0), "threads must be at least 1, not 0"),
        (("auto", "auto", "int8", None), "precision 'int8' is not known; choose one of"),
    ):
        with pytest.raises(UsageError, match=message):
            EngineConfig.parse(*arguments)
    with pytest.raises(UsageError, match="compile is for engine='torch'"):
        EngineConfig.parse("openvino", "cpu", "auto", None, compile=True)
    with pytest.raises(UsageError, match="runs on the CPU, not on cuda"):
        open_engine(TINY, config=EngineConfig("openvino", "cuda"))
    with pytest.raises(UsageError, match="fp16 is for GPUs"):
        open_engine(TINY, config=EngineConfig("openvino", "cpu", "fp16"))
    monkeypatch.setattr(choose, "has_openvino", lambda: False)
    with pytest.raises(MissingExtra, match="pip install openvino"):
        open_engine(TINY, config=EngineConfig("openvino"))
    assert isinstance(open_engine(TINY, config=EngineConfig(device="cpu")), TorchEngine)


def test_outputs_that_a_model_does_not_have() -> None:
    with pytest.raises(
        UsageError, match="is a network for classification: output='scores' or 'embed', not 'boxes'"
    ):
        open_engine(TINY, output="boxes")
    with pytest.raises(UsageError, match="is a network for detection: output='boxes', not 'embed'"):
        open_engine("slowfast_tiny_det.synthetic", output="embed")
    with pytest.raises(
        UsageError, match=r"no weights are published for mvit_v1_b24_32x3; give a weight file \(weights="
    ):
        open_engine("mvit_v1_b24_32x3", config=EngineConfig("openvino", "cpu"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("i3d_r50_8x8", {"width": 8, "blocks": (1, 1, 1, 1)}),
        ("x3d_xs", {"depth": 0.8}),
        ("mvit_v1_b_16x4", {"blocks": (1, 1, 1, 1), "num_frames": 4}),
        ("mvit_v2_s_16x4", {"blocks": (1, 1, 1, 1), "num_frames": 4}),
        ("mvit_v2_t", {"blocks": (1, 1, 1, 1)}),
    ],
)
def test_rewritten_networks_are_converted(name: str, options: dict[str, Any]) -> None:
    """In fp32 they are the network, on every CPU; SlowFast is the embedded model's network."""
    torch.manual_seed(0)
    network = architecture(name).build(crop=64, num_classes=5, **options).eval()
    frames = options.get("num_frames", architecture(name).num_frames)
    spec = replace(input_spec(name), num_frames=frames, short_side_px=64, crop_px=64, resize_px=None)
    model = openvino_convert.convert(network, spec, output="embed", precision="fp32")
    compiled = openvino_engine.compile_network(model, precision="fp32", config=EngineConfig())
    pixels = np.random.default_rng(0).uniform(0, 255, (1, frames, 64, 64, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = Exportable(network, spec, "embed")(torch.from_numpy(pixels)).numpy()
    assert compiled(pixels)[0] == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))
