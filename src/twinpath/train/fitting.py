"""Lightning's loop under the errors of this package."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import lightning as L

from twinpath.errors import Interrupted, Terminated, TwinpathError, WorkerDied


def fit(
    trainer: L.Trainer,
    module: L.LightningModule,
    data: L.LightningDataModule,
    *,
    checkpoint: Path | None,
    last: Path,
    workers_do: str = "draws clips",
) -> None:
    """Train to the end, from a checkpoint if there is one.

    Args:
        trainer, module, data: Of Lightning.
        checkpoint: Where to go on; None: at the beginning.
        last: The checkpoint that the run writes.
        workers_do: What the processes of the data do, for the error of one that died.
    Raises:
        Interrupted, Terminated: Stopped by the user.
        WorkerDied: A process of the data was killed.
    """
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # how Lightning ends after Ctrl-C
        if not trainer.interrupted:
            raise
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _worker_died(error, last, workers_do) from error
    if trainer.interrupted:
        raise Interrupted(f"stopped; {_how_to_go_on(last)}")


def _how_to_go_on(last: Path) -> str:
    return f"resume=True goes on after {last}" if last.exists() else "no epoch was complete; start anew"


def _worker_died(error: RuntimeError, last: Path, workers_do: str) -> TwinpathError:
    """The error for a process of the data that was killed."""
    if any(f"signal: {name}" in str(error) for name in ("Terminated", "Hangup")):  # the whole process group
        return Terminated(f"terminated; {_how_to_go_on(last)}")
    return WorkerDied(
        f"a process that {workers_do} died ({str(error).splitlines()[0]}); {_how_to_go_on(last)}"
    )


def quiet_lightning() -> None:
    """Its advice on loggers and workers is for users of Lightning, and so is what it says of processes."""
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    # Of several processes: gradients of kernels of one pixel are laid out in two ways, which mean the same.
    warnings.filterwarnings("ignore", message="Grad strides do not match")
