"""What an evaluation in training shows beside its figures: confusions, predictions, wrong clips. No torch.

Source: PySlowFast, visualization/tensorboard_vis.py and prediction_vis.py, for what is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.data.labelled.clip import LabelledClip
from twinpath.errors import ConfigError
from twinpath.metrics.classification import confusion_matrix
from twinpath.metrics.evaluation import Mistake, worst_mistakes
from twinpath.paths import display_path
from twinpath.render.confusion_png import confusion_image
from twinpath.render.prediction_bars import prediction_bars
from twinpath.results.evaluation import ClipAnswer, Evaluation
from twinpath.suggest import nearest_name

Counts = NDArray[np.int64]


class ValidationScores(NamedTuple):
    """Scores of an evaluation, in the order of the validation clips.

    Attributes:
        indices: (N,) of the clips that were read, in all validation clips.
        scores: (N, C) 0 to 1.
        truth: (N, C) which classes a clip has.
        is_multi_label: Whether it may have several, or none.
    """

    indices: Sequence[int]
    scores: NDArray[np.float32]
    truth: NDArray[np.bool_]
    is_multi_label: bool

    @property
    def confusion(self) -> Counts:
        """(C, C) clips of one label by their class (row) and what they were taken for (column)."""
        return confusion_matrix(self.truth.argmax(axis=1), self.scores.argmax(axis=1), self.scores.shape[1])


def class_groups(labels: Sequence[str], classes: Sequence[str], parents: str) -> dict[str, tuple[int, ...]]:
    """Groups of classes that have a confusion matrix of their own.

    Args:
        labels: Names of all classes.
        classes: Of a group of its own, "named"; empty: there is none.
        parents: A JSON file of a list of classes for the name of each group; empty: there is none.
    Returns:
        Indices of the classes of each group.
    Raises:
        ConfigError: The file cannot be read, or a class does not exist; names the nearest one.
    """
    groups: dict[str, Sequence[str]] = {"named": classes} if classes else {}
    if parents:
        groups |= _parents(Path(parents))
    index = {label: number for number, label in enumerate(labels)}
    key = "log.classes" if not parents else f"log.classes and {parents}"
    for names in groups.values():
        for name in names:
            if name not in index:
                near = nearest_name(name, list(labels), cutoff=0.0)
                raise ConfigError(f"{key}: there is no class {name!r}; did you mean {near!r}?")
    return {group: tuple(index[name] for name in names) for group, names in groups.items() if names}


def _parents(path: Path) -> dict[str, Sequence[str]]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"log.parents: {display_path(path)} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in values.values()
    ):
        raise ConfigError(f"log.parents: {display_path(path)} has no list of classes for each group")
    return values


def confusion_pictures(
    labels: Sequence[str], confusion: Counts, groups: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, Image.Image]]:
    """The matrix of all classes and of each group in which a clip is, with their names."""
    parts = {"confusion": range(len(labels)), **{f"confusion/{name}": ids for name, ids in groups.items()}}
    for name, ids in parts.items():
        part = confusion[np.ix_(ids, ids)]
        if not part.sum():
            continue
        right, clips = int(part.diagonal().sum()), int(confusion[list(ids)].sum())
        facts = f"{right} of {clips} clips right ({right / clips:.1%})"
        counts = tuple(tuple(row) for row in part.tolist())
        title = name.replace("confusion/", "Confusion matrix: ") if "/" in name else "Confusion matrix"
        yield name, confusion_image([labels[i] for i in ids], counts, title=title, facts=facts)


def prediction_pictures(
    labels: Sequence[str], confusion: Counts, *, only: Sequence[int], top_k: int, most: int
) -> Iterator[tuple[str, Image.Image]]:
    """For each class what its clips were taken for, with a name.

    Args:
        labels, confusion: Of all classes.
        only: These classes alone; empty: those with the most wrong clips, `most` at most.
        top_k: Answers of each.
        most: See `only`.
    """
    totals = confusion.sum(axis=1)
    wrong = totals - confusion.diagonal()
    chosen = only or np.argsort(-wrong, kind="stable")[:most].tolist()
    for truth in sorted(chosen):
        if not totals[truth]:
            continue
        order = np.argsort(-confusion[truth], kind="stable")[:top_k]
        answers = [(labels[i], int(confusion[truth, i])) for i in order if confusion[truth, i]]
        yield f"predictions/{labels[truth].replace('/', '_')}", prediction_bars(labels[truth], answers)


class WrongClip(NamedTuple):
    """A clip with a wrong answer.

    Attributes:
        clip_index: In the validation clips.
        truth, answer: Lines of text.
    """

    clip_index: int
    truth: str
    answer: str


def wrong_clips(
    labels: Sequence[str],
    found: ValidationScores,
    clips: Sequence[LabelledClip],
    *,
    only: Sequence[int],
    most: int,
) -> list[WrongClip]:
    """The wrong answers that are surest, the worst first.

    Args:
        labels: Names of all classes.
        found: Scores.
        clips: All validation clips.
        only: Of these true classes; empty: of all.
        most: How many.
    """
    answers = {}
    for index, scores, truth in zip(found.indices, found.scores, found.truth, strict=True):
        clip, classes = clips[index], tuple(np.flatnonzero(truth).tolist())
        if not only or set(only) & set(classes):
            answers[index] = ClipAnswer(clip.path, classes, scores, clip.start_s, clip.end_s)
    index_of = {id(answer): index for index, answer in answers.items()}
    evaluation = Evaluation(tuple(labels), tuple(answers.values()), is_multi_label=found.is_multi_label)
    return [
        WrongClip(
            index_of[id(mistake.answer)],
            f"true: {', '.join(labels[i] for i in mistake.answer.truth) or 'none'}",
            _answer(labels, mistake),
        )
        for mistake in worst_mistakes(evaluation, most)
    ]


def _answer(labels: Sequence[str], mistake: Mistake) -> str:
    what = "missed" if mistake.is_missed else "predicted"
    return f"{what}: {labels[mistake.label]} ({mistake.score:.0%})"
