"""How right a network is during training: one view of each validation clip, shared by all processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from twinpath.metrics.classification import (
    multilabel_log_loss,
    multilabel_map,
    negative_log_likelihood,
    top_k_accuracy,
)
from twinpath.models.network import VideoNetwork
from twinpath.train.log.evaluated import ValidationScores

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from twinpath.train.loop.data import RecipeData

Found = TypeVar("Found")
Row = tuple[NDArray[np.float32], NDArray[np.float32]]  # scores and targets of a clip


@torch.no_grad()
def evaluate(
    network: VideoNetwork,
    data: RecipeData,
    fabric: Fabric,
    on_scores: Callable[[ValidationScores], None] = lambda _: None,
) -> dict[str, float]:
    """Figures of the validation clips, by name; none without such clips.

    Args:
        network: To evaluate.
        data: Of the run.
        fabric: Of the run.
        on_scores: Called in the first process with the scores of all clips.
    Returns:
        "top1" and "top5" (of at most all classes), or "map" for several labels a clip; "loss", the mean
        negative log-likelihood of the truth. The same in all processes.
    """
    was_training, to_clips = network.training, fabric.to_device(data.to_clips)
    network.eval()
    rows: dict[int, Row] = {}
    for batch in data.validation():
        clips = to_clips(fabric.to_device(batch)).contiguous(memory_format=torch.channels_last_3d)
        with fabric.autocast():
            scores = network.scores(clips).float().cpu().numpy()
        for number, score, target in zip(batch.indices.tolist(), scores, batch.targets.numpy(), strict=True):
            rows[number] = (score, target)
    network.train(was_training)
    rows = of_all_processes(rows, fabric)
    if not rows:
        return {}
    scores, targets = (np.stack([rows[n][i] for n in sorted(rows)]) for i in (0, 1))
    found = ValidationScores(sorted(rows), scores, targets > 0.5, data.is_multi_label)
    if fabric.is_global_zero:
        on_scores(found)
    return _figures(found)


def of_all_processes(rows: dict[int, Found], fabric: Fabric) -> dict[int, Found]:
    """What each process found, by number, in all of them. Collective."""
    if fabric.world_size == 1:
        return rows
    gathered: list[dict[int, Found]] = [{} for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(gathered, rows)
    return {number: row for part in gathered for number, row in part.items()}


def _figures(found: ValidationScores) -> dict[str, float]:
    scores, truth = found.scores, found.truth
    if found.is_multi_label:
        return {"map": multilabel_map(truth, scores), "loss": multilabel_log_loss(scores, truth)}
    right = truth.argmax(axis=1)
    return {
        "top1": top_k_accuracy(scores, right, 1),
        "top5": top_k_accuracy(scores, right, min(5, scores.shape[1])),
        "loss": negative_log_likelihood(scores, right),
    }
