"""PyTorchVideo's tutorial as a command: a video in, five labels' numbers and its times out, as JSON.

    python -m benchmarks.tutorial VIDEO [WEIGHTS]        # with the Python of `peer_venv.py`

The tutorial is https://pytorch.org/hub/facebookresearch_pytorchvideo_slowfast/. Without WEIGHTS it computes
with random ones, and so saves the reading of 264 MB that the tutorial does.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.networks import MAIN, NETWORKS


def main() -> None:
    """Run it once."""
    times_s = [time.perf_counter()]
    import torch

    from benchmarks import peer

    video, weights = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    network = NETWORKS[MAIN]
    times_s.append(time.perf_counter())
    model = peer.build(network, weights)
    times_s.append(time.perf_counter())
    clip = peer.decode(peer.opened(video), 0.0, network)
    times_s.append(time.perf_counter())
    given = peer.pathways(peer.cropped(peer.scaled(clip, network), network, 1), network)
    times_s.append(time.perf_counter())
    with torch.inference_mode():
        scores = peer.probabilities(model, model(given))
    top = scores.topk(5).indices[0].tolist()
    times_s.append(time.perf_counter())
    stages = ("import", "network", "decode", "preprocess", "infer")
    took_s = {stage: times_s[i + 1] - times_s[i] for i, stage in enumerate(stages)}
    print(json.dumps({"top": top, "timing_s": took_s}))


if __name__ == "__main__":
    main()
