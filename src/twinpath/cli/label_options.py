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
    from twinpath.recognize.model import check_model
    from twinpath.recognize.timeline import read_labels

    if labels is None:
        return None
    facts = check_model(model, task=task)
    return read_labels(labels, facts.labels, model=facts.name)


def action_thresholds(min_score: str, model: str) -> tuple[float, ...]:
    """The lowest score of each action of a detection model, from text; see `parse_thresholds`.

    Raises:
        UsageError, ConfigError: No such label, or no score from 0 to 1.
    """
    from twinpath.recognize.detector import MIN_SCORE
    from twinpath.recognize.model import check_model
    from twinpath.recognize.thresholds import parse_thresholds

    known = check_model(model, task="detection").labels
    return tuple(parse_thresholds(min_score, known, default=MIN_SCORE).tolist())
