"""`twinpath evaluate` on the synthetic world: accuracy on fresh clips, frame mAP on scenes of people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import Runtime

if TYPE_CHECKING:
    from twinpath.evaluate.synthetic_clips import Summary

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
    from twinpath.errors import UsageError
    from twinpath.zoo.create import resolve

    architecture, record = resolve(model)
    if record is None or record.dataset != "synthetic":  # said before anything is downloaded
        raise UsageError(f"{model} is no model of the synthetic world; for AVA there is --dataset ava")
    leave_cores_to(options.workers or 1)
    evaluate = _evaluate_scenes if architecture.task == "detection" else _evaluate_clips
    evaluate(options, model, weights, runtime, as_json=as_json)


def _evaluate_clips(
    options: SyntheticOptions, model: str, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    from twinpath.cli.console import print_json
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.evaluate.synthetic_clips import answers_on_fresh_clips, summarise
    from twinpath.recognize.classifier import Classifier

    clips, seed = options.clips or 1000, options.seed or 0
    classifier = Loader(Classifier, model, weights, runtime, is_quiet=True)()
    answers = answers_on_fresh_clips(
        lambda path: classifier(path).label, num_clips=clips, seed=seed, workers=options.workers or 1
    )
    summary = summarise(list(BatchBar("evaluating", total=clips).over(answers)))
    if as_json:
        print_json({"model": classifier.model, "clips": clips, "seed": seed, **summary.to_dict()})
    else:
        _print(summary, clips)


def _print(summary: Summary, clips: int) -> None:
    """A bar for each action, the share of right answers, and the commonest confusions."""
    from twinpath.cli.console import bar

    for action, share in summary.by_action.items():
        print(f"{action:<10} {bar(share)} {100 * share:5.1f} %")
    low, high = summary.interval
    print(
        f"top-1 {100 * summary.top1:.1f} % of {clips} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    for wrong in summary.confusions[:5]:
        print(f"  {wrong.count} x {wrong.truth} taken for {wrong.answer}")


def _evaluate_scenes(
    options: SyntheticOptions, model: str, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    from twinpath.cli.console import bar, print_json
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.data.synthetic import ACTIONS
    from twinpath.evaluate.synthetic_scenes import detect_in_true_boxes, frame_map_of, scenes_with_truth
    from twinpath.recognize.detector import Detector

    scenes, seed = options.clips or 1000, options.seed or 0
    detector = Loader(Detector, model, weights, runtime, is_quiet=True)()
    predict = partial(detect_in_true_boxes, detector)
    answers = scenes_with_truth(predict, num_scenes=scenes, seed=seed, workers=options.workers or 1)
    pairs = list(BatchBar("evaluating", total=scenes).over(answers))
    result = frame_map_of(pairs)
    people = sum(len(truth.times_s) for truth, _ in pairs)
    if as_json:
        by_action = {ACTIONS[label]: ap for label, ap in result.by_class.items()}
        facts = {"scenes": scenes, "seed": seed, "people": people}
        print_json({"model": detector.model, **facts, "frame_map": result.mean, "by_action": by_action})
        return
    for label, ap in result.by_class.items():
        print(f"{ACTIONS[label]:<10} {bar(ap)} {100 * ap:5.1f} %")
    print(
        f"frame mAP@0.5 {100 * result.mean:.1f} % of {people} people at keyframes of {scenes} scenes, "
        "in their true boxes"
    )
