"""`twinpath evaluate MODEL --data DATA`: a classifier on labelled videos; by a recipe on its test clips."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import Reading, Runtime

if TYPE_CHECKING:
    from twinpath.cli.ava_options import AvaOptions
    from twinpath.cli.batch import WarningPrinter
    from twinpath.cli.evaluate_synthetic import SyntheticOptions
    from twinpath.data.labelled.clip import LabelledData
    from twinpath.formats.journal_parts import Share
    from twinpath.jobs.batch import Outcome
    from twinpath.jobs.evaluate import EvaluateJob, FileAnswers
    from twinpath.jobs.explained_mistakes import Explaining
    from twinpath.results.evaluation import EvaluationSummary


@dataclass(frozen=True)
class LabelledOptions:
    """Which clips are evaluated, and how each is looked at."""

    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SECTION.KEY=VALUE",
            help="For a recipe: settings that replace its own: data.test=test.csv evaluation.clips=5.",
        ),
    ] = None
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
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="Measure on the recipe's test clips by its views.  [default: that of the training's folder]",
        ),
    ] = None
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="With --out: show in the report where and when the worst mistakes come from. Needs torch.",
        ),
    ] = False
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices",
            min=1,
            metavar="N",
            help="With --data or a recipe: processes of this machine that share the clips.  "
            "[default: 1, or torchrun's]",
        ),
    ] = None

    def are_given(self, model: str | None) -> bool:
        """Whether there is data, or a recipe that names it."""
        return bool(self.data) or self.is_by_recipe(model)

    def is_by_recipe(self, model: str | None) -> bool:
        """Whether a recipe names what to evaluate on: it is given, or the model is a training's folder."""
        return self.recipe is not None or (
            model is not None and not self.data and _is_run_folder(Path(model))
        )

    def check(self, model: str | None, dataset: str, synthetic: SyntheticOptions, ava: AvaOptions) -> None:
        """Raises: UsageError: no model is named, or an option is for something else."""
        from twinpath.errors import UsageError

        if model is None:
            what = "--data" if self.data else "--recipe"
            raise UsageError(f"{what} needs a model: a name of `twinpath models list`, or a model folder")
        if self.is_by_recipe(model) and (self.data or self.views or self.part):
            raise UsageError(
                "a recipe says what to evaluate on and by which views; leave out --data, --views, --part"
            )
        if self.explain and ava.out is None and not self.is_by_recipe(model):
            raise UsageError("--explain writes maps into the report: name its folder with --out DIR")
        if dataset != "synthetic":
            raise UsageError(f"--data and --dataset {dataset} both name what to evaluate on; give one")
        if synthetic.are_given:
            raise UsageError("--clips, --seed and --workers make synthetic clips; leave them out with --data")
        others = [field.name for field in fields(ava) if field.name not in ("out", "resume")]
        if other := ava.first_given(*others):
            raise UsageError(f"{other} is for --dataset ava")

    def check_keyframes(self, reading: Reading) -> None:
        """Raises: UsageError: an option is for clips, and the recipe has key frames."""
        from twinpath.errors import UsageError

        if self.explain:
            raise UsageError("--explain is for clips; a recipe of AVA has key frames, and no report")
        if reading != Reading():
            raise UsageError(
                "--isolate, --max-seconds and --fps are for clips; a recipe of AVA has key frames"
            )

    def check_absent(self, reading: Reading) -> None:
        """Raises: UsageError: without data there is an option that is for it."""
        from twinpath.errors import UsageError

        if self.settings:
            raise UsageError(f"{self.settings[0]!r} is a setting of a recipe; name it with --recipe")
        if any((self.views, self.part, self.devices, self.explain)) or reading != Reading():
            raise UsageError(
                "--views, --part, --devices, --explain, --isolate, --max-seconds and --fps are for --data"
            )


def _is_run_folder(path: Path) -> bool:
    """Without the imports of recipes, where it is none."""
    if not path.is_dir():
        return False
    from twinpath.train.recipe import is_run_folder

    return is_run_folder(path)


def evaluate_on_clips(
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
    assert model is not None
    if options.explain:
        from twinpath.extras import check_torch

        check_torch("--explain")
    evaluate = _evaluate_by_recipe if options.is_by_recipe(model) else _evaluate_data
    evaluate(options, model, weights, ava, reading, runtime, as_json=as_json)


def _evaluate_data(
    options: LabelledOptions,
    model: str,
    weights: Path | None,
    ava: AvaOptions,
    reading: Reading,
    runtime: Runtime,
    *,
    as_json: bool,
) -> None:
    from twinpath.data.labelled.read import read_labelled
    from twinpath.jobs.evaluate import EvaluateJob
    from twinpath.jobs.outputs import is_drawn_result

    assert options.data
    name = options.data[0].resolve().name
    job = EvaluateJob(
        model=model, weights=weights, views=options.views, part=options.part, out=ava.out, resume=ava.resume,
        title=f"{Path(model).name} on {name}", fps=reading.fps,
    )  # fmt: skip
    data = read_labelled(options.data, min_classes=1, is_result=is_drawn_result)
    _evaluate(data, job, options, reading, runtime, as_json=as_json)


def _evaluate_by_recipe(
    options: LabelledOptions,
    model: str,
    weights: Path | None,
    ava: AvaOptions,
    reading: Reading,
    runtime: Runtime,
    *,
    as_json: bool,
) -> None:
    """The same by a recipe. Where it is the own one of a training's folder, the card gets the figures."""
    from twinpath.cli.evaluate_keyframes import evaluate_on_keyframes
    from twinpath.cli.train import train_extra

    with train_extra():
        from twinpath.train.protocol import (
            EVALUATION,
            figures_of,
            keep_figures,
            protocol_data,
            protocol_job,
        )
    from twinpath.train.recipe import SETTINGS, is_run_folder, read_recipe
    from twinpath.zoo.model_facts import facts_of_model
    from twinpath.zoo.model_folder import read_model_folder

    run, folder = Path(model), None
    recipe = read_recipe(options.recipe or str(run / SETTINGS), options.settings or [])
    if is_run_folder(run):
        model = str(run / read_recipe(str(run / SETTINGS)).name)
        folder = run / EVALUATION if options.recipe is None and not options.settings else None
    if recipe.data.kind == "ava":
        options.check_keyframes(reading)
        evaluate_on_keyframes(
            recipe, model, weights, ava, runtime, devices=options.devices, folder=folder, as_json=as_json
        )
        return
    out = ava.out or folder
    data = protocol_data(recipe, facts_of_model(model, weights=weights).labels)
    job = replace(
        protocol_job(recipe, model, out=out, resume=ava.resume, fps=reading.fps or data.fps), weights=weights
    )
    summary = _evaluate(data, job, options, replace(reading, fps=job.fps), runtime, as_json=as_json)
    if folder is not None and summary is not None:
        keep_figures(read_model_folder(model), figures_of(recipe, summary))


def _evaluate(
    data: LabelledData,
    job: EvaluateJob,
    options: LabelledOptions,
    reading: Reading,
    runtime: Runtime,
    *,
    as_json: bool,
) -> EvaluationSummary | None:
    """Score the clips of this process, and in the first one print the figures."""
    from twinpath.cli.batch import WarningPrinter, how_to_resume, print_resumed, show_batch
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.loading import Loader
    from twinpath.cli.progress import BatchBar
    from twinpath.cli.show_evaluation import print_evaluation
    from twinpath.errors import PartialFailure
    from twinpath.jobs.evaluate import LabelledRun
    from twinpath.recognize.classifier import Classifier
    from twinpath.recognize.read import VideoReader

    out = job.out
    if out is not None:
        outlive_reader()
    share, runtime = share_of_devices(options.devices, runtime)
    run = LabelledRun(data, job, share)
    load = Loader(Classifier, job.model, job.weights, runtime, reading, is_quiet=bool(share.process))
    reader = VideoReader(reading.limits(), reading.isolate, reading.fps)
    if share.process:
        for _ in run.outcomes(load, reader=reader):
            pass
        return None
    for note in run.notes:
        print_note(f"note: {note}")
    bar = BatchBar("evaluating", total=len(run.videos))
    outcomes = run.outcomes(
        load,
        reader=reader,
        on_resumed=None if out is None else partial(print_resumed, out, "files"),
        explaining=_explaining(job, reading, runtime, bar.further("explaining")) if options.explain else None,
    )
    rest = None if out is None else how_to_resume(resume=job.resume)
    show = partial(_print_warnings, WarningPrinter())
    try:
        show_batch(outcomes, bar, show, as_json=as_json, skipped=data.skipped, rest=rest)
    finally:
        if run.evaluation is not None and run.summary is not None:
            print_evaluation(run.evaluation, run.summary, run.written, as_json=as_json)
    if run.evaluation is not None and run.evaluation.failed:
        lost = len({failed.path for failed in run.evaluation.failed})
        raise PartialFailure(f"{lost} videos could not be used, or not all of them; each is named above")
    return run.summary


def _explaining(
    job: EvaluateJob, reading: Reading, runtime: Runtime, progress: Callable[[int, int], None]
) -> Explaining:
    """By torch, whatever scores the clips."""
    from twinpath.explain.explainer import Explainer
    from twinpath.jobs.explained_mistakes import Explaining

    load = partial(
        Explainer,
        weights=job.weights,
        config=Runtime(runtime.device, "torch", threads=runtime.threads).config(),
        limits=reading.limits(),
        isolate=reading.isolate,
        fps=reading.fps,
    )
    return Explaining(load, progress=progress)


def share_of_devices(devices: int | None, runtime: Runtime) -> tuple[Share, Runtime]:
    """What this process does, and on which device; starts the others, if several are wanted."""
    from twinpath.formats.journal_parts import Share

    if (devices or int(os.environ.get("WORLD_SIZE", 1))) == 1:
        return Share(), runtime
    from twinpath.cli.train import train_extra
    from twinpath.train.machine import Machine

    with train_extra():
        from twinpath.train.loop.processes import engine_config, share_of, start_processes
    kind = runtime.device.partition(":")[0]
    fabric = start_processes(Machine({"cuda": "gpu"}.get(kind, kind), devices))
    config = engine_config(fabric)
    threads = runtime.threads or config.threads
    return share_of(fabric), replace(runtime, device=config.device, threads=threads)


def _print_warnings(printer: WarningPrinter, outcome: Outcome[FileAnswers], answers: FileAnswers) -> None:
    """What is odd about a file, and which of its clips failed."""
    from twinpath.cli.console import print_note
    from twinpath.cli.option_names import in_options
    from twinpath.paths import display_path

    printer.print(display_path(outcome.video.path), answers.warnings)
    for failure in answers.failures:
        print_note(f"twinpath: {in_options(str(failure))}")
