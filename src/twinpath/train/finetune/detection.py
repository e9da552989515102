"""Teach a detection network actions of one's own: a new last layer on what it sees in labelled boxes.

data = read_keyframes(Path("match.xml"), videos=Path("videos"))
result = finetune_detection(data, model="slowfast_r50_8x8_det.ptv_ava", out=Path("my-actions"))
Detector("my-actions")("another.mp4")

The rest of the network stays as it is, and a box is computed once (`box_features`). The last layer is one
logistic regression for each action (`linear`). How well it does is told by people that it has not seen: of
other videos, or of other stretches of time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from twinpath import __version__
from twinpath.data.labelled.keyframe_folds import KeyframeFolds, keyframe_folds
from twinpath.data.labelled.keyframes import LabelledKeyframe, LabelledKeyframes
from twinpath.engine.config import EngineConfig
from twinpath.engine.export import loaded
from twinpath.engine.open import open_box_embedder
from twinpath.errors import INPUT_FAILURES, InputError, UsageError
from twinpath.metrics.frame_map import FrameMap, ImageBoxes, frame_map
from twinpath.models.detection import DetectionNetwork
from twinpath.paths import display_path
from twinpath.recognize.model import DEFAULT_DETECTION_MODEL, check_model
from twinpath.recognize.read import VideoReader
from twinpath.train.finetune.box_features import BoxFeatures, Embeddings
from twinpath.train.finetune.linear import STRENGTHS, LinearHead, fit_linear
from twinpath.weights.load import save_weights
from twinpath.zoo.model_card import ModelCard
from twinpath.zoo.model_folder import (
    WEIGHTS,
    ModelFolder,
    check_target,
    new_model_folder,
    read_model_folder,
    write_card,
)

REPORT = "report.json"
NUM_FOLDS = 5
_MOST_FAILED = 1 / 3  # of the videos
_LARGEST_SHIFT = 10.0
_SHIFTS_TRIED = 21

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class DetectionFinetuneResult:
    """A detection network with actions of one's own.

    Attributes:
        folder: The model folder.
        labels: Names of the actions.
        frame_map: Frame mAP@0.5 in annotated boxes that the scoring layer has not seen; None: there are too
            few keyframes to hold some out.
        held_out: How they were held out, for people.
        keyframes, people, videos: How many it has learned from.
        failed: Videos and files that could not be used, each with the reason.
        report: What `report.json` in the folder says.
    """

    folder: ModelFolder
    labels: tuple[str, ...]
    frame_map: FrameMap | None
    held_out: str
    keyframes: int
    people: int
    videos: int
    failed: tuple[tuple[Path, str], ...]
    report: dict[str, Any]


def finetune_detection(
    data: LabelledKeyframes,
    *,
    model: str = DEFAULT_DETECTION_MODEL,
    out: Path,
    dataset: str = "own actions",
    num_folds: int = NUM_FOLDS,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    reader: VideoReader | None = None,
    config: EngineConfig = EngineConfig(),
    progress: Progress | None = None,
    on_download: Callable[[int, int | None], None] | None = None,
    on_status: Callable[[str], None] = lambda _: None,
) -> DetectionFinetuneResult:
    """Train a new last layer and write it with the rest of the network as a model folder.

    What was computed for a video is kept: the same call after an interruption goes on, and after a change of
    labels takes seconds.

    Args:
        data: Keyframes with people and what they do, see `read_keyframes`.
        model: A detection network, a record or a model folder with weights.
        out: The new model folder, with `report.json` beside the weights; an older model folder is replaced.
        dataset: Name of the data, for results and the card.
        num_folds: Parts for cross-validation, at least 2.
        strengths: Weights of the data against the penalty to choose from, see `fit_linear`.
        seed: Of the folds.
        reader: Reads the videos; None: without limits of its own.
        config: Device, precision and threads.
        progress: Called with the number of keyframes done and the total.
        on_download: Told the bytes of a download of weights.
        on_status: Called with a sentence before each step that may take long.
    Raises:
        UnknownModel, UsageError: No such model, or it is not for detection; `out` is something else.
        InputError: More than a third of the videos cannot be used; or there is nothing to tell apart.
        MissingExtra: scikit-learn is not installed.
        WeightsError: See `load_network`.
        OSError: The disk is full or refuses.
    """
    if num_folds < 2:
        raise UsageError(f"num_folds must be at least 2, not {num_folds}")
    check_model(model, task="detection")
    check_target(out)
    _check_data(data)
    card, network = loaded(model, progress=on_download, on_status=on_status)
    if card.network is None or not isinstance(network, DetectionNetwork):
        raise UsageError(f"{model} is a graph; fine-tuning needs the weights of a network that is known here")
    identity = _identity(model, card)
    engine = open_box_embedder(
        network, card.input, name=card.name, identity=identity, config=config, on_status=on_status
    )
    features = BoxFeatures(engine, card.input, model=identity, reader=reader or VideoReader())
    on_status(f"looking at {data.num_people} people in {len(data.keyframes)} keyframes ...")
    used, embeddings, failed = _embedded(data, features, progress)
    _check_data(used)
    on_status(f"fitting {len(used.classes)} actions ...")
    folds = keyframe_folds(used, num_folds=num_folds, seed=seed, span_s=card.input.clip_sampling.span_s)
    head = _fit(embeddings, used, folds, strengths)
    scores = None if head.out_of_fold is None else head.out_of_fold[: used.num_people]
    found = None if scores is None else map_in_true_boxes(used, scores)
    failed = (*data.failed, *failed)
    report = _report(used, model, folds, head, scores, found, failed)
    on_status(f"writing {display_path(out)} ...")
    folder = _write(out, network, card, head, report, dataset=dataset, labels=used.classes)
    return DetectionFinetuneResult(
        folder=folder,
        labels=used.classes,
        frame_map=found,
        held_out=folds.how,
        keyframes=len(used.keyframes),
        people=used.num_people,
        videos=len({keyframe.path for keyframe in used.keyframes}),
        failed=failed,
        report=report,
    )


def _identity(model: str, card: ModelCard) -> str:
    """What tells the weights of this model from those of others."""
    facts = check_model(model, task="detection")
    return f"{card.network} {facts.weights_sha256() or card.weights.sha256}"


def _check_data(data: LabelledKeyframes) -> None:
    """Raises: InputError: All people do the same, so that there is nothing to tell apart."""
    targets = data.targets()
    if len(targets) < 2 or (targets == targets[0]).all():
        raise InputError(
            f"all {len(targets)} people do the same ({', '.join(data.classes) or 'nothing'}); annotate "
            "people who do not, too: boxes without an action"
        )


def _embedded(
    data: LabelledKeyframes, features: BoxFeatures, progress: Progress | None
) -> tuple[LabelledKeyframes, Embeddings, tuple[tuple[Path, str], ...]]:
    """The keyframes of videos that could be read, (boxes, 2, D) of them, and the videos that could not.

    Raises:
        InputError: More than a third could not.
    """
    by_video: dict[Path, list[LabelledKeyframe]] = {}
    for keyframe in data.keyframes:
        by_video.setdefault(keyframe.path, []).append(keyframe)
    used: list[LabelledKeyframe] = []
    embeddings: list[Embeddings] = []
    failed: list[tuple[Path, str]] = []
    before = 0
    for video, keyframes in by_video.items():

        def report(done: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, len(data.keyframes))

        try:
            embeddings += features.of_video(video, keyframes, report)
            used += keyframes
        except INPUT_FAILURES as error:
            failed.append((video, str(error)))
        before += len(keyframes)
    if len(failed) > _MOST_FAILED * len(by_video):
        reasons = "; ".join(reason for _, reason in failed[:5]) + ("; …" if len(failed) > 5 else "")
        raise InputError(f"{len(failed)} of {len(by_video)} videos cannot be used: {reasons}")
    seen = {label for keyframe in used for labels in keyframe.labels for label in labels}
    classes = tuple(label for label in data.classes if label in seen)
    return replace(data, keyframes=tuple(used), classes=classes), np.concatenate(embeddings), tuple(failed)


def _fit(
    embeddings: Embeddings, data: LabelledKeyframes, folds: KeyframeFolds, strengths: Sequence[float]
) -> LinearHead:
    """The last layer. A mirrored box is a person of its own in the same fold: `detect` looks at one view."""
    targets = data.targets()
    of_boxes = folds.of_boxes(data)
    head = fit_linear(
        np.concatenate([embeddings[:, view] for view in range(embeddings.shape[1])]),
        np.concatenate([targets] * embeddings.shape[1]),
        None if of_boxes is None else np.concatenate([of_boxes] * embeddings.shape[1]),
        is_multi_label=True,
        strengths=strengths,
    )
    if head.out_of_fold is None:
        return head
    shift = _shifts(head.out_of_fold[: len(targets)], targets)
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
        as_frequent = _calibrating_shift(logits, truth)
        shifts = as_frequent * np.linspace(1.0, 0.0, _SHIFTS_TRIED)
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
    """Frame mAP@0.5 of scores of annotated boxes: what the actions alone would reach with perfect boxes.

    Args:
        data: C actions.
        scores: (boxes, C), in the order of `data.targets()`.
    """
    image = np.repeat(np.arange(len(data.keyframes)), [len(k.labels) for k in data.keyframes])
    xyxy = np.concatenate([keyframe.boxes_xyxy_px for keyframe in data.keyframes]).astype(np.float64)
    person, action = np.nonzero(data.targets())
    every_person, every_action = (index.ravel() for index in np.indices(scores.shape))
    return frame_map(
        ImageBoxes(image[person], xyxy[person], action),
        ImageBoxes(image[every_person], xyxy[every_person], every_action, scores.ravel().astype(np.float64)),
        range(len(data.classes)),
    )


def _report(
    data: LabelledKeyframes,
    model: str,
    folds: KeyframeFolds,
    head: LinearHead,
    scores: NDArray[np.float32] | None,
    found: FrameMap | None,
    failed: tuple[tuple[Path, str], ...],
) -> dict[str, Any]:
    """What `report.json` says."""
    targets = data.targets()
    by_class = [
        {
            "label": label,
            "boxes": int(targets[:, c].sum()),
            "average_precision": None if found is None else round(found.by_class.get(c, 0.0), 4),
        }
        for c, label in enumerate(data.classes)
    ]
    return {
        "format": "twinpath-finetuned-detection",
        "version": 1,
        "model": model,
        "labels": list(data.classes),
        "frame_map": None if found is None else round(found.mean, 4),
        "held_out": folds.how,
        "by_class": by_class,
        "keyframes": len(data.keyframes),
        "boxes": len(targets),
        "boxes_without_action": int((~targets.any(axis=1)).sum()),
        "strength": head.strength,
        "temperature": round(head.temperature, 4),
        "failed": [{"path": str(path), "reason": reason} for path, reason in failed],
        "notes": list(data.notes),
        "answers": _answers(data, folds, scores),
    }


def _answers(
    data: LabelledKeyframes, folds: KeyframeFolds, scores: NDArray[np.float32] | None
) -> list[dict[str, Any]]:
    """Each keyframe with its people: what they do, and the scores of a layer that has not seen them."""
    answers, row = [], 0
    for n, keyframe in enumerate(data.keyframes):
        people = []
        for box, labels in zip(keyframe.boxes_xyxy_px.tolist(), keyframe.labels, strict=True):
            of_box = None if scores is None else [round(float(score), 4) for score in scores[row]]
            people.append(
                {"box_xyxy_px": [round(side, 2) for side in box], "truth": list(labels), "scores": of_box}
            )
            row += 1
        fold = None if folds.fold is None else int(folds.fold[n])
        answers.append(
            {
                "video": str(keyframe.path),
                "time_s": round(keyframe.time_s, 3),
                "fold": fold,
                "people": people,
            }
        )
    return answers


def _write(
    out: Path,
    network: DetectionNetwork,
    card: ModelCard,
    head: LinearHead,
    report: dict[str, Any],
    *,
    dataset: str,
    labels: tuple[str, ...],
) -> ModelFolder:
    """The model folder: the network with its new last layer, and the report."""
    network.cpu().float().reset_classifier(len(labels))
    projection = network.get_classifier()
    with torch.no_grad():
        projection.weight.copy_(torch.from_numpy(head.weight))
        cast("torch.Tensor", projection.bias).copy_(torch.from_numpy(head.bias))
    figures: dict[str, float | str] = {
        "learned_from": f"{report['boxes']} people in {report['keyframes']} keyframes",
        "strength": head.strength,
        "temperature": head.temperature,
    }
    if report["frame_map"] is not None:
        figures = {"frame_map_held_out": report["frame_map"], "held_out": report["held_out"], **figures}
    card = replace(
        card,
        name=f"{card.name}, taught {dataset}",
        dataset=dataset,
        labels=labels,
        precision="fp32",
        parity=(),
        figures=figures,
        versions={
            "twinpath": __version__,
            "torch": str(torch.__version__),
            "scikit-learn": version("scikit-learn"),
        },
    )
    with new_model_folder(out) as folder:
        save_weights(network, folder / WEIGHTS)
        write_card(folder, card)
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")
    return read_model_folder(out)
