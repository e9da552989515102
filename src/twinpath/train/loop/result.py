"""The network of a finished run as a model folder, which every command takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from twinpath import __version__
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.train.loop.figures import EpochResult
from twinpath.train.recipe import Recipe, to_toml
from twinpath.weights.load import save_weights
from twinpath.zoo.create import input_spec
from twinpath.zoo.model_card import ModelCard, WeightsSource
from twinpath.zoo.model_folder import WEIGHTS, ModelFolder, new_model_folder, read_model_folder, write_card


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
    spec = input_spec(name)
    evaluation, section = recipe.evaluation, recipe.clip
    crop_px = evaluation.crop_px or spec.crop_px
    is_detector = architecture(name).is_detector
    # Three crops cover a picture whose shorter side is theirs, and a detector sees it whole; one crop is the
    # middle of a larger picture.
    is_whole = is_detector or evaluation.crops == 3
    spec = replace(
        spec,
        num_frames=num_frames,
        sampling_rate=section.sampling_rate or spec.sampling_rate,
        crop_px=crop_px,
        short_side_px=crop_px if is_whole else max(crop_px, section.short_side_px[0]),
        resize_px=None,
        mean=section.mean or spec.mean,
        std=section.std or spec.std,
        offset_views=evaluation.offset_views,
    )
    measured = next((result.figures for result in reversed(history) if result.figures), {})
    figures = {f"validation_{key}": round(value, 4) for key, value in measured.items()}
    card = ModelCard(
        name=recipe.name,
        network=name,
        task=architecture(name).task,
        dataset=recipe.data.kind,
        labels=tuple(labels),
        input=spec,
        precision="fp32",
        view_pooling=evaluation.combine,
        min_person_score=recipe.data.least_box_score if is_detector else None,
        weights=WeightsSource(f"trained by the recipe {recipe.name}"),
        versions={"twinpath": __version__, "torch": str(torch.__version__)},
        figures={**figures, "epochs": float(len(history)), "seed": float(recipe.run.seed)},
    )
    metadata = {"made_by": f"twinpath {__version__}", "recipe": to_toml(recipe)}
    with new_model_folder(folder) as temporary:
        save_weights(network, temporary / WEIGHTS, metadata=metadata)
        write_card(temporary, card)
    return read_model_folder(folder)
