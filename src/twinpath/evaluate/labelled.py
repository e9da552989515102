"""A classifier on labelled clips: the scores of each, and the classes of the data among its own.

truth = match_labels(data.classes, classifier.labels)
for scored in score_labelled(classifier, data.clips, Views.parse("3x10")):
    scored.clip, scored.scores, scored.error
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip
from twinpath.engine.base import Engine
from twinpath.errors import UsageError
from twinpath.escapes import shown
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.aggregate import ViewPooling, aggregate_views
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.suggest import nearest_name

_MOST_NAMED = 12


class ClipScorer(Protocol):
    """What of a `Classifier` is needed."""

    spec: InputSpec
    reader: VideoReader

    def engine(self, num_crops: int = 1) -> Engine: ...


@dataclass(frozen=True, eq=False)
class ScoredClip:
    """The scores of a labelled clip, or why there are none.

    Attributes:
        clip: The clip.
        scores: (C,) float32: the pooled scores of its views; None: it failed.
        error: One of `errors.INPUT_FAILURES`; None: it did not fail.
        warnings: About its file; often empty.
    """

    clip: LabelledClip
    scores: NDArray[np.float32] | None
    error: Exception | None = None
    warnings: tuple[str, ...] = ()


def score_labelled(
    classifier: ClipScorer,
    clips: Iterable[LabelledClip],
    views: Views,
    *,
    pooling: ViewPooling = "mean",
    spec: InputSpec | None = None,
) -> Iterator[ScoredClip]:
    """Score each clip. The next clips are read meanwhile, and batches span clips.

    Args:
        classifier: A `Classifier`.
        clips: Those of one file are best one after the other.
        views: Crops in space and clips in time, within the span of each clip.
        pooling: How the scores of the views become one.
        spec: How clips are taken; None: as the classifier says.
    Yields:
        The scores or the error of each clip, in order.
    """
    reader = LabelledReader(classifier.reader, spec or classifier.spec, views)
    for scored in reader.infer(classifier.engine(views.space), clips):
        if scored.error is not None:
            yield ScoredClip(scored.key, None, scored.error, scored.warnings)
        else:
            yield ScoredClip(scored.key, aggregate_views(scored.scores, pooling), warnings=scored.warnings)


def match_labels(classes: Sequence[str], labels: Sequence[str]) -> tuple[int, ...]:
    """The index of each class of a data set among the labels of a model.

    Names are equal where they differ only in case, in "_" for a space, or in how many spaces there are. The
    very same name goes before others.

    Raises:
        UsageError: Classes that the model does not have; all are named, or the first of many.
    """
    exact = {label: index for index, label in enumerate(labels)}
    alike: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        alike[_compared(label)].append(index)
    found = {name: exact.get(name, alike.get(_compared(name), [-1])[0]) for name in classes}
    missing = [name for name, index in found.items() if index < 0]
    if missing:
        raise _lacks(missing, len(classes), labels)
    return tuple(found[name] for name in classes)


def _compared(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _lacks(missing: Sequence[str], of: int, labels: Sequence[str]) -> UsageError:
    named = ", ".join(_with_nearest(name, labels) for name in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    return UsageError(
        f"the model has {len(labels)} labels and lacks {len(missing)} of the {of} classes of the data: "
        f"{named}{more}; rename the classes as the model's labels, or give a model of these classes"
    )


def _with_nearest(name: str, labels: Sequence[str]) -> str:
    nearest = nearest_name(name, labels)
    text = repr(shown(name, 60))
    return text if nearest is None else f"{text} (nearest: {shown(nearest, 60)!r})"
