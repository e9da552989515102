"""Export a model in int8, calibrated with clips of videos, or of the synthetic world for a model of that.

    export_int8("slowfast_r50_8x8", "exported", calibrate=["a.mp4", "b.mp4", "c.mp4"])

The fp32 graph is compared with torch first, as `export_model` does it. The int8 one then replaces it, once
its answers agree and clips that are given together have the answers that each has alone. Imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.calibration import (
    CALIBRATION_SEED,
    COMPARISON_SEED,
    NUM_CALIBRATION_CLIPS,
    NUM_VALIDATION_CLIPS,
    ClipFile,
    OnSkipped,
    Video,
    read_clips,
    render_clips,
)
from twinpath.engine.config import EngineConfig
from twinpath.engine.export import Rewrite, export_model, graph_runner
from twinpath.engine.int8_speed import clip_ms, compile_both
from twinpath.engine.openvino_engine import compile_network
from twinpath.engine.openvino_graph import with_float_frames, with_uint8_frames
from twinpath.engine.openvino_import import ov
from twinpath.engine.parity import CLIPS, Run
from twinpath.engine.quantize import (
    QuantizationProgress,
    QuantizedModel,
    check_clips,
    inputs_of,
    load_nncf,
    quantize,
)
from twinpath.errors import ExportDiffers, UsageError
from twinpath.extras import check_torch
from twinpath.zoo.model_facts import ModelFacts, facts_of_model
from twinpath.zoo.model_folder import OPENVINO, OPENVINO_WEIGHTS, ModelFolder, check_target

if TYPE_CHECKING:
    from twinpath.models.exportable import ExportedNetwork
    from twinpath.weights.callbacks import Progress
    from twinpath.zoo.model_card import ModelCard

OnStep = Callable[[str, int, int], None]
"""Called with what is done now, how many clips of it are done, and of how many."""

#: How far the scores of a clip may lie from those that it has alone: sums in another order are rounded to
#: another step of 8 bits here and there.
TOGETHER_TOLERANCE = 0.05
_ROUNDS, _TIMED_S = 3, 2.0


@dataclass(frozen=True)
class ClipCounts:
    """How many clips are wanted.

    Attributes:
        calibration: They decide the ranges.
        validation: On them the answers of int8 and float are compared.
    """

    calibration: int = NUM_CALIBRATION_CLIPS
    validation: int = NUM_VALIDATION_CLIPS


def export_int8(
    model: str,
    out: str | os.PathLike[str],
    *,
    calibrate: Sequence[Video] | None = None,
    weights: Path | None = None,
    counts: ClipCounts = ClipCounts(),
    progress: Progress | None = None,
    on_status: Callable[[str], None] = lambda _: None,
    on_step: OnStep = lambda title, done, total: None,
    on_skipped: OnSkipped = lambda video, error: None,
) -> ModelFolder:
    """Export a model as an int8 graph of OpenVINO.

    Args:
        model, out, weights, progress, on_status: See `export_model`.
        calibrate: Videos like those that the network will see; see `read_clips`. None: clips of the synthetic
            world, for a model of that only.
        counts: How many clips.
        on_step: Is told how far it is.
        on_skipped: Is told of each video that cannot be used; the folder's record counts them.
    Returns:
        The folder. `card.figures` has the agreement, the int8 and float layers, the clips, and how long one
        takes on this CPU, see `speed_warning`; `card.parity` is that of the fp32 graph before.
    Raises:
        UsageError: No videos for such a model, too few clips, or as `export_model` and `quantize`.
        MissingExtra: torch or NNCF is not installed.
        ExportDiffers: See `export_model`; or clips have other answers together than alone.
        InputError, LimitExceeded: A single video cannot be used, or none of several; or as `quantize`.
        UnknownModel, WeightsError, OSError: See `export_model`.
    """
    check_torch("exporting")
    check_target(out)
    facts = facts_of_model(model, weights=weights)
    if calibrate is None and facts.dataset != "synthetic":
        raise UsageError(
            f"calibrate: int8 needs videos like those that {facts.name} will see; give at least one"
        )
    load_nncf()
    skipped: list[Video] = []

    def skip(video: Video, error: Exception) -> None:
        skipped.append(video)
        on_skipped(video, error)

    with ClipFile() as calibration, ClipFile() as validation:
        _gather(facts, calibrate, (calibration, validation), counts, on_step, skip)
        check_clips(calibration, validation)
        source = "the synthetic world" if calibrate is None else f"{len(calibrate) - len(skipped)} videos"
        figures: dict[str, float | str] = {"clips_of": source}
        if skipped:
            figures["videos_skipped"] = len(skipped)
        return export_model(
            model,
            out,
            format="openvino",
            precision="int8",
            weights=weights,
            rewrite=_quantizer(calibration, validation, figures, on_step),
            progress=progress,
            on_status=on_status,
        )


def _gather(
    facts: ModelFacts,
    videos: Sequence[Video] | None,
    clips: tuple[ClipFile, ClipFile],
    counts: ClipCounts,
    on_step: OnStep,
    on_skipped: OnSkipped,
) -> None:
    """Add clips for calibration and for validation."""
    whole = facts.task == "detection"
    if videos is not None:
        read_clips(
            facts.spec,
            videos,
            *clips,
            num_calibration=counts.calibration,
            num_validation=counts.validation,
            whole=whole,
            on_clip=lambda done, total: on_step("reading clips", done, total),
            on_skipped=on_skipped,
        )
        return
    numbers, seeds = (counts.calibration, counts.validation), (CALIBRATION_SEED, COMPARISON_SEED)
    for receiver, num_clips, seed in zip(clips, numbers, seeds, strict=True):
        render_clips(
            facts.spec,
            receiver,
            num_clips=num_clips,
            first_seed=seed,
            whole=whole,
            on_clip=lambda done, total: on_step("rendering clips", done, total),
        )


def _quantizer(
    calibration: ClipFile, validation: ClipFile, figures: dict[str, float | str], on_step: OnStep
) -> Rewrite:
    """What makes the graph of a folder int8."""

    def report(progress: QuantizationProgress) -> None:
        again = f", trial {progress.trial}: {progress.num_reverted} in float" if progress.trial > 1 else ""
        on_step(progress.step + again, progress.done, progress.total)

    def rewrite(folder: Path, card: ModelCard, module: ExportedNetwork) -> ModelCard:
        graph, numbers = folder / OPENVINO, folder / OPENVINO_WEIGHTS
        stored = ov.Core().read_model(graph.read_bytes(), numbers.read_bytes())  # no file stays open
        model = with_float_frames(stored)
        made = quantize(model, calibration, validation, on_progress=report)
        ov.save_model(with_uint8_frames(made.model), graph, compress_to_fp16=False)
        inputs = _for_one_batch(inputs_of(clip, with_boxes=module.is_detector) for clip in validation)
        check_together(made.model, graph_runner(folder, "openvino"), inputs)
        return replace(
            card,
            precision="int8",
            versions={**card.versions, "nncf": str(load_nncf().__version__)},
            figures={
                **card.figures,
                **_figures_of(made),
                **_speed(model, made, inputs[0]),
                "clips_for_calibration": len(calibration),
                "clips_for_validation": len(validation),
                **figures,
            },
        )

    return rewrite


def _figures_of(made: QuantizedModel) -> dict[str, float | str]:
    return {
        "same_answers_as_fp32": made.agreement,
        "answers_compared": made.num_answers,
        "int8_layers": made.num_int8_layers,
        "float_layers": made.num_float_layers,
        "operations_put_back_to_float": len(made.reverted),
    }


def _speed(
    model: ov.Model, made: QuantizedModel, clip: Sequence[NDArray[np.float32]]
) -> dict[str, float | str]:
    """How long a clip takes on this CPU, in the precision that is chosen here by itself."""
    ms = clip_ms(compile_both(model, made.model), [clip], least_rounds=_ROUNDS, seconds=_TIMED_S)
    rest = "bf16" if "bf16" in ms else "fp32"
    return {
        "float_precision": rest,
        "ms_a_clip_in_float": round(ms[rest], 1),
        "ms_a_clip_in_int8": round(ms["int8" if rest == "fp32" else "int8+bf16"], 1),
    }


def speed_warning(card: ModelCard) -> str | None:
    """A sentence where int8 was no faster than float on the CPU that exported a model."""
    precision, float_ms, int8_ms = (
        card.figures.get(name) for name in ("float_precision", "ms_a_clip_in_float", "ms_a_clip_in_int8")
    )
    if not (isinstance(float_ms, float) and isinstance(int8_ms, float)) or int8_ms < float_ms:
        return None
    return (
        f"int8 is no faster than {precision} on this CPU: a clip takes {int8_ms:g} ms, in {precision} "
        f"{float_ms:g} ms; only the files are smaller"
    )


def _for_one_batch(clips: Iterator[Iterator[list[NDArray[np.float32]]]]) -> list[list[NDArray[np.float32]]]:
    """Inputs of single clips of one size, as many as the largest batch; the same ones again if need be."""
    inputs = [one for clip in islice(clips, max(CLIPS)) for one in clip]
    same = [one for one in inputs if one[0].shape == inputs[0][0].shape]
    return [same[i % len(same)] for i in range(max(CLIPS))]


def check_together(model: ov.Model, graph: Run, inputs: Sequence[Sequence[NDArray[np.float32]]]) -> None:
    """Check that a graph gives clips which it takes together the scores that a network gives each alone.

    Args:
        model: The network for one clip and float32 frames.
        graph: What runs the graph for any number of clips and uint8 frames.
        inputs: For the network: of several clips of one size.
    Raises:
        ExportDiffers: It does not.
    """
    compiled = compile_network(model, precision="fp32", config=EngineConfig())
    alone = [compiled(list(one))[0].copy() for one in inputs]
    for count in CLIPS:
        joined = [np.concatenate([one[0] for one in inputs[:count]]).astype(np.uint8)]
        if len(inputs[0]) == 2:
            joined.append(np.concatenate([one[1] + (i, 0, 0, 0, 0) for i, one in enumerate(inputs[:count])]))
        wanted, found = np.concatenate(alone[:count]), graph(*(array for array in joined))
        if wanted.shape != found.shape or not np.isfinite(found).all():
            raise ExportDiffers(
                f"the int8 graph gives scores of shape {found.shape} for {count} clips, not {wanted.shape}, "
                "or numbers that are not finite; nothing was written"
            )
        difference = float(np.abs(wanted - found).max())
        if difference > TOGETHER_TOLERANCE:
            raise ExportDiffers(
                f"the int8 graph gives {count} clips together other scores than alone, by {difference:.2g} "
                f"(allowed {TOGETHER_TOLERANCE:g}); nothing was written"
            )
