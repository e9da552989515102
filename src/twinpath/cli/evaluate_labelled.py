"""`twinpath evaluate MODEL --data DATA`: a classifier on labelled videos."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import Reading, Runtime

if TYPE_CHECKING:
    from twinpath.cli.ava_options import AvaOptions
    from twinpath.cli.batch import WarningPrinter
    from twinpath.cli.evaluate_synthetic import SyntheticOptions
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.evaluate import FileAnswers


@dataclass(frozen=True)
class LabelledOptions:
    """Which clips are evaluated, and how each is looked at."""

    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="Labelled videos: a folder of classes, a CSV (path,label …), or corrected timelines.",
        ),
    ] = None
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="SxT",
            help="With --data: crops in space x clips in time; 3x10 is thorough.  [default: the model's]",
        ),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="PART",
            help="With --data: test, validation, train or all.  [default: test, if the data has it]",
        ),
    ] = None

    def check(self, model: str | None, dataset: str, synthetic: SyntheticOptions, ava: AvaOptions) -> None:
        """Raises: UsageError: no model is named, or an option is for something else."""
        from twinpath.errors import UsageError

        if model is None:
            raise UsageError("--data needs a model: a name of `twinpath models list`, or a model folder")
        if dataset != "synthetic":
            raise UsageError(f"--data and --dataset {dataset} both name what to evaluate on; give one")
        if synthetic.are_given:
            raise UsageError("--clips, --seed and --workers make synthetic clips; leave them out with --data")
        others = [field.name for field in fields(ava) if field.name not in ("out", "resume")]
        if other := ava.first_given(*others):
            raise UsageError(f"{other} is for --dataset ava")

    def check_absent(self, reading: Reading) -> None:
        """Raises: UsageError: without data there is an option that is for it."""
        from twinpath.errors import UsageError

        if self.views is not None or self.part is not None or reading != Reading():
            raise UsageError("--views, --part, --isolate, --max-seconds and --fps are for --data")


def evaluate_on_data(
    options: LabelledOptions,
    model: str | None,
    weights: Path | None,
    ava: AvaOptions,
    reading: Reading,
    runtime: Runtime,
    *,
    as_json: bool,
) -> None:
    """Score every clip, and print the figures; with a folder in `ava.out`, write the report."""
    from twinpath.cli.batch import WarningPrinter, how_to_resume, print_resumed, show_batch
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_evaluation import print_evaluation
    from twinpath.data.labelled.read import read_labelled
    from twinpath.errors import PartialFailure
    from twinpath.jobs.evaluate import EvaluateJob, LabelledRun
    from twinpath.jobs.outputs import is_drawn_result
    from twinpath.recognize.classifier import Classifier
    from twinpath.recognize.read import VideoReader

    assert model is not None
    assert options.data
    out, resume = ava.out, ava.resume
    if out is not None:
        outlive_reader()
    name = options.data[0].resolve().name
    job = EvaluateJob(
        model=model, weights=weights, views=options.views, part=options.part, out=out, resume=resume,
        title=f"{Path(model).name} on {name}", fps=reading.fps,
    )  # fmt: skip
    data = read_labelled(options.data, min_classes=1, is_result=is_drawn_result)
    run = LabelledRun(data, job)
    for note in run.notes:
        print_note(f"note: {note}")
    bar = BatchBar("evaluating", total=len(run.videos))
    outcomes = run.outcomes(
        Loader(Classifier, model, weights, runtime, reading),
        reader=VideoReader(reading.limits(), reading.isolate, reading.fps),
        on_resumed=None if out is None else partial(print_resumed, out, "files"),
    )
    rest = None if out is None else how_to_resume(resume=resume)
    show = partial(_print_warnings, WarningPrinter())
    try:
        show_batch(outcomes, bar, show, as_json=as_json, skipped=data.skipped, rest=rest)
    finally:
        if run.evaluation is not None and run.summary is not None:
            print_evaluation(run.evaluation, run.summary, run.written, as_json=as_json)
    if run.evaluation is not None and run.evaluation.failed:
        lost = len({failed.path for failed in run.evaluation.failed})
        raise PartialFailure(f"{lost} videos could not be used, or not all of them; each is named above")


def _print_warnings(printer: WarningPrinter, outcome: Outcome[FileAnswers], answers: FileAnswers) -> None:
    """What is odd about a file, and which of its clips failed."""
    from twinpath.cli.console import print_note
    from twinpath.cli.option_names import in_options
    from twinpath.paths import display_path

    printer.print(display_path(outcome.video.path), answers.warnings)
    for failure in answers.failures:
        print_note(f"twinpath: {in_options(str(failure))}")
