"""Teach a detection network actions of one's own: a new last layer on what it sees in labelled boxes.

data = read_keyframes(Path("match.xml"), videos=Path("videos"))
result = finetune_detection(data, model="slowfast_r50_8x8_det.ptv_ava", out=Path("my-actions"))
Detector("my-actions")("another.mp4")

The rest of the network stays as it is, and a box is computed once (`box_features`). The last layer is one
logistic regression for each action (`linear`). How well it does is told by people that it has not seen: of
other videos, or of other stretches of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath import __version__
from twinpath.data.labelled.clip import MOST_BROKEN
from twinpath.data.labelled.keyframe_folds import KeyframeFolds, keyframe_folds
from twinpath.data.labelled.keyframes import LabelledKeyframe, LabelledKeyframes
from twinpath.engine.config import EngineConfig
from twinpath.engine.export import loaded
from twinpath.engine.open import open_box_embedder
from twinpath.errors import INPUT_FAILURES, InputError, PartialFailure, UsageError
from twinpath.jobs.batch import input_failure
from twinpath.jobs.explained_mistakes import Explaining, explain_mistakes
from twinpath.metrics.evaluation import report_values, summarise
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map
from twinpath.models.detection import DetectionNetwork
from twinpath.recognize.model import DEFAULT_DETECTION_MODEL, check_model
from twinpath.recognize.read import VideoReader
from twinpath.render.evaluation_report import write_evaluation_report
from twinpath.render.thumbnails import person_of
from twinpath.results.evaluation import ClipAnswer, Evaluation, EvaluationSummary, FailedInput, LearnedClip
from twinpath.results.explanation import ExplainedMistake
from twinpath.train.finetune.box_features import BoxFeatures, Embeddings
from twinpath.train.finetune.learned import own_network, set_last_layer
from twinpath.train.finetune.linear import STRENGTHS, LinearHead, fit_linear
from twinpath.train.finetune.parts import NUM_FOLDS
from twinpath.train.finetune.settings import choose_flip
from twinpath.weights.load import save_weights
from twinpath.zoo.model_card import ModelCard
from twinpath.zoo.model_facts import ModelFacts
from twinpath.zoo.model_folder import (
    WEIGHTS,
    ModelFolder,
    check_target,
    new_model_folder,
    read_model_folder,
    write_card,
)

_SHOWN = 20
_LARGEST_SHIFT = 10.0
_SHIFTS_TRIED = 21

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class DetectionFinetuneResult:
    """A detection network with actions of one's own.

    Attributes:
        folder: The model folder.
        labels: Names of the actions.
        evaluation: Its answers on people in annotated boxes that it had not seen, a `ClipAnswer` each; none
            where there is too little to hold some out.
        summary: The figures that follow; None: there are none.
        frame_map: Frame mAP@0.5 of the same answers; None: there are none.
        held_out: How people were held out, for people: "5 folds by video".
        keyframes, people, videos: How many it has learned from.
        notes: What a user should know, a sentence each.
        explained: Mistakes that have maps in the report.
    """

    folder: ModelFolder
    labels: tuple[str, ...]
    evaluation: Evaluation
    summary: EvaluationSummary | None
    frame_map: FrameMap | None
    held_out: str
    keyframes: int
    people: int
    videos: int
    notes: tuple[str, ...] = ()
    explained: tuple[ExplainedMistake, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values, without the folder."""
        values: dict[str, Any] = {
            "labels": list(self.labels),
            "held_out": self.held_out,
            "keyframes": self.keyframes,
            "people": self.people,
            "videos": self.videos,
            "notes": list(self.notes),
        }
        if self.frame_map is not None:
            values["frame_map"] = _as_json(self)
        if self.summary is not None:
            values |= report_values(self.evaluation, self.summary, self.notes, self.explained)
        return values


def finetune_detection(
    data: LabelledKeyframes,
    *,
    model: str = DEFAULT_DETECTION_MODEL,
    out: Path,
    flip: bool | None = None,
    num_folds: int = NUM_FOLDS,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    config: EngineConfig = EngineConfig(),
    reader: VideoReader | None = None,
    progress: Progress | None = None,
    on_download: Callable[[int, int | None], None] | None = None,
    on_status: Callable[[str], None] = lambda _: None,
    explaining: Explaining | None = None,
) -> DetectionFinetuneResult:
    """Train a new last layer and write it with the rest of the network as a model folder.

    What was computed for a video is kept: the same call after an interruption goes on, and after a change of
    labels takes seconds.

    Args:
        data: Keyframes with people and what they do, see `read_keyframes`.
        model: A detection network, a record or a model folder with weights.
        out: The new model folder, with `report.html` and `report.json` in it; an older one is replaced.
        flip: Learn people mirrored, too; None: unless an action names a side.
        num_folds: Parts for cross-validation, at least 2.
        strengths: Weights of the data against the penalty to choose from, see `fit_linear`.
        seed: Of the folds.
        config: Engine, device, precision and threads.
        reader: Reads the videos; None: without limits of its own.
        progress: Called with the number of keyframes done and the total.
        on_download: Told the bytes of a download of weights.
        on_status: Called with a sentence before each step and about each choice.
        explaining: Explains the worst mistakes in the report, by the kept model; None: they have no maps.
    Raises:
        UnknownModel, UsageError: No such model, or it is not for detection; `out` is something else.
        InputError: There is nothing to tell apart.
        PartialFailure: More than a third of the videos cannot be read; nothing is made.
        MissingExtra: SciPy is not installed.
        WeightsError: See `load_network`.
        OSError: The disk is full or refuses.
    """
    if num_folds < 2:
        raise UsageError(f"num_folds must be at least 2, not {num_folds}")
    facts = check_model(model, task="detection")
    check_target(out)
    _check_data(data)
    reader = reader or VideoReader()
    with_mirrored, why = choose_flip(data.classes, flip)
    on_status(f"people are {'mirrored, too' if with_mirrored else 'not mirrored'}: {why}")
    card, features = _features(facts, reader, with_mirrored, config, on_download, on_status)
    on_status(f"looking at {data.num_people} people in {len(data.keyframes)} keyframes ...")
    used, embeddings = _embedded(data, features, progress)
    _check_data(used)
    on_status(f"fitting {len(used.classes)} actions ...")
    folds = keyframe_folds(used, num_folds=num_folds, seed=seed, span_s=card.input.clip_sampling.span_s)
    head = _fit(embeddings, used, folds, strengths)
    evaluation = _evaluation(used, folds, head, model=out.name)
    found = None if head.out_of_fold is None else map_in_true_boxes(used, head.out_of_fold)
    result = DetectionFinetuneResult(
        folder=ModelFolder(out, card),
        labels=used.classes,
        evaluation=evaluation,
        summary=summarise(evaluation) if evaluation.answers else None,
        frame_map=found,
        held_out=folds.how,
        keyframes=len(used.keyframes),
        people=used.num_people,
        videos=len({keyframe.path for keyframe in used.keyframes}),
        notes=(*used.notes, *_notes(used, folds, found)),
    )
    on_status("writing the model ...")
    return _written(out, facts, card, head, result, reader, explaining)


def _check_data(data: LabelledKeyframes) -> None:
    """Raises: InputError: All people do the same, so that there is nothing to tell apart."""
    targets = data.targets()
    if len(targets) < 2 or (targets == targets[0]).all():
        raise InputError(
            f"all {len(targets)} people do the same ({', '.join(data.classes) or 'nothing'}); annotate "
            "people who do not, too: boxes without an action"
        )


def _features(
    facts: ModelFacts,
    reader: VideoReader,
    with_mirrored: bool,
    config: EngineConfig,
    on_download: Callable[[int, int | None], None] | None,
    on_status: Callable[[str], None],
) -> tuple[ModelCard, BoxFeatures]:
    """The model's record, and what computes embeddings.

    Raises:
        UsageError: It has no weights of a network that is known here; or as `open_box_embedder`.
    """
    card, network = loaded(facts.model, progress=on_download, on_status=on_status)
    if card.network is None or not isinstance(network, DetectionNetwork):
        raise UsageError(f"{facts.model} is a graph; fine-tuning needs the weights of a network")
    sha256 = facts.weights_sha256() or card.weights.sha256
    engine = open_box_embedder(
        network, card.input, name=facts.name, identity=sha256, config=config, on_status=on_status
    )
    identity = {"network": card.network, "weights": sha256}
    return card, BoxFeatures(engine, card.input, model=identity, reader=reader, with_mirrored=with_mirrored)


def _embedded(
    data: LabelledKeyframes, features: BoxFeatures, progress: Progress | None
) -> tuple[LabelledKeyframes, Embeddings]:
    """The keyframes of videos that could be read, and (boxes, V, D) of them.

    Raises:
        PartialFailure: More than a third could not.
    """
    by_video: dict[Path, list[LabelledKeyframe]] = {}
    for keyframe in data.keyframes:
        by_video.setdefault(keyframe.path, []).append(keyframe)
    used: list[LabelledKeyframe] = []
    embeddings: list[Embeddings] = []
    failed: list[FailedInput] = []
    before = 0
    for video, keyframes in by_video.items():

        def report(done: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, len(data.keyframes))

        try:
            embeddings += features.of_video(video, keyframes, report)
            used += keyframes
        except INPUT_FAILURES as error:
            failed.append(FailedInput(video, str(input_failure(error, video))))
        before += len(keyframes)
    if len(failed) > MOST_BROKEN * len(by_video):
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise PartialFailure(
            f"{len(failed)} of {len(by_video)} videos cannot be used, more than a third, so nothing was "
            f"learned: {'; '.join(one.reason for one in failed[:_SHOWN])}{more}"
        )
    seen = {label for keyframe in used for labels in keyframe.labels for label in labels}
    classes = tuple(label for label in data.classes if label in seen)
    kept = replace(data, keyframes=tuple(used), classes=classes, failed=(*data.failed, *failed))
    return kept, np.concatenate(embeddings)


def _fit(
    embeddings: Embeddings, data: LabelledKeyframes, folds: KeyframeFolds, strengths: Sequence[float]
) -> LinearHead:
    """The last layer. `detect` looks at people as they are, and so are they scored out of fold."""
    targets, fold = data.targets(), folds.of_boxes(data)
    head = fit_linear(
        embeddings, targets, fold, scored=embeddings[:, :1], is_multi_label=True, strengths=strengths
    )
    if head.out_of_fold is None or fold is None:
        return head
    held_out = fold >= 0
    shift = _shifts(head.out_of_fold[held_out], targets[held_out])
    return replace(
        head,
        bias=(head.bias + shift).astype(np.float32),
        out_of_fold=_sigmoid(_logit(head.out_of_fold) + shift).astype(np.float32),
    )


def _shifts(scores: NDArray[np.float32], targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,) what is added to the logits of each action, so that 0.5 is a good threshold.

    The fit takes an action for as frequent as its absence, and most are rarer. Somewhere between that and how
    frequent it is lies the threshold with the best F1 on people that were not seen; of equal ones the higher.
    """
    found = []
    for logits, truth in zip(_logit(scores).T, targets.T, strict=True):
        shifts = _calibrating_shift(logits, truth) * np.linspace(1.0, 0.0, _SHIFTS_TRIED)
        f1 = [_f1(logits + shift >= 0, truth) for shift in shifts]
        found.append(float(shifts[int(np.argmax(f1))]))
    return np.array(found)


def _calibrating_shift(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """What is added to logits so that a score is how often it is right."""
    from scipy.optimize import minimize_scalar

    def loss(shift: float) -> float:
        return float(np.logaddexp(0.0, np.where(truth, -(logits + shift), logits + shift)).sum())

    bounds = (-_LARGEST_SHIFT, _LARGEST_SHIFT)
    return float(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _f1(answers: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (answers & truth).sum() / max(answers.sum() + truth.sum(), 1))


def _logit(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logits)))


def map_in_true_boxes(data: LabelledKeyframes, scores: NDArray[np.floating]) -> FrameMap:
    """Frame mAP@0.5 of scores of annotated boxes: what the actions alone reach, with perfect boxes.

    Args:
        data: C actions.
        scores: (boxes, C), in the order of `data.targets()`; NaN for boxes that are not evaluated.
    """
    image = np.repeat(np.arange(len(data.keyframes)), [len(k.labels) for k in data.keyframes])
    xyxy = np.concatenate([keyframe.boxes_xyxy_px for keyframe in data.keyframes]).astype(np.float64)
    is_scored = np.isfinite(scores).all(axis=1)[:, None]
    person, action = np.nonzero(data.targets() & is_scored)
    each_person, each_action = np.nonzero(np.broadcast_to(is_scored, scores.shape))
    of_each = scores[each_person, each_action].astype(np.float64)
    return frame_map(
        ImageBoxes(image[person], xyxy[person], action),
        ImageBoxes(image[each_person], xyxy[each_person], each_action, of_each),
        range(len(data.classes)),
    )


def _evaluation(data: LabelledKeyframes, folds: KeyframeFolds, head: LinearHead, *, model: str) -> Evaluation:
    """What the parts say of people that they have not seen; a "clip" is one person at one keyframe."""
    answers: list[ClipAnswer] = []
    learned: list[LearnedClip] = []
    row = 0
    for n, keyframe in enumerate(data.keyframes):
        fold = -1 if folds.fold is None else int(folds.fold[n])
        path, at_s = keyframe.path, keyframe.time_s
        for box, labels in zip(keyframe.boxes_xyxy_px.tolist(), keyframe.labels, strict=True):
            truth = tuple(sorted(data.classes.index(label) for label in labels))
            if fold < 0 or head.out_of_fold is None:
                learned.append(LearnedClip(path, truth, at_s, at_s))
            else:
                answers.append(
                    ClipAnswer(
                        path,
                        truth,
                        head.out_of_fold[row],
                        start_s=at_s,
                        end_s=at_s,
                        part=f"fold {fold + 1}",
                        box_xyxy_px=tuple(round(side, 2) for side in box),
                    )
                )
            row += 1
    return Evaluation(
        labels=data.classes,
        answers=tuple(answers),
        is_multi_label=True,
        failed=data.failed,
        model=model,
        data=data.kind,
        learned_from=tuple(learned),
    )


def _notes(data: LabelledKeyframes, folds: KeyframeFolds, found: FrameMap | None) -> list[str]:
    idle = int((~data.targets().any(axis=1)).sum())
    notes = [
        "A clip is one person at one keyframe, in the annotated box.",
        f"{idle} of {data.num_people} people do none of the actions.",
        f"Evaluated in {folds.how}." if found is not None else f"{folds.how[0].upper()}{folds.how[1:]}.",
    ]
    if found is not None:
        notes.append(f"Frame mAP@0.5 in the annotated boxes: {found.mean:.1%}.")
    if "stretches" in folds.how:
        notes.append("Held-out people are of videos that were learned from: on others figures may be lower.")
    return notes


def _written(
    out: Path,
    facts: ModelFacts,
    card: ModelCard,
    head: LinearHead,
    result: DetectionFinetuneResult,
    reader: VideoReader,
    explaining: Explaining | None,
) -> DetectionFinetuneResult:
    """The network with its new last layer, its card and its report; all appear at once."""
    found = result.frame_map
    figures: dict[str, float | str] = {} if found is None else {"frame_map": round(found.mean, 4)}
    figures |= {
        "evaluated": result.held_out,
        "learned_from": f"{result.people} people in {result.keyframes} keyframes of {result.videos} videos",
        "strength": head.strength,
        "temperature": round(head.temperature, 4),
    }
    import torch

    card = replace(
        card,
        name=out.name,
        dataset=result.evaluation.data,
        labels=result.labels,
        precision="fp32",
        parity=(),
        figures=figures,
        weights=replace(card.weights, name=f"{card.weights.name}, with a new last layer"),
        versions={
            "twinpath": __version__,
            "torch": str(torch.__version__),
            "scipy": version("scipy"),
        },
    )
    with new_model_folder(out) as folder:
        network = own_network(facts, len(head.bias), is_multi_label=True)
        set_last_layer(network, head.weight, head.bias)
        save_weights(network, folder / WEIGHTS, {"made_by": f"twinpath {__version__}"})
        write_card(folder, card)
        if explaining is not None:
            explained = explain_mistakes(result.evaluation, explaining, model=str(folder))
            result = replace(result, explained=explained)
        if result.summary is not None:
            write_evaluation_report(
                result.evaluation,
                folder,
                title=out.name,
                notes=result.notes,
                thumbnails=partial(person_of, reader),
                explained=result.explained,
                summary=result.summary,
                more={"frame_map": _as_json(result)},
            )
    return replace(result, folder=read_model_folder(out))


def _as_json(result: DetectionFinetuneResult) -> dict[str, Any]:
    found = result.frame_map
    assert found is not None
    return {
        "iou": 0.5,
        "mean": found.mean,
        "by_class": {result.labels[c]: precision for c, precision in found.by_class.items()},
        "true_boxes": {result.labels[c]: count for c, count in found.true_boxes.items()},
    }
