"""Checks of the torch engine on a GPU: the CPU's answers, training of reversible networks, speed and memory.

Run: scripts/check_gpu.sh. It needs torch and numpy only, downloads nothing, and takes weights from a seed.
Prints one table; ends with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from twinpath.engine.config import EngineConfig, Precision
from twinpath.engine.gpu_batch import MAX_CLIPS, MIN_CLIPS, SHARE
from twinpath.engine.torch_engine import TorchEngine
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.zoo.create import input_spec

SIZES = ((240, 320), (256, 340), (320, 180))  # height, width of the frames
MIB = 1 << 20

# Greatest differences of scores, over the greatest score. By default PyTorch lets convolutions round to TF32,
# which has 10 bits; bf16 has 8.
EXACT, TF32, BF16 = 1e-3, 2e-2, 1e-1
GRADIENTS = {"fp32": 1e-3, "bf16": 1e-1}  # norm of the difference over the norm


@dataclass(frozen=True)
class Row:
    """One line of the table. `passed`: None for a figure that is not held to anything."""

    name: str
    value: str
    allowed: str = ""
    passed: bool | None = None


@dataclass(frozen=True)
class Plan:
    """What runs: everything on a GPU, small networks on a CPU."""

    classifiers: tuple[str, ...]
    detector: str
    reversible: str
    fast: str
    batches: tuple[int, ...]
    busy_s: float
    training_crop: int


ON_GPU = Plan(
    classifiers=("slowfast_r50_8x8", "x3d_s", "mvit_v2_s_16x4"),
    detector="slowfast_r50_8x8_det",
    reversible="rev_mvit_b_16x4",
    fast="slowfast_r50_8x8",
    batches=(1, 8, 32, 64),
    busy_s=4.0,
    training_crop=112,
)
ON_CPU = Plan(
    classifiers=("slowfast_tiny",),
    detector="slowfast_tiny_det",
    reversible="rev_mvit_b_16x4",
    fast="slowfast_tiny",
    batches=(1, 2),
    busy_s=0.5,
    training_crop=32,
)


def randomised(name: str) -> VideoNetwork:
    """The network with values that let every branch count: new networks have some that give zero."""
    network = architecture(name).build()
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            rng = np.random.default_rng([1, zlib.crc32(key.encode())])
            if key.endswith("num_batches_tracked"):
                continue
            if key.endswith("running_var"):
                values = rng.uniform(2.0, 4.0, tensor.shape)
            elif tensor.ndim == 1 and key.endswith("weight"):
                values = rng.uniform(0.5, 1.5, tensor.shape)
            elif tensor.ndim >= 2 and key.endswith("weight"):
                gain = 2 if tensor.ndim >= 3 else 1
                values = rng.standard_normal(tensor.shape) * np.sqrt(gain / np.prod(tensor.shape[1:]))
            else:
                values = 0.05 * rng.standard_normal(tensor.shape)
            tensor.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
    return network.eval()


def clips(num_frames: int, count: int, *, sizes: tuple[tuple[int, int], ...] = SIZES) -> list[np.ndarray]:
    """Clips of moving noise, (T, H, W, 3) uint8, of several sizes one after the other."""
    made = []
    for i in range(count):
        height, width = sizes[i % len(sizes)]
        coarse = np.random.default_rng(i).integers(
            0, 256, (1, height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8
        )
        picture = coarse.repeat(8, axis=1).repeat(8, axis=2)[0, :height, :width]
        made.append(np.stack([np.roll(picture, 3 * t, axis=1) for t in range(num_frames)]))
    return made


def boxes_of(frames: list[np.ndarray]) -> list[np.ndarray]:
    """0, 1, 2, 3 … boxes for one clip after the other."""
    rng = np.random.default_rng(5)
    found = []
    for i, clip in enumerate(frames):
        height, width = clip.shape[1:3]
        corner = rng.uniform(0, 0.5, (i % 4, 2)) * (width, height)
        found.append(np.concatenate([corner, corner + rng.uniform(20, 120, (i % 4, 2))], axis=1))
    return found


def engine_of(
    network: VideoNetwork, name: str, device: str, precision: Precision, **options: int
) -> TorchEngine:
    output = "boxes" if architecture(name).is_detector else "scores"
    config = EngineConfig("torch", device, precision)
    return TorchEngine(network, input_spec(name), output=output, config=config, **options)


def answers(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Scores on the device beside those of the CPU, for clips of several sizes in one call."""
    network, spec = randomised(name), input_spec(name)
    frames = clips(spec.num_frames, 4)
    boxes = boxes_of(frames) if architecture(name).is_detector else None
    exact = np.concatenate(engine_of(network, name, "cpu", "fp32")(frames, boxes))
    spread = f"{exact.min():.3f} to {exact.max():.3f}"
    yield Row(f"{name}: scores on the CPU", spread, passed=bool(np.isfinite(exact).all() and exact.std() > 0))
    for label, precision, tf32, allowed in (
        ("fp32", "fp32", False, EXACT),
        ("fp32 with TF32", "fp32", True, TF32),
        ("bf16", "bf16", True, BF16),
    ):
        torch.backends.cudnn.allow_tf32 = tf32
        engine = engine_of(network, name, device, precision, batch_clips=3)
        found = np.concatenate(engine(frames, boxes))
        difference = float(np.abs(found - exact).max() / exact.max())
        yield Row(f"{name}: {label} − CPU", f"{difference:.1e}", f"{allowed:.0e}", difference <= allowed)
    torch.backends.cudnn.allow_tf32 = True


def gradients(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """A reversible network's gradients in training beside those of plain autograd."""
    network = randomised(name).to(device)
    for module in network.modules():  # what is left out at random would differ
        if hasattr(module, "rate"):
            module.rate = 0.0
    network.head.dropout.p = 0.0
    clip = torch.randn(2, 3, 16, plan.training_crop, plan.training_crop, device=device)
    for precision, allowed in GRADIENTS.items():
        found, memory = [], []
        for training in (True, False):
            network.train(training).zero_grad()
            reset_peak(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
                loss = network(clip).float().square().sum()
            loss.backward()
            memory.append(peak_mib(device))
            found.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
        reversible, plain = found
        difference = float((reversible - plain).norm() / plain.norm())
        yield Row(
            f"{name}: gradients {precision}", f"{difference:.1e}", f"{allowed:.0e}", difference <= allowed
        )
        if memory[0]:
            saved = f"{memory[0]:.0f} of {memory[1]:.0f} MiB"
            yield Row(f"{name}: memory in training, {precision}", saved, "less", memory[0] < memory[1])


def throughput(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Clips a second with frames of 256x340 pixels, from memory to scores, and the memory that it takes."""
    network, spec = randomised(name), input_spec(name)
    precision: Precision = "bf16" if device != "cpu" else "fp32"
    for batch in plan.batches:
        engine = engine_of(network, name, device, precision, batch_clips=batch)
        frames = clips(spec.num_frames, batch, sizes=((256, 340),))
        engine(frames)
        reset_peak(device)
        count, began_s = 0, time.perf_counter()
        while (took_s := time.perf_counter() - began_s) < plan.busy_s or count == 0:
            engine(frames)
            count += batch
        speed = f"{count / took_s:.1f} clips/s"
        memory = peak_mib(device)
        yield Row(f"{name}: {precision}, {batch} at once", speed + (f", {memory:.0f} MiB" if memory else ""))


def chosen_batches(plan: Plan, device: str) -> Iterator[Row]:
    """How many clips the engine takes at once, and whether they stay within its share of the memory."""
    for name in (*plan.classifiers, plan.detector):
        spec = input_spec(name)
        engine = engine_of(randomised(name), name, device, "auto")
        label = f"{name}: batch_clips"
        if device == "cpu":
            yield Row(label, str(engine.batch_clips), "1 or 2", engine.batch_clips in (1, 2))
            continue
        free, _ = torch.cuda.mem_get_info()
        frames = clips(spec.num_frames, engine.batch_clips, sizes=((256, 340),))
        boxes = [np.array([[10.0, 10, 200, 250]] * 3)] * len(frames) if engine.output == "boxes" else None
        chosen = engine.batch_clips
        reset_peak(device)
        engine(frames, boxes)
        used = peak_mib(device) * MIB
        fits = (
            MIN_CLIPS <= chosen <= MAX_CLIPS and engine.batch_clips == chosen and used <= 1.5 * SHARE * free
        )
        yield Row(label, f"{chosen}, {used / MIB:.0f} of {free / MIB:.0f} MiB free", "8 to 64, 3/4", fits)
        del engine
        torch.cuda.empty_cache()


def reset_peak(device: str) -> None:
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_mib(device: str) -> float:
    """Most memory that torch held since `reset_peak`; 0 on a CPU."""
    return torch.cuda.max_memory_allocated() / MIB if device != "cpu" else 0.0


def guarded(what: str, check: Callable[[], Iterator[Row]]) -> list[Row]:
    """The rows of a check; one that failed where it raises."""
    rows: list[Row] = []
    began_s = time.perf_counter()
    try:
        for row in check():
            rows.append(row)
            print(f"  {row.name}: {row.value}", file=sys.stderr, flush=True)
    except Exception as error:  # noqa: BLE001 - the others still run
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        rows.append(Row(what, reason, "", False))
    print(f"{what}: {time.perf_counter() - began_s:.1f} s", file=sys.stderr, flush=True)
    return rows


def print_table(rows: list[Row]) -> None:
    verdict = {True: "ok", False: "FAILED", None: ""}
    cells = [
        ("check", "value", "allowed", ""),
        *((r.name, r.value, r.allowed, verdict[r.passed]) for r in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script with small networks")
    device: str = parser.parse_args().device
    if device != "cpu" and not torch.cuda.is_available():
        print("torch finds no GPU here", file=sys.stderr)
        return 1
    plan = ON_CPU if device == "cpu" else ON_GPU
    where = "cpu" if device == "cpu" else torch.cuda.get_device_name()
    print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, {where}")
    rows: list[Row] = []
    for name in (*plan.classifiers, plan.detector):
        rows += guarded(f"answers of {name}", lambda name=name: answers(name, plan, device))
    rows += guarded("training", lambda: gradients(plan.reversible, plan, device))
    rows += guarded("memory", lambda: chosen_batches(plan, device))
    rows += guarded("speed", lambda: throughput(plan.fast, plan, device))
    print_table(rows)
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
