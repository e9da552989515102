"""Classify a clip with an exported model: NumPy and ONNX Runtime only.

twinpath models export x3d_xs.ptv_k400 x3d_xs
python classify_with_onnxruntime.py x3d_xs frames.npy    # (frames, height, width, 3) RGB uint8 of the clip
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: else it reports to its maker
import onnxruntime


def taps(side, scaled, start, crop):
    """The two pixels that each pixel of the crop is mixed of, and the second's share."""
    at = np.maximum((np.arange(start, start + crop) + 0.5) * side / scaled - 0.5, 0)
    first = np.minimum(at.astype(int), side - 1)
    return first, np.minimum(first + 1, side - 1), (at - first).astype(np.float32)


def resized(frame, short, crop, fixed):
    """Bilinear to the short side (or to a fixed height and width), then the crop in the centre."""
    height, width, _ = frame.shape
    scale = short / min(height, width)
    scaled_h, scaled_w = fixed or [
        short if n == min(height, width) else int(n * scale) for n in (height, width)
    ]
    y1, y2, y = taps(height, scaled_h, round((scaled_h - crop) / 2), crop)
    x1, x2, x = taps(width, scaled_w, round((scaled_w - crop) / 2), crop)
    rows = frame[y1] * (1 - y[:, None, None]) + frame[y2] * y[:, None, None]
    return rows[:, x1] * (1 - x[:, None]) + rows[:, x2] * x[:, None]


def classify(folder, frames):
    """Labels and scores, the best first."""
    card = json.loads((Path(folder) / "model.json").read_text("utf-8"))
    spec = card["input"]
    chosen = frames[np.linspace(0, len(frames) - 1, spec["num_frames"]).astype(int)]
    clip = [resized(f, spec["short_side_px"], spec["crop_px"], spec["resize_px"]) for f in chosen]
    session = onnxruntime.InferenceSession(Path(folder) / "model.onnx")
    (scores,) = session.run(["scores"], {"frames": np.rint(clip).astype(np.uint8)[None]})
    return [(card["labels"][i], float(scores[0, i])) for i in np.argsort(-scores[0])]


if __name__ == "__main__":
    for label, score in classify(sys.argv[1], np.load(sys.argv[2]))[:5]:
        print(f"{score:.3f}  {label}")
