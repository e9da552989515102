"""Measure networks in fp32, bf16 and int8 side by side: agreement, speed, size.

    python -m scripts.measure_int8 slowfast_r50_8x8 x3d_s    # prints a table as that of docs/int8.md
    python -m scripts.measure_int8 --json figures.jsonl --every-family

The speeds of a network are measured in one process, one clip of each precision after the other: the least of
several times. Networks without weights in this package get random ones; then agreement says nothing, and the
layers are not put back to float for it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from twinpath.data.synthetic import TEST_SEED
from twinpath.engine.calibration import CALIBRATION_SEED, COMPARISON_SEED, ClipFile, render_clips
from twinpath.engine.int8_speed import clip_ms, compile_both
from twinpath.engine.openvino_convert import convert
from twinpath.engine.openvino_engine import cpu_name
from twinpath.engine.openvino_import import ov
from twinpath.engine.quantize import QuantizationProgress, inputs_of, quantize
from twinpath.zoo.create import create_model, input_spec, resolve

EMBEDDED = ("slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic")
ONE_OF_EACH_FAMILY = (
    *EMBEDDED,
    "slowfast_r50_8x8",
    "slow_r50_8x8",
    "x3d_s",
    "x3d_m",
    "mvit_v2_s_16x4",
    "csn_r101_32x2",
    "r2plus1d_r50_16x4",
    "i3d_r50_8x8",
    "c2d_r50_8x8",
    "slow_r50_8x8_det",
    "mvit_v1_b_16x4",
    "vit_b_16x4",
    "rev_mvit_b_16x4",
    "r3d_18",
    "s3d",
)
NUM_TIMED, LEAST_ROUNDS, TIMED_S = 2, 4, 25.0


@dataclass(frozen=True)
class Counts:
    """How many clips.

    Attributes:
        calibration, validation: Given to `quantize`.
        fresh: For agreement and errors.
    """

    calibration: int
    validation: int
    fresh: int


@dataclass(frozen=True)
class Figures:
    """What was measured of one network.

    Attributes:
        has_weights: False: random ones.
        num_int8, num_float: Layers with weights.
        num_reverted: Operations put back to float for the sake of agreement.
        agreement: Of each precision with fp32, 0 to 1.
        num_answers: Over how many clips or boxes.
        logit_error: Of each precision: the mean distance of the logits from those of fp32, over their spread.
        clip_ms: Least time for one clip.
        size_mb: Of files in fp32, fp16 and int8.
    """

    name: str
    has_weights: bool
    num_int8: int
    num_float: int
    num_reverted: int
    agreement: dict[str, float]
    num_answers: int
    logit_error: dict[str, float]
    clip_ms: dict[str, float]
    size_mb: dict[str, float]


def measure(name: str, counts: Counts) -> Figures:
    """Quantise a network and measure it."""
    architecture, record = resolve(name)
    has_weights, boxes = record is not None and name in EMBEDDED, architecture.is_detector
    torch.manual_seed(0)
    spec = input_spec(name)
    model = convert(create_model(name, pretrained=has_weights), spec, output="boxes" if boxes else "scores")
    with ClipFile() as calibration, ClipFile() as validation, ClipFile() as fresh:
        for clips, num_clips, seed in (
            (calibration, counts.calibration, CALIBRATION_SEED),
            (validation, counts.validation, COMPARISON_SEED),
            (fresh, counts.fresh, TEST_SEED),
        ):
            render_clips(spec, clips, num_clips=num_clips, first_seed=seed, whole=boxes)
        made = quantize(
            model, calibration, validation, min_agreement=0.99 if has_weights else 0, on_progress=_say
        )
        compiled = compile_both(model, made.model)
        outputs = {
            key: np.concatenate(
                [run(inputs)[0] for clip in fresh for inputs in inputs_of(clip, with_boxes=boxes)]
            )
            for key, run in compiled.items()
        }
        timed = [inputs for clip in fresh[:NUM_TIMED] for inputs in inputs_of(clip, with_boxes=boxes)]
    best = {key: rows.argmax(axis=1) for key, rows in outputs.items()}
    return Figures(
        name,
        has_weights,
        made.num_int8_layers,
        made.num_float_layers,
        len(made.reverted),
        {key: float((rows == best["fp32"]).mean()) for key, rows in best.items()},
        len(best["fp32"]),
        {key: _logit_error(rows, outputs["fp32"]) for key, rows in outputs.items()},
        clip_ms(compiled, timed, least_rounds=LEAST_ROUNDS, seconds=TIMED_S),
        _sizes_mb(model, made.model),
    )


def _logit_error(rows: np.ndarray, expected: np.ndarray) -> float:
    """Of probabilities (N, classes)."""
    ours, theirs = (np.log(np.maximum(values, 1e-20)) for values in (rows, expected))
    ours, theirs = (values - values.mean(axis=1, keepdims=True) for values in (ours, theirs))
    return float(np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()))


def _sizes_mb(model: ov.Model, int8: ov.Model) -> dict[str, float]:
    sizes = {}
    for key, network, halve in (("fp32", model, False), ("fp16", model, True), ("int8", int8, False)):
        with tempfile.TemporaryDirectory() as folder:
            ov.save_model(network, Path(folder) / "model.xml", compress_to_fp16=halve)
            sizes[key] = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    return sizes


def _say(progress: QuantizationProgress) -> None:
    if progress.done == 0:
        print(
            f"  {time.strftime('%H:%M:%S')} trial {progress.trial}, {progress.num_reverted} in float: "
            f"{progress.step}",
            file=sys.stderr,
        )


def table(figures: list[Figures]) -> Iterator[str]:
    """Lines of Markdown."""
    yield (
        "| network | weights | int8 layers | agreement | error of logits | clips/s fp32 | bf16 | int8 | "
        "int8 : fp32 | int8 : bf16 | MB fp32 | fp16 | int8 |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for row in figures:
        ms = row.clip_ms
        int8_ms = min(ms["int8"], ms.get("int8+bf16", float("inf")))
        has_bf16 = "bf16" in ms
        agreement = f"{row.agreement['int8']:.1%} of {row.num_answers}" if row.has_weights else "–"
        cells = [
            f"`{row.name}`",
            "trained" if row.has_weights else "random",
            f"{row.num_int8} of {row.num_int8 + row.num_float}",
            agreement,
            f"{row.logit_error['int8']:.1%}",
            f"{1e3 / ms['fp32']:.2f}",
            f"{1e3 / ms['bf16']:.2f}" if has_bf16 else "–",
            f"{1e3 / int8_ms:.2f}",
            f"{ms['fp32'] / int8_ms:.2f}",
            f"{ms['bf16'] / int8_ms:.2f}" if has_bf16 else "–",
            *(f"{row.size_mb[key]:.1f}" for key in ("fp32", "fp16", "int8")),
        ]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks")
    parser.add_argument("--every-family", action="store_true", help="one network of each family")
    parser.add_argument("--json", type=Path, help="file to which each network's figures are added as a line")
    parser.add_argument(
        "--fresh", type=int, default=200, help="clips for agreement, of networks with weights"
    )
    arguments = parser.parse_args()
    names = [*arguments.names, *(ONE_OF_EACH_FAMILY if arguments.every_family else ())]
    figures = []
    for name in names:
        print(name, file=sys.stderr)
        counts = Counts(100, 200, arguments.fresh) if name in EMBEDDED else Counts(8, 20, 8)
        figures.append(measure(name, counts))
        print(json.dumps(asdict(figures[-1])), file=sys.stderr)
        if arguments.json:
            with arguments.json.open("a") as file:
                file.write(json.dumps(asdict(figures[-1])) + "\n")
    print(f"{cpu_name()}\n")
    print("\n".join(table(figures)))


if __name__ == "__main__":
    main()
