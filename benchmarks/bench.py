"""Measure Twinpath on this machine.

    python benchmarks/bench.py [--runs 5] [--json FILE]

Prints a Markdown table of medians. Compare rows of one run only: machines differ and are noisy. All
clips are made here; networks other than the embedded one have random weights, which cost as much.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

RATE_NETWORKS = ("slow_r50_8x8", "slowfast_r50_8x8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="repetitions of each measurement")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    rows: dict[str, float] = {}

    def measure(what: str, run: Callable[[], object], *, warm_ups: int = 1) -> None:
        print(f"measuring {what} ...", file=sys.stderr)
        for _ in range(warm_ups):
            run()
        times_s = []
        for _ in range(arguments.runs):
            began_s = time.perf_counter()
            run()
            times_s.append(time.perf_counter() - began_s)
        rows[what] = statistics.median(times_s)

    with tempfile.TemporaryDirectory() as folder:
        clip = _clip(Path(folder))
        _commands(measure, clip)
        _parts(measure, clip)
    report = {"machine": _machine(), "runs": arguments.runs, "median_s": rows}
    print(_markdown(report))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def _clip(folder: Path) -> Path:
    """Ten seconds of 320x240, 30 fps, as the clips of Kinetics are."""
    from twinpath.data.synthetic import make_scene, write_clip

    scene = next(s for s in map(make_scene, range(100)) if abs(s.aspect - 4 / 3) < 0.01)
    path = folder / "clip.mp4"
    write_clip(path, scene, height_px=240, duration_s=10)
    return path


def _commands(measure: Callable[..., None], clip: Path) -> None:
    """New processes, as a user starts them."""
    twinpath = [sys.executable, "-m", "twinpath"]

    def command(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([*twinpath, *words], check=True, capture_output=True)

    measure("command `twinpath --help`", command("--help"))
    measure("command `twinpath models list`", command("models", "list"))
    measure(
        "command `import torch` alone",
        lambda: subprocess.run([sys.executable, "-c", "import torch"], check=True),
    )
    embedded = ("classify", str(clip), "--model", "slowfast_tiny.synthetic", "--json")
    measure("command `twinpath classify`, embedded model, 10 s clip", command(*embedded))


def _parts(measure: Callable[..., None], clip: Path) -> None:
    """What a warm process spends."""
    from twinpath.data.synthetic import labelled_scene, render
    from twinpath.engine.torch_engine import TorchEngine
    from twinpath.recognize.classify import Classifier
    from twinpath.video.decode import EvenSpan, FrameStream, read_frames
    from twinpath.zoo.create import create_model, input_spec

    times_s = np.arange(16) * 0.13
    measure(
        "draw 16 frames of the synthetic world, 128 px",
        lambda: render(labelled_scene(3), times_s, height_px=128),
    )
    span = [EvenSpan(0.0, 64 / 30, 32)]
    measure("decode 32 of the first 64 frames, 320x240", lambda: read_frames(clip, span))
    measure("decode all 300 frames, 320x240", lambda: _exhaust(clip, FrameStream))
    classifier = Classifier("slowfast_tiny.synthetic")
    measure("embedded model, one clip end to end, warm", lambda: classifier(clip))
    for name in RATE_NETWORKS:
        spec = input_spec(name)
        engine = TorchEngine(create_model(name), spec)
        frames = np.zeros((spec.num_frames, 240, 320, 3), np.uint8)
        measure(
            f"{name}, {spec.crop_px} px, one clip through the torch engine",
            lambda engine=engine, frames=frames: engine([frames]),
        )


def _exhaust(clip: Path, stream_type: Callable[..., object]) -> int:
    with stream_type(clip) as stream:  # type: ignore[attr-defined]
        return sum(1 for _ in stream)


def _machine() -> str:
    import torch

    cpu = platform.processor() or platform.machine()
    names = Path("/proc/cpuinfo")
    if names.exists():
        found = [
            line.split(":", 1)[1].strip() for line in names.read_text().splitlines() if "model name" in line
        ]
        cpu = found[0] if found else cpu
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def _markdown(report: dict[str, object]) -> str:
    lines = [f"{report['machine']}; medians of {report['runs']} runs", "", "| what | ms |", "|---|---|"]
    medians = report["median_s"]
    assert isinstance(medians, dict)
    lines += [f"| {what} | {1000 * s:.0f} |" for what, s in medians.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
