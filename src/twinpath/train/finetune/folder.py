"""A fine-tuned network as a model folder, with the report of how right it is beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinpath import __version__
from twinpath.data.labelled.clip import LabelledData
from twinpath.jobs.explained_mistakes import Explaining, explain_mistakes
from twinpath.recognize.read import VideoReader
from twinpath.render.evaluation_report import write_evaluation_report
from twinpath.render.thumbnails import middle_of
from twinpath.results.evaluation import Evaluation, EvaluationSummary
from twinpath.results.explanation import ExplainedMistake
from twinpath.zoo.model_card import HeadKind, ModelCard, WeightsSource
from twinpath.zoo.model_facts import ModelFacts
from twinpath.zoo.model_folder import (
    WEIGHTS,
    ModelFolder,
    check_target,
    new_model_folder,
    read_model_folder,
    write_card,
)

if TYPE_CHECKING:
    from twinpath.models.network import VideoNetwork

_SURE = 0.9  # share of the answers that are right from `min_score_for_90_percent` on


def check_folder(out: Path) -> None:
    """Raises: UsageError: Something else than a model folder is there."""
    check_target(out)


def write_folder(
    out: Path,
    facts: ModelFacts,
    data: LabelledData,
    network: VideoNetwork,
    evaluation: Evaluation,
    summary: EvaluationSummary,
    *,
    views: str,
    head: HeadKind,
    how: Mapping[str, Any],
    notes: Sequence[str],
    reader: VideoReader,
    explaining: Explaining | None = None,
) -> tuple[ModelFolder, tuple[ExplainedMistake, ...]]:
    """Write the network, its card and its report; all appear at once. Returns what is explained, too."""
    explained: tuple[ExplainedMistake, ...] = ()
    card = _card(out, facts, data, evaluation, summary, views=views, head=head, how=how)
    with new_model_folder(out) as folder:
        from twinpath.weights.load import save_weights

        save_weights(network, folder / WEIGHTS, metadata={"made_by": f"twinpath {__version__}"})
        write_card(folder, card)
        if explaining is not None:
            explained = explain_mistakes(evaluation, explaining, model=str(folder))
        write_evaluation_report(
            evaluation,
            folder,
            title=out.name,
            notes=notes,
            thumbnails=partial(middle_of, reader),
            explained=explained,
            summary=summary,
        )
    return read_model_folder(out), explained


def _card(
    out: Path,
    facts: ModelFacts,
    data: LabelledData,
    evaluation: Evaluation,
    summary: EvaluationSummary,
    *,
    views: str,
    head: HeadKind,
    how: Mapping[str, Any],
) -> ModelCard:
    import torch

    name = facts.folder.card.network if facts.folder is not None else facts.name
    return ModelCard(
        name=out.name,
        network=name,
        task="classification",
        dataset=data.kind,
        labels=data.classes,
        input=facts.spec,
        precision="fp32",
        views=views,
        head=head,
        weights=_source(facts),
        versions={"twinpath": __version__, "torch": str(torch.__version__)},
        figures={**_figures(evaluation, summary), **{k: _text(v) for k, v in how.items() if v is not None}},
    )


def _source(facts: ModelFacts) -> WeightsSource:
    """Whose weights the network had before."""
    if facts.folder is not None:
        return replace(facts.folder.card.weights, name=f"{facts.name}, fine-tuned from it")
    from twinpath.weights.hashes import file_sha256
    from twinpath.zoo.create import weights_path

    record = facts.record
    assert record is not None
    return WeightsSource(
        f"{record.name}, fine-tuned from it", file_sha256(weights_path(record)), record.url, record.licence
    )


def _figures(evaluation: Evaluation, summary: EvaluationSummary) -> dict[str, float | str]:
    figures: dict[str, float | str] = {"evaluated_clips": float(summary.clips)}
    if summary.top1 is not None and summary.top1_interval is not None:
        low, high = summary.top1_interval
        figures |= {"top1": round(summary.top1, 4), "top1_low": round(low, 4), "top1_high": round(high, 4)}
        sure = min_score_for(evaluation, _SURE)
        if sure is not None:
            figures["min_score_for_90_percent"] = round(sure, 4)
    if summary.mean_average_precision is not None:
        figures["mean_average_precision"] = round(summary.mean_average_precision, 4)
    figures["calibration_error"] = round(summary.calibration_error, 4)
    return figures


def min_score_for(evaluation: Evaluation, share: float) -> float | None:
    """The lowest score of an answer from which on this share of the answers is right; None: there is none."""
    best = evaluation.scores.max(axis=1)
    right = np.array([answer.best in answer.truth for answer in evaluation.answers])
    order = np.argsort(-best, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(shares >= share)
    return float(best[order[reached[-1]]]) if len(reached) else None


def _text(value: Any) -> float | str:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
