"""Run the benchmarks: `make bench`, or

    python -m benchmarks [--quick] [--peer] [--before CHECKOUT] [--only GROUP] [--runs N] [--out DIR]

prints the report and writes it to DIR as report.md and report.json. With --peer it measures PyTorchVideo in
turn with Twinpath, in an environment of its own, which it makes once; with --before an earlier checkout of
this repository. Nothing is downloaded for Twinpath itself.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import commands, machine, pytorchvideo_venv, warm
from benchmarks.bars import judge
from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.folder import folder
from benchmarks.networks import NETWORKS, QUICK
from benchmarks.processes import ROOT, CommandFailed, OtherLoad
from benchmarks.report import as_json, as_markdown
from benchmarks.worker import WorkerFailed
from twinpath.atomic import atomic_path

GROUPS: dict[str, Callable[[Bench], list[Figure]]] = {
    "cold": commands.cold,
    "network": warm.network,
    "clip": warm.clip,
    "views": warm.views,
    "folder": folder,
    "decode": warm.decode,
    "long": warm.long,
    "memory": commands.memory,
    "agreement": warm.agreement,
    "detection": warm.detection,
    "gpu": warm.gpu,
}
QUICK_GROUPS = ("cold", "network", "clip", "decode")
RUNS, QUICK_RUNS = 3, 3


def main() -> None:
    """Run the measurements, print the report and write it."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary files are removed
    began_s = time.monotonic()
    described, other_load = machine.describe(), OtherLoad()
    with _temporary_folder(keep=options.keep) as place:
        bench = Bench(place, options.runs, [NETWORKS[name] for name in options.networks])
        bench.before, bench.folder_clips = options.before, options.clips
        if options.peer:
            bench.print_status(f"PyTorchVideo's environment: {pytorchvideo_venv.FOLDER}")
            bench.pytorchvideo_python = pytorchvideo_venv.make()
        bench.prepare(real_clip=not options.synthetic)
        figures, failed = _measure(bench, options.only)
        run = {
            "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "machine": described,
            "other_load": other_load.shares(),
            "minutes": round((time.monotonic() - began_s) / 60, 1),
            "runs": options.runs,
            "before": machine.commit(options.before) if options.before else None,
            "clip": _clip_description(bench),
            "failed": failed,
        }
    verdicts = judge(figures, has_bf16=machine.has_bf16(described))
    markdown = as_markdown(run, figures, verdicts)
    print(markdown)
    _write(options.out, markdown, as_json(run, figures, verdicts))
    if failed:
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure speed on this machine."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="two networks and four groups; under three minutes")
    add(
        "--peer",
        action="store_true",
        help="measure PyTorchVideo, too (installed once, into an environment of its own)",
    )
    add("--before", type=_checkout, metavar="CHECKOUT", help="measure an earlier checkout of this, too")
    add("--only", action="append", choices=GROUPS, metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    add("--networks", nargs="+", choices=NETWORKS, metavar="NAME", help=f"of {', '.join(NETWORKS)}")
    add("--runs", type=int, help=f"repetitions of each measurement ({RUNS}; --quick: {QUICK_RUNS})")
    add("--clips", type=int, default=300, help="how many clips the folder has (300)")
    add("--synthetic", action="store_true", help="use a synthetic clip even where real ones are there")
    add("--out", type=Path, default=ROOT / "benchmarks" / "results", help="where report.md and .json go")
    add("--keep", action="store_true", help="keep the temporary files and say where they are")
    options = parser.parse_args()
    options.only = options.only or (QUICK_GROUPS if options.quick else tuple(GROUPS))
    options.networks = options.networks or (QUICK if options.quick else tuple(NETWORKS))
    options.runs = options.runs or (QUICK_RUNS if options.quick else RUNS)
    if options.runs < 1 or options.clips < 1:
        parser.error("--runs, --clips: give a number from 1")
    return options


def _checkout(text: str) -> Path:
    """The root of a checkout that has the same benchmarks."""
    path = Path(text).resolve()
    if not (path / "benchmarks" / "twinpath_worker.py").is_file():
        raise argparse.ArgumentTypeError(f"{text} is no checkout of this repository")
    return path


def _measure(bench: Bench, groups: tuple[str, ...]) -> tuple[list[Figure], dict[str, str]]:
    """The figures of the groups, and the error of each group that failed."""
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    for group in groups:
        try:
            figures += GROUPS[group](bench)
        except (WorkerFailed, CommandFailed) as error:
            failed[group] = str(error)
            bench.print_status(f"{group} FAILED: {error}")
    return figures, failed


def _clip_description(bench: Bench) -> str:
    return f"{Path(bench.clip).name} (real)" if bench.clip_is_real else "ten seconds, synthetic, 320x240"


@contextmanager
def _temporary_folder(*, keep: bool) -> Iterator[Path]:
    """A temporary folder, removed at the end unless it is to be kept."""
    if keep:
        kept = Path(tempfile.mkdtemp(prefix="twinpath-bench-"))
        print(f"temporary files: {kept}", file=sys.stderr)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="twinpath-bench-") as name:
        yield Path(name)


def _write(folder: Path, markdown: str, values: dict[str, Any]) -> None:
    for name, text in (("report.md", markdown), ("report.json", json.dumps(values, indent=1) + "\n")):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    print(f"written: {folder / 'report.md'} and report.json", file=sys.stderr)


if __name__ == "__main__":
    main()
