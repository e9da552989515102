"""What a way of fine-tuning gives: a network with own classes, and scores of clips that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from twinpath.models.network import VideoNetwork
    from twinpath.zoo.model_card import HeadKind
    from twinpath.zoo.model_facts import ModelFacts


@dataclass(frozen=True, eq=False)
class Learned:
    """A network, and how it was made.

    Attributes:
        network: In evaluation mode.
        head: What its last layer sees.
        scores: (N, C): of the clips that were evaluated, by what had not seen them; NaN for the others.
        how: Figures of the way, for the card.
        notes: What a user should know, a sentence each.
    """

    network: VideoNetwork
    scores: NDArray[np.float32]
    head: HeadKind = "last"
    how: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def own_network(
    facts: ModelFacts, num_classes: int, *, is_multi_label: bool, head: HeadKind = "last"
) -> VideoNetwork:
    """The network of a model with a new last layer, whose scores are of the mean embedding over positions.

    Args:
        facts: The model.
        num_classes: Own classes.
        is_multi_label: Whether scores are sigmoids.
        head: What the last layer sees.
    """
    from twinpath.models.layers.head import Activation, HeadConfig
    from twinpath.zoo.create import load_network
    from twinpath.zoo.load_folder import load_folder_network, set_stages_head

    network = load_network(facts.model) if facts.folder is None else load_folder_network(facts.folder)
    if head == "stages" and not network.head.takes_stages:
        set_stages_head(network, num_classes)
    network.reset_classifier(num_classes)
    activation: Activation = "sigmoid" if is_multi_label else "softmax"
    network.head.head_config = HeadConfig(activation, "logits", network.head.head_config.pooling)
    return network.eval()


def set_last_layer(
    network: VideoNetwork, weight_CD: NDArray[np.float32], bias_C: NDArray[np.float32]
) -> None:
    """Replace the numbers of the last layer."""
    import torch

    last = network.get_classifier()
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight_CD))
        last.bias.copy_(torch.from_numpy(bias_C))
