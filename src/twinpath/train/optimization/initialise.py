"""First values of a new network's parameters, as the published recipes have them.

The constructors of `twinpath.models` do most of it: for convolutions a normal distribution by fan-out
(arXiv:1502.01852), a narrow one for transformers and their tables of positions, a zero scale where a residual
branch of a 3D ResNet or an X3D ends. Kernels of an image network are inflated by
`load_weights(..., inflate=True)`. Here is what a recipe decides.
Sources: PySlowFast, utils/weight_init_helper.py, models/video_model_builder.py; Goyal et al. 2017
(arXiv:1706.02677).
"""

from __future__ import annotations

import torch
from torch import nn

from twinpath.models.layers.attention import PooledAttention
from twinpath.models.layers.resnet import Bottleneck, NonLocal
from twinpath.models.network import VideoNetwork
from twinpath.models.resnet18 import BasicBlock
from twinpath.models.x3d import InvertedBottleneck
from twinpath.train.sections import ModelSection

TRANSFORMER_STD = 0.02
TRANSFORMER_BIAS = 0.02  # of linear layers and layer norms: not 0


@torch.no_grad()
def initialise_new(network: VideoNetwork, model: ModelSection) -> None:
    """Set what the constructor leaves to a recipe, before any weights are loaded.

    - Networks with residual branches that end in a batch norm: its scale is 0 (`zero_init_last_norm`) or 1.
    - The last layer of a convolutional network: a normal distribution of `head_init_std`, bias 0.
    - Transformers: biases of linear layers and layer norms are 0.02, upstream's value; the last layer is
      as the others.
    - Then the last layer times `head_init_scale`, weights and biases.

    Args:
        network: As its constructor made it; changed, with torch's global random numbers.
        model: Settings.
    """
    for last in last_norms(network):
        nn.init.constant_(last.weight, 0.0 if model.zero_init_last_norm else 1.0)
    projection = network.get_classifier()
    if is_transformer(network):
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.LayerNorm)) and module.bias is not None:
                nn.init.constant_(module.bias, TRANSFORMER_BIAS)
        nn.init.trunc_normal_(projection.weight, std=TRANSFORMER_STD)
    else:
        nn.init.normal_(projection.weight, std=model.head_init_std)
        nn.init.zeros_(projection.bias)
    projection.weight.mul_(model.head_init_scale)
    projection.bias.mul_(model.head_init_scale)


def is_transformer(network: nn.Module) -> bool:
    """Whether it has attention of tokens; non-local blocks are none."""
    return any(isinstance(module, PooledAttention) for module in network.modules())


def last_norms(network: nn.Module) -> list[nn.BatchNorm3d]:
    """The norms at the ends of residual branches."""
    found: list[nn.BatchNorm3d] = []
    for module in network.modules():
        match module:
            case Bottleneck() | InvertedBottleneck():
                found.append(module.bn_c)
            case BasicBlock():
                found.append(module.bn_b)
            case NonLocal():
                found.append(module.bn)
    return found
