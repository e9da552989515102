"""Training of classification networks with Lightning: one module for the network, one for the clips."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

from twinpath.data.synthetic import ACTIONS, TRAIN_SEED, VALIDATION_SEED, RenderedClips
from twinpath.errors import TrainingDiverged
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Preprocess
from twinpath.train.recipe import Recipe
from twinpath.video.sampling import clip_span_s


class ClassificationModule(L.LightningModule):
    """Cross-entropy on clips, AdamW, a warm-up and a cosine to zero. Subclasses replace `loss`.

    Args:
        network: Takes clips (B, 3, T, H, W), gives logits (B, K).
        recipe: The run's settings.
    """

    def __init__(self, network: VideoNetwork, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last_3d)
        self.recipe = recipe
        num_classes = network.get_classifier().out_features
        self.accuracy = MulticlassAccuracy(num_classes=num_classes, average="micro")

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The training loss: cross-entropy with label smoothing, the mean over clips."""
        clips, labels = batch
        logits = self.network(clips.to(memory_format=torch.channels_last_3d)).float()
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.mix.label_smoothing)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        # Dropout depends on the step's number only, so that a resumed run equals an uninterrupted one.
        torch.manual_seed(self.recipe.run.seed + self.global_step)
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss.item()} at step {self.global_step}; lower the recipe's base_learning_rate"
            )
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        clips, labels = batch
        self.accuracy(self.network(clips).float(), labels)
        self.log("val_top1", self.accuracy, on_epoch=True, prog_bar=True)

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.optimizer.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        plan = self.recipe.schedule
        optimizer = torch.optim.AdamW(groups, lr=plan.base_learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=plan.base_learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=plan.warmup_epochs / plan.epochs,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _PreprocessedClips(Dataset[tuple[Tensor, int]]):
    """Rendered clips, preprocessed: (3, T, H, W) and a label. Runs in the workers."""

    def __init__(self, stream: RenderedClips, preprocess: Preprocess) -> None:
        self.stream, self.preprocess = stream, preprocess

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        frames, label = self.stream[index]
        return self.preprocess(torch.from_numpy(frames)[None])[0], label


class SyntheticClipData(L.LightningDataModule):
    """Clips of the synthetic world: new ones in every epoch, the same ones when a run is repeated."""

    num_classes = len(ACTIONS)

    def __init__(self, recipe: Recipe, spec: InputSpec) -> None:
        super().__init__()
        self.recipe, self.spec = recipe, spec
        self.preprocess = Preprocess.of(spec)

    def _loader(self, first_seed: int, num_clips: int) -> DataLoader[tuple[Tensor, int]]:
        stream = RenderedClips(
            first_seed=first_seed,
            num_clips=num_clips,
            num_frames=self.spec.num_frames,
            span_s=clip_span_s(self.spec.num_frames, self.spec.sampling_rate),
            heights_px=self.recipe.data.render_heights_px,
        )
        return DataLoader(
            _PreprocessedClips(stream, self.preprocess),
            batch_size=self.recipe.run.batch_size,
            num_workers=self.recipe.num_workers,
            drop_last=False,
        )

    def train_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        num_clips = self.recipe.data.clips_per_epoch
        return self._loader(TRAIN_SEED + epoch * num_clips, num_clips)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        return self._loader(VALIDATION_SEED, self.recipe.data.validation_clips)
