"""Training of a whole network on labelled clips with Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twinpath.errors import DamagedWeights, TrainingDiverged
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.train.finetune.augment import stream_seed
from twinpath.train.finetune.clip_dataset import FrameBatch
from twinpath.train.finetune.depth import STAGES, stages
from twinpath.train.finetune.full_settings import FullSettings
from twinpath.train.optimization.ema import averaged_copy, move_average
from twinpath.weights.load import load_weights, save_weights

BEST = "best.safetensors"  # the averaged weights of the best epoch so far

_MIXUP = 3  # a stream of random numbers, beside those of `clip_dataset`
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class EpochFigures:
    """What an epoch gave.

    Attributes:
        epoch: From 0.
        train_loss: Mean over its batches.
        validation_loss: Of the averaged weights; None without validation clips.
        validation_top1: The share of clips whose best class is one of theirs, 0 to 1.
    """

    epoch: int
    train_loss: float
    validation_loss: float | None = None
    validation_top1: float | None = None


@dataclass
class RunState:
    """What a run knows beside the weights; a checkpoint holds it."""

    history: list[EpochFigures] = field(default_factory=list)

    @property
    def best(self) -> EpochFigures | None:
        """The epoch of the lowest validation loss; without validation clips the last one."""
        if not self.history or self.history[-1].validation_loss is None:
            return self.history[-1] if self.history else None
        return min(self.history, key=lambda figures: figures.validation_loss or 0.0)

    def is_over(self, patience_epochs: int) -> bool:
        """Whether so many epochs brought nothing that more are not worth it."""
        best = self.best
        return best is not None and self.history[-1].epoch - best.epoch >= patience_epochs


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learned.

    Attributes:
        spec: Input of the network.
        is_multi_label: Whether a clip may have several classes, or none.
        class_weights: (C,) of each class in the training loss.
        train_names: Of the training clips, for messages.
        steps_per_epoch: Batches.
    """

    spec: InputSpec
    is_multi_label: bool
    class_weights: Tensor
    train_names: Sequence[str]
    steps_per_epoch: int


class FullModule(L.LightningModule):
    """First the classifier alone, then all layers, the first ones more slowly; the average of the weights.

    Args:
        network: Takes clips (B, 3, T, H, W), gives logits (B, C).
        task: What is to be learned.
        settings: How.
        folder: Gets the averaged weights of the best epoch.
        on_epoch: Called with the figures of each epoch.
    Attributes:
        average: The network with the exponential moving average of the weights, which is what is validated
            and kept.
        state: The run so far.
    """

    def __init__(
        self,
        network: VideoNetwork,
        task: Task,
        settings: FullSettings,
        folder: Path,
        on_epoch: Callable[[EpochFigures], None] | None = None,
    ) -> None:
        super().__init__()
        self.stage_of = stages(network, task.spec)
        self.network = network.to(memory_format=torch.channels_last_3d)
        self.average = averaged_copy(self.network)
        self.normalise = Normalise(mean=task.spec.mean, std=task.spec.std)
        self.class_weights: Tensor
        self.register_buffer("class_weights", task.class_weights, persistent=False)
        self.task, self.settings, self.folder = task, settings, folder
        self._on_epoch = on_epoch
        self.state = RunState()
        self._losses: list[Tensor] = []
        self._views: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def _is_frozen(self) -> bool:
        """Whether only the classifier learns in this epoch."""
        return self.current_epoch < self.settings.frozen_epochs

    def on_train_epoch_start(self) -> None:
        classifier = {id(p) for p in self.network.get_classifier().parameters()}
        for parameter in self.network.parameters():
            parameter.requires_grad_(not self._is_frozen or id(parameter) in classifier)

    def training_step(self, batch: FrameBatch, batch_index: int) -> Tensor:
        # Dropout depends on the step's number only, so that a resumed run equals an uninterrupted one.
        torch.manual_seed(stream_seed(self.settings.seed, self.global_step) % 2**63)
        self._set_modes()
        frames, targets = self._mixed(self.normalise(batch.frames), batch.targets)
        logits = self.network(frames.to(memory_format=torch.channels_last_3d)).float()
        loss = self._training_loss(logits, targets)
        if not torch.isfinite(loss):
            names = ", ".join(self.task.train_names[i] for i in batch.numbers.tolist())
            raise TrainingDiverged(
                f"the loss is {loss.item()} at step {self.global_step}, with the clips {names}; "
                f"lower learning_rate, now {self.settings.learning_rate:g}"
            )
        self._losses.append(loss.detach())
        self.log("train_loss", loss, prog_bar=True, batch_size=len(targets))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        move_average(self.average, self.network, decay=self.settings.ema_decay, step=self.global_step)

    def validation_step(self, batch: FrameBatch, batch_index: int) -> None:
        clips = self.normalise(batch.frames).to(memory_format=torch.channels_last_3d)
        self._views.append((self.average(clips).float(), batch.targets, batch.numbers))

    def on_train_epoch_end(self) -> None:
        """Runs after the validation and before the checkpoint."""
        loss = float(torch.stack(self._losses).mean())
        figures = EpochFigures(self.current_epoch, loss, *self._validated())
        self._losses.clear()
        self.state.history.append(figures)
        if self.state.best is figures:
            save_weights(self.average, self.folder / BEST, metadata={"epoch": str(figures.epoch)})
        if self.state.is_over(self.settings.patience_epochs):
            self.trainer.should_stop = True
        if self._on_epoch is not None:
            self._on_epoch(figures)

    def load_best(self) -> EpochFigures:
        """Set `average` to the weights of the best epoch.

        Raises:
            NotAFile, DamagedWeights: Their file is gone, or is another epoch's.
        """
        best = self.state.best
        assert best is not None  # an epoch is complete
        path = self.folder / BEST
        report = load_weights(self.average, path, head="network")
        if report.metadata.get("epoch") != str(best.epoch):
            raise DamagedWeights(f"{path} is not of epoch {best.epoch}, which was the best; start a new run")
        return best

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = [asdict(figures) for figures in self.state.history]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.state.history = [EpochFigures(**figures) for figures in checkpoint["history"]]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self._parameter_groups())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate_factor(self, step: int) -> float:
        """The learning rate of a step over its peak: a warm-up, once more when all layers begin; a cosine."""
        frozen_steps = self.settings.frozen_epochs * self.task.steps_per_epoch
        all_steps = self.settings.epochs * self.task.steps_per_epoch
        if step < frozen_steps:
            return min(1.0, (step + 1) / max(1, frozen_steps // 4))
        step, all_steps = step - frozen_steps, max(1, all_steps - frozen_steps)
        warmup_steps = max(1, round(self.settings.warmup_fraction * all_steps))
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = (step - warmup_steps) / max(1, all_steps - warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters by stage, and whether they decay."""
        settings = self.settings
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        classifier = {id(p) for p in self.network.get_classifier().parameters()}
        for name, parameter in self.network.named_parameters():
            factor = settings.layer_decay ** (STAGES - 1 - self.stage_of[name])
            if id(parameter) in classifier:
                factor = settings.head_learning_rate_factor
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
        return [
            {"params": parameters, "lr": factor * settings.learning_rate, "weight_decay": decay}
            for (factor, decay), parameters in groups.items()
        ]

    def _set_modes(self) -> None:
        """What is frozen has no dropout, and batch norms may keep their statistics."""
        self.network.train(not self._is_frozen)
        self.network.head.dropout.train()
        if self.settings.freeze_norms:
            for module in self.network.modules():
                if isinstance(module, _NORMS):
                    module.eval()

    def _mixed(self, clips: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Clips mixed with those of the reversed batch (mixup), and their targets."""
        if not self.settings.mixup or self._is_frozen:
            return clips, targets
        rng = np.random.default_rng(stream_seed(self.settings.seed, self.global_step, _MIXUP))
        share = float(rng.beta(self.settings.mixup, self.settings.mixup))
        return torch.lerp(clips.flip(0), clips, share), torch.lerp(targets.flip(0), targets, share)

    def _training_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over clips; rare classes count more."""
        if self.task.is_multi_label:
            return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=self.class_weights)
        weights = targets @ self.class_weights
        smoothing = self.settings.label_smoothing
        smoothed = targets * (1 - smoothing) + smoothing / targets.shape[1]
        return (weights * -(smoothed * logits.log_softmax(dim=1)).sum(dim=1)).mean()

    def _validated(self) -> tuple[float | None, float | None]:
        """Loss and top-1 of the validation clips; the scores of a clip are the mean over its views.

        Raises:
            TrainingDiverged: The weights are no numbers.
        """
        if not self._views:
            return None, None
        logits, targets, numbers = (torch.cat(parts) for parts in zip(*self._views, strict=True))
        self._views.clear()
        views = logits.view(len(set(numbers.tolist())), -1, logits.shape[1])
        targets = targets.view(*views.shape)[:, 0]
        scores = (views.sigmoid() if self.task.is_multi_label else views.softmax(dim=2)).mean(dim=1)
        if self.task.is_multi_label:
            loss = F.binary_cross_entropy(scores, targets)
        else:
            loss = -(targets * scores.clamp_min(1e-12).log()).sum(dim=1).mean()
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the validation loss is {loss.item()} after epoch {self.current_epoch}; "
                f"lower learning_rate, now {self.settings.learning_rate:g}"
            )
        top1 = targets.gather(1, scores.argmax(dim=1, keepdim=True)).mean()
        return float(loss), float(top1)
