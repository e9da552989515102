"""What a detection network learns from key frames: the actions of each person, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.models.detection import DetectionNetwork
from twinpath.train.clips.batch import ClipBatch
from twinpath.train.clips.keyframes import KeyframeClips
from twinpath.train.log.wrong_keyframes import KeyframeScores
from twinpath.train.loop.evaluation import of_all_processes

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from twinpath.train.loop.keyframes import KeyframeData


class DetectionObjective:
    """Binary cross-entropy, the mean over all boxes and classes of the batches of all processes.

    A clip whose crop holds nobody has no boxes; it still counts for batch norms, and a process without boxes
    takes part with a loss of 0. [better: upstream averages within each process first, so a box among few
    counts more there; its loss is of sigmoids, ours of logits: the same, and stable.]
    Source: PySlowFast, models/losses.py, MODEL.LOSS_FUNC "bce".

    Args:
        on_scores: Called in the first process with the scores of each evaluation.
    """

    def __init__(self, *, on_scores: Callable[[KeyframeScores], None] = lambda _: None) -> None:
        self._on_scores = on_scores

    def clips_of(self, batch: KeyframeClips) -> ClipBatch:
        return batch.clips

    def forward(self, network: nn.Module, clips: Tensor) -> None:
        assert isinstance(network, DetectionNetwork)
        network.forward_features(clips)  # there are no batch norms behind the boxes

    def loss(
        self, module: nn.Module, clips: Tensor, batch: KeyframeClips, rng: np.random.Generator
    ) -> Tensor:
        is_there = batch.boxes[:, 0] < len(clips)
        boxes, targets = batch.boxes[is_there].to(clips.device), batch.box_targets[is_there].to(clips.device)
        logits = module(clips.contiguous(memory_format=torch.channels_last_3d), boxes).float()
        targets = F.pad(targets, (0, logits.shape[1] - targets.shape[1]))  # classes that only the network has
        total = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        mean: Tensor = total / (_boxes_a_process(boxes) * logits.shape[1])
        return mean

    def figures(self, network: nn.Module, data: KeyframeData, fabric: Fabric) -> dict[str, float]:
        assert isinstance(network, DetectionNetwork)
        return evaluate_boxes(network, data, fabric, self._on_scores)


def _boxes_a_process(boxes: Tensor) -> Tensor:
    """How many boxes the processes have on average, more than 0. Collective."""
    count = torch.tensor(float(len(boxes)), device=boxes.device)
    if not (dist.is_available() and dist.is_initialized()):
        return count.clamp(min=1)
    dist.all_reduce(count)
    return count.clamp(min=1) / dist.get_world_size()


@torch.no_grad()
def evaluate_boxes(
    network: DetectionNetwork,
    data: KeyframeData,
    fabric: Fabric,
    on_scores: Callable[[KeyframeScores], None] = lambda _: None,
) -> dict[str, float]:
    """Figures of the validation key frames, by name; none without them.

    Whole pictures are seen, as in a test and in use [better: upstream's figure during training is of the
    central square, at which people stand cut off].

    Args:
        network: To evaluate.
        data, fabric: Of the run.
        on_scores: Called in the first process with the scores of all key frames.
    Returns:
        "frame_map", the frame mAP at an overlap of 0.5. The same in all processes.
    """
    if data.evaluated is None:
        return {}
    was_training, to_clips = network.training, fabric.to_device(data.to_clips)
    network.eval()
    scores: dict[int, NDArray[np.float32]] = {}
    for batch in data.validation():
        clips = to_clips(fabric.to_device(batch.clips)).contiguous(memory_format=torch.channels_last_3d)
        with fabric.autocast():
            found = network.scores(clips, fabric.to_device(batch.boxes)).float().cpu()
        for row, number in enumerate(batch.indices.tolist()):
            scores[number] = found[batch.boxes[:, 0] == row].numpy()
    network.train(was_training)
    scores = of_all_processes(scores, fabric)
    if fabric.is_global_zero:
        on_scores(scores)
    return {"frame_map": data.evaluated.frame_map(scores)}
