"""The least time that a machine needs for a network: layer by layer, what binds it.

A layer takes no less than its operations at the speed of the best matrix product, and no less than a copy of
as many bytes as it reads and writes. A depthwise convolution has no sums over channels, for which the
instructions for bf16 are made: its operations count at the speed of the best product in float32. The speed of
a copy depends on its size, since caches hold small ones. What follows a convolution or a product (norms,
activations, sums) is taken to cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BYTES_OF = {"bf16": 2, "fp32": 4}


Layer = tuple[float, float, bool]  # operations, values read and written, whether it is depthwise


@dataclass(frozen=True)
class Limit:
    """The least time for one clip.

    Attributes:
        matrix_s: Of the layers that the matrix product binds.
        vector_s: Of the depthwise layers that operations bind.
        memory_s: Of the layers that memory binds.
        memory_bytes: What these read and write.
    """

    matrix_s: float
    vector_s: float
    memory_s: float
    memory_bytes: float

    @property
    def total_s(self) -> float:
        return self.matrix_s + self.vector_s + self.memory_s

    def describe(self) -> str:
        """For example "matrix products 40.0 ms, depthwise 8.0 ms, memory 12.0 ms (0.6 GB at 50 GB/s)"."""
        named = {"matrix products": self.matrix_s, "depthwise": self.vector_s}
        parts = [f"{name} {1000 * seconds:.1f} ms" for name, seconds in named.items() if seconds]
        if self.memory_s:
            giga = self.memory_bytes / 1e9
            parts.append(
                f"memory {1000 * self.memory_s:.1f} ms ({giga:.2g} GB at {giga / self.memory_s:.0f} GB/s)"
            )
        return ", ".join(parts)


def limit_of(
    layers: Sequence[Layer],
    *,
    precision: str,
    flop_per_s: float,
    fp32_flop_per_s: float,
    copies: Mapping[float, float],
) -> Limit:
    """The least time for one clip.

    Args:
        layers: See `layers_of`.
        precision: "bf16" or "fp32".
        flop_per_s: The speed of the best matrix product in that precision.
        fp32_flop_per_s: The same in float32.
        copies: Bytes read and written a second, by the bytes that a copy reads and writes.
    """
    matrix_s = vector_s = memory_s = memory_bytes = 0.0
    for flop, values, is_depthwise in layers:
        layer_bytes = values * BYTES_OF[precision]
        operations_s = flop / (fp32_flop_per_s if is_depthwise else flop_per_s)
        copy_s = layer_bytes / _speed(copies, layer_bytes)
        if copy_s > operations_s:
            memory_s += copy_s
            memory_bytes += layer_bytes
        elif is_depthwise:
            vector_s += operations_s
        else:
            matrix_s += operations_s
    return Limit(matrix_s, vector_s, memory_s, memory_bytes)


def _speed(copies: Mapping[float, float], layer_bytes: float) -> float:
    """Of the smallest copy that is no smaller, else of the largest one; never slower than a larger copy."""
    sizes = [size for size in copies if size >= layer_bytes] or [max(copies)]
    return max(copies[size] for size in sizes)


def layers_of(record: str) -> list[Layer]:
    """The convolutions and products of a network for one clip: floating-point operations, values that are
    read and written, weights included, and whether it is depthwise. Nothing is computed: shapes are enough.

    The products of attention count no values: they can be fused.

    Args:
        record: A name of `list_models()`, for classification.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from twinpath.zoo.create import create_model, input_spec

    layers: list[Layer] = []
    fused = (torch.ops.aten.bmm, torch.ops.aten.baddbmm)

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            packet = func._overloadpacket
            if packet in flop_registry:
                tensors = [t for t in (*args, out) if isinstance(t, torch.Tensor)]
                values = 0 if packet in fused else sum(t.numel() for t in tensors)
                flop = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
                is_depthwise = packet is torch.ops.aten.convolution and args[1].shape[1] == 1 < args[8]
                layers.append((flop, values, is_depthwise))
            return out

    spec = input_spec(record)
    with torch.device("meta"), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network = create_model(record).eval()
        clip = torch.empty(1, 3, spec.num_frames, spec.crop_px, spec.crop_px)
        with Counter():
            network(clip)
    return layers
