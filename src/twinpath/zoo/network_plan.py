"""The stages of a network, a record or a model folder. Importing this imports no torch; calling does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinpath.extras import check_torch
from twinpath.results.network_plan import NetworkPlan
from twinpath.zoo.create import create_model, input_spec, resolve
from twinpath.zoo.load_folder import new_folder_network
from twinpath.zoo.model_folder import ModelFolder

if TYPE_CHECKING:
    from twinpath.models.input_spec import InputSpec
    from twinpath.models.network import VideoNetwork


def network_plan(name: str) -> NetworkPlan:
    """The stages of a network or a record, for a clip of its size. No weights are needed.

    Raises:
        UnknownModel: No such name; names the nearest one.
        MissingExtra: torch is not installed.
    """
    check_torch("the stages of a network")
    architecture, record = resolve(name)
    if record is not None and name != architecture.name:
        name = record.name
    from twinpath.models.shapes_only import shapes_only

    with shapes_only():
        network = create_model(name)
    return _plan(name, network, input_spec(name))


def network_plan_of_folder(folder: ModelFolder) -> NetworkPlan:
    """The same of a model folder.

    Raises:
        UsageError: The folder holds a graph, and no weights of a network that is known here.
        MissingExtra: torch is not installed.
    """
    check_torch("the stages of a network")
    from twinpath.models.shapes_only import shapes_only

    with shapes_only():
        network = new_folder_network(folder)
    return _plan(folder.card.name, network, folder.card.input)


def _plan(name: str, network: VideoNetwork, spec: InputSpec) -> NetworkPlan:
    from twinpath.models.detection import DetectionNetwork
    from twinpath.models.slowfast import SlowFast
    from twinpath.models.stages import stages_of

    boxes = int(isinstance(network, DetectionNetwork))
    return NetworkPlan(
        name,
        spec.num_frames,
        spec.crop_px,
        spec.num_frames // network.alpha if isinstance(network, SlowFast) else None,
        network.get_classifier().out_features,
        boxes,
        tuple(stages_of(network, num_frames=spec.num_frames, crop=spec.crop_px, boxes=boxes)),
    )
