"""Whose weights a file holds that no network here has, to judge by the names in it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ZOO = "take the same network's weights of PyTorchVideo or PySlowFast (see list_models()), or run it there"
_THERE = "run it with the project that it is from"
_HUGGING_FACE = "run it with transformers"
_NO_ACTIONS = "it finds no actions; give weights of an action network"

# fmt: off
# Signs in the names, the first that is found counts: pattern, whose, what to do.
_SIGNS: tuple[tuple[str, str, str], ...] = (
    (r"^backbone\.(slow|fast)_path\.", "MMAction2 (SlowFast)", _ZOO),
    (r"^roi_head\.bbox_head\.", "MMAction2 (detection of actions)", _ZOO),
    (r"^cls_head\.", "MMAction2", _ZOO),
    (r"^backbone\.layer\d\.\d+\.conv\d\.(conv|bn)\.", "MMAction2", _ZOO),
    (r"^(model\.)?videomae\.", "VideoMAE in transformers (Hugging Face)", _HUGGING_FACE),
    (r"^timesformer\.", "TimeSformer in transformers (Hugging Face)", _HUGGING_FACE),
    (r"^vivit\.", "ViViT in transformers (Hugging Face)", _HUGGING_FACE),
    (r"(^|\.)(temporal_attn|temporal_fc|time_embed)(\.|$)", "TimeSformer", _THERE),
    (r"(^|\.)(q_bias|encoder_to_decoder|mask_token)(\.|$)", "VideoMAE or a like transformer", _THERE),
    (r"relative_position_bias_table$", "a Swin transformer", _THERE),
    (r"^blocks[1-4]\.\d+\.(pos_embed|dwconv|conv1)\.", "UniFormer", _THERE),
    (r"^blocks\.b\d+_l\d+\.", "MoViNet", _THERE),
    (r"^(Conv3d_1a_7x7|Mixed_\d\w)\.", "the I3D of the Inception family", _THERE),
    (r"^(base_model|new_fc)\.", "TSN or TSM", _THERE),
    (r"^(visual\.transformer|text_model|vision_model|transformer\.resblocks)\.", "CLIP, or like it", _THERE),
    (r"^backbone\.bottom_up\.|^proposal_generator\.", "Detectron2", _NO_ACTIONS),
    (r"^(rpn|roi_heads)\.", "a person detector of torchvision", _NO_ACTIONS),
    (r"^(model\.)+\d+\.(conv|cv\d|m)\.", "a YOLO network", _NO_ACTIONS),
    (r"^(transformer\.h|(model\.)?layers)\.\d+\.(self_attn|attn|mlp)\.", "a language model", _NO_ACTIONS),
    (r"^(distilbert|bert|roberta|gpt_neox|model\.embed_tokens)\.", "a language model", _NO_ACTIONS),
    (r"^(features|classifier)\.\d+\.(weight|bias)$", "an image network", _NO_ACTIONS),
    (r"^layer[1-4]\.\d+\.(conv|bn)\d\.weight$", "a ResNet, perhaps of torchvision or 3D-ResNets", _ZOO),
    (r"(^|\.)(cls_token|pos_embed|patch_embed\.proj\.weight)$", "a vision transformer", _THERE),
)
# fmt: on


def whose(names: Iterable[str]) -> str | None:
    """Whose weights these are and what to do, as a part of a sentence; None: not known.

    Args:
        names: As the file has them.
    """
    from twinpath.weights.names.wrappers import strip_inserted

    names = [strip_inserted(name) for name in names]
    for pattern, owner, step in _SIGNS:
        if any(re.search(pattern, name) for name in names):
            return f"its names are those of {owner}, which Twinpath does not read: {step}"
    return None
