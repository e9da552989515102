"""Measure rewrites of networks (`twinpath.models.rewrites`), each alone, in turn with the network as it is.

    python -m benchmarks.rewrites                          # all networks, in the precision of this CPU
    python -m benchmarks.rewrites x3d_s --precision fp32 --runs 31
    ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.rewrites  # as on a CPU with AVX2 only

Networks have random weights. `cpu` is the time of all threads over the number of threads: it stays the same
while other processes compete for the cores. The difference is that of the scores, over the largest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import tried_rewrites as tried
from twinpath.engine import openvino_convert, openvino_engine
from twinpath.engine.config import EngineConfig
from twinpath.engine.openvino_engine import CpuPrecision
from twinpath.models.input_spec import InputSpec
from twinpath.models.rewrites import slow_frames_first, with_heads_last, with_padded_channels, with_stem
from twinpath.zoo.create import create_model, input_spec

Rewrites = Mapping[str, Callable[[Any], nn.Module]]

_WIDE: Rewrites = {
    "wide pixels": lambda n: with_stem(n, "pathway", columns=True),
    "space to depth": lambda n: tried.with_space_to_depth(n, "pathway"),
}
_X3D: Rewrites = {
    "depthwise as shifted 2D": tried.with_shifted_depthwise,
    "channels padded to 8": lambda n: with_padded_channels(n, 8),
    "channels padded to 16": lambda n: with_padded_channels(n, 16),
    "channels padded to 32": lambda n: with_padded_channels(n, 32),
}
_MVIT: Rewrites = {"heads last, relative positions as channels": with_heads_last}
REWRITES: Mapping[str, Rewrites] = {
    "slowfast_r50_8x8": {
        "slow frames first": slow_frames_first,
        "fast stem: pairs of frames": lambda n: with_stem(n, "fast", columns=False, group=2),
        "slow frames first, fast stem: wide pixels": lambda n: slow_frames_first(
            with_stem(n, "fast", columns=True)
        ),
        "slow frames first, fast stem: wide pixels, pairs": lambda n: slow_frames_first(
            with_stem(n, "fast", columns=True, group=2)
        ),
        "slow frames first, fast stem: wide pixels, groups of 4": lambda n: slow_frames_first(
            with_stem(n, "fast", columns=True, group=4)
        ),
        "slow frames first, fast stem: space to depth": lambda n: slow_frames_first(
            tried.with_space_to_depth(n, "fast")  # type: ignore[arg-type]
        ),
        "slow frames first, both stems: wide pixels, fast: pairs": lambda n: slow_frames_first(
            with_stem(with_stem(n, "fast", columns=True, group=2), "slow", columns=True)
        ),
    },
    "slow_r50_8x8": _WIDE,
    "i3d_r50_8x8": _WIDE,
    "x3d_s": _X3D,
    "x3d_m": _X3D,
    "mvit_v1_b_16x4": _MVIT,
    "mvit_v2_s_16x4": _MVIT,
}
AS_CHOSEN = "as chosen for this CPU"


def main() -> None:
    """Measure and print a table of each network."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rewrites", description=__doc__.splitlines()[0]
    )
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(REWRITES)}; default: all")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--runs", type=int, default=21)
    arguments = parser.parse_args()
    unknown = set(arguments.networks) - set(REWRITES)
    if unknown:
        parser.error(f"no rewrites of {', '.join(sorted(unknown))}; choose of {', '.join(REWRITES)}")
    config = EngineConfig.parse("openvino", "cpu", arguments.precision, None)
    precision = openvino_engine.choose_precision(config)
    for name in arguments.networks or REWRITES:
        print(f"\n{name}, {precision}, {openvino_engine.cpu_name()}\n")
        print("| | ms | least | cpu ms | of the plain one's cpu | difference |\n|---|---|---|---|---|---|")
        for row in measured(name, REWRITES[name], precision, config, runs=arguments.runs):
            print(row, flush=True)


def measured(
    name: str, rewrites: Rewrites, precision: CpuPrecision, config: EngineConfig, *, runs: int
) -> list[str]:
    """One row of a table for the network as it is, each rewrite, and what is chosen for this CPU."""
    torch.manual_seed(0)
    network, spec = create_model(name).eval(), input_spec(name)
    _randomise_norms(network)
    requests = {"as it is": _request(network, spec, None, precision, config)}
    for title, rewrite in rewrites.items():
        requests[title] = _request(rewrite(network), spec, None, precision, config)
    requests[AS_CHOSEN] = _request(network, spec, precision, precision, config)
    side = spec.crop_px
    clip = np.random.default_rng(0).uniform(0, 255, (1, spec.num_frames, side, side, 3)).astype(np.float32)
    wall_s: dict[str, list[float]] = {title: [] for title in requests}
    cpu_s: dict[str, list[float]] = {title: [] for title in requests}
    scores: dict[str, np.ndarray] = {}
    for run in range(runs + 1):  # the first one is not counted
        for title, (request, threads) in requests.items():
            began = time.perf_counter(), time.process_time()
            result = request.infer([clip], share_inputs=True)[0]
            if run:
                wall_s[title].append(time.perf_counter() - began[0])
                cpu_s[title].append((time.process_time() - began[1]) / threads)
            scores[title] = np.array(result)
    plain = next(iter(requests))
    return [
        f"| {title} | {1e3 * np.median(wall_s[title]):.1f} | {1e3 * min(wall_s[title]):.1f} "
        f"| {1e3 * np.median(cpu_s[title]):.1f} | {np.median(cpu_s[title]) / np.median(cpu_s[plain]):.2f} "
        f"| {np.abs(scores[title] - scores[plain]).max() / scores[plain].max():.1e} |"
        for title in requests
    ]


def _request(
    network: nn.Module,
    spec: InputSpec,
    rewritten_for: CpuPrecision | None,
    precision: CpuPrecision,
    config: EngineConfig,
) -> tuple[Any, int]:
    """A request of the compiled network, and its number of threads."""
    model = openvino_convert.convert(network, spec, precision=rewritten_for)
    compiled = openvino_engine.compile_network(model, precision=precision, config=config)
    return compiled.create_infer_request(), int(compiled.get_property("INFERENCE_NUM_THREADS"))


def _randomise_norms(network: nn.Module) -> None:
    """As after training: those of a new network do nothing, or end every residual branch with zeros."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


if __name__ == "__main__":
    main()
