"""A folder of many short clips: `twinpath classify` in a new process, and decoding and inference alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.commands import TWINPATH, display_command
from benchmarks.figures import Figure, Stages, figure_of, in_turn
from benchmarks.networks import FAST, NETWORKS
from benchmarks.processes import ROOT, CommandFailed, run
from benchmarks.warm import alone_facts, subject_of

CLIP_S, HEIGHT_PX = 2.0, 480
ALONE_CLIPS = 60  # for decoding and inference alone
RUNS = 2


def folder(bench: Bench) -> list[Figure]:
    """Seconds for the whole folder by this checkout, and by an earlier one in turn."""
    net = NETWORKS[FAST]
    bench.print_status(f"folder: making {bench.folder_clips} clips")
    place = bench.folder / "clips"
    with bench.twinpath() as worker:
        made = worker(
            "short_clips",
            clips=bench.clips,
            to=str(place),
            count=bench.folder_clips,
            height=HEIGHT_PX,
            length_s=CLIP_S,
        )
    what = f"{bench.folder_clips} clips of {CLIP_S:g} s, {made['width']}x{made['height']}, {net.name}"
    bench.print_status(f"folder: {what}")
    command = [
        *TWINPATH,
        "classify",
        str(place),
        *bench.model_options(net.record),
        "--device",
        "cpu",
        "--json",
    ]

    def classify(checkout: Path) -> Stages:
        done = run(command, bench.environment_of(checkout))
        if (answers := len(done.out.splitlines())) != bench.folder_clips:
            raise CommandFailed(f"{display_command(command)}: {answers} answers of {bench.folder_clips}")
        return {"total": done.wall_s}

    with bench.twinpath() as worker:
        worker("open", **bench.model(net.record))
        calls: dict[str, Callable[[], Stages]] = {"twinpath": partial(classify, ROOT)}
        if bench.before is not None:
            bench.model(net.record, bench.before)
            calls["before"] = partial(classify, bench.before)
        some = made["paths"][:ALONE_CLIPS]
        size = {"height": made["height"], "width": made["width"]}
        calls["infer"] = partial(worker, "infer_alone", **size, clips=len(some))
        calls["decode"] = partial(worker, "decode_first_clips", videos=some)
        runs = in_turn(calls, runs=min(RUNS, bench.runs), warm_ups=0)
    shutil.rmtree(place)
    facts = alone_facts(runs.pop("infer"), runs.pop("decode"))
    facts |= {"clips": bench.folder_clips, "windows": len(some), "command": display_command(command)}
    return [figure_of("folder", what, subject_of(name), found, **facts) for name, found in runs.items()]
