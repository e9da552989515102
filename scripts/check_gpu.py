"""Checks of a GPU: the CPU's answers, training of reversible networks and by recipes, speed and memory.

Run: scripts/check_gpu.sh. It needs torch and numpy, and PyAV to read files; downloads nothing, and takes
weights from a seed. Speed is that of copies to the device, of the engine in bf16 with channels last, compiled
with CUDA graphs against eager float32, and with files that are read in threads and processes beside it. Two
recipes are trained in bf16 on clips that it draws, one of them with activations that are computed again; then
on all GPUs at once, with the whole network on each (ddp) and divided among them (fsdp).
Prints one table; ends with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from twinpath.engine.config import EngineConfig, Precision
from twinpath.engine.gpu_batch import MAX_CLIPS, MIN_CLIPS, SHARE
from twinpath.engine.torch_engine import TorchEngine
from twinpath.engine.uploads import Uploads
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.models.registry import architecture
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.zoo.create import input_spec

SIZES = ((240, 320), (256, 340), (320, 180))  # height, width of the frames
MIB = 1 << 20

# Greatest differences of scores, over the greatest score. By default PyTorch lets convolutions round to TF32,
# which has 10 bits; bf16 has 8.
EXACT, TF32, BF16 = 1e-3, 2e-2, 1e-1
COMPILED_BAR = 3.0  # speed of compiled bf16 over eager float32
MOST_MINUTES = 10
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
    step: int
    videos: int
    recipes: tuple[str, ...]
    settings: tuple[str, ...]
    trained_clips: int
    processes: int


ON_GPU = Plan(
    classifiers=("slowfast_r50_8x8", "x3d_s", "mvit_v2_s_16x4"),
    detector="slowfast_r50_8x8_det",
    reversible="rev_mvit_b_16x4",
    fast="slowfast_r50_8x8",
    batches=(1, 8, 32, 64),
    busy_s=4.0,
    training_crop=112,
    step=8,
    videos=256,
    recipes=("slowfast_r50_8x8_kinetics", "mvit_v2_s_16x4_kinetics"),
    settings=("run.batch_size=16", "run.precision=bf16-mixed", "clip.repeats=1"),
    trained_clips=64,
    processes=0,
)
ON_CPU = Plan(
    classifiers=("slowfast_tiny",),
    detector="slowfast_tiny_det",
    reversible="rev_mvit_b_16x4",
    fast="slowfast_tiny",
    batches=(1, 2),
    busy_s=0.5,
    training_crop=32,
    step=2,
    videos=8,
    recipes=("slowfast_tiny_clips",),
    settings=(
        "run.batch_size=8",
        "run.workers=0",
        "schedule.policy=cosine",
        "schedule.steps=[]",
        "schedule.factors=[]",
    ),
    trained_clips=16,
    processes=2,
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


def transfers(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Copies of a batch of frames to the device, until they are there, normalised: GB/s of float32."""
    spec, target = input_spec(name), torch.device(device)
    shape = (spec.num_frames, spec.crop_px, spec.crop_px, 3)
    frames = [np.random.default_rng(i).uniform(0, 255, shape).astype(np.float32) for i in range(plan.step)]
    rounded = [clip.astype(np.uint8) for clip in frames]
    normalise = Normalise(mean=spec.mean, std=spec.std).to(target)
    uploads = Uploads(target)
    ways: dict[str, Callable[[], Tensor]] = {
        "float32, pageable": lambda: torch.from_numpy(np.stack(frames)).to(target),
        "float32, pinned, as the engine does": lambda: uploads(frames),
        "uint8, pageable, float32 on the device": lambda: (
            torch.from_numpy(np.stack(rounded)).to(target).float()
        ),
    }
    for label, way in ways.items():
        count, took_s = repeated(lambda way=way: normalise(way()), plan.busy_s / 4, device)
        giga = count * sum(clip.nbytes for clip in frames) / 1e9
        speed = f"{giga / took_s:.1f} GB/s, {count * len(frames) / took_s:.0f} clips/s"
        yield Row(f"{name}: frames to the device, {label}", speed)


def throughput(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Clips a second from memory to scores, frames resized already or of 256x340 pixels; the memory taken."""
    network, spec = randomised(name), input_spec(name)
    precision: Precision = "bf16" if device != "cpu" else "fp32"
    for batch in plan.batches:
        engine = engine_of(network, name, device, precision, batch_clips=batch)
        whole = clips(spec.num_frames, batch, sizes=((256, 340),))
        speeds = []
        for frames in ([engine.resize.of_clip(clip) for clip in whole], whole):
            engine(frames)
            reset_peak(device)
            count, took_s = repeated(partial(engine, frames), plan.busy_s / 2, device)
            speeds.append(f"{count * batch / took_s:.1f}")
        memory = peak_mib(device)
        value = f"{speeds[0]} clips/s resized, {speeds[1]} of 256x340" + (
            f", {memory:.0f} MiB" if memory else ""
        )
        yield Row(f"{name}: {precision}, {batch} at once, steps of {engine.step_clips}", value)


def compiled(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Channels-last bf16 with CUDA graphs beside eager float32, and its answers beside the CPU's."""
    if device == "cpu":
        yield Row(f"{name}: compiled", "on a GPU only")
        return
    spec = input_spec(name)
    few = clips(spec.num_frames, 3)
    exact = np.concatenate(engine_of(randomised(name), name, "cpu", "fp32")(few))
    speeds: dict[str, float] = {}
    for label, precision, compile in (
        ("eager fp32", "fp32", False),
        ("eager bf16", "bf16", False),
        ("compiled bf16", "bf16", True),
    ):
        config = EngineConfig("torch", device, precision, compile=compile)
        engine = TorchEngine(randomised(name), spec, batch_clips=plan.batches[-1], config=config)
        frames = [engine.resize.of_clip(clip) for clip in clips(spec.num_frames, 2 * engine.step_clips)]
        began_s = time.perf_counter()
        for _ in range(3):  # compiles, records the graph, replays it
            engine(frames)
        ready_s = time.perf_counter() - began_s
        count, took_s = repeated(partial(engine, frames), plan.busy_s, device)
        speeds[label] = count * len(frames) / took_s
        factor = speeds[label] / speeds["eager fp32"]
        value = f"{speeds[label]:.1f} clips/s, {factor:.1f}x, ready in {ready_s:.0f} s"
        bar = {"allowed": f"{COMPILED_BAR:g}x", "passed": factor >= COMPILED_BAR} if compile else {}
        yield Row(f"{name}: {label}", value, **bar)
        found = np.concatenate(engine(few))
        difference = float(np.abs(found - exact).max() / exact.max())
        allowed = BF16 if precision == "bf16" else TF32
        yield Row(f"{name}: {label} − CPU", f"{difference:.1e}", f"{allowed:.0e}", difference <= allowed)
        del engine
        torch.cuda.empty_cache()


def reading(name: str, plan: Plan, device: str) -> Iterator[Row]:
    """Clips a second from files to scores: files are read in threads or processes beside the device."""
    if importlib.util.find_spec("av") is None:
        yield Row(f"{name}: from files", "left out: PyAV is not installed")
        return
    engine = engine_of(randomised(name), name, device, "auto")
    cores = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        videos = write_videos(Path(folder), plan.videos)
        read = partial(first_clip, resize=engine.resize, name=name)
        engine([read(videos[0])])
        for kind, pool, workers in (
            ("1 thread", ThreadPoolExecutor, 1),
            (f"{cores} threads", ThreadPoolExecutor, cores),
            (f"{cores} processes", partial(ProcessPoolExecutor, mp_context=get_context("spawn")), cores),
        ):
            with pool(workers) as readers:
                list(readers.map(read, videos[: workers or 1]))  # starts the processes
                for label, score in (("read", len), ("read and scored", engine)):
                    began_s = time.perf_counter()
                    batch: list[ResizedFrames] = []
                    for clip in readers.map(read, videos):
                        batch.append(clip)
                        if len(batch) == engine.step_clips:
                            score(batch)
                            batch = []
                    if batch:
                        score(batch)
                    speed = len(videos) / (time.perf_counter() - began_s)
                    yield Row(f"{name}: files of 640x480, {kind}, {label}", f"{speed:.1f} clips/s")


FEW_STEPS = 4  # not measured: kernels are chosen in them


def recipe_of(name: str, folder: Path, plan: Plan, *more: str) -> list[str]:
    """A recipe and its settings for three short epochs over clips of a folder, measured by one view."""
    epochs, warmup = ("schedule.epochs=3", "schedule.warmup_epochs=0.5")
    data = (f'data.train=["{folder}"]', "data.kind=labelled", "data.validation=[]", "data.labels=''")
    views = ("evaluation.clips=1", "evaluation.crops=1", "evaluation.every_epochs=3")
    others = (
        "model.num_classes=none",
        "mix.mixup_alpha=0",
        "mix.cutmix_alpha=0",
        "batch_norm.precise_batches=0",
    )
    return [name, *data, epochs, warmup, *views, *others, *plan.settings, *more]


def labelled_videos(folder: Path, count: int) -> Path:
    """A folder of two classes: noise that moves, and the same film with its pictures turned round."""
    from twinpath.video.writer import VideoWriter

    (pictures,) = clips(64, 1, sizes=((240, 320),))
    for label, frames in (("forwards", pictures), ("backwards", pictures[::-1])):
        first = folder / label / "0.mp4"
        first.parent.mkdir(parents=True)
        with VideoWriter(first, width=320, height=240, fps=30, preset="ultrafast") as writer:
            for picture in frames:
                writer.write(picture)
        for number in range(1, count // 2):
            shutil.copyfile(first, folder / label / f"{number}.mp4")
    return folder


def trained(plan: Plan, device: str) -> Iterator[Row]:
    """Recipes in bf16 in this process: clips a second, memory, and whether the loss is a number and the model
    there; with activations kept and computed again."""
    from twinpath.train.loop.train import train_clips
    from twinpath.train.machine import Machine
    from twinpath.train.recipe import read_recipe

    with tempfile.TemporaryDirectory() as where:
        videos = labelled_videos(Path(where) / "videos", plan.trained_clips)
        memory: list[float] = []
        for name, again in [(name, False) for name in plan.recipes] + [(plan.recipes[-1], True)]:
            recipe = read_recipe(
                *_split(recipe_of(name, videos, plan, f"model.checkpoint_blocks={again}".lower()))
            )
            steps, took_s = [], []

            def on_step(step, steps=steps, took_s=took_s) -> None:
                steps.append(step.loss)
                took_s.append(step.took_s)

            reset_peak(device)
            machine = Machine("cpu" if device == "cpu" else "gpu")
            model = train_clips(recipe, Path(where) / f"{name}-{again}", machine=machine, on_step=on_step)
            memory.append(peak_mib(device))
            speed = recipe.run.batch_size * len(took_s[FEW_STEPS:]) / max(sum(took_s[FEW_STEPS:]), 1e-9)
            what = ", activations computed again" if again else ""
            value = f"{speed:.1f} clips/s, loss {steps[0]:.2f} to {steps[-1]:.2f}, {memory[-1]:.0f} MiB"
            passed = (
                bool(np.isfinite(steps).all()) and model is not None and "test_top1" in model.card.figures
            )
            yield Row(f"{name}: training in {recipe.run.precision}{what}", value, "finite, measured", passed)
        if memory[-1]:
            value = f"{memory[-1]:.0f} of {memory[-2]:.0f} MiB"
            yield Row(
                f"{plan.recipes[-1]}: memory, activations computed again",
                value,
                "less",
                memory[-1] < memory[-2],
            )


def _split(words: list[str]) -> tuple[str, list[str]]:
    return words[0], words[1:]


def on_all(plan: Plan, device: str) -> Iterator[Row]:
    """The last recipe on all GPUs, by the command, and resumed by the other strategy."""
    processes = plan.processes or torch.cuda.device_count()
    if processes < 2:
        yield Row("training on all GPUs", "left out: there is one")
        return
    with tempfile.TemporaryDirectory() as where:
        videos, out = labelled_videos(Path(where) / "videos", plan.trained_clips), Path(where) / "run"
        for strategy in ("ddp", "fsdp"):
            words = recipe_of(plan.recipes[-1], videos, plan)
            kind = "cpu" if device == "cpu" else "gpu"
            options = ["--device", kind, "--devices", str(processes), "--strategy", strategy]
            command = [
                sys.executable,
                "-m",
                "twinpath",
                "train",
                *words,
                *options,
                "--out",
                str(out / strategy),
            ]
            began_s = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
            took_s = time.perf_counter() - began_s
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            value = f"{took_s:.0f} s" if done.returncode == 0 else last[:80]
            is_there = list((out / strategy).glob("*/model.json")) != []
            yield Row(f"{plan.recipes[-1]}: {processes} processes, {strategy}", value, "a model", is_there)


def write_videos(folder: Path, count: int) -> list[str]:
    """Short videos of 640x480."""
    from twinpath.video.writer import VideoWriter

    (pictures,) = clips(64, 1, sizes=((480, 640),))
    first = folder / "0.mp4"
    with VideoWriter(first, width=640, height=480, fps=30, preset="ultrafast") as writer:
        for picture in pictures:
            writer.write(picture)
    copies = [folder / f"{number}.mp4" for number in range(1, count)]
    for copy in copies:
        shutil.copyfile(first, copy)
    return [str(path) for path in (first, *copies)]


def first_clip(video: str, *, resize: Resize, name: str) -> ResizedFrames:
    """The first clip of a video, as a network takes it."""
    from twinpath.recognize.plan import Views, plan_views
    from twinpath.video.clips import open_clips

    with open_clips(video, plan_views(Views.parse("1x1"), input_spec(name)), resize=resize) as found:
        (clip,) = found
    assert isinstance(clip.frames, ResizedFrames)
    return clip.frames


def repeated(call: Callable[[], object], busy_s: float, device: str) -> tuple[int, float]:
    """How often something is done in about `busy_s` seconds, and the seconds until the device is done."""
    call()
    synchronise(device)
    count, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < busy_s or count == 0:
        call()
        count += 1
    synchronise(device)
    return count, time.perf_counter() - began_s


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


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
    began_s = time.perf_counter()
    for name in (*plan.classifiers, plan.detector):
        rows += guarded(f"answers of {name}", lambda name=name: answers(name, plan, device))
    rows += guarded("training", lambda: gradients(plan.reversible, plan, device))
    rows += guarded("memory", lambda: chosen_batches(plan, device))
    for what, check in (
        ("transfers", transfers),
        ("speed", throughput),
        ("compiled", compiled),
        ("reading", reading),
    ):
        rows += guarded(what, lambda check=check: check(plan.fast, plan, device))
    rows += guarded("recipes", lambda: trained(plan, device))
    rows += guarded("all devices", lambda: on_all(plan, device))
    minutes = (time.perf_counter() - began_s) / 60
    rows.append(Row("this check", f"{minutes:.1f} minutes", f"{MOST_MINUTES}", minutes < MOST_MINUTES))
    print_table(rows)
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
