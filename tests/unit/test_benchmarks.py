"""The benchmarks themselves: verdicts, reports, and calls to other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bars import Verdict, judge, share_of_slower
from benchmarks.commands import PICTURE_CODECS, large_video_label, picture_label
from benchmarks.figures import Figure, figure_of, in_turn
from benchmarks.limits import layers_of, limit_of
from benchmarks.machine import describe
from benchmarks.networks import EMBEDDED, NETWORKS
from benchmarks.processes import CommandFailed, OtherLoad, run
from benchmarks.report import as_json, as_markdown
from benchmarks.warm import PEOPLE, people_label
from benchmarks.worker import Worker, WorkerFailed
from twinpath.zoo.create import input_spec
from twinpath.zoo.measured import measured

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


NETWORK_FACTS = {"share": 0.6, "limit_share": 0.93, "limit": "matrix products 300 ms, memory 35 ms"}


def clip_figures(ours_s: float, peer_s: float) -> list[Figure]:
    stages = {"decode": 0.1 * ours_s, "infer": 0.9 * ours_s}
    return [
        figure_of("clip", MAIN, "twinpath", [{"total": ours_s, **stages}] * 3),
        figure_of("clip", MAIN, "pytorchvideo", [{"total": peer_s}] * 3),
        Figure("network", MAIN, "twinpath", (0.9 * ours_s,), facts=NETWORK_FACTS),
    ]


def people_figures(*totals_s: float) -> list[Figure]:
    return [
        Figure("detection", people_label(n), "twinpath", (s,)) for n, s in zip(PEOPLE, totals_s, strict=True)
    ]


def verdict(figures: list[Figure], beginning: str, *, has_bf16: bool = True) -> Verdict:
    (found,) = (v for v in judge(figures, has_bf16=has_bf16) if v.what.startswith(beginning))
    return found


def test_a_bar_that_holds_and_one_that_does_not() -> None:
    what = f"warm process, one clip, {MAIN}"
    assert verdict(clip_figures(0.4, 3.2), what).holds
    failed = verdict(clip_figures(0.4, 1.2), what)
    assert failed.holds is False
    assert failed.here == "3.00x"
    assert failed.limit == (
        "takes 400 ms, needs 150 ms; decode 40 ms (10%), infer 360 ms (90%); the network runs at 93% of what "
        "the machine allows (matrix products 300 ms, memory 35 ms)"
    )


@pytest.mark.parametrize(("before_s", "holds"), [(0.41, True), (0.39, True), (0.36, False)])
def test_without_bf16_the_bar_is_the_speed_before_and_the_stages_are_shown(
    before_s: float, holds: bool
) -> None:
    what = f"warm process, one clip, {MAIN}"
    figures = clip_figures(0.4, 1.2)
    assert verdict(figures, what, has_bf16=False).holds is None
    before = Figure("clip", MAIN, "before", (before_s,))
    found = verdict([*figures, before], what, has_bf16=False)
    assert found.holds is holds
    assert found.here == f"{before_s / 0.4:.2f}x; 3.0x PyTorchVideo"
    assert "decode 40 ms (10%), infer 360 ms (90%)" in found.limit


def large_figures(peak_bytes: float, wall_s: float) -> list[Figure]:
    labels = [*(picture_label(codec) for codec in PICTURE_CODECS), large_video_label()]
    return [Figure("memory", label, "twinpath", (peak_bytes,), facts={"wall_s": wall_s}) for label in labels]


def test_without_a_peer_no_ratio_is_claimed() -> None:
    verdicts = judge(clip_figures(0.4, 1.6)[:1], has_bf16=True)
    assert [v.what for v in verdicts if v.holds is not None] == []
    assert verdict([], "on a GPU").holds is None


@pytest.mark.parametrize(
    ("figures", "beginning", "holds"),
    [
        ([Figure("cold", EMBEDDED, "twinpath", (0.4, 0.6, 0.45))], "new process, `classify`, slow", True),
        ([Figure("cold", EMBEDDED, "twinpath", (0.4, 0.6, 0.55))], "new process, `classify`, slow", False),
        ([Figure("memory", f"{m} minutes", "twinpath", (100.0 + m,)) for m in (3, 30)], "memory, 30", False),
        ([Figure("memory", f"{m} minutes", "twinpath", (1000.0 + m,)) for m in (3, 30)], "memory, 30", True),
        (large_figures(1.1e9, 4.9), "memory, a picture of 8192x8192, mjpeg", True),
        (large_figures(1.3e9, 4.9), "memory, a picture of 8192x8192, mjpeg", False),
        (large_figures(1.1e9, 5.1), "memory, a picture of 8192x8192, png", False),
        (large_figures(0.9e9, 99.0), "memory, detection, 3840x2160", True),
        (large_figures(1.1e9, 1.0), "memory, detection, 3840x2160", False),
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


ALONE = {
    "decode_alone_s": 2.0,
    "infer_alone_s": 18.0,
    "decode_core_s": 2.0,
    "infer_core_s": 34.0,
    "cores": 2,
}


def long_figure(total_s: float) -> Figure:
    return Figure("long", f"{MAIN}, 60 s", "twinpath", (total_s,), facts={"windows": 60, **ALONE})


def test_a_long_video_has_its_limit_explained() -> None:
    assert verdict([long_figure(19.0)], "a window a second").holds
    slow = verdict([long_figure(24.0)], "a window a second")
    assert slow.here == "75% of inference alone"
    assert "alone, inference takes 300 ms and decoding 33 ms; " in slow.limit
    assert "their 600 ms of CPU time take 300 ms of 2 cores" in slow.limit


def test_where_decoding_is_slower_it_is_the_limit() -> None:
    figure = long_figure(42.0).with_facts(decode_alone_s=40.0)
    assert verdict([figure], "a window a second").holds
    assert share_of_slower(figure) == ("decoding", pytest.approx(40 / 42))


@pytest.mark.parametrize(
    ("has_bf16", "before_s", "holds"), [(True, 44.0, True), (True, 30.0, False), (False, 20.0, True)]
)
def test_a_folder_is_compared_with_an_earlier_checkout(has_bf16: bool, before_s: float, holds: bool) -> None:
    facts = {"clips": 300, "windows": 60, "command": "twinpath classify clips", **ALONE}
    ours = Figure("folder", "300 clips", "twinpath", (20.0,), facts=facts)
    assert verdict([ours], "a folder", has_bf16=has_bf16).holds is None
    before = Figure("folder", "300 clips", "before", (before_s,), facts=facts)
    found = verdict([ours, before], "a folder", has_bf16=has_bf16)
    assert found.holds is holds
    assert found.here.startswith(f"15.0 clips a second, {300 / before_s:.1f} before: {before_s / 20:.2f}x")
    assert "a clip takes 67 ms; alone, inference takes 300 ms" in found.limit
    text = as_markdown(report_settings(), [ours, before], judge([ours, before], has_bf16=has_bf16))
    assert (
        "| 300 clips, Twinpath | `twinpath classify clips` | 20.0 (20.0–20.0) | 15.0 | 3.3 | 30.0 |" in text
    )


# One that the product binds, one that is depthwise, one that memory binds: 10 MB in bf16.
LAYERS = [(4e9, 1e6, False), (2e8, 1e5, True), (1e6, 5e6, True)]


def test_the_limit_of_a_network_is_that_of_each_layer() -> None:
    copies = {1e6: 100e9, 16e6: 10e9, 64e6: 20e9}
    limit = limit_of(LAYERS, precision="bf16", flop_per_s=400e9, fp32_flop_per_s=100e9, copies=copies)
    assert (limit.matrix_s, limit.vector_s) == pytest.approx((0.010, 0.002))
    assert limit.memory_s == pytest.approx(10e6 / 20e9)  # a larger copy was faster: noise
    assert limit.describe() == (
        "matrix products 10.0 ms, depthwise 2.0 ms, memory 0.5 ms (0.01 GB at 20 GB/s)"
    )
    assert limit.total_s == pytest.approx(0.0125)
    slow = limit_of(LAYERS, precision="fp32", flop_per_s=400e9, fp32_flop_per_s=400e9, copies={1e6: 1e9})
    assert slow.memory_s == pytest.approx(0.020)


def test_the_layers_of_a_network_have_its_operations() -> None:
    layers = layers_of("slowfast_tiny.synthetic")
    costs = measured("slowfast_tiny.synthetic")
    assert costs is not None
    assert sum(flop for flop, _, _ in layers) == pytest.approx(2e9 * costs.gflops, rel=1e-3)
    assert all(values > 0 and not is_depthwise for _, values, is_depthwise in layers)
    assert any(is_depthwise for _, _, is_depthwise in layers_of("x3d_s.ptv_k400"))


def report_settings() -> dict[str, Any]:
    return {
        "command": "python -m benchmarks --peer",
        "machine": describe(),
        "other_load": {"others": 0.02, "stolen": 0.0},
        "before": "0123abc",
        "minutes": 3.0,
        "runs": 3,
        "clip": "ten seconds, synthetic",
        "failed": {"views": "the process ended"},
    }


def test_the_report_shows_medians_ratios_and_what_failed() -> None:
    figures = [*clip_figures(0.4, 3.6), long_figure(19.0)]
    text = as_markdown(report_settings(), figures, judge(figures, has_bf16=True))
    lines = text.splitlines()
    assert f"| warm process, one clip, {MAIN} | ≥ 8x | 9.0x | yes |  |" in lines
    assert any(line.startswith(f"| {MAIN} | 400 (400–400) | 3600 (3600–3600) | 9.00x |") for line in lines)
    assert "| before | commit 0123abc |" in lines
    assert any("93% | matrix products 300 ms, memory 35 ms |" in line for line in lines)
    assert "| views failed | the process ended |" in lines
    assert "make bench ARGS='--only clip'" in text
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_the_json_has_every_value_of_every_repetition() -> None:
    figures = clip_figures(0.4, 1.6)
    values = as_json(report_settings(), figures, judge(figures, has_bf16=True))
    first = values["figures"][0]
    assert (first["median"], first["values"], first["unit"]) == (0.4, [0.4] * 3, "s")
    assert first["stages_s"] == {"decode": 0.04, "infer": 0.36}
    assert {bar["holds"] for bar in values["bars"]} == {False, None}
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
