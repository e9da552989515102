"""Entry points of torch.hub, by the names that PyTorchVideo's hub has.

    model = torch.hub.load("OWNER/twinpath", "slowfast_r50", pretrained=True).eval()
    logits = model(clip)        # one tensor (B, 3, T, H, W) at the fast rate, not one for each pathway

Differences from PyTorchVideo:

- A SlowFast model takes the clip itself, not a list [slow, fast]: it selects the slow frames as that list has
  them.
- Every model returns logits and has `model.scores(clip)`. At PyTorchVideo r2plus1d_r50 and the detection
models
  return scores.
- A detection model takes `model(clip, boxes)`, boxes (N, 5): index in the batch, x1, y1, x2, y2 in pixels.

Any other network or weights: torch.hub.load(…, "create_model", "mvit_v2_s_16x4.psf_k400", pretrained=True).
"""

import sys as _sys
from pathlib import Path as _Path
from typing import Any as _Any

dependencies = ["filelock", "httpx", "numpy", "platformdirs", "rich", "safetensors", "torch"]

_SOURCE = str(_Path(__file__).resolve().parent / "src")
if _SOURCE not in _sys.path:  # torch.hub puts this folder there, not the package's; modules load when used
    _sys.path.insert(0, _SOURCE)

from twinpath.cli.progress import download_bar as _download_bar  # noqa: E402
from twinpath.zoo.create import create_model  # noqa: E402

_PYTORCHVIDEO = {
    "c2d_r50": "c2d_r50_8x8.ptv_k400",
    "csn_r101": "csn_r101_32x2.ptv_k400",
    "efficient_x3d_s": "efficient_x3d_s.ptv_k400",
    "efficient_x3d_xs": "efficient_x3d_xs.ptv_k400",
    "i3d_r50": "i3d_r50_8x8.ptv_k400",
    "mvit_base_16": "mvit_v1_b",  # of its ImageNet weights there is no record: not pretrained
    "mvit_base_16x4": "mvit_v1_b_16x4.ptv_k400",
    "mvit_base_32x3": "mvit_v1_b_32x3.ptv_k400",
    "r2plus1d_r50": "r2plus1d_r50_16x4.ptv_k400",
    "slow_r50": "slow_r50_8x8.ptv_k400",
    "slow_r50_detection": "slow_r50_4x16_det.ptv_ava",
    "slowfast_16x8_r101_50_50": "slowfast_r101_16x8.ptv_k400",
    "slowfast_r101": "slowfast_r101_8x8.ptv_k400",
    "slowfast_r50": "slowfast_r50_8x8.ptv_k400",
    "slowfast_r50_detection": "slowfast_r50_8x8_det.ptv_ava",
    "x3d_l": "x3d_l.ptv_k400",
    "x3d_m": "x3d_m.ptv_k400",
    "x3d_s": "x3d_s.ptv_k400",
    "x3d_xs": "x3d_xs.ptv_k400",
}


def _entry(alias: str, name: str) -> _Any:
    def build(
        pretrained: bool = False,
        progress: bool = True,
        *,
        num_classes: int | None = None,
        in_frames: int | None = None,
    ) -> _Any:
        with _download_bar(f"downloading {name}") as bar:
            return create_model(
                name,
                pretrained=pretrained,
                num_classes=num_classes,
                in_frames=in_frames,
                progress=bar if progress else None,
            )

    build.__name__ = build.__qualname__ = alias
    build.__doc__ = f"""PyTorchVideo's {alias}: `create_model({name!r})`.

    Args:
        pretrained: Load the published weights, downloaded on first use.
        progress: Show a bar while they are downloaded.
        num_classes, in_frames: See `create_model`.
    """
    return build


globals().update({alias: _entry(alias, name) for alias, name in _PYTORCHVIDEO.items()})
