"""Checkpoints of a run: the last two epochs are kept, and a run resumes from the newest intact one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import nn

from twinpath.atomic import atomic_path
from twinpath.errors import DamagedWeights, InputError, WeightsError
from twinpath.train.recipe import LAST, PREVIOUS
from twinpath.weights.formats import read_weights

logger = logging.getLogger(__name__)

# What Lightning needs to resume from.
_PARTS = {"epoch", "global_step", "loops", "lr_schedulers", "optimizer_states", "state_dict"}


class TwoFiles:
    """`last.ckpt` and the one before it, `previous.ckpt`.

    Args:
        folder: Of the run.
        resumed_from: The checkpoint that the run was resumed from; None: it is new. Where this is not
            `last.ckpt`, that one is damaged and does not become `previous.ckpt`.
    """

    def __init__(self, folder: Path, *, resumed_from: Path | None = None) -> None:
        self._last, self._previous = folder / LAST, folder / PREVIOUS
        self._last_is_intact = resumed_from in (None, self._last)

    def write(self, save: Callable[[Path], None]) -> None:
        """Write a new `last.ckpt`, by a function that gets its temporary path."""
        with atomic_path(self._last) as temporary:
            save(temporary)
            if self._last_is_intact and self._last.exists():
                self._last.replace(self._previous)
        self._last_is_intact = True


class LastTwoCheckpoints(Checkpoint):
    """Writes `last.ckpt` after each epoch and keeps the one before as `previous.ckpt`; see `TwoFiles`."""

    def __init__(self, folder: Path, *, resumed_from: Path | None = None) -> None:
        self._files = TwoFiles(folder, resumed_from=resumed_from)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._files.write(trainer.save_checkpoint)


def intact_checkpoint(folder: Path, module: nn.Module, *, parts: Set[str] = _PARTS) -> Path:
    """The newest checkpoint of a run that can be resumed from; a damaged one is named in a warning.

    Args:
        folder: Of the run; holds one at least.
        module: Its parameters and buffers must have the names and shapes of the checkpoint's `state_dict`.
        parts: What a checkpoint must hold.
    Raises:
        DamagedWeights: None is intact; names the problem of each.
    """
    problems: list[str] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        problem = _problem_of(path, module, parts)
        if problem is None:
            for earlier in problems:
                logger.warning("%s; resuming from %s", earlier, path)
            return path
        problems.append(problem)
    raise DamagedWeights(f"{'; '.join(problems)}; start a new run in another folder")


def _problem_of(path: Path, module: nn.Module, parts: Set[str]) -> str | None:
    """Why a checkpoint cannot be resumed from; None where it can."""
    try:
        tensors = read_weights(path).tensors  # checks every byte
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (WeightsError, InputError) as error:
        return str(error)
    missing = sorted(parts - content.keys())
    if missing:
        return f"{path} is no checkpoint of a run: it lacks {', '.join(missing)}"
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != {name: tensor.shape for name, tensor in module.state_dict().items()}:
        return f"{path} is of another network"
    return None
