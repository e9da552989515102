"""Options that name labels of a model: checked before it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinpath.recognize.model import Task


def label_filter(labels: str | None, model: str, *, task: Task) -> tuple[str, ...] | None:
    """The labels that a user named with commas between them; None: all.

    Raises:
        UsageError: The model does not know one of them; says the nearest.
    """
    from twinpath.recognize.model import check_model, class_names
    from twinpath.recognize.timeline import read_labels

    if labels is None:
        return None
    name, architecture, record = check_model(model, task=task)
    return read_labels(labels, class_names(architecture, record), model=name)


def action_thresholds(min_score: str, model: str) -> tuple[float, ...]:
    """The lowest score of each action of a detection model, from text; see `parse_thresholds`.

    Raises:
        UsageError, ConfigError: No such label, or no score from 0 to 1.
    """
    from twinpath.recognize.detector import MIN_SCORE
    from twinpath.recognize.model import check_model, class_names
    from twinpath.recognize.thresholds import parse_thresholds

    _, architecture, record = check_model(model, task="detection")
    return tuple(parse_thresholds(min_score, class_names(architecture, record), default=MIN_SCORE).tolist())
