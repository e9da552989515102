"""Training of detection networks: what each person in a clip does, told of boxes."""

from __future__ import annotations

from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from twinpath.boxes import cropped_boxes, flipped_boxes
from twinpath.data.synthetic import TRAIN_SEED, VALIDATION_SEED, RenderedKeyframes
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Preprocess
from twinpath.models.resample import scaled_boxes
from twinpath.train.module import ActionModule
from twinpath.train.recipe import Recipe


class PeopleBatch(NamedTuple):
    """Clips and the people in them.

    Attributes:
        clips: (B, 3, T, H, W).
        boxes: (N, 5) as a detection network takes them.
        actions: (N,) int64.
    """

    clips: Tensor
    boxes: Tensor
    actions: Tensor


class PeopleModule(ActionModule):
    """Binary cross-entropy of every action of every person; the rest as in `ActionModule`."""

    def loss(self, batch: PeopleBatch) -> Tensor:  # type: ignore[override]
        logits = self.network(batch.clips.to(memory_format=torch.channels_last_3d), batch.boxes).float()
        smoothing = self.recipe.label_smoothing
        does = F.one_hot(batch.actions, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
        return F.binary_cross_entropy_with_logits(logits, does, reduction="sum") / max(len(logits), 1)

    def validation_step(self, batch: PeopleBatch, batch_index: int) -> None:  # type: ignore[override]
        self.accuracy(self.network(batch.clips, batch.boxes).float(), batch.actions)
        self.log("val_top1", self.accuracy, on_epoch=True, prog_bar=True, batch_size=len(batch.actions))


class _PreprocessedKeyframes(Dataset[PeopleBatch]):
    """Rendered clips, ready for the network; runs in the workers."""

    def __init__(self, stream: RenderedKeyframes, spec: InputSpec) -> None:
        self.stream, self.spec = stream, spec
        self.preprocess = Preprocess(short_side=spec.short_side_px, crop=None, mean=spec.mean, std=spec.std)

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: int) -> PeopleBatch:
        frames, boxes, actions = self.stream[index]
        height, width = frames.shape[1:3]
        if np.random.default_rng([self.stream.first_seed + index, 0xF1]).random() < 0.5:
            frames, boxes = np.ascontiguousarray(frames[:, :, ::-1]), flipped_boxes(boxes, width=width)
        scaled = scaled_boxes(boxes, height, width, short_side=self.spec.short_side_px)
        clip = self.preprocess(torch.from_numpy(frames)[None])
        return PeopleBatch(clip, F.pad(torch.from_numpy(scaled), (1, 0)), torch.from_numpy(actions))


def gathered(samples: list[PeopleBatch]) -> PeopleBatch:
    """Samples of one clip each to a batch.

    Rounding makes pictures of one shape a pixel wider or narrower at other sizes; the batch is as wide as the
    narrowest.
    """
    width = min(sample.clips.shape[-1] for sample in samples)
    clips = torch.cat([sample.clips[..., :width] for sample in samples])
    boxes, actions = [], []
    for i, sample in enumerate(samples):
        inside, holds = cropped_boxes(
            sample.boxes[:, 1:].numpy(), left=0, top=0, width=width, height=clips.shape[-2]
        )
        boxes.append(F.pad(torch.from_numpy(inside[holds]).float(), (1, 0), value=i))
        actions.append(sample.actions[torch.from_numpy(holds)])
    return PeopleBatch(clips, torch.cat(boxes), torch.cat(actions))


class PeopleData(L.LightningDataModule):
    """New scenes in every epoch, the same ones when a run is repeated."""

    def __init__(self, recipe: Recipe, spec: InputSpec) -> None:
        super().__init__()
        self.recipe, self.spec = recipe, spec

    def _loader(self, first_seed: int, num_clips: int) -> DataLoader[PeopleBatch]:
        stream = RenderedKeyframes(
            first_seed=first_seed,
            num_clips=num_clips,
            num_frames=self.spec.num_frames,
            sampling_rate=self.spec.sampling_rate,
            heights_px=self.recipe.render_heights_px,
        )
        return DataLoader(
            _PreprocessedKeyframes(stream, self.spec),
            batch_size=self.recipe.batch_size,
            num_workers=self.recipe.workers,
            collate_fn=gathered,
        )

    def train_dataloader(self) -> DataLoader[PeopleBatch]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return self._loader(TRAIN_SEED + epoch * self.recipe.clips_per_epoch, self.recipe.clips_per_epoch)

    def val_dataloader(self) -> DataLoader[PeopleBatch]:
        return self._loader(VALIDATION_SEED, self.recipe.validation_clips)


def warm_start(network: nn.Module, donor: nn.Module) -> None:
    """Take over every weight that both have in the same shape: nearly all of a detection network's."""
    own, other = network.state_dict(), donor.state_dict()
    fitting = {name: value for name, value in other.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict({**own, **fitting})
