"""Training of detection networks with Lightning: clips, and the boxes and actions of the persons in them."""

from __future__ import annotations

from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from twinpath.boxes import cropped_boxes, flipped_boxes
from twinpath.data.synthetic import ACTIONS, TRAIN_SEED, VALIDATION_SEED, RenderedKeyframes
from twinpath.models.input_spec import InputSpec
from twinpath.models.preprocess import Preprocess
from twinpath.train.classification import ClassificationModule
from twinpath.train.recipe import Recipe
from twinpath.video.resize import scaled_boxes


class KeyframeBatch(NamedTuple):
    """Clips and the persons in them.

    Attributes:
        clips: (B, 3, T, H, W).
        boxes: (N, 5): index of the clip, x1, y1, x2, y2 in pixels of the clip.
        actions: (N,) int64, an index of a class for each box.
    """

    clips: Tensor
    boxes: Tensor
    actions: Tensor


class DetectionModule(ClassificationModule):
    """Binary cross-entropy of the actions of each person; the rest as in `ClassificationModule`."""

    def loss(self, batch: KeyframeBatch) -> Tensor:  # type: ignore[override]
        """The training loss: the sum over classes, the mean over persons; 0 without any."""
        logits = self.network(batch.clips.to(memory_format=torch.channels_last_3d), batch.boxes).float()
        smoothing = self.recipe.mix.label_smoothing
        targets = F.one_hot(batch.actions, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / max(len(logits), 1)

    def validation_step(self, batch: KeyframeBatch, batch_index: int) -> None:  # type: ignore[override]
        self.accuracy(self.network(batch.clips, batch.boxes).float(), batch.actions)
        self.log("val_top1", self.accuracy, on_epoch=True, prog_bar=True, batch_size=len(batch.actions))


class _PreprocessedKeyframes(Dataset[KeyframeBatch]):
    """Rendered clips of one keyframe each, preprocessed, half of them mirrored. Runs in the workers."""

    def __init__(self, stream: RenderedKeyframes, spec: InputSpec) -> None:
        self.stream, self.spec = stream, spec
        self.preprocess = Preprocess.of(spec, whole=True)

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: int) -> KeyframeBatch:
        frames, boxes, actions = self.stream[index]
        height, width = frames.shape[1:3]
        if np.random.default_rng([self.stream.first_seed + index, 0xF1]).random() < 0.5:
            frames, boxes = np.ascontiguousarray(frames[:, :, ::-1]), flipped_boxes(boxes, width=width)
        scaled = scaled_boxes(boxes, height, width, short_side=self.spec.short_side_px)
        clip = self.preprocess(torch.from_numpy(frames)[None])
        return KeyframeBatch(clip, F.pad(torch.from_numpy(scaled), (1, 0)), torch.from_numpy(actions))


def collate_keyframes(samples: list[KeyframeBatch]) -> KeyframeBatch:
    """Join samples of one clip each to a batch.

    Resized frames differ in width by a pixel, since sizes are rounded; the batch has the smallest width.
    Boxes that lie beyond it are left out.
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
    return KeyframeBatch(clips, torch.cat(boxes), torch.cat(actions))


class SyntheticKeyframeData(L.LightningDataModule):
    """Scenes of several persons: new ones in every epoch, the same ones when a run is repeated."""

    num_classes = len(ACTIONS)

    def __init__(self, recipe: Recipe, spec: InputSpec) -> None:
        super().__init__()
        self.recipe, self.spec = recipe, spec

    def _loader(self, first_seed: int, num_clips: int) -> DataLoader[KeyframeBatch]:
        stream = RenderedKeyframes(
            first_seed=first_seed,
            num_clips=num_clips,
            num_frames=self.spec.num_frames,
            sampling_rate=self.spec.sampling_rate,
            heights_px=self.recipe.data.render_heights_px,
        )
        return DataLoader(
            _PreprocessedKeyframes(stream, self.spec),
            batch_size=self.recipe.run.batch_size,
            num_workers=self.recipe.num_workers,
            collate_fn=collate_keyframes,
        )

    def train_dataloader(self) -> DataLoader[KeyframeBatch]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        num_clips = self.recipe.data.clips_per_epoch
        return self._loader(TRAIN_SEED + epoch * num_clips, num_clips)

    def val_dataloader(self) -> DataLoader[KeyframeBatch]:
        return self._loader(VALIDATION_SEED, self.recipe.data.validation_clips)


def warm_start(network: nn.Module, donor: nn.Module) -> None:
    """Copy every parameter and buffer that both have in one shape: nearly all of a detection network's."""
    own, other = network.state_dict(), donor.state_dict()
    common = {name: value for name, value in other.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict({**own, **common})
