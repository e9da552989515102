"""What a map of `explain` costs, in forward passes of the network.

    OMP_NUM_THREADS=1 python -m benchmarks.maps [NETWORK ...]

prints the CPU time of a forward pass of one clip of the network's size, without gradients, and of a map of a
label, with random weights: medians of three, taking turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from twinpath.explain.where import class_maps
from twinpath.zoo.create import create_model, input_spec

NETWORKS = (
    "c2d_r50_8x8", "slow_r50_8x8", "slow_nln_r50_4x16", "slowfast_r50_8x8", "x3d_s", "csn_r101_32x2",
    "r2plus1d_18", "mc3_18", "s3d", "mvit_v1_b_16x4", "mvit_v2_s_16x4", "vit_b_16x4", "rev_mvit_b",
)  # fmt: skip
_ROUNDS = 3


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK")
    torch.manual_seed(0)
    print("| network | forward pass, CPU s | map, CPU s | map in forward passes |\n|---|---:|---:|---:|")
    for name in parser.parse_args().networks:
        forward_s, map_s = measured(name)
        print(f"| `{name}` | {forward_s:.2f} | {map_s:.2f} | {map_s / forward_s:.1f} |", flush=True)


def measured(name: str) -> tuple[float, float]:
    """Median CPU seconds of a forward pass and of a map."""
    network, spec = create_model(name).eval(), input_spec(name)
    clip = torch.randn(1, 3, spec.num_frames, spec.crop_px, spec.crop_px)

    def forward() -> None:
        with torch.inference_mode():
            network(clip)

    def maps() -> None:
        class_maps(network, clip, lambda clips: network(clips)[0, 0])

    forward()  # the first pass makes room
    taken = [(cpu_s_of(forward), cpu_s_of(maps)) for _ in range(_ROUNDS)]
    forward_s, map_s = (statistics.median(values) for values in zip(*taken, strict=True))
    return forward_s, map_s


def cpu_s_of(work: Callable[[], None]) -> float:
    """CPU seconds of this process."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
