"""A whole network on labelled clips, end to end.

    settings = FullSettings.chosen(len(train), network, "cpu")
    result = train_full(network, spec, train, validation, classes, is_multi_label=False, settings=settings,
                        folder=Path("run"), resume=True, progress=True)
    network.load_state_dict(result.state_dict)

The folder gets the decoded frames, `run.json`, the last two checkpoints, the weights of the best epoch and
`metrics/`. Killed at any moment, the run goes on after its last whole epoch and ends with the same weights:
on a CPU bit for bit, with as many threads as before.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from twinpath.atomic import atomic_path
from twinpath.data.labelled.clip import LabelledClip
from twinpath.device import leave_cores_to
from twinpath.errors import ConfigError, InputError, LimitExceeded, is_out_of_memory
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.recognize.read import VideoReader
from twinpath.train.checkpoints import LastTwoCheckpoints, intact_checkpoint
from twinpath.train.finetune.decoded import Progress
from twinpath.train.finetune.full_data import LabelledVideoData, clip_name
from twinpath.train.finetune.full_module import EpochFigures, FullModule, Task
from twinpath.train.finetune.full_settings import FullSettings
from twinpath.train.fitting import fit, quiet_lightning
from twinpath.train.recipe import LAST, holds_run

FRAMES = "frames"  # the folder of decoded frames
RUN = "run.json"  # what the run was begun with

_FREE_CHOICES = ("workers", "cache_bytes")  # settings that may change in a run


@dataclass(frozen=True, eq=False)
class FullResult:
    """A trained network.

    Attributes:
        state_dict: Of the averaged weights after the best epoch.
        epoch: That epoch, from 0.
        history: Of all epochs.
        failed: Clips that could not be read and were left out, with the reason.
    """

    state_dict: dict[str, Tensor]
    epoch: int
    history: tuple[EpochFigures, ...]
    failed: tuple[tuple[LabelledClip, Exception], ...]


def train_full(
    network: VideoNetwork,
    spec: InputSpec,
    train: Sequence[LabelledClip],
    validation: Sequence[LabelledClip],
    classes: Sequence[str],
    *,
    is_multi_label: bool,
    settings: FullSettings,
    folder: Path,
    resume: bool = False,
    progress: bool = True,
    new_classifier: bool = True,
    reader: VideoReader | None = None,
    frames_folder: Path | None = None,
    on_read: Progress | None = None,
    on_epoch: Callable[[EpochFigures], None] | None = None,
) -> FullResult:
    """Train a network on labelled clips.

    Args:
        network: With weights to start from; changed in place.
        spec: Its input.
        train: Clips to learn from.
        validation: Clips that say which epoch is the best; none: the last one is.
        classes: Names of the classes in the order of the outputs.
        is_multi_label: Whether a clip may have several classes, or none.
        settings: How.
        folder: Of the run, see above.
        resume: Go on with the run of the folder, if there is one.
        progress: Show a bar with the time left, on stderr.
        new_classifier: Begin with a new last layer; otherwise the network's is one for `classes`.
        reader: Reads the files; None: with the default limits.
        frames_folder: Keeps decoded frames, for several runs; None: one in `folder`, removed at the end.
        on_read: Called with how many clips were read, and of how many.
        on_epoch: Called after each epoch.
    Raises:
        InputError: More than a third of the clips cannot be read; names all of them. Or a clip that was read
            before cannot be read any more.
        ConfigError: `folder` holds another run.
        DamagedWeights: Both checkpoints are damaged.
        TrainingDiverged: The loss is infinite or NaN.
        LimitExceeded: The memory does not suffice for a batch.
        Interrupted, Terminated: Stopped by the user.
        WorkerDied: A process that draws clips was killed.
    """
    run = _Run(spec, tuple(train), tuple(validation), tuple(classes), is_multi_label, settings, folder)
    before = run.begun(resume=resume)
    data = LabelledVideoData(
        train,
        validation,
        classes,
        spec=spec,
        settings=settings,
        reader=reader or VideoReader(),
        frames_folder=frames_folder or folder / FRAMES,
    )
    data.decode(None if before is None else before.failed, on_read)
    torch.manual_seed(settings.seed)
    if new_classifier:
        network.reset_classifier(len(classes))
    module = FullModule(network, _task(data, is_multi_label=is_multi_label), settings, folder, on_epoch)
    with _threads(settings.workers, None if before is None else before.threads):
        if before is None:
            run.begin(_Begun(data.failed, torch.get_num_threads()))
        _train(module, data, folder, resume=resume, progress=progress)
    best = module.load_best()
    if frames_folder is None:
        shutil.rmtree(folder / FRAMES, ignore_errors=True)
    state = {name: tensor.detach().cpu().clone() for name, tensor in module.average.state_dict().items()}
    failed = tuple((data.clips[i], error) for i, error in sorted(data.failed.items()))
    return FullResult(state, best.epoch, tuple(module.state.history), failed)


def _task(data: LabelledVideoData, *, is_multi_label: bool) -> Task:
    return Task(
        data.spec,
        is_multi_label,
        data.class_weights(is_multi_label=is_multi_label),
        [clip_name(data.clips[i]) for i in data.train_indices],
        data.steps_per_epoch,
    )


def _train(
    module: FullModule,
    data: LabelledVideoData,
    folder: Path,
    *,
    resume: bool,
    progress: bool,
) -> None:
    """All epochs that are not done yet."""
    quiet_lightning()
    settings = module.settings
    checkpoint = intact_checkpoint(folder, module) if resume and holds_run(folder) else None
    if checkpoint is not None:
        module.on_load_checkpoint(torch.load(checkpoint, map_location="cpu", weights_only=True))
        if module.state.is_over(settings.patience_epochs):
            return
    on_cpu = torch.device(settings.device).type == "cpu"
    bar = [RichProgressBar(console_kwargs={"stderr": True})] if progress else []
    trainer = L.Trainer(
        accelerator="cpu" if on_cpu else "gpu",
        devices=1 if on_cpu else [torch.device(settings.device).index or 0],
        max_epochs=settings.epochs,
        precision=settings.precision,
        logger=CSVLogger(folder, name="metrics", version=""),
        callbacks=[LastTwoCheckpoints(folder, resumed_from=checkpoint), *bar],
        enable_progress_bar=progress,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,  # each epoch has an order and changes of its own
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        gradient_clip_val=1.0,
    )
    try:
        fit(trainer, module, data, checkpoint=checkpoint, last=folder / LAST)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise LimitExceeded(
            f"the memory does not suffice for batches of {settings.batch_size} clips; lower batch_size"
        ) from error


@contextlib.contextmanager
def _threads(workers: int, as_before: int | None) -> Iterator[None]:
    """In the block torch has the threads that workers leave, or as many as before: others round otherwise."""
    usual = torch.get_num_threads()
    try:
        leave_cores_to(workers)
        if as_before is not None:
            torch.set_num_threads(as_before)
        yield
    finally:
        torch.set_num_threads(usual)


@dataclass(frozen=True, eq=False)
class _Begun:
    """A run in a folder.

    Attributes:
        failed: The clips that it could not read, by index.
        threads: Of torch.
    """

    failed: dict[int, Exception]
    threads: int


@dataclass(frozen=True, eq=False)
class _Run:
    """What a run was asked for; arguments of `train_full`."""

    spec: InputSpec
    train: tuple[LabelledClip, ...]
    validation: tuple[LabelledClip, ...]
    classes: tuple[str, ...]
    is_multi_label: bool
    settings: FullSettings
    folder: Path

    def begun(self, *, resume: bool) -> _Begun | None:
        """The run in the folder; None: there is none yet.

        Raises:
            ConfigError: There is one, and it is not to be resumed, or differs.
        """
        path = self.folder / RUN
        if not path.exists():
            return None
        if not resume:
            raise ConfigError(
                f"{self.folder} holds a run already; go on with resume=True, or choose another folder"
            )
        before = json.loads(path.read_text("utf-8"))
        changed = [key for key, value in self._asked().items() if before.get(key) != value]
        if changed:
            raise ConfigError(
                f"{self.folder} was begun with another {', '.join(changed)}; go on with the same, or choose "
                "another folder"
            )
        failed: dict[int, Exception] = {
            int(index): InputError(reason) for index, reason in before["failed"].items()
        }
        return _Begun(failed, before["threads"])

    def begin(self, begun: _Begun) -> None:
        """Write what the run is begun with."""
        reasons = {str(index): str(error) for index, error in begun.failed.items()}
        found = {"failed": reasons, "threads": begun.threads}
        text = json.dumps(self._asked() | found, indent=1, ensure_ascii=False)
        with atomic_path(self.folder / RUN) as temporary:
            temporary.write_text(text, "utf-8")

    def _asked(self) -> dict[str, Any]:
        """All that decides on the weights, as JSON values."""
        settings = {k: v for k, v in asdict(self.settings).items() if k not in _FREE_CHOICES}
        clips = {
            name: [[str(c.path), c.start_s, c.end_s, c.clock, *c.labels] for c in part]
            for name, part in (("train", self.train), ("validation", self.validation))
        }
        labels = {"classes": list(self.classes), "is_multi_label": self.is_multi_label}
        return {**settings, "spec": str(self.spec), **labels, **clips}
