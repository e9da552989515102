"""What `twinpath stream` recognises windows with: a classifier, or a detector of people and their actions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import People, Runtime, Tracker

if TYPE_CHECKING:
    from twinpath.recognize.live_models import LiveModel


@dataclass(frozen=True)
class WindowOptions:
    """What is looked for in a window."""

    top_k: Annotated[int, typer.Option("--top-k", min=1, metavar="K", help="How many labels to show.")] = 5
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score",
            min=0,
            max=1,
            metavar="X",
            help="Leave out labels with a lower score.  [default: 0; of people 0.5]",
        ),
    ] = None
    people: People = "auto"
    tracker: Tracker = "iou"


def live_model(model: str, weights: Path | None, options: WindowOptions, runtime: Runtime) -> LiveModel:
    """The model, loaded.

    Raises:
        UsageError, MissingExtra: There is no such model, person detector or tracker, or it needs a package.
    """
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import Loader
    from twinpath.recognize.live_models import LiveClassifier, LiveDetector
    from twinpath.zoo.model_facts import facts_of_model

    if facts_of_model(model, weights=weights).task != "detection":
        from twinpath.recognize.classifier import Classifier

        return LiveClassifier(
            Loader(Classifier, model, weights, runtime, is_quiet=True)(),
            top_k=options.top_k,
            min_score=options.min_score or 0.0,
            on_warning=lambda warning: print_note(f"warning: {warning}"),
        )
    from twinpath.people.choose import check_detector, make_tracker
    from twinpath.recognize.detector import MIN_SCORE, Detector

    check_detector(options.people, live=True)
    tracker = make_tracker(options.tracker, every_s=1.0)
    return LiveDetector(
        Loader(Detector, model, weights, runtime, is_quiet=True)(),
        options.people,
        tracker,
        min_score=MIN_SCORE if options.min_score is None else options.min_score,
        top_k=options.top_k,
    )
