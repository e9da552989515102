"""What videos without labels are good for, measured: few labelled clips with and without masked pre-training.

    OMP_NUM_THREADS=1 python examples/masked_pretraining.py FOLDER

Draws 200 clips without labels and 5 with, of each of 12 classes, and 600 to validate with. vit_tiny_maskfeat
learns from the first, and vit_tiny_clips twice from the second: from new weights, and from that encoder. The
same command goes on where it was stopped. Needs the extra `[train]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from compare_recipes import cpu_s
from drawn_shapes import write

from twinpath.train.loop.figures import EpochResult
from twinpath.train.loop.train import train_clips
from twinpath.train.recipe import holds_run, read_recipe
from twinpath.zoo.model_folder import read_model_folder

PARTS = {"unlabelled": (2400, 3), "labelled": (60, 2), "validation": (600, 5)}  # clips and seed
PRETRAINING = "vit_tiny_maskfeat"
EASY = ((40.0, 60.0), (7.0, 10.0))  # to see, as few labels are


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the clips and the runs")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of all three trainings: run.seed=1")
    options = parser.parse_args()
    world = options.folder / "world"
    for part, (num_clips, seed) in PARTS.items():
        write(world / part, num_clips, seed, *EASY)
    videos = [f"data.train={world / 'unlabelled'}", f"data.validation={world / 'validation'}"]
    lists = [
        f"data.train={world / 'labelled' / 'labels.csv'}",
        f"data.validation={world / 'validation' / 'labels.csv'}",
    ]
    encoder = options.folder / "encoder"
    trained(PRETRAINING, [*videos, *options.settings], encoder)
    start = f"model.start_from={encoder / PRETRAINING}"
    print("| weights to begin with | top-1 % | loss |\n|---|---|---|")
    for words, run, name in (([], "new", "new"), ([start], "pretrained", "of masked pre-training")):
        figures = trained("vit_tiny_clips", [*lists, *words, *options.settings], options.folder / run)
        top1, loss = (float(figures[f"validation_{key}"]) for key in ("top1", "loss"))
        print(f"| {name} | {100 * top1:.1f} | {loss:.3f} |", flush=True)


def trained(recipe: str, words: list[str], folder: Path) -> dict[str, float | str]:
    """Train by a recipe, unless that is done; returns the figures of the last evaluation."""
    result = folder / recipe
    began_s, began_cpu_s = time.monotonic(), cpu_s()
    if not result.is_dir():
        train_clips(read_recipe(recipe, words), folder, resume=holds_run(folder), on_epoch=report)
        took = f"{time.monotonic() - began_s:.0f} s, of the CPU {cpu_s() - began_cpu_s:.0f} s"
        print(f"{result}: {took}", file=sys.stderr, flush=True)
    return dict(read_model_folder(str(result)).card.figures)


def report(result: EpochResult) -> None:
    if result.figures or (result.epoch + 1) % 20 == 0:
        figures = "".join(f", {key} {value:.3f}" for key, value in result.figures.items())
        line = f"epoch {result.epoch + 1} of {result.epochs}: loss {result.train_loss:.3f}{figures}"
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
