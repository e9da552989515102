"""The benchmarks themselves: verdicts, reports, and calls to other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bars import Verdict, judge
from benchmarks.figures import Figure, figure_of, in_turn
from benchmarks.machine import describe
from benchmarks.networks import EMBEDDED, NETWORKS
from benchmarks.processes import CommandFailed, OtherLoad, run
from benchmarks.report import as_json, as_markdown
from benchmarks.warm import PEOPLE, people_label
from benchmarks.worker import Worker, WorkerFailed
from twinpath.zoo.create import input_spec

ROOT = Path(__file__).parents[2]
MAIN = "slowfast_r50_8x8"
ECHO = """
from benchmarks.worker import serve
class Echo:
    def echo(self, word):
        print("a library prints what it likes")
        return {"word": word}
    def fail(self):
        raise ValueError("no such thing")
serve(Echo())
"""


def clip_figures(ours_s: float, peer_s: float) -> list[Figure]:
    stages = {"decode": 0.1 * ours_s, "infer": 0.9 * ours_s}
    return [
        figure_of("clip", MAIN, "twinpath", [{"total": ours_s, **stages}] * 3),
        figure_of("clip", MAIN, "pytorchvideo", [{"total": peer_s}] * 3),
        Figure("network", MAIN, "twinpath", (0.9 * ours_s,), facts={"share": 0.93}),
    ]


def people_figures(*totals_s: float) -> list[Figure]:
    return [
        Figure("detection", people_label(n), "twinpath", (s,)) for n, s in zip(PEOPLE, totals_s, strict=True)
    ]


def verdict(figures: list[Figure], beginning: str) -> Verdict:
    (found,) = (v for v in judge(figures) if v.what.startswith(beginning))
    return found


def test_a_bar_that_holds_and_one_that_does_not() -> None:
    what = f"warm process, one clip, {MAIN}"
    assert verdict(clip_figures(0.4, 1.6), what).holds
    failed = verdict(clip_figures(0.4, 1.2), what)
    assert failed.holds is False
    assert failed.here == "3.00x"
    assert failed.limit == (
        "takes 400 ms, needs 343 ms; decode 40 ms (10%), infer 360 ms (90%); "
        "the network runs at 93% of the measured matrix-product peak"
    )


def test_without_a_peer_no_ratio_is_claimed() -> None:
    verdicts = judge(clip_figures(0.4, 1.6)[:1])
    assert [v.what for v in verdicts if v.holds is not None] == []
    assert verdict([], "on a GPU").holds is None


@pytest.mark.parametrize(
    ("figures", "beginning", "holds"),
    [
        ([Figure("cold", EMBEDDED, "twinpath", (1.1, 1.3, 1.15))], "new process, `classify`, slow", True),
        ([Figure("cold", EMBEDDED, "twinpath", (1.1, 1.3, 1.25))], "new process, `classify`, slow", False),
        ([Figure("memory", f"{m} minutes", "twinpath", (100.0 + m,)) for m in (3, 30)], "memory", False),
        ([Figure("memory", f"{m} minutes", "twinpath", (1000.0 + m,)) for m in (3, 30)], "memory", True),
        (people_figures(1.0, 1.1), "actions of 5 people", True),
        (people_figures(1.0, 1.2), "actions of 5 people", False),
    ],
)
def test_bars_that_need_no_peer(figures: list[Figure], beginning: str, holds: bool) -> None:
    assert verdict(figures, beginning).holds is holds


@pytest.mark.parametrize(("same", "off", "holds"), [(3, 0.009, True), (2, 0.001, False), (3, 0.01, False)])
def test_agreement(same: int, off: float, holds: bool) -> None:
    facts = {"same_top_1": same, "clips": 3}
    figures = [Figure("agreement", MAIN, "torch", (0.0001, off), "1", facts=facts)]
    assert verdict(figures, "agreement").holds is holds


def long_figure(total_s: float) -> Figure:
    facts = {"windows": 60, "decode_alone_s": 2.0, "infer_alone_s": 18.0, "share": 18.0 / total_s}
    return Figure("long", f"{MAIN}, 60 s", "twinpath", (total_s,), facts=facts)


def test_a_long_video_has_its_limit_explained() -> None:
    assert verdict([long_figure(19.0)], "a window a second").holds
    slow = verdict([long_figure(24.0)], "a window a second")
    assert slow.here == "75%"
    assert "alone, inference takes 300 ms of all cores and decoding 33 ms of one" in slow.limit


def report_settings() -> dict[str, Any]:
    return {
        "command": "python -m benchmarks --peer",
        "machine": describe(),
        "other_load": {"others": 0.02, "stolen": 0.0},
        "minutes": 3.0,
        "runs": 3,
        "clip": "ten seconds, synthetic",
        "failed": {"views": "the process ended"},
    }


def test_the_report_shows_medians_ratios_and_what_failed() -> None:
    figures = [*clip_figures(0.4, 1.6), long_figure(19.0)]
    text = as_markdown(report_settings(), figures, judge(figures))
    lines = text.splitlines()
    assert f"| warm process, one clip, {MAIN} | ≥ 3.5x, aim 4.5x | 4.0x | yes |  |" in lines
    assert any(line.startswith(f"| {MAIN} | 400 (400–400) | 1600 (1600–1600) | 4.00x |") for line in lines)
    assert "| views failed | the process ended |" in lines
    assert "make bench ARGS='--only clip'" in text
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_the_json_has_every_value_of_every_repetition() -> None:
    figures = clip_figures(0.4, 1.6)
    values = as_json(report_settings(), figures, judge(figures))
    first = values["figures"][0]
    assert (first["median"], first["values"], first["unit"]) == (0.4, [0.4] * 3, "s")
    assert first["stages_s"] == {"decode": 0.04, "infer": 0.36}
    assert {bar["holds"] for bar in values["bars"]} == {True, None}
    assert values["machine"]["cores"] >= 1


def test_things_are_measured_in_turn() -> None:
    order: list[str] = []

    def call(name: str) -> dict[str, float]:
        order.append(name)
        return {"total": float(len(order))}

    found = in_turn({"a": lambda: call("a"), "b": lambda: call("b")}, runs=2, warm_ups=1)
    assert order == ["a", "b"] * 3
    assert [run["total"] for run in found["b"]] == [4.0, 6.0]


def test_a_worker_returns_results_and_errors() -> None:
    with Worker([sys.executable, "-c", ECHO], os.environ) as worker:
        assert worker("echo", word="hello") == {"word": "hello"}
        with pytest.raises(WorkerFailed, match="fail: ValueError: no such thing"):
            worker("fail")
        assert worker("echo", word="again") == {"word": "again"}
    with (
        Worker([sys.executable, "-c", "raise SystemExit(3)"], os.environ) as worker,
        pytest.raises(WorkerFailed, match="code 3"),
    ):
        worker("echo", word="hello")


def test_a_command_is_timed_and_its_memory_counted() -> None:
    other_load = OtherLoad()
    done = run([sys.executable, "-c", "x = b'x' * 200_000_000; print('out')"], os.environ)
    assert done.out == "out\n"
    assert 0 < done.wall_s < 30
    assert done.peak_bytes > 200_000_000
    assert set(other_load.shares()) == {"others", "stolen"}
    with pytest.raises(CommandFailed, match="exit code 1: ZeroDivisionError"):
        run([sys.executable, "-c", "1 / 0"], os.environ)


def test_the_networks_take_the_same_clips_as_ours() -> None:
    for network in NETWORKS.values():
        spec = input_spec(network.record)
        assert (spec.num_frames, spec.sampling_rate) == (network.num_frames, network.sampling_rate)
        assert (spec.short_side_px, spec.crop_px) == (network.short_side_px, network.crop_px)
        assert (ROOT / "tests" / "golden" / "models" / f"{network.golden}.json").is_file()


def test_the_process_that_starts_others_is_light() -> None:
    """Linux counts a child's peak memory from its parent's on."""
    code = "import sys, benchmarks.__main__; print({'torch', 'numpy', 'av', 'openvino'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
