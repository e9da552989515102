"""From a converted network to one that computes in int8, by NNCF, with as many layers as agreement allows.

    made = quantize(model, calibration, validation)         # clips: see `calibration.py`
    made.model, made.agreement, made.num_int8_layers

Weights and activations become 8-bit integers whose ranges the calibration clips decide. Where the answers
then differ from those of the float network on too many of the validation clips, operations go back to float,
those with the largest error of their own first: 1, 2, 4 … of them until the answers agree, then as few as a
bisection finds. Nothing is random: the same clips give the same network on the same CPU.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import last_line
from twinpath.engine.config import EngineConfig
from twinpath.engine.layer_errors import layer_errors, layers, names_for_float
from twinpath.engine.openvino_engine import compile_network
from twinpath.engine.openvino_import import ov
from twinpath.errors import InputError, LimitExceeded, MissingExtra, UsageError, is_out_of_memory
from twinpath.video.resize import ResizedFrames, scaled_boxes

MIN_AGREEMENT = 0.99
MIN_CALIBRATION_CLIPS = 8
MIN_VALIDATION_CLIPS = 20
RANKING_CLIPS = 8  # with which the error of each layer is measured
_NO_ANSWER = -1

Boxes = NDArray[np.floating]
CalibrationClip = ResizedFrames | tuple[ResizedFrames, Boxes]
"""Frames as the network takes them; for a detection network perhaps with (P, 4) boxes x1, y1, x2, y2 in
pixels of the pictures before they were resized. Without boxes these are the left, middle and right third."""

Inputs = list[NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A network with int8 layers.

    Attributes:
        model: Takes and gives what the float model does.
        agreement: Of the validation clips (or their boxes): for how many the best class is that of the float
            model, 0 to 1.
        num_answers: How many were compared.
        num_int8_layers: Convolutions and matrix products with weights that are computed in int8.
        num_float_layers: Those that are not.
        reverted: Names of the operations that went back to float for the sake of agreement.
    """

    model: ov.Model
    agreement: float
    num_answers: int
    num_int8_layers: int
    num_float_layers: int
    reverted: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuantizationProgress:
    """How far a quantisation is.

    Attributes:
        step: "float answers", "calibration", "comparison", or "errors of the layers".
        trial: Number of the trial, from 1; each has a calibration and a comparison.
        num_reverted: Operations that this trial leaves in float for the sake of agreement.
        done, total: Clips of this step.
        eta_s: Seconds that the rest of this step takes, by its pace until now.
    """

    step: str
    trial: int
    num_reverted: int
    done: int
    total: int
    eta_s: float


OnProgress = Callable[[QuantizationProgress], None]


def quantize(
    model: ov.Model,
    calibration: Sequence[CalibrationClip],
    validation: Sequence[CalibrationClip],
    *,
    min_agreement: float = MIN_AGREEMENT,
    on_progress: OnProgress | None = None,
) -> QuantizedModel:
    """Make an int8 network.

    Args:
        model: From `openvino_convert.convert`; it is not changed.
        calibration: Clips that decide the ranges, at least `MIN_CALIBRATION_CLIPS`; they are read several
            times. All crops of a clip count.
        validation: Other clips, at least `MIN_VALIDATION_CLIPS`, on which the answers are compared.
        min_agreement: The part of the answers that must be those of the float network, 0 to 1.
        on_progress: Is told how far it is.
    Raises:
        MissingExtra: NNCF is not installed.
        UsageError: Too few clips, no such agreement, clips that the network does not take; or no layer of
            this network can be int8 with so much agreement.
        InputError: The float network gives NaN or Inf.
        LimitExceeded: Memory is lacking.
    """
    if not 0 <= min_agreement <= 1:
        raise UsageError(f"min_agreement must be from 0 to 1, not {min_agreement:g}")
    check_clips(calibration, validation)
    nncf = load_nncf()
    trials = _Trials(nncf, model, calibration, validation, on_progress or (lambda progress: None))
    with _errors_named():
        first = trials.run(())
        if first.agreement >= min_agreement:
            return first
        return trials.fall_back(first, min_agreement)


def load_nncf() -> Any:
    """Import NNCF, without its telemetry: see `openvino_import.py`.

    Raises:
        MissingExtra: It is not installed, or does not load.
    """
    install = "pip install 'twinpath[int8]'"
    try:
        return importlib.import_module("nncf")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"int8 needs NNCF; install it with: {install}") from error
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        raise MissingExtra(f"int8: NNCF does not load ({reason}); reinstall it: {install}") from error


def check_clips(calibration: Sequence[CalibrationClip], validation: Sequence[CalibrationClip]) -> None:
    """Check that there are enough clips for `quantize`.

    Raises:
        UsageError: There are not.
    """
    for clips, least, purpose in (
        (calibration, MIN_CALIBRATION_CLIPS, "calibration"),
        (validation, MIN_VALIDATION_CLIPS, "validation"),
    ):
        if len(clips) < least:
            raise UsageError(
                f"int8 needs at least {least} clips for {purpose}, not {len(clips)}; "
                "give more or longer videos"
            )


class _Trials:
    """Quantises with some operations left in float, and compares the answers.

    Args:
        nncf: The module.
        model, calibration, validation: See `quantize`.
        tell: Is told how far it is.
    """

    def __init__(
        self,
        nncf: Any,
        model: ov.Model,
        calibration: Sequence[CalibrationClip],
        validation: Sequence[CalibrationClip],
        on_progress: OnProgress,
    ) -> None:
        self._nncf, self._model, self._calibration = nncf, model, calibration
        self._validation, self._on_progress = validation, on_progress
        self._trial, self._num_reverted = 0, 0
        self._never = names_for_float(model)
        self._expected: NDArray[np.int64] | None = None

    def run(self, reverted: tuple[str, ...]) -> QuantizedModel:
        """Leave these operations in float."""
        self._trial, self._num_reverted = self._trial + 1, len(reverted)
        if self._expected is None:
            self._expected = self._answers(self._model, "float answers")
            if (self._expected == _NO_ANSWER).any():
                raise InputError("the network produced NaN or Inf; the checkpoint may be corrupt")
        quantized = self._quantized(reverted)
        agreement = float((self._answers(quantized, "comparison") == self._expected).mean())
        num_int8, num_float = layers(quantized)
        return QuantizedModel(quantized, agreement, len(self._expected), num_int8, num_float, reverted)

    def fall_back(self, first: QuantizedModel, min_agreement: float) -> QuantizedModel:
        """As few operations in float as reach the agreement.

        Args:
            first: With none in float, which does not.
            min_agreement: See `quantize`.
        Raises:
            UsageError: No layer is left that is int8.
        """
        worst_first = self._ranked(first.model)
        best, too_few, best_agreement = None, 0, first.agreement
        count = 1
        while best is None and too_few < len(worst_first):
            made = self.run(worst_first[:count])
            if made.num_int8_layers:
                best_agreement = max(best_agreement, made.agreement)
            if made.agreement >= min_agreement:
                best = made
            else:
                too_few, count = count, min(2 * count, len(worst_first))
        while best is not None and len(best.reverted) - too_few > 1:
            middle = (too_few + len(best.reverted)) // 2
            made = self.run(worst_first[:middle])
            if made.agreement >= min_agreement:
                best = made
            else:
                too_few = middle
        if best is None or not best.num_int8_layers:
            raise UsageError(
                f"int8 gives float's answers for at most {best_agreement:.1%} of the validation clips, "
                f"not for {min_agreement:.1%}; give more clips for calibration, or choose another precision"
            )
        return best

    def _ranked(self, quantized: ov.Model) -> tuple[str, ...]:
        """Operations that are computed in int8, those with the largest error first."""
        clips = self._steps("errors of the layers", self._calibration[:RANKING_CLIPS])
        errors = layer_errors(self._model, quantized, clips)
        return tuple(sorted(errors, key=lambda name: (-errors[name], name)))

    def _quantized(self, reverted: tuple[str, ...]) -> ov.Model:
        """The network by NNCF, with these operations in float."""
        nncf = self._nncf
        dataset = nncf.Dataset(_Again(lambda: self._steps("calibration", self._calibration)))
        per_tensor = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
        is_transformer = any(op.get_type_name() == "MVN" for op in self._model.get_ops())  # layer norms
        with _quiet():
            made: ov.Model = nncf.quantize(
                self._model.clone(),
                dataset,
                subset_size=len(self._calibration) * _frames_of(self._calibration[0]).pixels.shape[1],
                preset=nncf.QuantizationPreset.MIXED,
                model_type=nncf.ModelType.TRANSFORMER if is_transformer else None,
                ignored_scope=nncf.IgnoredScope(names=[*self._never, *reverted], validate=False),
                # A range for each channel, the default of depthwise convolutions, has no int8 kernel.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_quantization_params=per_tensor
                ),
            )
        return made

    def _answers(self, model: ov.Model, step: str) -> NDArray[np.int64]:
        """The best class of each validation clip, or of each box."""
        compiled = compile_network(model, precision="fp32", config=EngineConfig())
        scores = np.concatenate([compiled(inputs)[0] for inputs in self._steps(step, self._validation)])
        return np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), _NO_ANSWER)

    def _steps(self, step: str, clips: Sequence[CalibrationClip]) -> Iterator[Inputs]:
        """The inputs of clips, while progress is reported."""
        begin = time.monotonic()
        for done, clip in enumerate(clips):
            eta_s = (time.monotonic() - begin) / done * (len(clips) - done) if done else float("nan")
            progress = QuantizationProgress(step, self._trial, self._num_reverted, done, len(clips), eta_s)
            self._on_progress(progress)
            yield from inputs_of(clip, with_boxes=len(self._model.inputs) == 2)


class _Again:
    """An iterable that may be read several times."""

    def __init__(self, start: Callable[[], Iterator[Inputs]]) -> None:
        self._start = start

    def __iter__(self) -> Iterator[Inputs]:
        return self._start()


def inputs_of(clip: CalibrationClip, *, with_boxes: bool) -> Iterator[Inputs]:
    """What a network is given for a clip: (1, T, h, w, 3) of each crop, and (P, 5) boxes behind it.

    Raises:
        UsageError: Boxes for a network that takes none.
    """
    frames = _frames_of(clip)
    boxes_px = None if isinstance(clip, ResizedFrames) else clip[1]
    if boxes_px is not None and not with_boxes:
        raise UsageError("this network takes no boxes; give clips without them")
    for crop in range(frames.pixels.shape[1]):
        pixels = np.ascontiguousarray(frames.pixels[None, :, crop])
        if not with_boxes:
            yield [pixels]
            continue
        if boxes_px is None:
            sides_px = np.linspace(0, frames.width_px, 4)
            boxes_px = np.array([[sides_px[i], 0.0, sides_px[i + 1], frames.height_px] for i in range(3)])
        short_side = min(pixels.shape[2:4])
        boxes = scaled_boxes(boxes_px, frames.height_px, frames.width_px, short_side=short_side)
        yield [pixels, np.pad(boxes, ((0, 0), (1, 0)))]  # of clip 0, the only one


def _frames_of(clip: CalibrationClip) -> ResizedFrames:
    return clip if isinstance(clip, ResizedFrames) else clip[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the lines that NNCF logs and its bars, which go to the console that Rich shares."""
    import rich

    console, logger = rich.get_console(), logging.getLogger("nncf")
    before = console.quiet, logger.level
    console.quiet = True
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        console.quiet = before[0]
        logger.setLevel(before[1])


@contextlib.contextmanager
def _errors_named() -> Iterator[None]:
    """Raises what an error of OpenVINO or NNCF means."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise LimitExceeded("int8 needs more memory than there is; free memory") from error
        raise UsageError(f"this network cannot be made int8 ({last_line(error)})") from error
