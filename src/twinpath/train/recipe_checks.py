"""What sections of a recipe require of each other. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from twinpath.errors import ConfigError, UnknownModel
from twinpath.models.registry import Architecture, architecture

if TYPE_CHECKING:
    from twinpath.train.recipe import Recipe

DRAWN = ("synthetic", "painted")  # kinds of data that are drawn, not read
_TRANSFORMERS = ("mvit", "vit", "reversible")  # families without batch norms, and with stochastic depth
_TAGS = ("charades", "ava")  # kinds of data with several labels of a clip
_MASKED = ("masked_pixels", "masked_hog")  # losses
NOT_YET = ("ava", "unlabelled")  # kinds of data that recipes describe and no loop takes
_RAND_AUGMENT = re.compile(r"m\d+(\.\d+)?(-n[1-9]\d?)?(-mstd\d+(\.\d+)?)?(-inc[01])?(-w0)?")

# Training on drawn worlds takes these settings, the others do nothing there.
_TAKEN_BY_DRAWN = {
    "model": ("network", "start_from", "num_classes", "frozen"),
    "data": ("kind", "clips_per_epoch", "validation_clips", "render_heights_px"),
    "clip": ("crop_px",),
    "mix": ("label_smoothing",),
    "optimizer": ("name", "weight_decay", "decay_1d", "clip_norm"),
    "schedule": ("epochs", "policy", "base_learning_rate", "warmup_epochs"),
    "loss": ("kind",),
    "evaluation": ("every_epochs",),
    "run": ("batch_size", "seed", "precision", "workers", "stored_as"),
}


def check_can_train(recipe: Recipe) -> None:
    """Check that there is a loop for a recipe.

    Raises:
        ConfigError: There is none yet.
    """
    if recipe.data.kind in NOT_YET:
        raise ConfigError(f"data.kind: networks cannot be trained on {recipe.data.kind!r} yet")
    if recipe.loss.kind in _MASKED:
        raise ConfigError(f"loss.kind: networks cannot be trained by {recipe.loss.kind!r} yet")
    if recipe.model.checkpoint_blocks:
        raise ConfigError("model.checkpoint_blocks: activations cannot be computed twice yet; leave it out")


def check_recipe(recipe: Recipe) -> None:
    """Check what no section can know alone.

    Raises:
        ConfigError: Two settings contradict each other, or one would do nothing; names the keys.
    """
    try:
        network = architecture(recipe.model.network)
    except UnknownModel as error:
        raise ConfigError(f"model.network: {error}") from error
    for problems in _CHECKS:
        for problem in problems(recipe, network):
            raise ConfigError(problem)


def _model(recipe: Recipe, network: Architecture) -> Iterator[str]:
    model = recipe.model
    is_transformer = network.family in _TRANSFORMERS
    if recipe.optimizer.layer_decay < 1 and not is_transformer:
        yield f"optimizer.layer_decay: {network.name} has batch norms; it is for transformers"
    if model.drop_path is not None and not is_transformer:
        yield f"model.drop_path: {network.name} has no stochastic depth"
    if model.inflate and not model.start_from:
        yield "model.inflate: it needs model.start_from, the image network"
    if recipe.optimizer.clip_value is not None and recipe.optimizer.clip_norm is not None:
        yield "optimizer.clip_value and optimizer.clip_norm exclude each other"


def _data(recipe: Recipe, network: Architecture) -> Iterator[str]:
    kind, loss = recipe.data.kind, recipe.loss.kind
    if network.is_detector != (kind == "ava") and kind not in DRAWN:
        needs = (
            "scores boxes: its data.kind is ava" if network.is_detector else "scores no boxes, which ava has"
        )
        yield f"data.kind: {network.name} {needs}"
    if network.is_image != (kind == "imagenet") and network.name != "resnet50":
        yield f"data.kind: imagenet and networks for images belong together, not {kind} and {network.name}"
    if (loss in _MASKED) != (kind == "unlabelled"):
        yield f"loss.kind: {loss} and {kind} do not go together; masked losses are for unlabelled videos"
    if (recipe.mask.ratio > 0) != (loss in _MASKED):
        yield f"mask.ratio: {recipe.mask.ratio} does not go with loss.kind = {loss!r}"
    many = recipe.data.multi_label or kind in _TAGS or network.is_detector
    if many and loss != "binary":
        yield f"loss.kind: several labels of one clip or person need 'binary', not {loss!r}"
    if recipe.data.multi_label and kind == "kinetics":
        yield "data.multi_label: lists of Kinetics have one label of each clip"


def _clip(recipe: Recipe, network: Architecture) -> Iterator[str]:
    clip = recipe.clip
    frames, crop = clip.frames or network.num_frames, clip.crop_px or network.train_crop
    if frames % network.frame_multiple or frames < network.min_frames:
        yield f"clip.frames: {network.name} takes a multiple of {network.frame_multiple}, not {frames}"
    if network.is_image and frames != 1:
        yield f"clip.frames: {network.name} is for images, one frame each"
    for key, bounds in (("short_side_px", clip.short_side_px), ("area", clip.area), ("aspect", clip.aspect)):
        if bounds is not None and bounds[0] > bounds[1]:
            yield f"clip.{key}: the smaller one comes first, not {bounds[0]} and {bounds[1]}"
    if clip.gaps_s is not None and clip.gaps_s[0] > clip.gaps_s[1]:
        yield "clip.gaps_s: the smaller one comes first"
    if clip.gaps_s is not None and clip.temporal_clips == 1:
        yield "clip.gaps_s: there are gaps between several clips only; see clip.temporal_clips"
    if clip.area is None and clip.short_side_px[0] < crop and recipe.data.kind not in DRAWN:
        yield f"clip.short_side_px: {clip.short_side_px[0]} is less than the crop of {crop} pixels"
    if clip.motion_shift and clip.area is None:
        yield "clip.motion_shift: it needs clip.area"
    if (clip.mean is None) != (clip.std is None):
        yield "clip.mean and clip.std belong together"
    rand_augment = recipe.augmentation.rand_augment
    if rand_augment and not _RAND_AUGMENT.fullmatch(rand_augment):
        yield f"augmentation.rand_augment: {rand_augment!r} is not like 'm7-n4-mstd0.5-inc1'"


def _mix(recipe: Recipe, network: Architecture) -> Iterator[str]:
    mix = recipe.mix
    if mix.probability == 0 or mix.mixup_alpha == 0 == mix.cutmix_alpha:
        return
    if recipe.loss.kind != "cross_entropy":
        yield f"mix: clips are mixed with one label each only, not with loss.kind = {recipe.loss.kind!r}"
    if recipe.run.batch_size * recipe.clip.repeats < 2:
        yield "mix: a batch of 1 has no clip to mix with; raise run.batch_size"


def _schedule(recipe: Recipe, network: Architecture) -> Iterator[str]:
    schedule = recipe.schedule
    if schedule.warmup_epochs >= schedule.epochs:
        yield f"schedule.warmup_epochs: {schedule.warmup_epochs:g} are not less than {schedule.epochs} epochs"
    if schedule.end_learning_rate > schedule.base_learning_rate:
        yield "schedule.end_learning_rate: it is above base_learning_rate"
    if schedule.policy != "steps":
        if schedule.steps or schedule.factors:
            yield f"schedule.steps and schedule.factors do nothing with policy = {schedule.policy!r}"
        return
    if not schedule.steps:
        yield "schedule.steps: the policy needs the epochs from which factors hold"
        return
    if schedule.steps[0] != 0 or any(a >= b for a, b in pairwise(schedule.steps)):
        yield "schedule.steps: they begin with 0 and increase"
    if schedule.steps[-1] > schedule.epochs:
        yield f"schedule.steps: the last one, {schedule.steps[-1]:g}, is after the end, {schedule.epochs}"
    if len(schedule.steps) != len(schedule.factors):
        counts = f"{len(schedule.steps)} and {len(schedule.factors)}"
        yield f"schedule.steps and schedule.factors: as many of both, not {counts}"


def _batch_norm(recipe: Recipe, network: Architecture) -> Iterator[str]:
    norm, batch = recipe.batch_norm, recipe.run.batch_size
    if norm.kind != "batch" and network.family in _TRANSFORMERS:
        yield f"batch_norm.kind: {network.name} has no batch norms"
    if norm.splits > 1 and norm.kind != "sub":
        yield "batch_norm.splits: they are for kind = 'sub'"
    if norm.kind == "sub" and batch % norm.splits:
        yield f"batch_norm.splits: a batch of {batch} has no {norm.splits} equal parts"
    if norm.devices > 1 and norm.kind != "sync":
        yield "batch_norm.devices: they are for kind = 'sync'"


def _multigrid(recipe: Recipe, network: Architecture) -> Iterator[str]:
    grid = recipe.multigrid
    if not (grid.long_cycle or grid.short_cycle):
        return
    if network.family in _TRANSFORMERS:
        yield f"multigrid: {network.name} has tables of positions, for one size of clips"
    if recipe.data.kind in (*DRAWN, "imagenet"):
        yield f"multigrid: it is for clips of videos, not for data.kind = {recipe.data.kind!r}"
    if not grid.long_cycle:
        return
    if recipe.schedule.policy != "steps":
        yield "multigrid.long_cycle: it needs schedule.policy = 'steps', whose steps it divides"
    frames = recipe.clip.frames or network.num_frames
    for factor, _ in grid.long_factors:
        if round(frames * factor) % network.frame_multiple or round(frames * factor) < network.min_frames:
            yield (
                f"multigrid.long_factors: {factor:g} of {frames} frames is no multiple of "
                f"{network.frame_multiple}, which {network.name} takes"
            )


def _drawn(recipe: Recipe, network: Architecture) -> Iterator[str]:
    kind, data = recipe.data.kind, recipe.data
    drawn = ("clips_per_epoch", "validation_clips", "render_heights_px")
    if kind not in DRAWN:
        yield from (f"data.{key}: it is for drawn worlds" for key in drawn if getattr(data, key))
        if recipe.schedule.policy == "one_cycle":
            yield "schedule.policy: 'one_cycle' is for drawn worlds; take 'cosine'"
        return
    yield from (f"data.{key}: a drawn world needs it" for key in drawn if not getattr(data, key))
    for key, value, needed in (
        ("schedule.policy", recipe.schedule.policy, "one_cycle"),
        ("optimizer.name", recipe.optimizer.name, "adamw"),
        ("optimizer.decay_1d", recipe.optimizer.decay_1d, False),
    ):
        if value != needed:
            yield f"{key}: a drawn world is trained with {str(needed).lower()!r}"
    if kind == "synthetic" and (recipe.clip.crop_px or recipe.model.frozen):
        yield "clip.crop_px and model.frozen do nothing for data.kind = 'synthetic'"
    for section, field in type(recipe).model_fields.items():
        taken = _TAKEN_BY_DRAWN.get(section, ())
        for key, value in getattr(recipe, section, ()) if field.annotation is not str else ():
            if key not in taken and value != type(getattr(recipe, section)).model_fields[key].default:
                yield f"{section}.{key}: it does nothing for data.kind = {kind!r}"


_CHECKS: tuple[Callable[[Recipe, Architecture], Iterator[str]], ...] = (
    _model,
    _data,
    _clip,
    _mix,
    _schedule,
    _batch_norm,
    _multigrid,
    _drawn,
)
