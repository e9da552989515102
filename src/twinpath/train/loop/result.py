"""The network of a finished run as a model folder, which every command takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from twinpath import __version__
from twinpath.models.input_spec import InputSpec, Sampling
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.train.loop.figures import EpochResult
from twinpath.train.recipe import Recipe, to_toml
from twinpath.weights.load import save_weights
from twinpath.zoo.create import input_spec
from twinpath.zoo.model_card import ModelCard, WeightsSource
from twinpath.zoo.model_folder import WEIGHTS, ModelFolder, new_model_folder, read_model_folder, write_card

_SAMPLINGS: dict[str, Sampling] = {"something": "segments", "charades": "strided"}
_IMAGE_CROP = 0.875  # of the shorter side


def write_result(
    folder: Path,
    recipe: Recipe,
    network: VideoNetwork,
    labels: Sequence[str],
    history: Sequence[EpochResult],
    *,
    num_frames: int,
) -> ModelFolder:
    """Write the network, its card with the figures of the last evaluation, and the recipe in its metadata.

    Args:
        folder: The new model folder; an older one is replaced.
        recipe: Of the run.
        network: To keep, on any device.
        labels: Names of its classes.
        history: Of the run.
        num_frames: T of its clips.
    """
    name = recipe.model.network
    if recipe.clip.bgr:
        take_rgb(network)
    measured = next((result.figures for result in reversed(history) if result.figures), {})
    figures = {f"validation_{key}": round(value, 4) for key, value in measured.items()}
    card = ModelCard(
        name=recipe.name,
        network=name,
        task=architecture(name).task,
        dataset=recipe.data.kind,
        labels=tuple(labels),
        input=result_spec(recipe, num_frames),
        precision="fp32",
        view_pooling=recipe.evaluation.combine,
        min_person_score=recipe.data.least_box_score if architecture(name).is_detector else None,
        weights=WeightsSource(f"trained by the recipe {recipe.name}"),
        versions={"twinpath": __version__, "torch": str(torch.__version__)},
        figures={**figures, "epochs": float(len(history)), "seed": float(recipe.run.seed)},
    )
    metadata = {"made_by": f"twinpath {__version__}", "recipe": to_toml(recipe)}
    with new_model_folder(folder) as temporary:
        save_weights(network, temporary / WEIGHTS, metadata=metadata)
        write_card(temporary, card)
    return read_model_folder(folder)


def result_spec(recipe: Recipe, num_frames: int) -> InputSpec:
    """How the network of a recipe takes clips in an evaluation, by the rules of its data.

    One crop is the middle one everywhere [better: on Something-Something and Charades PySlowFast's is the
    left or the upper one]. Clips of Charades have every tau-th frame, and the last of several ends with the
    video; pictures are resized to 8/7 of the crop, by our one kernel, which is bilinear (there: bicubic).
    Source: PySlowFast, datasets/kinetics.py, ssv2.py, charades.py, imagenet.py.
    """
    spec, section, evaluation = input_spec(recipe.model.network), recipe.clip, recipe.evaluation
    kind = recipe.data.kind
    crop_px = evaluation.crop_px or spec.crop_px
    # Three crops cover a picture whose shorter side is theirs; one is the middle of a larger picture.
    short_side_px = crop_px if evaluation.crops == 3 else max(crop_px, section.short_side_px[0])
    if kind in ("something", "charades") or architecture(recipe.model.network).is_detector:  # sees it whole
        short_side_px = crop_px
    elif kind == "imagenet":
        short_side_px = round(crop_px / _IMAGE_CROP)
    return replace(
        spec,
        num_frames=num_frames,
        sampling_rate=section.sampling_rate or spec.sampling_rate,
        crop_px=crop_px,
        short_side_px=short_side_px,
        resize_px=None,
        mean=section.mean or spec.mean,
        std=section.std or spec.std,
        sampling=_SAMPLINGS.get(kind, "clip"),
        offset_views=evaluation.offset_views or kind == "charades",
    )


@torch.no_grad()
def take_rgb(network: nn.Module) -> None:
    """Exchange red and blue in the first convolutions of a network that learned from BGR, in place: the model
    takes RGB, as all do."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.in_channels == 3:
            module.weight.copy_(module.weight.flip(1))
