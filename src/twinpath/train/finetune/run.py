"""Fine-tuning: labelled clips in, a model folder with a report out.

    data = read_labelled("actions")              # a folder of classes, a CSV, corrected timelines
    result = finetune(data, FinetuneSettings(model="slowfast_r50_8x8"), Path("my-actions"))
    result.summary.top1                          # on clips that the model had not seen
    Classifier("my-actions")("clip.mp4").label

Where the data does not say what is for evaluation, the clips are divided into parts (folds), by group; each
part is scored by a model that was fitted to the others, and the model that is kept is fitted to all of them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import MOST_BROKEN, LabelledClip, LabelledData
from twinpath.device import has_cuda_gpu
from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.engine.open import choose_backend, open_network
from twinpath.errors import InputError, PartialFailure
from twinpath.jobs.explained_mistakes import Explaining
from twinpath.metrics.evaluation import summarise
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.model import check_model
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.results.evaluation import (
    ClipAnswer,
    Evaluation,
    EvaluationSummary,
    FailedInput,
    LearnedClip,
)
from twinpath.results.explanation import ExplainedMistake
from twinpath.train.finetune.features import ClipFeatures, Progress, clip_features
from twinpath.train.finetune.folder import check_folder, write_folder
from twinpath.train.finetune.last_layer import fit_last_layer
from twinpath.train.finetune.learned import own_network
from twinpath.train.finetune.near_copies import NearCopy, near_copies, with_joined_groups
from twinpath.train.finetune.parts import NUM_FOLDS, Parts
from twinpath.train.finetune.settings import (
    Choice,
    FinetuneSettings,
    choose_flip,
    choose_head,
    choose_method,
    choose_views,
)
from twinpath.train.finetune.whole_network import WholeNetwork
from twinpath.zoo.create import weights_path
from twinpath.zoo.model_card import HeadKind
from twinpath.zoo.model_facts import ModelFacts
from twinpath.zoo.model_folder import ModelFolder

_SEES = {"last": "the last maps", "stages": "res3 to res5"}
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """What was made.

    Attributes:
        folder: The model folder.
        evaluation: Its answers on clips that it had not seen.
        summary: The figures that follow.
        method, views: What was chosen, and why.
        copies: Near-copies, which were kept in one part each.
        notes: What a user should know, a sentence each.
        explained: Mistakes that have maps in the report.
    """

    folder: ModelFolder
    evaluation: Evaluation
    summary: EvaluationSummary
    method: Choice
    views: Choice
    copies: tuple[NearCopy, ...] = ()
    notes: tuple[str, ...] = field(default=())
    explained: tuple[ExplainedMistake, ...] = ()


def finetune(
    data: LabelledData,
    settings: FinetuneSettings,
    out: Path,
    *,
    config: EngineConfig = EngineConfig(),
    reader: VideoReader | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    on_status: Callable[[str], None] = lambda _: None,
    explaining: Explaining | None = None,
) -> FinetuneResult:
    """Make a model of own classes.

    Args:
        data: What to learn from.
        settings: How.
        out: The new model folder, with `report.html` and `report.json` in it; an older one is replaced.
        config: Engine and device.
        reader: Reads the files; None: without limits of its own.
        resume: Go on with the training of a whole network that was stopped; its files are in OUT.training.
        progress: Called with how many clips were read, and of all; None: no bars at all.
        on_status: Called with a sentence before each step and about each choice.
        explaining: Explains the worst mistakes in the report, by the kept model; None: they have no maps.
    Raises:
        UsageError: The model is for another task or has no weights; `out` holds something else.
        InputError: Fewer than two classes, or nothing to evaluate with.
        PartialFailure: More than a third of the clips cannot be read; nothing is made.
        MissingExtra: A package is not installed.
    """
    check_folder(out)
    reader = reader or VideoReader()
    facts = check_model(settings.model, task="classification")
    _check_classes(data)
    method = choose_method(data, settings.method, has_gpu=has_cuda_gpu())
    on_status(f"method {method.value}: {method.reason}")
    views = choose_views(_lengths_s(data.clips, reader), facts.spec, settings.views)
    on_status(f"views {views.value}: {views.reason}")
    flip, why = choose_flip(data.classes, settings.flip)
    on_status(f"{'clips are mirrored, too' if flip else 'clips are not mirrored'}: {why}")
    head = choose_head(facts, method=method.value)
    on_status(f"the last layer sees {_SEES[head.value]}: {head.reason}")
    found = _features(data.clips, facts, cast("HeadKind", head.value), views, flip, config, reader, progress)
    _check_broken(found, len(data.clips))
    copies = near_copies(found.clips, found.features)
    data = replace(data, clips=with_joined_groups(found.clips, copies))
    parts = Parts.of(data, num_folds=settings.folds or NUM_FOLDS, seed=settings.seed)
    training = Path(f"{out}.training")
    if method.value == "full":
        way = WholeNetwork(
            facts=facts,
            head=cast("HeadKind", head.value),
            views=views.value,
            flip=flip,
            seed=settings.seed,
            folder=training,
            resume=resume,
            config=config,
            reader=reader,
            progress=progress is not None,
            on_status=on_status,
        )
        learned = way.fit(parts, all_folds=settings.folds is not None)
    else:
        on_status("fitting the last layer ...")
        learned = fit_last_layer(parts, found, facts, cast("HeadKind", head.value))
    evaluation = _evaluation(parts, learned.scores, found, out, views)
    summary = summarise(evaluation)
    notes = (*data.notes, *parts.notes, *learned.notes)
    on_status("writing the model ...")
    how = {"method": method.value, "flip": str(flip), "seed": settings.seed, **learned.how}
    folder, explained = write_folder(
        out,
        facts,
        data,
        learned.network,
        evaluation,
        summary,
        views=views.value,
        head=learned.head,
        how=how,
        notes=notes,
        reader=reader,
        explaining=explaining,
    )
    shutil.rmtree(training, ignore_errors=True)
    return FinetuneResult(folder, evaluation, summary, method, views, tuple(copies), notes, explained)


def _check_classes(data: LabelledData) -> None:
    if len(data.classes) < 2 and not data.is_multi_label:
        raise InputError(
            f"there is only one class, {data.classes[0]!r}; give at least two: what it is, and what it is not"
        )


def _check_broken(found: ClipFeatures, total: int) -> None:
    """Raises: PartialFailure: More than `MOST_BROKEN` of the clips could not be read."""
    if not found.failed or len(found.failed) <= MOST_BROKEN * total:
        return
    named = "; ".join(str(error) for _, error in found.failed[:_SHOWN])
    more = f"; and {len(found.failed) - _SHOWN} more" if len(found.failed) > _SHOWN else ""
    raise PartialFailure(
        f"{len(found.failed)} of {total} clips cannot be read, more than a third, so nothing was learned: "
        f"{named}{more}"
    )


def _lengths_s(clips: Sequence[LabelledClip], reader: VideoReader) -> list[float]:
    """Lengths of some of the clips, as far as they are known."""
    lengths_s = []
    for clip in clips[:: max(len(clips) // 50, 1)]:
        end_s = clip.end_s
        if end_s is None:
            try:
                end_s = reader.probe(clip.path).duration_s
            except (InputError, OSError):
                continue  # it is reported when it is read
        if end_s is not None:
            lengths_s.append(end_s - (clip.start_s or 0.0))
    return lengths_s


def _features(
    clips: Sequence[LabelledClip],
    facts: ModelFacts,
    head: HeadKind,
    views: Choice,
    flip: bool,
    config: EngineConfig,
    reader: VideoReader,
    progress: Progress | None,
) -> ClipFeatures:
    parsed = Views.parse(views.value)
    labelled = LabelledReader(reader, facts.spec, parsed, with_mirrored=flip)
    identity = _identity(facts, head, config)

    def load() -> Engine:
        engine = open_network(
            own_network(facts, 2, is_multi_label=False, head=head),
            facts.spec,
            output="embed",
            name=facts.name,
            identity=json.dumps(identity, sort_keys=True),
            config=config,
        )
        return engine.with_crops(parsed.space) if parsed.space > 1 else engine

    return clip_features(clips, load, labelled, model=identity, progress=progress)


def _identity(facts: ModelFacts, head: HeadKind, config: EngineConfig) -> dict[str, Any]:
    """What embeddings depend on beside the clip and its views."""
    sha256 = facts.weights_sha256()
    if sha256 is None and facts.record is not None:
        from twinpath.weights.hashes import known_sha256

        sha256 = known_sha256(weights_path(facts.record))
    return {
        "network": facts.name if facts.folder is None else facts.folder.card.network,
        "head": head,
        "weights": sha256,
        "engine": choose_backend(config),
        "precision": config.precision,
        "format": 1,  # of what a head pools
    }


def _evaluation(
    parts: Parts,
    scores: NDArray[np.float32],
    found: ClipFeatures,
    out: Path,
    views: Choice,
) -> Evaluation:
    data, answers, learned = parts.data, [], []
    for i, clip in enumerate(data.clips):
        facts: dict[str, Any] = {
            "path": clip.path,
            "truth": data.class_indices(clip),
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "part": parts.name_of(i),
        }
        if np.isnan(scores[i]).any():
            learned.append(LearnedClip(**facts))
        else:
            answers.append(ClipAnswer(scores=scores[i], **facts))
    failed = [FailedInput(clip.path, str(error)) for clip, error in found.failed]
    return Evaluation(
        labels=data.classes,
        answers=tuple(answers),
        is_multi_label=data.is_multi_label,
        failed=tuple(failed),
        model=out.name,
        views=views.value,
        data=data.kind,
        learned_from=tuple(learned),
    )
