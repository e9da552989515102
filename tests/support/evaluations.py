"""Made-up evaluations: a classifier that is right so often, with classes that it confuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twinpath.results.evaluation import ClipAnswer, Evaluation, FailedInput, LearnedClip
from twinpath.results.provenance import Provenance

WORDS = (
    "hand shaking", "hugging", "kicking", "pointing", "punching", "pushing", "opening a door", "閉じる",
    "putting something on top of something else", "walk", "run", "jump",
)  # fmt: skip


def labels_of(count: int) -> tuple[str, ...]:
    return tuple(
        f"{WORDS[i % len(WORDS)]}{f' {i // len(WORDS) + 1}' * (i >= len(WORDS))}" for i in range(count)
    )


def made_up(num_classes: int, *, clips_each: int = 15, seed: int = 0, failed: int = 2) -> Evaluation:
    """Of single-label data, in five folds, with clips that are spans of files."""
    rng = np.random.default_rng(seed)
    answers = []
    for truth in np.repeat(np.arange(num_classes), clips_each).tolist():
        logits = rng.normal(0, 1.0, num_classes)
        logits[truth] += 3.4
        logits[(truth + 1) % num_classes] += 1.6 * (truth % 3 == 0)
        scores = np.exp(1.3 * logits) / np.exp(1.3 * logits).sum()
        number = len(answers)
        start_s = float(number % 4) * 12.5 if number % 2 else None
        end_s = None if start_s is None else start_s + 3.2
        path = Path(f"clips/class {truth}/{number:03}.mp4")
        part = f"fold {1 + number % 5}"
        answers.append(ClipAnswer(path, (truth,), scores.astype(np.float32), start_s, end_s, part))
    return Evaluation(
        labels_of(num_classes),
        tuple(answers),
        failed=tuple(FailedInput(Path(f"clips/bad {i}.mp4"), "no video stream") for i in range(failed)),
        model="slowfast_tiny.synthetic",
        views="1x5",
        data="folder of classes clips",
        learned_from=(LearnedClip(Path("clips/only.mp4"), (0,)),),
        provenance=Provenance(None, "slowfast_tiny.synthetic", None, {"views": "1x5", "seed": 0}),
    )


def made_up_multi_label(num_classes: int = 6, *, clips: int = 80, seed: int = 0) -> Evaluation:
    """Each clip has none to three of the classes."""
    rng = np.random.default_rng(seed)
    answers = []
    for number in range(clips):
        truth = np.sort(rng.choice(num_classes, rng.integers(0, 4), replace=False))
        logits = rng.normal(-1.5, 1.0, num_classes)
        logits[truth] += 2.5
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        answers.append(ClipAnswer(Path(f"clips/{number:03}.mp4"), tuple(truth.tolist()), scores))
    return Evaluation(labels_of(num_classes), tuple(answers), is_multi_label=True, model="m", views="3x10")
