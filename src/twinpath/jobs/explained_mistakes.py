"""The worst mistakes of an evaluation with the maps of their labels, for its report.

explained = explain_mistakes(evaluation, Explaining(Explainer), model="my-actions")
write_evaluation_report(evaluation, folder, title="…", explained=explained)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinpath.errors import INPUT_FAILURES, UsageError
from twinpath.jobs.batch import input_failure
from twinpath.metrics.evaluation import Mistake, worst_mistakes
from twinpath.recognize.plan import Views
from twinpath.render.explanation import map_pictures
from twinpath.results.evaluation import Evaluation
from twinpath.results.explanation import ExplainedMistake, PersonAt
from twinpath.zoo.load_folder import has_network
from twinpath.zoo.model_facts import ModelFacts

if TYPE_CHECKING:
    from twinpath.explain.explainer import Explainer

MOST_EXPLAINED = 8


@dataclass(frozen=True)
class Explaining:
    """What explains the mistakes.

    Attributes:
        load: Gives the explainer of a model, or of a model folder; called if there is a mistake.
        most: How many mistakes, the worst first.
        progress: Called with how many are done, and of all.
    """

    load: Callable[[str], Explainer]
    most: int = MOST_EXPLAINED
    progress: Callable[[int, int], None] | None = None


def check_explainable(facts: ModelFacts) -> None:
    """Raises: UsageError: The model is a folder with a graph, which has no gradients to follow."""
    if facts.folder is not None and not has_network(facts.folder):
        raise UsageError(
            f"{facts.name} holds a graph without the weights of a network, so that its answers cannot be "
            "explained; take the folder that it was exported from"
        )


def explain_mistakes(
    evaluation: Evaluation, explaining: Explaining, *, model: str
) -> tuple[ExplainedMistake, ...]:
    """Explain the worst mistakes: each in the clip of its views in which the wrong label scores most.

    Args:
        evaluation: Of the model.
        explaining: How.
        model: A name or a model folder with the labels of the evaluation.
    Returns:
        One for each mistake; where the file cannot be read any more, with an error.
    Raises:
        UsageError, WeightsError: The model cannot be loaded, see `Explainer`.
    """
    mistakes = worst_mistakes(evaluation, explaining.most)
    if not mistakes:
        return ()
    explainer = explaining.load(model)
    found = []
    for done, mistake in enumerate(mistakes):
        if explaining.progress is not None:
            explaining.progress(done, len(mistakes))
        try:
            found.append(_explained(mistake, evaluation, explainer))
        except INPUT_FAILURES as error:
            reason = str(input_failure(error, mistake.answer.path))
            found.append(ExplainedMistake(mistake.answer, error=reason))
    if explaining.progress is not None:
        explaining.progress(len(mistakes), len(mistakes))
    return tuple(found)


def _explained(mistake: Mistake, evaluation: Evaluation, explainer: Explainer) -> ExplainedMistake:
    answer, reader = mistake.answer, explainer.reader
    labels = [evaluation.labels[index] for index in (mistake.label, *_other(mistake))]
    if answer.box_xyxy_px is None:
        views = Views.parse(evaluation.views)
        explanations = explainer.labels_of(
            answer.path, labels, start_s=answer.start_s, end_s=answer.end_s, num_clips=views.time
        )
    else:
        left, top, right, bottom = answer.box_xyxy_px
        person = PersonAt(answer.start_s or 0.0, (left, top, right, bottom))
        explanations = explainer.labels_of(answer.path, labels, person=person)
    pictures = map_pictures(explanations, limits=reader.limits, fps=reader.fps, isolate=reader.isolate)
    return ExplainedMistake(answer, explanations, pictures)


def _other(mistake: Mistake) -> list[int]:
    """The label to compare with: of a wrong one the true one that scores most, of a missed one the answer."""
    answer = mistake.answer
    if mistake.is_missed:
        return [answer.best] if answer.best != mistake.label else []
    return [max(answer.truth, key=lambda index: float(answer.scores[index]))] if answer.truth else []
