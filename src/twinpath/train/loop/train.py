"""Train by a recipe on clips of files: `train_clips`."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from twinpath.atomic import atomic_path
from twinpath.device import leave_cores_to
from twinpath.errors import ConfigError, Interrupted
from twinpath.jobs.evaluate import LabelledRun
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.recognize.read import VideoReader
from twinpath.train.ava_protocol import MeasuredKeyframes, evaluate_keyframes
from twinpath.train.log.run_log import RunLog
from twinpath.train.loop.batches import TrainingBatches
from twinpath.train.loop.data import RecipeClips, RecipeData, read_recipe_clips
from twinpath.train.loop.detection import DetectionObjective
from twinpath.train.loop.figures import EpochResult, StepFigures
from twinpath.train.loop.keyframes import KeyframeData, RecipeKeyframes, read_recipe_keyframes
from twinpath.train.loop.loop import TrainingLoop
from twinpath.train.loop.network import recipe_network
from twinpath.train.loop.objective import ClassificationObjective, Objective
from twinpath.train.loop.processes import share_of, start_processes
from twinpath.train.loop.result import write_result
from twinpath.train.machine import Machine
from twinpath.train.masked.network import UNLABELLED_CLASSES, MaskedNetwork, masked_network
from twinpath.train.masked.objective import MaskedObjective
from twinpath.train.multigrid.schedule import MultigridSchedule, multigrid_schedule
from twinpath.train.optimization.schedule import scaled_to_batch
from twinpath.train.protocol import evaluate_protocol, has_protocol
from twinpath.train.recipe import LAST, SETTINGS, Recipe, check_folder, to_toml
from twinpath.train.recipe_checks import MASKED
from twinpath.zoo.create import input_spec
from twinpath.zoo.model_folder import ModelFolder, read_model_folder

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
    on_file: Callable[[int, int], None] = lambda done, of: None,
    on_evaluation: Callable[[LabelledRun | MeasuredKeyframes], None] = lambda _: None,
) -> ModelFolder | None:
    """Train by a recipe, and measure the network by its published protocol.

    Args:
        recipe: Settings.
        folder: Gets `recipe.toml`, the last two checkpoints, `metrics.csv` and what other loggers write; at
            the end a model folder with the name of the recipe, and in `evaluation` the scores of test clips
            or key frames.
        resume: Go on with the run of the folder.
        machine: Where; None: one process, on a GPU where there is one.
        reader: Reads the files, but for AVA's; None: without limits of its own.
        on_step, on_epoch: Called in the first process.
        on_file: Called in each process with how many of its files, or key frames, are measured in the end,
            and of all.
        on_evaluation: Called in the first process with the final evaluation.
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
    log = RunLog(recipe, folder)
    read = read_training(recipe)
    fabric = start_processes(machine or Machine(), precision=recipe.run.precision)
    if fabric.is_global_zero:
        check_folder(folder, recipe, resume=resume)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / SETTINGS) as temporary:
            temporary.write_text(to_toml(recipe), "utf-8")
    fabric.barrier()
    leave_cores_to(recipe.num_workers if fabric.device.type == "cpu" else 0)
    loop = _loop(recipe, read, folder, fabric, reader, log, on_step, on_epoch)
    _run(loop, log, folder, resume=resume)
    network = loop.result().cpu()
    model = _write(recipe, folder, loop, network) if fabric.is_global_zero else None
    if fabric.is_global_zero:
        shutil.rmtree(folder / FRAMES, ignore_errors=True)
    fabric.barrier()
    if recipe.evaluation.at_end:
        found = _evaluated(recipe, read, folder, fabric, reader, on_file)
        if found is not None:
            on_evaluation(found)
    return None if model is None else read_model_folder(model.path)


def _evaluated(
    recipe: Recipe,
    read: RecipeClips | RecipeKeyframes,
    folder: Path,
    fabric: Fabric,
    reader: VideoReader | None,
    on_file: Callable[[int, int], None],
) -> LabelledRun | MeasuredKeyframes | None:
    """The network measured by its published protocol; None where there is none, and in other processes than
    the first."""
    share = share_of(fabric)
    if isinstance(read, RecipeKeyframes):
        if not recipe.data.boxes_test:
            return None
        return evaluate_keyframes(recipe, folder, fabric=fabric, share=share, on_keyframe=on_file)
    if not (has_protocol(recipe) and (recipe.data.test or read.validation.clips)):
        return None
    run = evaluate_protocol(recipe, folder, fabric=fabric, share=share, reader=reader, on_file=on_file)
    return None if run.evaluation is None else run


def _run(loop: TrainingLoop, log: RunLog, folder: Path, *, resume: bool) -> None:
    """Train to the end. Raises: Interrupted: By Ctrl-C; says how to go on."""
    try:
        with contextlib.closing(log):
            loop.run(resume=resume)
    except KeyboardInterrupt as error:
        last = folder / LAST
        how = f"resume=True goes on after {last}" if last.exists() else "no epoch was complete; start anew"
        raise Interrupted(f"stopped; {how}") from error


def _write(recipe: Recipe, folder: Path, loop: TrainingLoop, result: nn.Module) -> ModelFolder:
    """The model folder of a run that came to its end."""
    if isinstance(result, MaskedNetwork):
        result = result.finished()
    assert isinstance(result, VideoNetwork)
    if recipe.run.stored_as == "float16":
        result.half()
    return write_result(
        folder / recipe.name,
        recipe,
        result,
        UNLABELLED_CLASSES if recipe.loss.kind in MASKED else loop.data.labels,
        loop.state.history,
        num_frames=recipe_spec(recipe).num_frames,
    )


def read_training(recipe: Recipe) -> RecipeClips | RecipeKeyframes:
    """What a recipe names to learn from and to evaluate with. Raises as `read_recipe_clips`."""
    if recipe.data.kind == "ava":
        return read_recipe_keyframes(recipe)
    clips = read_recipe_clips(recipe)
    if not clips.train.clips:
        raise ConfigError("data.train: there are no clips to learn from")
    return clips


def training_data(
    recipe: Recipe,
    read: RecipeClips | RecipeKeyframes,
    schedule: MultigridSchedule,
    *,
    reader: VideoReader | None = None,
    frames_folder: Path | None = None,
    **place: Any,
) -> TrainingBatches:
    """The batches of a recipe.

    Args:
        recipe: Settings.
        read: `read_training` of it.
        schedule: `recipe_schedule` of it.
        reader: Reads the files, but for AVA's.
        frames_folder: For decoded frames, see `RecipeData`.
        place: process, processes, on_gpu: as of `TrainingBatches`.
    """
    spec = recipe_spec(recipe)
    if isinstance(read, RecipeKeyframes):
        return KeyframeData(recipe, read, spec, schedule, **place)
    return RecipeData(recipe, read, spec, schedule, reader=reader, frames_folder=frames_folder, **place)


def _loop(
    recipe: Recipe,
    read: RecipeClips | RecipeKeyframes,
    folder: Path,
    fabric: Fabric,
    reader: VideoReader | None,
    log: RunLog,
    on_step: Callable[[StepFigures], None],
    on_epoch: Callable[[EpochResult], None],
) -> TrainingLoop:
    schedule, spec = recipe_schedule(recipe, processes=fabric.world_size), recipe_spec(recipe)
    data = training_data(
        recipe,
        read,
        schedule,
        reader=reader,
        frames_folder=folder / FRAMES,
        process=fabric.global_rank,
        processes=fabric.world_size,
        on_gpu=fabric.device.type == "cuda",
    )
    objective: Objective
    if isinstance(data, RecipeData):
        objective = ClassificationObjective(recipe, data, on_scores=log.on_scores)
    else:
        objective = DetectionObjective(on_scores=log.on_keyframe_scores)
    is_masked = recipe.loss.kind in MASKED
    encoder = recipe_network(
        recipe.model,
        num_classes=len(UNLABELLED_CLASSES) if is_masked else data.num_classes,
        num_frames=spec.num_frames,
        is_multi_label=data.is_multi_label,
        seed=recipe.run.seed,
    )
    network: nn.Module = encoder
    if is_masked:
        network = masked_network(recipe, encoder, num_frames=spec.num_frames, crop_px=schedule.crop_px)
        objective = MaskedObjective(network.masks, recipe.run.seed)
    loop = TrainingLoop(
        recipe,
        schedule,
        network,
        data,
        objective,
        fabric,
        folder,
        on_step=_both(log.on_step, on_step),
        on_epoch=_both(log.on_epoch, on_epoch),
    )
    kept = loop.network if loop.average is None else loop.average
    log.begin(data, kept, fabric.device, is_first=fabric.is_global_zero)
    return loop


def _both(first: Callable[[Figures], None], second: Callable[[Figures], None]) -> Callable[[Figures], None]:
    def call(figures: Figures) -> None:
        first(figures)
        second(figures)

    return call
