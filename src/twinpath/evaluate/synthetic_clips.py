"""Evaluate a classifier on new clips of the synthetic world, as H.264 files."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twinpath.data.synthetic import ACTIONS, TEST_SEED, labelled_scene, write_clip
from twinpath.metrics.classification import wilson_interval


@dataclass(frozen=True)
class Confusion:
    """Number of clips of `truth` for which `answer` was predicted."""

    truth: str
    answer: str
    count: int


@dataclass(frozen=True)
class Summary:
    """Accuracy, 0 to 1.

    Attributes:
        top1: Top-1 accuracy.
        interval: Its 95 % confidence interval (Wilson).
        by_action: Accuracy of each action.
        confusions: Wrong predictions, the most frequent first.
    """

    top1: float
    interval: tuple[float, float]
    by_action: dict[str, float]
    confusions: tuple[Confusion, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def answers_on_fresh_clips(
    predict: Callable[[Path], str], *, num_clips: int, seed: int = 0, workers: int = 1
) -> Iterator[tuple[str, str]]:
    """Render clips to files and predict each; a file is removed after its prediction.

    Args:
        predict: From a video's path to a label.
        num_clips: Number of clips.
        seed: Seed of the first clip, relative to `TEST_SEED`, which is behind all training seeds.
        workers: Processes that render the next clips during inference.
    Yields:
        (truth, prediction) of each clip, in order of seeds.
    """
    spawn = multiprocessing.get_context("spawn")  # the caller may have threads, which a fork would break
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=spawn, initializer=ignore_interrupts) as pool,
    ):
        waiting: list[tuple[Future[str], Path]] = []
        for i in range(num_clips + 4 * workers):
            if i < num_clips:
                path = Path(folder) / f"{i}.mp4"
                waiting.append((pool.submit(_render, path, TEST_SEED + seed + i), path))
            if i >= 4 * workers and waiting:
                rendered, path = waiting.pop(0)
                truth = rendered.result()
                yield truth, predict(path)
                path.unlink()


def ignore_interrupts() -> None:
    """Ignore Ctrl-C in a worker process: only the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render(path: Path, seed: int) -> str:
    scene = labelled_scene(seed)
    write_clip(path, scene)
    return scene.label


def summarise(pairs: list[tuple[str, str]]) -> Summary:
    """Accuracies from (truth, prediction) pairs."""
    counts, right = Counter(truth for truth, _ in pairs), Counter(t for t, a in pairs if t == a)
    wrong = Counter((t, a) for t, a in pairs if t != a)
    return Summary(
        top1=right.total() / len(pairs),
        interval=wilson_interval(right.total(), len(pairs)),
        by_action={a: right[a] / counts[a] for a in ACTIONS if counts[a]},
        confusions=tuple(Confusion(t, a, n) for (t, a), n in wrong.most_common()),
    )
