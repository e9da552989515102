"""Where curves and pictures of a run go: files, TensorBoard, Weights & Biases, trackio.

Each is made at the first figure, in the first process alone. Nobody is contacted whom a recipe does not name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.atomic import atomic_path
from twinpath.errors import MissingExtra, UsageError
from twinpath.render.clip_rows import Frames, gif
from twinpath.train.sections import LogSection

PICTURES = "pictures"  # the folder of the logger "files"
TENSORBOARD = "tensorboard"
RUN_ID = "log_id.txt"  # by which services know a run again that goes on

_UNSAFE = re.compile(r"[^\w.\- ]|^\.+")  # in the name of a file
_LONGEST = 80  # characters of one
_FLUSH_S = 30
_BINS = 64
_NEEDS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}


class RunLogger(Protocol):
    """Takes what is to be seen. Steps are those of the weights since the beginning of the run.

    Attributes:
        keeps_all: Whether it keeps what it has, so that steps that are made again must not be given to it.
    """

    keeps_all: bool

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves, by name: "train/loss"."""

    def picture(self, name: str, picture: Image.Image, step: int) -> None:
        """A picture."""

    def film(self, name: str, frames: Frames, step: int) -> None:
        """A film of (T, H, W, 3) uint8."""

    def histogram(self, name: str, values: NDArray[np.floating[Any]], step: int) -> None:
        """The distribution of finite values."""

    def flush(self) -> None:
        """What was taken can be seen."""

    def close(self) -> None:
        """Nothing more comes."""


def check_loggers(log: LogSection) -> None:
    """Check that what the loggers of a recipe need is installed. Nothing of it is imported.

    Raises:
        MissingExtra: Something is not; the message has the command that installs it.
    """
    for name in log.loggers:
        module = _NEEDS.get(name)
        if module is not None and not is_installed(module):
            raise MissingExtra(
                f"log.loggers: {name!r} needs {module}; install it with: pip install 'twinpath[{name}]'"
            )


def is_installed(module: str) -> bool:
    """Whether a module can be imported; does not import it."""
    return importlib.util.find_spec(module) is not None


def begin_services(log: LogSection, folder: Path, *, name: str, recipe: str) -> list[RunLogger]:
    """Those of a recipe's loggers that are services.

    Args:
        log: Section of the recipe.
        folder: Of the run.
        name: Of the recipe.
        recipe: Its text.
    Raises:
        UsageError: One cannot begin, for example without a login.
    """
    names = [each for each in ("wandb", "trackio") if each in log.loggers]
    return [ServiceRun(each, folder, log.project, name, recipe) for each in names]


def local_loggers(log: LogSection, folder: Path, *, recipe: str, first_step: int) -> list[RunLogger]:
    """Those that write to the folder, but for "csv", which each run has.

    Args:
        log, folder, recipe: See `begin_services`.
        first_step: The first one that is made now; later ones of an earlier process do not count.
    """
    loggers: list[RunLogger] = []
    if "files" in log.loggers:
        loggers.append(PictureFiles(folder / PICTURES))
    if "tensorboard" in log.loggers:
        loggers.append(TensorBoardRun(folder, recipe, first_step))
    return loggers


class PictureFiles:
    """PNG and GIF files of the last evaluation.

    Args:
        folder: Theirs alone: those of the evaluation before are removed.
    """

    keeps_all = False

    def __init__(self, folder: Path) -> None:
        self._folder, self._step = folder, -1

    def figures(self, values: Mapping[str, float], step: int) -> None:
        pass  # metrics.csv has them

    def picture(self, name: str, picture: Image.Image, step: int) -> None:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        self._write(f"{name}.png", buffer.getvalue(), step)

    def film(self, name: str, frames: Frames, step: int) -> None:
        self._write(f"{name}.gif", gif(frames), step)

    def histogram(self, name: str, values: NDArray[np.floating[Any]], step: int) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _write(self, name: str, content: bytes, step: int) -> None:
        if step != self._step:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._step = step
        *folders, file = (_UNSAFE.sub("_", part) for part in name.split("/"))
        with atomic_path(self._folder.joinpath(*folders, file[-_LONGEST:])) as temporary:
            temporary.write_bytes(content)


class TensorBoardRun:
    """Events for TensorBoard, in the run's folder, through Lightning's logger.

    Args:
        folder: Of the run.
        recipe: Its text, which is shown.
        first_step: TensorBoard shows no earlier event from this step on.
    """

    keeps_all = False

    def __init__(self, folder: Path, recipe: str, first_step: int) -> None:
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        purge = first_step if first_step > 1 else None
        self._logger = TensorBoardLogger(
            folder, name=TENSORBOARD, version="", flush_secs=_FLUSH_S, purge_step=purge
        )
        self._writer = self._logger.experiment
        self._writer.add_text("recipe", "\n".join(f"    {line}" for line in recipe.splitlines()), first_step)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        self._logger.log_metrics(values, step)

    def picture(self, name: str, picture: Image.Image, step: int) -> None:
        self._writer.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")

    def film(self, name: str, frames: Frames, step: int) -> None:
        """As a GIF: torch's own way to write films needs moviepy."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        _, height, width, colours = frames.shape
        image = Summary.Image(
            height=height, width=width, colorspace=colours, encoded_image_string=gif(frames)
        )
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)

    def histogram(self, name: str, values: NDArray[np.floating[Any]], step: int) -> None:
        self._writer.add_histogram(name, values, step, bins="auto" if len(values) < 1000 else _BINS)

    def flush(self) -> None:
        self._logger.save()

    def close(self) -> None:
        self._logger.finalize("success")


class ServiceRun:
    """Weights & Biases, or trackio, which has the same functions and keeps its runs on this machine.

    They know a run that goes on by an identity in its folder.

    Args:
        service: Name of the module.
        folder: Of the run.
        project: There.
        name: Of the run there, before its identity.
        recipe: Its text.
    Raises:
        UsageError: It cannot begin, for example without a login.
    """

    keeps_all = True

    def __init__(self, service: str, folder: Path, project: str, name: str, recipe: str) -> None:
        self._module = importlib.import_module(service)
        identity = _identity(folder)
        options: dict[str, Any] = {
            "project": project,
            "name": f"{name}-{identity}",
            "resume": "allow",
            "config": {"recipe": recipe},
        }
        if service == "wandb":
            options |= {"id": identity, "dir": str(folder)}
        else:
            options |= {"auto_log_gpu": False, "auto_log_cpu": False, "embed": False}
        errors = (OSError, RuntimeError, ValueError, getattr(self._module, "Error", ValueError))
        try:
            with contextlib.redirect_stdout(sys.stderr):  # results go to stdout
                self._module.init(**options)
        except errors as error:
            raise UsageError(f"log.loggers: {service!r} cannot begin: {error}") from error

    def figures(self, values: Mapping[str, float], step: int) -> None:
        self._module.log(dict(values), step=step)

    def picture(self, name: str, picture: Image.Image, step: int) -> None:
        self._module.log({name: self._module.Image(np.asarray(picture.convert("RGB")))}, step=step)

    def film(self, name: str, frames: Frames, step: int) -> None:
        """The frames side by side: their films need programs of their own."""
        side_by_side = np.concatenate(list(frames[:: max(1, len(frames) // 8)]), axis=1)
        self._module.log({name: self._module.Image(side_by_side)}, step=step)

    def histogram(self, name: str, values: NDArray[np.floating[Any]], step: int) -> None:
        counts = np.histogram(values, bins=_BINS)
        self._module.log({name: self._module.Histogram(np_histogram=counts)}, step=step)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        with contextlib.redirect_stdout(sys.stderr):
            self._module.finish()


def _identity(folder: Path) -> str:
    """Of a run; the same each time it goes on."""
    path = folder / RUN_ID
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(secrets.token_hex(4), "ascii")
    return path.read_text("ascii").strip()
