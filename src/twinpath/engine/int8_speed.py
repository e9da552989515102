"""How long a clip takes in float and in int8, on this CPU: where int8 does not help, it is said."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from twinpath.engine.config import EngineConfig
from twinpath.engine.openvino_engine import CpuPrecision, capabilities, compile_network
from twinpath.engine.openvino_import import ov


def compile_both(model: ov.Model, int8: ov.Model) -> dict[str, Any]:
    """A network and its int8 form, compiled.

    Returns:
        By "fp32" and "int8", which has fp32 for the rest; where this CPU computes in bf16 also by "bf16" and
        "int8+bf16".
    """
    wanted: list[tuple[str, ov.Model, CpuPrecision]] = [("fp32", model, "fp32"), ("int8", int8, "fp32")]
    if "BF16" in capabilities():
        wanted += [("bf16", model, "bf16"), ("int8+bf16", int8, "bf16")]
    return {
        key: compile_network(network, precision=precision, config=EngineConfig())
        for key, network, precision in wanted
    }


def clip_ms(
    compiled: Mapping[str, Any], clips: Sequence[Sequence[Any]], *, least_rounds: int, seconds: float
) -> dict[str, float]:
    """The least time of each, of rounds in which all take turns.

    Args:
        compiled: As of `compile_both`; anything that can be called with inputs.
        clips: The inputs of single clips.
        least_rounds, seconds: How many rounds, and for how long, whichever is more.
    Returns:
        Milliseconds a clip.
    """
    least = dict.fromkeys(compiled, float("inf"))
    begin, rounds = time.monotonic(), 0
    while rounds < least_rounds or time.monotonic() - begin < seconds:
        rounds += 1
        for inputs in clips:
            for key, run in compiled.items():
                start = time.perf_counter()
                run(inputs)
                least[key] = min(least[key], 1e3 * (time.perf_counter() - start))
    return least
