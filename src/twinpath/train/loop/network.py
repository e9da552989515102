"""The network of a recipe, with its first weights."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from twinpath.errors import ConfigError, UnknownModel
from twinpath.models.layers.attention import StochasticDepth, drop_path_rates
from twinpath.models.layers.head import Activation, HeadConfig
from twinpath.models.network import VideoNetwork
from twinpath.suggest import nearest_name
from twinpath.train.optimization.initialise import initialise_new
from twinpath.train.recomputed_blocks import recompute_blocks
from twinpath.train.sections import ModelSection
from twinpath.weights.load import load_weights
from twinpath.weights.state_dict import read_state_dict
from twinpath.zoo.create import create_model, weights_path
from twinpath.zoo.load_folder import load_folder_network
from twinpath.zoo.model_folder import is_model_folder, read_model_folder
from twinpath.zoo.records import record

logger = logging.getLogger(__name__)

_HEAD = ("head.projection",)


def recipe_network(
    model: ModelSection, *, num_classes: int, num_frames: int | None, is_multi_label: bool, seed: int
) -> VideoNetwork:
    """Build the network of a recipe.

    Its head averages over all positions, so that clips may have any size in training.

    Args:
        model: The recipe's section.
        num_classes: Outputs.
        num_frames: T of its clips; None: the network's own.
        is_multi_label: Whether scores are sigmoids.
        seed: Of the first weights.
    Raises:
        UnknownModel, ConfigError: No such network, weights or modules.
        WeightsError: The weights to start from cannot be used.
    """
    torch.manual_seed(seed)
    network = create_model(model.network, num_classes=num_classes, in_frames=num_frames)
    initialise_new(network, model)
    if model.roi_aligned is not None:
        network.head.aligned = model.roi_aligned
    if model.start_from:
        _start_from(network, model)
    activation: Activation = "sigmoid" if is_multi_label else "softmax"
    network.head.head_config = HeadConfig(activation, "logits", "whole")
    _set_rates(network, model)
    _freeze(network, model.frozen)
    if model.checkpoint_blocks:
        recompute_blocks(network)
    return network


def _start_from(network: VideoNetwork, model: ModelSection) -> None:
    """Weights of a record, a folder or a file; another last layer keeps its new ones."""
    path = Path(model.start_from)
    if path.is_file():
        _load(network, path, model)
        return
    if is_model_folder(model.start_from):
        donor = load_folder_network(read_model_folder(model.start_from))
        own, theirs = network.state_dict(), donor.state_dict()
        different = [n for n in own if n not in theirs or own[n].shape != theirs[n].shape]
        if any(not n.startswith(_HEAD) for n in different):
            raise ConfigError(f"model.start_from: {model.start_from} is another network than {model.network}")
        network.load_state_dict({n: own[n] if n in different else theirs[n] for n in own})
        return
    try:
        found = record(model.start_from)
    except UnknownModel as error:
        raise ConfigError(f"model.start_from: {error}, and no file or folder of that name") from error
    _load(network, weights_path(found), model)


def _load(network: VideoNetwork, path: Path, model: ModelSection) -> None:
    stored = read_state_dict(path).tensors.get("head.projection.weight")
    fits = stored is not None and stored.flatten(1).shape == network.get_classifier().weight.shape
    report = load_weights(
        network,
        path,
        leave_out=() if fits else _HEAD,
        resize_positions=True,
        inflate=model.inflate,
        head="network",
    )
    if fits and model.roi_aligned is None and report.head_of_file is not None:
        network.head.aligned = report.head_of_file.aligned  # boxes as this last layer knows them
    logger.info("%d tensors from %s", report.loaded, path)


def _set_rates(network: VideoNetwork, model: ModelSection) -> None:
    """Dropout before the last layer, and stochastic depth that grows with the block."""
    if model.dropout is not None:
        network.head.dropout.p = model.dropout
    if model.drop_path is None:
        return
    paths = [module for module in network.modules() if isinstance(module, StochasticDepth)]
    if not paths:
        raise ConfigError(f"model.drop_path: {model.network} has no stochastic depth; leave it out")
    for path, rate in zip(paths, drop_path_rates(model.drop_path, len(paths)), strict=True):
        path.rate = rate


def _freeze(network: nn.Module, names: tuple[str, ...]) -> None:
    """Raises: ConfigError: The network has no such module; names the nearest one."""
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            near = nearest_name(name, list(modules), cutoff=0.0)
            raise ConfigError(f"model.frozen: there is no module {name!r}; did you mean {near!r}?")
        modules[name].requires_grad_(False)
