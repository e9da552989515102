"""PyTorchVideo's tutorial as a command: classifies a video, and prints five class indices and times as JSON.

    python -m benchmarks.pytorchvideo_tutorial VIDEO [WEIGHTS]    # with the Python of `pytorchvideo_venv.py`

The tutorial is https://pytorch.org/hub/facebookresearch_pytorchvideo_slowfast/. Without WEIGHTS the network
has random ones, and the file of 264 MB that the tutorial loads is not read.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.networks import MAIN, NETWORKS


def main() -> None:
    """Run the tutorial once."""
    times_s = [time.perf_counter()]
    import torch

    from benchmarks import pytorchvideo_worker as steps

    video, weights = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    network = NETWORKS[MAIN]
    times_s.append(time.perf_counter())
    model = steps.build(network, weights)
    times_s.append(time.perf_counter())
    clip = steps.decode(steps.opened(video), 0.0, network)
    times_s.append(time.perf_counter())
    given = steps.pathways(steps.cropped(steps.scaled(clip, network), network, 1), network)
    times_s.append(time.perf_counter())
    with torch.inference_mode():
        scores = steps.probabilities(model, model(given))
    top = scores.topk(5).indices[0].tolist()
    times_s.append(time.perf_counter())
    stages = ("import", "network", "decode", "preprocess", "infer")
    took_s = {stage: times_s[i + 1] - times_s[i] for i, stage in enumerate(stages)}
    print(json.dumps({"top": top, "timing_s": took_s}))


if __name__ == "__main__":
    main()
