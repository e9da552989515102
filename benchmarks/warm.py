"""Measurements in warm processes, in turn with PyTorchVideo's.

The work is done in `twinpath_worker` and `pytorchvideo_worker`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Stages, Subject, figure_of, in_turn
from benchmarks.limits import limit_of
from benchmarks.networks import DETECTION, FRAME_PX, MAIN, NETWORKS, QUICK, Network
from benchmarks.processes import ROOT
from benchmarks.worker import Worker

PRODUCTS = ("numpy fp32", "torch fp32", "openvino fp32", "torch bf16", "openvino bf16")
PEAK_OF = {precision: [p for p in PRODUCTS if p.endswith(precision)] for precision in ("fp32", "bf16")}
COPIES_MIB = (2, 8, 32, 128, 512)  # read and written
VIEWS = "3x10"
LONG_S = 60
EVERY_S = 1.0
LARGE = (1280, 720)
GPU_CLIPS = 8
PEOPLE = (1, 5)


def network(bench: Bench) -> list[Figure]:
    """The network with its preprocessing, and its share of what the machine allows."""
    figures = []
    with bench.twinpath() as machine:
        peaks, copies = _peaks(bench, machine), _copies(bench, machine)
        figures += peaks + copies
        fp32_peak = max(figure.median for figure in peaks if figure.what in PEAK_OF["fp32"])
        for net in bench.networks:
            bench.print_status(f"network: {net.name}")
            figures += _network(bench, net, machine, fp32_peak, copies)
    return figures


def _peaks(bench: Bench, machine: Worker) -> list[Figure]:
    bench.print_status("network: matrix products")
    # A CPU without bf16 instructions needs half a minute for a product in bf16, or computes it in fp32.
    products = PRODUCTS if machine("has_bf16") else PEAK_OF["fp32"]
    runs = in_turn({name: partial(machine, "peak", machine=name) for name in products}, runs=bench.runs)
    return [
        Figure("peak", name, "machine", tuple(run["total"] for run in found), "GFLOP/s")
        for name, found in runs.items()
    ]


def _copies(bench: Bench, machine: Worker) -> list[Figure]:
    bench.print_status("network: copies")
    runs = in_turn({str(mib): partial(machine, "copy", mib=mib) for mib in COPIES_MIB}, runs=bench.runs)
    return [
        Figure("copy", f"{mib} MiB", "machine", tuple(run["total"] for run in found), "GB/s")
        for mib, found in runs.items()
    ]


def _network(
    bench: Bench, net: Network, machine: Worker, fp32_peak: float, copies: Sequence[Figure]
) -> list[Figure]:
    frames = {"height": FRAME_PX[0], "width": FRAME_PX[1]}
    with ExitStack() as stack:
        calls: dict[str, Callable[[], Stages]] = {}
        twinpath, opened = _open(stack, bench, net)
        calls["twinpath"] = partial(twinpath, "network", **frames, by_stage=True)
        _add_before(stack, bench, net, calls, "network", **frames)
        torch, torch_opened = _open(stack, bench, net, engine="torch")
        calls["torch"] = partial(torch, "network", **frames)
        _add_pytorchvideo(stack, bench, net, calls, "network")
        precision = "bf16" if "bf16" in opened["engine"] else "fp32"
        peaks = PEAK_OF[precision]
        calls |= {name: partial(machine, "peak", machine=name) for name in peaks}
        runs = in_turn(calls, runs=bench.runs)
    peak = max(statistics.median(run["total"] for run in runs.pop(name)) for name in peaks)
    limit = limit_of(
        machine("layers", record=net.record),
        precision=precision,
        flop_per_s=1e9 * peak,
        fp32_flop_per_s=1e9 * (peak if precision == "fp32" else min(fp32_peak, peak)),
        copies={mib * 2**20: 1e9 * max(copy.values) for mib, copy in zip(COPIES_MIB, copies, strict=True)},
    )
    opened_by = {"twinpath": opened, "torch": torch_opened}
    figures = []
    for subject, found in runs.items():
        facts: dict[str, Any] = {"engine": opened_by[subject]["engine"]} if subject in opened_by else {}
        figure = figure_of("network", net.name, subject_of(subject), found, **facts)
        if subject == "twinpath":
            speed = opened["giga_flop"] / figure.median
            figure = figure.with_facts(
                giga_flop=opened["giga_flop"],
                gflop_per_s=speed,
                peak_gflop_per_s=peak,
                share=speed / peak,
                limit_s=limit.total_s,
                limit=limit.describe(),
                limit_share=limit.total_s / figure.median,
            )
        figures.append(figure)
    return figures


def clip(bench: Bench) -> list[Figure]:
    """One clip from the file to the answer."""
    figures = []
    for net in bench.networks:
        bench.print_status(f"clip: {net.name}")
        with ExitStack() as stack:
            twinpath, _ = _open(stack, bench, net)
            calls: dict[str, Callable[[], Stages]] = {"twinpath": partial(twinpath, "clip", video=bench.clip)}
            _add_before(stack, bench, net, calls, "clip", video=bench.clip)
            _add_pytorchvideo(stack, bench, net, calls, "clip", video=bench.clip)
            runs = in_turn(calls, runs=bench.runs)
        figures += _figures("clip", net.name, runs)
    return figures


def views(bench: Bench) -> list[Figure]:
    """Three crops of ten clips of one video; fewer repetitions, since PyTorchVideo takes minutes."""
    figures = []
    for net in _of(bench, QUICK):
        bench.print_status(f"views: {net.name}, {VIEWS}")
        with ExitStack() as stack:
            twinpath, _ = _open(stack, bench, net)
            calls = {"twinpath": partial(twinpath, "clip", video=bench.clip, views=VIEWS)}
            _add_before(stack, bench, net, calls, "clip", video=bench.clip, views=VIEWS)
            _add_pytorchvideo(stack, bench, net, calls, "views", video=bench.clip, space=3, times=10)
            runs = in_turn(calls, runs=max(1, bench.runs // 2), warm_ups=0)
            frames = twinpath("frames_decoded", video=bench.clip, views=VIEWS)
        found = _figures("views", net.name, runs)
        figures += [figure.with_facts(frames_decoded=frames) for figure in found[:1]] + found[1:]
    return figures


def decode(bench: Bench) -> list[Figure]:
    """Decoding, without a network."""
    bench.print_status("decode")
    net = NETWORKS[MAIN]
    large = str(bench.folder / "large.mp4")
    figures = []
    with ExitStack() as stack:
        twinpath, _ = _open(stack, bench, net)
        pytorchvideo = bench.pytorchvideo()
        if pytorchvideo is not None:
            stack.enter_context(pytorchvideo)
        twinpath("larger", clip=bench.clip, to=large, width=LARGE[0], height=LARGE[1])
        for video in (bench.clip, large):
            height, width = twinpath("size", video=video)
            calls: dict[str, Callable[[], Stages]] = {
                "twinpath": partial(twinpath, "decode_clip", video=video)
            }
            if pytorchvideo is not None:
                calls["pytorchvideo"] = partial(pytorchvideo, "decode_clip", name=net.name, video=video)
            size = f"{width}x{height}"
            figures += _figures("decode", f"frames of one clip, {size}", in_turn(calls, runs=bench.runs))
            whole = in_turn({"twinpath": partial(twinpath, "decode_all", video=video)}, runs=bench.runs)
            figures += _figures("decode", f"all frames of ten seconds, {size}", whole)
    return figures


def long(bench: Bench) -> list[Figure]:
    """A window every second of a longer video, against the same windows scored without decoding."""
    figures = []
    large = str(bench.folder / "large.mp4")
    with bench.twinpath() as twinpath:
        twinpath("larger", clip=bench.clip, to=large, width=LARGE[0], height=LARGE[1])
        videos = [
            twinpath("repeated", clip=source, to=str(bench.folder / f"long-{i}.mp4"), times=LONG_S // 10)
            for i, source in enumerate((bench.clip, large))
        ]
    for net in _of(bench, QUICK):
        for video in videos:
            figures += _long(bench, net, video)
    return figures


def _long(bench: Bench, net: Network, video: str) -> list[Figure]:
    with ExitStack() as stack:
        twinpath, _ = _open(stack, bench, net)
        height, width = twinpath("size", video=video)
        what = f"{net.name}, {LONG_S} s of {width}x{height}"
        bench.print_status(f"long: {what}")
        windows = twinpath("long_decode", video=video, every_s=EVERY_S)["windows"]
        calls = {
            "twinpath": partial(twinpath, "long", video=video, every_s=EVERY_S),
            "infer": partial(twinpath, "infer_alone", height=height, width=width, clips=windows),
            "decode": partial(twinpath, "long_decode", video=video, every_s=EVERY_S),
        }
        _add_before(stack, bench, net, calls, "long", video=video, every_s=EVERY_S)
        twinpath("infer_alone", height=height, width=width, clips=2)  # warm-up
        runs = in_turn(calls, runs=max(1, bench.runs // 2), warm_ups=0)
    facts = alone_facts(runs.pop("infer"), runs.pop("decode"))
    assert all(run["windows"] == windows for found in runs.values() for run in found)
    figures = [
        figure_of("long", what, subject_of(subject), [{"total": run["total"]} for run in found])
        for subject, found in runs.items()
    ]
    return [figures[0].with_facts(windows=windows, **facts), *figures[1:]]


def alone_facts(infer: Sequence[Stages], decode: Sequence[Stages]) -> dict[str, float]:
    """Facts of a figure that decodes and infers at once: seconds of each alone, and of the CPU's cores."""
    middle = {
        f"{name}_{part}": statistics.median(run[key] for run in runs)
        for name, runs in (("infer", infer), ("decode", decode))
        for part, key in (("alone_s", "total"), ("core_s", "core_s"))
    }
    return middle | {"cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0}


def agreement(bench: Bench) -> list[Figure]:
    """Scores, golden weights: against torch in fp32 on the same frames, and against PyTorchVideo."""
    figures = []
    for net in bench.networks:
        bench.print_status(f"agreement: {net.name}")
        with ExitStack() as stack:
            twinpath, _ = _open(stack, bench, net)
            others: dict[Subject, Worker] = {"torch": _open(stack, bench, net, engine="torch")[0]}
            pytorchvideo = bench.pytorchvideo()
            if pytorchvideo is not None:
                stack.enter_context(pytorchvideo)("open", name=net.name, weights=bench.weights[net.record])
                others["pytorchvideo"] = pytorchvideo
            for subject, other in others.items():
                pairs = [(twinpath("scores", video=v), other("scores", video=v)) for v in bench.clips]
                off = [max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairs]
                same = sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs)
                facts = {"same_top_1": same, "clips": len(pairs)}
                figures.append(Figure("agreement", net.name, subject, tuple(off), "1", facts=facts))
    return figures


def detection(bench: Bench) -> list[Figure]:
    """Actions of one person and of five people, and a whole video by stage."""
    bench.print_status(f"detection: {DETECTION}")
    arguments = {"record": DETECTION, "weights": bench.weights[DETECTION]}
    with bench.twinpath() as compiling:  # in another process: compiling imports torch
        compiling("open_detector", **arguments)
    figures = []
    with bench.twinpath() as twinpath:
        twinpath("open_detector", **arguments)
        height, width = twinpath("size", video=bench.clip)
        calls = {
            people_label(n): partial(twinpath, "score_people", height=height, width=width, people=n)
            for n in PEOPLE
        }
        figures += _figures_by_what("detection", in_turn(calls, runs=bench.runs))
        seconds = twinpath("duration", video=bench.clip)
        detectors = ["whole", *(["hog"] if twinpath("has_hog") else [])]
        to = str(bench.folder / "annotated.mp4")
        calls = {
            f"video of {width}x{height}, person detector {detector}": partial(
                twinpath, "detect", video=bench.clip, people=detector, to=to
            )
            for detector in detectors
        }
        for figure in _figures_by_what("detection", in_turn(calls, runs=max(1, bench.runs // 2))):
            speeds = {stage: seconds / max(took_s, 1e-9) for stage, took_s in figure.stages_s.items()}
            figures.append(
                figure.with_facts(video_s=seconds, video_s_per_s=seconds / figure.median, by_stage=speeds)
            )
    return figures


def people_label(count: int) -> str:
    """For example "actions of 5 people in a clip"."""
    return f"actions of {count} {'person' if count == 1 else 'people'} in a clip"


def gpu(bench: Bench) -> list[Figure]:
    """On a GPU: bf16 and compiled against eager float32, several clips at once."""
    with bench.twinpath() as twinpath:
        if not twinpath("has_gpu"):
            bench.print_status("gpu: no GPU here, left out")
            return []
    variants = {
        "eager fp32": {"precision": "fp32", "compile": False},
        "eager bf16": {"precision": "bf16", "compile": False},
        "compiled bf16": {"precision": "bf16", "compile": True},
    }
    figures = []
    for net in _of(bench, (MAIN,)):
        bench.print_status(f"gpu: {net.name}")
        with ExitStack() as stack:
            calls = {}
            for name, options in variants.items():
                worker, _ = _open(stack, bench, net, engine="torch", device="cuda", **options)
                side = net.short_side_px
                calls[name] = partial(worker, "network", height=side, width=side, clips=GPU_CLIPS)
            runs = in_turn(calls, runs=bench.runs, warm_ups=3)
        figures += [figure_of("gpu", f"{net.name}, {name}", "torch", found) for name, found in runs.items()]
    return figures


def _open(
    stack: ExitStack, bench: Bench, net: Network, checkout: Path = ROOT, **options: Any
) -> tuple[Worker, dict[str, Any]]:
    """A process with the network ready, and the result of `TwinpathWorker.open`."""
    arguments = bench.model(net.record, checkout)
    worker = stack.enter_context(bench.twinpath(checkout))
    return worker, worker("open", **arguments, **options)


def _add_before(
    stack: ExitStack, bench: Bench, net: Network, calls: dict[str, Any], call: str, **arguments: Any
) -> None:
    """Add the same call to a process of the earlier checkout, if it is measured."""
    if bench.before is not None:
        worker, _ = _open(stack, bench, net, bench.before)
        calls["before"] = partial(worker, call, **arguments)


def _add_pytorchvideo(
    stack: ExitStack, bench: Bench, net: Network, calls: dict[str, Any], call: str, **arguments: Any
) -> None:
    """Add a call to PyTorchVideo's process with the same network, if it is measured."""
    pytorchvideo = bench.pytorchvideo()
    if pytorchvideo is not None:
        stack.enter_context(pytorchvideo)("open", name=net.name)
        calls["pytorchvideo"] = partial(pytorchvideo, call, **arguments)


def _figures(group: str, what: str, runs: Mapping[str, list[Stages]]) -> list[Figure]:
    return [figure_of(group, what, subject_of(subject), found) for subject, found in runs.items()]


def _figures_by_what(group: str, runs: Mapping[str, list[Stages]]) -> list[Figure]:
    return [figure_of(group, what, "twinpath", found) for what, found in runs.items()]


def subject_of(name: str) -> Subject:
    """The name of what was measured, checked."""
    assert name in ("twinpath", "before", "torch", "pytorchvideo", "machine")
    return name  # type: ignore[return-value]


def _of(bench: Bench, names: tuple[str, ...]) -> list[Network]:
    return [net for net in bench.networks if net.name in names]
