"""How much of a core a training clip costs, from the file to the normalised crop.

    python -m benchmarks.loader [--peer] [--clips N] [VIDEO …]

prints the CPU time for a clip of SlowFast 8x8 (32 frames, 224 x 224) with the changes of two recipes; with
--peer beside PyTorchVideo's `LabeledVideoDataset` with its usual transforms, on the same files, taking turns.
Both run on one thread in processes of their own. Without files it takes real clips where they lie beside the
repository, else a synthetic one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import pytorchvideo_venv
from benchmarks.processes import ROOT
from benchmarks.worker import Worker

RECIPES = {
    "crop": "short side 256 to 320, crop, flip",
    "rand_augment": "RandAugment m7-n4-mstd0.5-inc1, inception crop, flip, erasing",
}
_ROUNDS = 5
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
_REAL = ROOT.parent / "shared" / "videos"


def main() -> None:
    """Measure in turn and print a table."""
    options = _options()
    with ExitStack() as stack:
        videos = options.videos or _videos(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        own = {**os.environ, **_ONE_THREAD, "PYTHONPATH": str(ROOT / "src")}
        workers = {"Twinpath": Worker([sys.executable, "-m", "benchmarks.loader_worker"], own)}
        if options.peer:
            command = [str(pytorchvideo_venv.make()), "-m", "benchmarks.pytorchvideo_loader"]
            workers["PyTorchVideo"] = Worker(command, {**os.environ, **_ONE_THREAD})
        for worker in workers.values():
            stack.enter_context(worker)
        print(f"| {' | '.join(['a clip', *workers, *(['ratio'] if options.peer else [])])} |")
        print(f"|---{'|---:' * (len(workers) + options.peer)}|")
        for recipe, described in RECIPES.items():
            found: dict[str, list[float]] = {name: [] for name in workers}
            for number in range(_ROUNDS + 1):
                for name, worker in workers.items():
                    measured = worker("clips", recipe=recipe, videos=videos, count=options.clips, seed=number)
                    if number:  # the first round is for the caches
                        found[name].append(1000 * measured["cpu_s"] / options.clips)
            medians = [statistics.median(values) for values in found.values()]
            cells = [f"{value:.1f} ms" for value in medians]
            if options.peer:
                cells.append(f"{medians[1] / medians[0]:.2f}")
            print(f"| {' | '.join([described, *cells])} |", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="files; default: the real clips")
    parser.add_argument("--peer", action="store_true", help="PyTorchVideo, too")
    parser.add_argument("--clips", type=int, default=20, metavar="N", help="a round (default: 20)")
    options = parser.parse_args()
    options.videos = [str(Path(video).resolve()) for video in options.videos]
    return options


def _videos(folder: Path) -> list[str]:
    """Real clips of ten seconds, or a synthetic one."""
    real = [
        str(path)
        for name in ("archery", "arm_wrestling", "basketball")
        if (path := _REAL / f"{name}.mp4").is_file()
    ]
    if real:
        return real
    from benchmarks.bench import Bench

    bench = Bench(folder, 1, [])
    bench.prepare(real_clip=False)
    return [str(clip) for clip in bench.clips]


if __name__ == "__main__":
    main()
