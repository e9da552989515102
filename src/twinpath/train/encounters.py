"""Training for features: clips of the painted world, and everything that is known about them as targets.

The network learns what happens, who of the two acts and when. Its maps after res4 also learn where heads,
hands and feet are and which of them move: dense targets, which teach more in a clip than one label does. Only
the network is kept; the layers for the other targets are thrown away.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from twinpath.data.synthetic import TRAIN_SEED, VALIDATION_SEED
from twinpath.data.synthetic.painted_clips import BODY_PARTS, NUM_MOMENTS, NUM_SIDES, PaintedClips
from twinpath.errors import ConfigError
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.models.slowfast import SlowFast
from twinpath.train.classification import ClassificationModule
from twinpath.train.recipe import Recipe
from twinpath.video.sampling import clip_span_s

SIDE_WEIGHT, MOMENT_WEIGHT, PARTS_WEIGHT = 0.3, 0.2, 1.0  # of the other losses; that of the label has 1
_RARE = 4.0  # weight of a cell with a part, of which there are few
_PIXELS_OF_CELL = 16  # of the input, for one position after res4


class EncounterBatch(NamedTuple):
    """Clips (B, 3, T, H, W), what `PaintedClip` says of each, and maps of body parts (B, P, T, g, g)."""

    clips: Tensor
    labels: Tensor
    sides: Tensor
    moments: Tensor
    body_parts: Tensor


class EncounterModule(ClassificationModule):
    """Cross-entropy of label, side and moment, and binary cross-entropy of the maps of body parts.

    Args:
        network: A SlowFast with a logit for each of ENCOUNTERS.
        recipe: The run's settings.
    Raises:
        ConfigError: Another network, or nothing has the name of a module to freeze.
    """

    def __init__(self, network: VideoNetwork, recipe: Recipe) -> None:
        if not isinstance(network, SlowFast):
            name = recipe.model.network
            raise ConfigError(f"model: the painted world trains SlowFast networks, {name} is none")
        super().__init__(network, recipe)
        modules = dict(network.named_modules())
        unknown = [name for name in recipe.model.frozen if name not in modules]
        if unknown:
            raise ConfigError(f"frozen: {recipe.model.network} has no module {unknown[0]!r}")
        for name in recipe.model.frozen:
            modules[name].requires_grad_(False)
        channels = network.get_classifier().in_features
        self.side, self.moment = nn.Linear(channels, NUM_SIDES), nn.Linear(channels, NUM_MOMENTS)
        pathways = {"slow": network.slow, "fast": network.fast}
        self.parts = nn.ModuleDict(
            {name: nn.Conv3d(p.channels[2], len(BODY_PARTS), 1) for name, p in pathways.items()}
        )
        self._maps: dict[str, Tensor] = {}
        for name, pathway in pathways.items():
            pathway.res4.register_forward_hook(self._keeper(name))

    def train(self, mode: bool = True) -> EncounterModule:
        """As of every module; frozen ones stay in evaluation, so that their statistics stay, too."""
        super().train(mode)
        for name in self.recipe.model.frozen:
            self.network.get_submodule(name).eval()
        return self

    def _keeper(self, name: str) -> Any:
        def keep(_: nn.Module, __: object, output: Tensor) -> None:
            self._maps[name] = output

        return keep

    def loss(self, batch: EncounterBatch) -> Tensor:  # type: ignore[override]
        """The weighted sum of all losses."""
        head = self.network.head
        maps = self.network.forward_features(batch.clips.to(memory_format=torch.channels_last_3d))
        embedded = head.embed(maps)
        logits = head.projection(head.dropout(embedded)).float()
        total = F.cross_entropy(logits, batch.labels, label_smoothing=self.recipe.mix.label_smoothing)
        total = total + SIDE_WEIGHT * F.cross_entropy(self.side(embedded).float(), batch.sides)
        total = total + MOMENT_WEIGHT * F.cross_entropy(self.moment(embedded).float(), batch.moments)
        rare = torch.full((), _RARE, device=logits.device)
        for name, projection in self.parts.items():
            found = projection(self._maps[name]).float()
            frames = torch.linspace(0, batch.body_parts.shape[2] - 1, found.shape[2]).long()
            target = batch.body_parts[:, :, frames].to(found.dtype)
            parts = F.binary_cross_entropy_with_logits(found, target, pos_weight=rare)
            total = total + PARTS_WEIGHT * parts
        return total

    def validation_step(self, batch: EncounterBatch, batch_index: int) -> None:  # type: ignore[override]
        self.accuracy(self.network(batch.clips).float(), batch.labels)
        self.log("val_top1", self.accuracy, on_epoch=True, prog_bar=True, batch_size=len(batch.labels))


class _NormalisedClips(Dataset[EncounterBatch]):
    """Painted clips as a network takes them. Runs in the workers."""

    def __init__(self, stream: PaintedClips, normalise: Normalise) -> None:
        self.stream, self.normalise = stream, normalise

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, index: int) -> EncounterBatch:
        clip = self.stream[index]
        return EncounterBatch(
            self.normalise(torch.from_numpy(clip.frames)[None])[0],
            torch.tensor(clip.label),
            torch.tensor(clip.side),
            torch.tensor(clip.moment),
            torch.from_numpy(clip.body_parts),
        )


class PaintedClipData(L.LightningDataModule):
    """Clips of the painted world: new ones in every epoch, the same ones when a run is repeated."""

    num_classes = PaintedClips.num_classes

    def __init__(self, recipe: Recipe, spec: InputSpec) -> None:
        super().__init__()
        self.recipe, self.spec = recipe, spec
        self.crop_px = recipe.clip.crop_px or spec.crop_px

    def _loader(self, first_seed: int, num_clips: int) -> DataLoader[EncounterBatch]:
        stream = PaintedClips(
            first_seed=first_seed,
            num_clips=num_clips,
            num_frames=self.spec.num_frames,
            span_s=clip_span_s(self.spec.num_frames, self.spec.sampling_rate),
            side_px=self.crop_px,
            heights_px=self.recipe.data.render_heights_px,
            cells=-(-self.crop_px // _PIXELS_OF_CELL),
        )
        return DataLoader(
            _NormalisedClips(stream, Normalise(mean=self.spec.mean, std=self.spec.std)),
            batch_size=self.recipe.run.batch_size,
            num_workers=self.recipe.num_workers,
        )

    def train_dataloader(self) -> DataLoader[EncounterBatch]:
        epoch = self.trainer.current_epoch if self.trainer else 0
        num_clips = self.recipe.data.clips_per_epoch
        return self._loader(TRAIN_SEED + epoch * num_clips, num_clips)

    def val_dataloader(self) -> DataLoader[EncounterBatch]:
        return self._loader(VALIDATION_SEED, self.recipe.data.validation_clips)
