"""How a whole network is trained on few clips, and what is chosen where nothing is said. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from twinpath.cores import available_cores, cpu_abilities
from twinpath.errors import UsageError
from twinpath.recognize.plan import Views

if TYPE_CHECKING:
    from torch import nn

# Measured with the embedded network on UT-Interaction, trained on 60 of its 120 clips and tested on the rest,
# both ways round: 1440 samples at a rate of 1e-3 gave 90 and 85 %. One way round, 720 samples at 2e-3 gave
# 82 %, and a linear classifier on the embeddings 67 to 73 %. The loss still fell, so there are more.
_CPU_SAMPLES = 2600  # in all epochs: 8 minutes of a core for the embedded network
_GPU_SAMPLES = 20_000
_LEAST_SAMPLES = 48  # of an epoch: with fewer, its loss is noise, and to validate takes as long as to train
_LEAST_EPOCHS, _MOST_EPOCHS = 8, 40
_TINY_PARAMETERS = 1.3e6  # of the embedded network, for which the rate was measured
_LEAST_RATE = 1e-4
_MOST_WORKERS = 8

FullPrecision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class FullSettings:
    """How a whole network is trained.

    Attributes:
        epochs: Passes at most.
        repeats: How often an epoch takes each clip, at other times and with other changes.
        batch_size: Clips of a step.
        learning_rate: Of the last stage at its peak.
        head_learning_rate_factor: Times that: of the classifier, which is new.
        layer_decay: From the last stage to the first, each learns at this factor of the next one's rate.
        frozen_epochs: Of the classifier alone, at the beginning.
        warmup_fraction: Of the other steps; then a cosine to zero.
        weight_decay: Not on norms and biases.
        label_smoothing: Share of the target that all classes get; not for several labels a clip.
        mixup: Alpha of the beta distribution by which clips are mixed; 0: they are not.
        ema_decay: Of the average of weights that is kept, per step.
        freeze_norms: Whether batch norms keep the statistics that they have.
        patience_epochs: So long without a lower validation loss ends the run.
        smallest_area, color, randaugment, erasing, flip: See `Augmentation`.
        validation_views: Crops in space x clips in time of each validation clip, see `Views`.
        device: "cpu", "cuda", "cuda:1" …
        precision: bf16 where the device computes in it fast.
        workers: Processes that draw batches while the network trains.
        cache_bytes: Of decoded frames that are kept on the disk.
        seed: Of every random choice.
    Raises:
        UsageError: A value is out of its range.
    """

    epochs: int = 24
    repeats: int = 1
    batch_size: int = 8  # small, so that few clips make many steps, and large enough for batch norms
    learning_rate: float = 1e-3
    head_learning_rate_factor: float = 5.0  # its weights are new
    layer_decay: float = 0.75  # the stem learns at a quarter of the last stage's rate: edges stay edges
    frozen_epochs: int = 2  # or a random classifier spoils the layers below it in the first steps
    warmup_fraction: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.0
    ema_decay: float = 0.99  # over the last hundred steps: a few epochs
    freeze_norms: bool = False  # those of drawn figures do not fit real people, and a clip has many positions
    patience_epochs: int = 10
    smallest_area: float = 0.5  # below it one of two people is often outside
    color: float = 0.4
    randaugment: int = 0
    erasing: float = 0.0
    flip: bool = True
    validation_views: str = "1x3"
    device: str = "cpu"
    precision: FullPrecision = "32-true"
    workers: int = 0
    cache_bytes: int = 8 * 2**30
    seed: int = 0

    @classmethod
    def chosen(cls, num_clips: int, network: nn.Module, device: str, **changes: Any) -> FullSettings:
        """Settings for few or many clips, a small or large network, and a device.

        Args:
            num_clips: To learn from.
            network: To be trained.
            device: "cpu", "cuda", "cuda:1" …
            changes: Values of other settings, or instead of those that are chosen.
        """
        repeats = math.ceil(_LEAST_SAMPLES / max(num_clips, 1))
        samples = max(num_clips, 1) * repeats  # of an epoch
        on_cpu = device.partition(":")[0] == "cpu"
        all_samples = _CPU_SAMPLES if on_cpu else _GPU_SAMPLES
        parameters = sum(p.numel() for p in network.parameters())
        has_bf16 = "bf16" in cpu_abilities() if on_cpu else _gpu_has_bf16()
        chosen: dict[str, Any] = {
            "repeats": repeats,
            "epochs": min(max(round(all_samples / samples), _LEAST_EPOCHS), _MOST_EPOCHS),
            # A step of Adam moves every weight as far, and wide layers add up more weights.
            "learning_rate": max(1e-3 * math.sqrt(min(_TINY_PARAMETERS / parameters, 1.0)), _LEAST_RATE),
            "device": device,
            "precision": "bf16-mixed" if has_bf16 else "32-true",
            # To draw a batch of kept frames takes a tenth of a step of the smallest network on a core; a GPU
            # is a hundred times faster.
            "workers": 0 if on_cpu else min(available_cores() - 1, _MOST_WORKERS),
        }
        return cls(**chosen | changes)

    def __post_init__(self) -> None:
        whole = {
            "epochs": 1,
            "repeats": 1,
            "batch_size": 1,
            "frozen_epochs": 0,
            "patience_epochs": 1,
            "workers": 0,
            "cache_bytes": 0,
            "seed": 0,
        }
        for name, least in whole.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")
        Views.parse(self.validation_views)
        for name in ("learning_rate", "head_learning_rate_factor"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name):g}")
        shares = (
            "layer_decay",
            "warmup_fraction",
            "label_smoothing",
            "ema_decay",
            "smallest_area",
            "erasing",
        )
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be 0 to 1, not {getattr(self, name):g}")
        if self.frozen_epochs > self.epochs:
            raise UsageError(f"frozen_epochs, {self.frozen_epochs}, are more than the {self.epochs} epochs")


def _gpu_has_bf16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported())
