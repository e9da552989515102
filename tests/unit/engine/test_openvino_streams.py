"""Several clips at once: the same answers, and a choice that is measured once and kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinpath.engine import openvino_engine, openvino_streams
from twinpath.engine.compiled_cache import Entry, entries, read_entry
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import open_engine
from twinpath.engine.openvino_engine import OpenVinoEngine, import_network, shared_tensor
from twinpath.engine.openvino_streams import StreamChoice, measured_choice
from twinpath.errors import UsageError
from twinpath.zoo.create import input_spec

TINY = "slowfast_tiny.synthetic"
TWO_THREADS = EngineConfig("openvino", "cpu", "fp32", threads=2)
CLIPS = [
    np.random.default_rng(seed).integers(0, 256, (16, 96, 96 + 8 * seed, 3), dtype=np.uint8)
    for seed in range(5)
]


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("TWINPATH_HOME", str(home))
        open_engine(TINY, config=TWO_THREADS)
        (path,) = (home / "engines").glob("*.ov")
        found = read_entry(path)
    assert found is not None
    return found


def engine_for(entry: Entry, clips_at_once: int, *, threads: int = 2) -> OpenVinoEngine:
    facts = {**entry.facts, **StreamChoice(clips_at_once, threads).facts()}
    kept = Entry(facts, entry.content)
    return OpenVinoEngine.from_entry(kept, input_spec(TINY), output="scores", config=TWO_THREADS)


@pytest.mark.parametrize("num_crops", [1, 3])
@pytest.mark.parametrize("clips_at_once", [2, 3])
def test_the_answers_are_the_same(entry: Entry, clips_at_once: int, num_crops: int) -> None:
    alone, together = (engine_for(entry, n).with_crops(num_crops) for n in (1, clips_at_once))
    assert (alone.batch_clips, together.batch_clips) == (1, clips_at_once)
    expected = [alone([clip])[0] for clip in CLIPS]
    for count in range(len(CLIPS) + 1):
        found = together(CLIPS[:count])
        assert len(found) == count
        for a, b in zip(found, expected[:count], strict=True):
            assert a.shape == (num_crops, 12)
            assert a == pytest.approx(b, abs=1e-6)


def test_threads_may_share_it(entry: Entry) -> None:
    engine = engine_for(entry, 2)
    expected = [engine([clip])[0] for clip in CLIPS]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: engine(CLIPS), range(8)):
            assert np.stack(found) == pytest.approx(np.stack(expected), abs=1e-6)


def test_a_network_from_the_cache_has_the_streams_that_are_asked_for(entry: Entry) -> None:
    for streams in (1, 2):
        content = shared_tensor(entry.content)
        compiled = import_network(content, precision="fp32", config=TWO_THREADS, streams=streams)
        assert compiled.get_property("NUM_STREAMS") == streams
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_a_choice_holds_for_the_threads_with_which_it_was_measured(entry: Entry) -> None:
    assert engine_for(entry, 2, threads=16).batch_clips == 1
    assert StreamChoice.of({}, threads=2) == StreamChoice(1, 2)
    assert entry.facts["streams"]["threads"] == 2
    assert entry.facts["streams"]["alone_ms"] > 0
    assert entry.facts["streams"]["together_ms"] > 0


@pytest.mark.parametrize(
    ("threads", "times_s", "expected"),
    [
        (1, [], StreamChoice(1, 1)),
        (2, [(0.030, 0.024)], StreamChoice(2, 2, 30, 24)),
        (2, [(0.030, 0.029)], StreamChoice(1, 2, 30, 29)),  # too little to gain
        (3, [(0.030, 0.024)], StreamChoice(2, 3, 30, 24)),
        (16, [(0.030, 0.024), (0.030, 0.012), (0.030, 0.010)], StreamChoice(8, 16, 30, 10)),
        (16, [(0.030, 0.024), (0.030, 0.025)], StreamChoice(2, 16, 30, 24)),
        (4, [(0.030, 0.029), (0.030, 0.020)], StreamChoice(4, 4, 30, 20)),
    ],
)
def test_the_fastest_is_chosen(
    threads: int,
    times_s: Sequence[tuple[float, float]],
    expected: StreamChoice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Input:
        shape = (1, 2, 4, 4, 3)

    class Compiled:
        inputs = (Input(),)

        def get_property(self, name: str) -> int:
            assert name == "INFERENCE_NUM_THREADS"
            return threads

    left, tried = list(times_s), []

    def per_clip_s(*_: Any) -> tuple[float, float]:
        return left.pop(0)

    monkeypatch.setattr(openvino_streams, "_per_clip_s", per_clip_s)
    assert measured_choice(Compiled(), tried.append) == expected
    assert tried == [2, 4, 8][: len(times_s)]
    assert not left


def test_boxes_are_not_measured(empty_home: Path) -> None:
    engine = open_engine("slowfast_tiny_det.synthetic", output="boxes", config=TWO_THREADS)
    assert engine.batch_clips == 1
    ((_, facts),) = entries()
    assert facts["streams"] == {"clips_at_once": 1, "threads": 2, "alone_ms": None, "together_ms": None}


def test_without_memory_for_more_it_goes_on_alone(
    entry: Entry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("Exception from src/allocator.cpp:79:\nstd::bad_alloc\n")

    engine, expected = engine_for(entry, 2), engine_for(entry, 1)(CLIPS)
    monkeypatch.setattr(openvino_engine, "import_network", fail)
    with caplog.at_level(logging.WARNING):
        assert np.stack(engine(CLIPS)) == pytest.approx(np.stack(expected), abs=1e-6)
    assert engine.batch_clips == 1
    assert caplog.text.count("no memory for several clips at once") == 1


def test_other_failures_are_told(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(entry, 2)
    expected = np.stack(engine(CLIPS))

    def fail(*_: Any) -> None:
        raise RuntimeError("Exception from src/node.cpp:1:\nno kernel")

    with monkeypatch.context() as patch:
        patch.setattr(openvino_engine, "infer_all", fail)
        with pytest.raises(UsageError, match="OpenVINO fails to run the network \\(no kernel\\)"):
            engine(CLIPS)
    assert np.stack(engine(CLIPS)) == pytest.approx(expected, abs=1e-6)


def test_a_failing_measurement_is_no_failure(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no streams here")

    monkeypatch.setattr(openvino_engine, "measured_choice", fail)
    engine = open_engine(TINY, config=TWO_THREADS)
    assert engine.batch_clips == 1
    assert "one after the other: no streams here" in caplog.text
    assert len(engine(CLIPS[:2])) == 2
