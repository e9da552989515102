"""The torch network of a model folder that holds weights. Importing this imports no torch; loading does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twinpath.errors import UsageError
from twinpath.paths import display_path
from twinpath.zoo.create import create_model, is_known, resolve
from twinpath.zoo.model_folder import WEIGHTS, ModelFolder

if TYPE_CHECKING:
    from twinpath.models.network import VideoNetwork


def set_stages_head(network: VideoNetwork, num_classes: int) -> None:
    """Give a network a new `StagesHead`.

    Raises:
        UsageError: There is none for this network.
    """
    from twinpath.models.layers.head import HeadConfig, StagesHead

    channels = network.stage_channels()
    if channels is None:
        raise UsageError(f"{type(network).__name__} has no stages that a last layer could see")
    old = network.head
    network.head = StagesHead(
        channels, num_classes, dropout=old.dropout.p, head_config=HeadConfig(old.head_config.activation)
    )


def has_network(folder: ModelFolder) -> bool:
    """Whether the folder holds weights of a network that is known here."""
    return folder.has(WEIGHTS) and folder.card.network is not None and is_known(folder.card.network)


def load_folder_network(folder: ModelFolder) -> VideoNetwork:
    """The network with the folder's weights, in training mode.

    Raises:
        UsageError: The folder holds no weights, or of a network that is not known here.
        DamagedWeights, WeightsMismatch, UnsafeWeights: See `twinpath.weights.load`.
    """
    network = new_folder_network(folder)
    from twinpath.weights.load import load_weights

    _, record = resolve(folder.card.network or "")
    is_record = record is not None and folder.card.network == record.name == folder.card.name
    head: Literal["file"] | None = None if is_record else "file"
    load_weights(network, folder.checked(WEIGHTS), head=head)
    return network


def new_folder_network(folder: ModelFolder) -> VideoNetwork:
    """The network of a folder with new weights.

    Raises:
        UsageError: The folder holds no weights, or of a network that is not known here.
    """
    shown, name = display_path(folder.path), folder.card.network
    if not folder.has(WEIGHTS):
        raise UsageError(f"{shown} holds a graph and no weights ({WEIGHTS}) of a network")
    if name is None or not is_known(name):
        raise UsageError(f"{shown} holds weights of {name or 'a network'}, which is not known here")
    architecture, _ = resolve(name)
    num_frames = folder.card.input.num_frames
    network = create_model(
        name,
        num_classes=len(folder.card.labels),
        in_frames=None if num_frames == architecture.num_frames else num_frames,
    )
    if folder.card.head == "stages":
        set_stages_head(network, len(folder.card.labels))
    return network
