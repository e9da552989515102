"""Train by a recipe on clips of files: `train_clips`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twinpath.atomic import atomic_path
from twinpath.device import leave_cores_to
from twinpath.errors import ConfigError, Interrupted
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.recognize.read import VideoReader
from twinpath.train.log.run_log import RunLog
from twinpath.train.loop.data import RecipeClips, RecipeData, read_recipe_clips
from twinpath.train.loop.figures import EpochResult, StepFigures
from twinpath.train.loop.loop import TrainingLoop
from twinpath.train.loop.network import recipe_network
from twinpath.train.loop.objective import ClassificationObjective
from twinpath.train.loop.result import write_result
from twinpath.train.machine import Machine
from twinpath.train.multigrid.schedule import MultigridSchedule, multigrid_schedule
from twinpath.train.optimization.schedule import scaled_to_batch
from twinpath.train.recipe import LAST, SETTINGS, Recipe, check_folder, to_toml
from twinpath.train.recipe_checks import check_can_train
from twinpath.zoo.create import input_spec
from twinpath.zoo.model_folder import ModelFolder

if TYPE_CHECKING:
    from lightning.fabric import Fabric

FRAMES = "frames"  # the folder of decoded frames, while a run lasts

Figures = TypeVar("Figures", StepFigures, EpochResult)


def recipe_schedule(recipe: Recipe, *, processes: int = 1) -> MultigridSchedule:
    """Phases and learning rates of a recipe.

    Raises:
        ConfigError: Settings contradict each other, or a shape that the network cannot take.
    """
    spec = recipe_spec(recipe)
    return multigrid_schedule(
        scaled_to_batch(recipe.schedule, recipe.run.batch_size * recipe.optimizer.accumulate),
        recipe.multigrid,
        batch_size=recipe.run.batch_size,
        frames=spec.num_frames,
        crop_px=recipe.clip.crop_px or architecture(recipe.model.network).train_crop,
        sampling_rate=spec.sampling_rate,
        processes=processes,
        frame_multiple=architecture(recipe.model.network).frame_multiple,
        batch_norm=recipe.batch_norm,
    )


def recipe_spec(recipe: Recipe) -> InputSpec:
    """Input of a recipe's network, with the recipe's frames and rate."""
    spec = input_spec(recipe.model.network)
    return replace(
        spec,
        num_frames=recipe.clip.frames or spec.num_frames,
        sampling_rate=recipe.clip.sampling_rate or spec.sampling_rate,
    )


def train_clips(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    machine: Machine | None = None,
    reader: VideoReader | None = None,
    on_step: Callable[[StepFigures], None] = lambda _: None,
    on_epoch: Callable[[EpochResult], None] = lambda _: None,
) -> ModelFolder | None:
    """Train by a recipe.

    Args:
        recipe: Settings.
        folder: Gets `recipe.toml`, the last two checkpoints, `metrics.csv` and what other loggers write, and
            at the end a model folder with the name of the recipe.
        resume: Go on with the run of the folder.
        machine: Where; None: one process, on a GPU where there is one.
        reader: Reads the files; None: without limits of its own.
        on_step, on_epoch: Called in the first process.
    Returns:
        The model folder; None in other processes than the first.
    Raises:
        ConfigError: Settings or folder.
        InputError: Too many clips cannot be read.
        TrainingDiverged: The loss is infinite or NaN.
        DamagedWeights: Both checkpoints are damaged.
        MissingExtra: What a logger needs is not installed.
        Interrupted: By Ctrl-C.
    """
    check_can_train(recipe)
    log = RunLog(recipe, folder)
    clips = read_recipe_clips(recipe)
    if not clips.train.clips:
        raise ConfigError("data.train: there are no clips to learn from")
    fabric = _fabric(recipe, machine or Machine())
    if fabric.is_global_zero:
        check_folder(folder, recipe, resume=resume)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / SETTINGS) as temporary:
            temporary.write_text(to_toml(recipe), "utf-8")
    fabric.barrier()
    leave_cores_to(recipe.num_workers if fabric.device.type == "cpu" else 0)
    loop = _loop(recipe, clips, folder, fabric, reader, log, on_step, on_epoch)
    try:
        with contextlib.closing(log):
            loop.run(resume=resume)
    except KeyboardInterrupt as error:
        last = folder / LAST
        how = f"resume=True goes on after {last}" if last.exists() else "no epoch was complete; start anew"
        raise Interrupted(f"stopped; {how}") from error
    if not fabric.is_global_zero:
        return None
    shutil.rmtree(folder / FRAMES, ignore_errors=True)
    result = loop.result.cpu()
    assert isinstance(result, VideoNetwork)
    if recipe.run.stored_as == "float16":
        result.half()
    return write_result(
        folder / recipe.name,
        recipe,
        result,
        loop.data.labels,
        loop.state.history,
        num_frames=recipe_spec(recipe).num_frames,
    )


def _loop(
    recipe: Recipe,
    clips: RecipeClips,
    folder: Path,
    fabric: Fabric,
    reader: VideoReader | None,
    log: RunLog,
    on_step: Callable[[StepFigures], None],
    on_epoch: Callable[[EpochResult], None],
) -> TrainingLoop:
    schedule, spec = recipe_schedule(recipe, processes=fabric.world_size), recipe_spec(recipe)
    data = RecipeData(
        recipe,
        clips,
        spec,
        schedule,
        reader=reader,
        process=fabric.global_rank,
        processes=fabric.world_size,
        on_gpu=fabric.device.type == "cuda",
        frames_folder=folder / FRAMES,
    )
    network = recipe_network(
        recipe.model,
        num_classes=data.num_classes,
        num_frames=spec.num_frames,
        is_multi_label=data.is_multi_label,
        seed=recipe.run.seed,
    )
    loop = TrainingLoop(
        recipe,
        schedule,
        network,
        data,
        ClassificationObjective(recipe, data, on_scores=log.on_scores),
        fabric,
        folder,
        on_step=_both(log.on_step, on_step),
        on_epoch=_both(log.on_epoch, on_epoch),
    )
    log.begin(data, loop.result, fabric.device, is_first=fabric.is_global_zero)
    return loop


def _both(first: Callable[[Figures], None], second: Callable[[Figures], None]) -> Callable[[Figures], None]:
    def call(figures: Figures) -> None:
        first(figures)
        second(figures)

    return call


def _fabric(recipe: Recipe, machine: Machine) -> Fabric:
    """Lightning's part: device, precision and processes."""
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    from twinpath.train.fitting import quiet_lightning

    quiet_lightning()
    local, world = (int(os.environ.get(name, 0)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    devices = local or machine.devices or 1
    nodes = max(world // devices, 1) if local else 1
    options: dict[str, Any] = {}
    if devices * nodes > 1:  # statistics of norms are averaged before an evaluation, not at each step
        options = {"strategy": DDPStrategy(broadcast_buffers=False)}
    fabric = Fabric(
        accelerator=machine.accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=recipe.run.precision,
        **options,
    )
    fabric.launch()
    return fabric
