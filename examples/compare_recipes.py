"""Train networks by several recipes on the same drawn clips, and print how right they are and what they cost.

    python examples/compare_recipes.py slowfast_tiny_clips slow_tiny_clips fast_tiny_clips
    python examples/compare_recipes.py slowfast_tiny_clips{,_multigrid} --turn 40 60 --period 7 10

The clips are drawn once, into a folder of `world/`. Settings behind the recipes hold for all:
`schedule.epochs=3`. Needs the extra `[train]`.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path

from drawn_shapes import PERIOD_PX, TURN_FRAMES, write

from twinpath.train.loop.figures import EpochResult
from twinpath.train.loop.train import train_clips
from twinpath.train.recipe import read_recipe

PARTS = {"train": (960, 0), "val": (240, 1)}  # number of clips, and seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="+", metavar="RECIPE|KEY=VALUE", help="recipes, and settings for all")
    parser.add_argument("--world", type=Path, help="folder of the drawn clips; they are not drawn again")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--turn", type=float, nargs=2, default=TURN_FRAMES, help="frames of a circle")
    parser.add_argument("--period", type=float, nargs=2, default=PERIOD_PX, help="pixels of a wave")
    parser.add_argument("--motions", type=int, choices=(2, 4), default=2, help="circles only, or swings, too")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each recipe")
    options = parser.parse_args()
    recipes = [word for word in options.words if "=" not in word]
    settings = [word for word in options.words if "=" in word]
    drawn = "_".join(f"{value:g}" for value in (*options.turn, *options.period, options.motions))
    world = options.world or Path("world") / drawn
    for part, (num_clips, seed) in PARTS.items():
        write(world / part, num_clips, seed, tuple(options.turn), tuple(options.period), options.motions)
    print("| recipe | seed | top-1 % | epochs | CPU s | wall s |\n|---|---|---|---|---|---|", flush=True)
    for recipe in recipes:
        for seed in range(options.seeds):
            lists = [
                f"data.{key}={world / part / 'labels.csv'}"
                for key, part in (("train", "train"), ("validation", "val"))
            ]
            words = [*lists, *settings, f"run.seed={seed}"]
            print(trained(recipe, words, options.runs / f"{recipe}-{seed}"), flush=True)


def trained(name: str, words: list[str], folder: Path) -> str:
    """Train by a recipe; returns the line of the table."""
    recipe = read_recipe(name, words)
    results: list[EpochResult] = []

    def report(result: EpochResult) -> None:
        results.append(result)
        figures = "".join(f", {key} {value:.3f}" for key, value in result.figures.items())
        line = f"{name}, epoch {result.epoch + 1} of {result.epochs}: loss {result.train_loss:.3f}{figures}"
        print(line, file=sys.stderr, flush=True)

    began_s, began_cpu_s = time.monotonic(), cpu_s()
    train_clips(recipe, folder, on_epoch=report)
    gc.collect()  # ends the processes that made clips: their time counts
    figures = [cpu_s() - began_cpu_s, time.monotonic() - began_s]
    top1 = 100 * results[-1].figures["top1"]
    times = " | ".join(f"{seconds:.0f}" for seconds in figures)
    return f"| {name} | {recipe.run.seed} | {top1:.1f} | {len(results)} | {times} |"


def cpu_s() -> float:
    """Of this process and those that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


if __name__ == "__main__":
    main()
