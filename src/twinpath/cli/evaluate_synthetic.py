"""`twinpath evaluate` on the synthetic world: accuracy on fresh clips, frame mAP on scenes of people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.options import Runtime

DEFAULT_MODEL = "slowfast_tiny.synthetic"


@dataclass(frozen=True)
class SyntheticOptions:
    """Which clips or scenes are made."""

    clips: Annotated[
        int | None,
        typer.Option(
            "--clips",
            min=1,
            metavar="N",
            help="How many fresh clips, or scenes of people, to make.  [default: 1000]",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, metavar="N", help="Which clips; training sees none of these.  [default: 0]"
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, metavar="N", help="Processes that make clips.  [default: 1]"),
    ] = None

    @property
    def are_given(self) -> bool:
        return (self.clips, self.seed, self.workers) != (None, None, None)


def evaluate_on_synthetic(
    options: SyntheticOptions, model: str, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    """Make fresh clips or scenes, predict each, and print how often the model is right."""
    from twinpath.device import leave_cores_to
    from twinpath.engine.open import choose_backend
    from twinpath.errors import UsageError
    from twinpath.zoo.model_facts import facts_of_model

    facts = facts_of_model(model, weights=weights)
    if facts.dataset != "synthetic":  # said before anything is downloaded
        raise UsageError(f"{model} is no model of the synthetic world; for AVA there is --dataset ava")
    if choose_backend(runtime.config()) == "torch":
        leave_cores_to(options.workers or 1)
    evaluate = _evaluate_scenes if facts.task == "detection" else _evaluate_clips
    evaluate(options, model, weights, runtime, as_json=as_json)


def _evaluate_clips(
    options: SyntheticOptions, model: str, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_synthetic import print_accuracy
    from twinpath.evaluate.synthetic_clips import answers_on_fresh_clips, summarise
    from twinpath.recognize.classifier import Classifier

    clips, seed = options.clips or 1000, options.seed or 0
    classifier = Loader(Classifier, model, weights, runtime, is_quiet=True)()
    answers = answers_on_fresh_clips(
        lambda path: classifier(path).label, num_clips=clips, seed=seed, workers=options.workers or 1
    )
    summary = summarise(list(BatchBar("evaluating", total=clips).over(answers)))
    print_accuracy(classifier.model, summary, clips, seed, as_json=as_json)


def _evaluate_scenes(
    options: SyntheticOptions, model: str, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_synthetic import print_frame_map
    from twinpath.evaluate.synthetic_scenes import detect_in_true_boxes, frame_map_of, scenes_with_truth
    from twinpath.recognize.detector import Detector

    scenes, seed = options.clips or 1000, options.seed or 0
    detector = Loader(Detector, model, weights, runtime, is_quiet=True)()
    predict = partial(detect_in_true_boxes, detector)
    answers = scenes_with_truth(predict, num_scenes=scenes, seed=seed, workers=options.workers or 1)
    pairs = list(BatchBar("evaluating", total=scenes).over(answers))
    people = sum(len(truth.times_s) for truth, _ in pairs)
    print_frame_map(detector.model, frame_map_of(pairs), scenes, seed, people, as_json=as_json)
