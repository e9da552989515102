"""Whose weights a file holds that no network here has, to judge by the names in it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ZOO = "take the same network's weights of PyTorchVideo or PySlowFast (list_models() names them), or run it there"

# Signs in the names, the first that is found counts: pattern, whose, what to do.
_SIGNS: tuple[tuple[str, str, str], ...] = (
    (r"^backbone\.(slow|fast)_path\.", "MMAction2 (SlowFast)", _ZOO),
    (r"^roi_head\.bbox_head\.", "MMAction2 (detection of actions)", _ZOO),
    (r"^cls_head\.", "MMAction2", _ZOO),
    (r"^backbone\.layer\d\.\d+\.conv\d\.(conv|bn)\.", "MMAction2", _ZOO),
    (r"^(model\.)?videomae\.", "VideoMAE, in the form of Hugging Face's transformers", "run it with transformers"),
    (r"^timesformer\.", "TimeSformer, in the form of Hugging Face's transformers", "run it with transformers"),
    (r"^vivit\.", "ViViT, in the form of Hugging Face's transformers", "run it with transformers"),
    (r"(^|\.)(temporal_attn|temporal_fc|time_embed)(\.|$)", "TimeSformer", "run it with its own project"),
    (r"(^|\.)(q_bias|encoder_to_decoder|mask_token)$", "VideoMAE or a like transformer", "run it with its own project"),
    (r"relative_position_bias_table$", "a Swin transformer", "run it with its own project"),
    (r"^blocks[1-4]\.\d+\.(pos_embed|dwconv|conv1)\.", "UniFormer", "run it with its own project"),
    (r"^blocks\.b\d+_l\d+\.", "MoViNet", "run it with its own project"),
    (r"^(Conv3d_1a_7x7|Mixed_\d\w)\.", "the I3D of the Inception family", "run it with its own project"),
    (r"^base_model\..*|^new_fc\.", "TSM or TSN", "run it with its own project"),
    (r"^visual\.transformer\.|^(text|vision)_model\.|^transformer\.resblocks\.", "CLIP or a like network", "run it with its own project"),
    (r"^backbone\.bottom_up\.|^proposal_generator\.", "Detectron2", "it detects objects; give an action network"),
    (r"^(rpn|roi_heads)\.", "a person detector of torchvision", "it finds people; give an action network"),
    (r"^model\.\d+\.(conv|cv\d|m)\.", "a YOLO network", "it detects objects; give an action network"),
    (r"^(transformer\.h|model\.layers|layers)\.\d+\.(attn|self_attn|mlp|attention)\.", "a language model", "give an action network"),
    (r"^(distilbert|bert|roberta|gpt_neox|model\.embed_tokens)\.", "a language model", "give an action network"),
    (r"^(features|classifier)\.\d+\.(weight|bias)$", "an image network", "give a video network"),
    (r"^layer[1-4]\.\d+\.(conv|bn)\d\.weight$", "a ResNet, perhaps of torchvision or 3D-ResNets", _ZOO),
    (r"^(cls_token|pos_embed|patch_embed\.proj\.weight)$", "a vision transformer", "run it with its own project"),
)  # fmt: skip


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
