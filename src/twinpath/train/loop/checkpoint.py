"""Checkpoints of a run: the last two are kept, each whole or not there, and hold all that a run needs to go
on at any step as if nothing had happened."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twinpath.train.batch_norms.sub import set_split_statistics, split_statistics
from twinpath.train.checkpoints import TwoFiles, intact_checkpoint
from twinpath.train.loop.figures import EpochResult
from twinpath.train.loop.sharded import load_optimizer_whole, load_weights_whole, whole

_PARTS = frozenset({"state_dict", "optimizer", "norms", "epoch", "step", "total", "losses", "history"})


@dataclass
class RunPlace:
    """Where a run is.

    Attributes:
        epoch, step: It is in this epoch, from 0, and has done so many batches of it.
        total: Steps of the weights since the beginning.
        losses: Of the batches of this epoch so far.
        history: Of all epochs that are complete.
    """

    epoch: int = 0
    step: int = 0
    total: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[EpochResult] = field(default_factory=list)


class RunCheckpoints:
    """The checkpoints of a folder.

    Args:
        folder: Of the run.
        network, average, optimizer: What is kept; without an average None.
        scaler: Of gradients in fp16, None: there is none.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Module,
        average: nn.Module | None,
        optimizer: torch.optim.Optimizer,
        scaler: Any = None,
    ) -> None:
        self._folder, self._network, self._average = folder, network, average
        self._optimizer, self._scaler = optimizer, scaler
        self._files = TwoFiles(folder)

    def save(self, state: RunPlace, *, is_first: bool = True) -> None:
        """Write the newest checkpoint; the one before is kept. Collective.

        Args:
            state: Where the run is.
            is_first: Whether this process writes.
        """
        content = {
            "state_dict": whole(self._network.state_dict()),
            "norms": split_statistics(self._network),
            "optimizer": whole(self._optimizer.state_dict()),
            "epoch": state.epoch,
            "step": state.step,
            "total": state.total,
            "losses": list(state.losses),
            "history": [asdict(result) for result in state.history],
        }
        if self._average is not None:
            content["average"] = self._average.state_dict()
        if self._scaler is not None:
            content["scaler"] = self._scaler.state_dict()
        if is_first:
            self._files.write(lambda path: torch.save(content, path))

    def load(self) -> tuple[RunPlace, dict[str, Tensor]]:
        """Set network, average and optimizer to the newest intact checkpoint.

        Returns:
            Where the run is, and statistics for `set_norms`, once the network has its phase's batch norms.
        Raises:
            DamagedWeights: None is intact; names the problem of each.
        """
        path = intact_checkpoint(self._folder, self._network, parts=_PARTS)
        self._files = TwoFiles(self._folder, resumed_from=path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        load_weights_whole(self._network, content["state_dict"])
        load_optimizer_whole(self._optimizer, content["optimizer"])
        if self._average is not None:
            self._average.load_state_dict(content["average"])
        if self._scaler is not None:
            self._scaler.load_state_dict(content["scaler"])
        history = [EpochResult(**values) for values in content["history"]]
        where = {name: content[name] for name in ("epoch", "step", "total", "losses")}
        return RunPlace(**where, history=history), content["norms"]

    def set_norms(self, statistics: dict[str, Tensor]) -> None:
        """Give sub-batch norms the statistics of their splits."""
        set_split_statistics(self._network, statistics)
