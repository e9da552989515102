"""The published protocol: a network measured over several views of every test clip, as its recipe says.

    run = LabelledRun(protocol_data(recipe, labels), protocol_job(recipe, "runs/x/x"), share)
    evaluate_protocol(recipe, folder)       # the same to its end, with the figures in the folder's card

Source: PySlowFast, tools/test_net.py. There, scores of views are summed, which ranks as their mean does;
images have one view; several processes fill their last batch with clips that are there already, while here
each clip is scored once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.labelled.read import read_labelled
from twinpath.data.published.read import read_published
from twinpath.errors import ConfigError, PartialFailure
from twinpath.formats.journal_parts import Share
from twinpath.jobs.batch import Outcome, run_batch
from twinpath.jobs.evaluate import EvaluateJob, FileAnswers, LabelledRun
from twinpath.models.registry import architecture
from twinpath.recognize.classifier import Classifier
from twinpath.recognize.read import VideoReader
from twinpath.results.evaluation import EvaluationSummary
from twinpath.train.loop.data import read_recipe_clips
from twinpath.train.loop.processes import engine_config
from twinpath.train.loop.result import result_spec
from twinpath.train.recipe import Recipe
from twinpath.train.recipe_checks import DRAWN
from twinpath.zoo.model_folder import ModelFolder, read_model_folder, replace_card

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger(__name__)

EVALUATION = "evaluation"  # the folder of scores, predictions and report in that of a run
_REST = "resume=True measures the rest"
_FIGURES = {"top1": "top1", "top5": "top5", "mean_average_precision": "map"}


def has_protocol(recipe: Recipe) -> bool:
    """Whether a recipe names clips that its network can be measured on by views."""
    section = recipe.data
    classifies = not architecture(recipe.model.network).is_detector and section.kind not in (
        "unlabelled",
        *DRAWN,
    )
    return classifies and bool(section.test or section.validation or section.kind == "labelled")


def protocol_data(recipe: Recipe, labels: tuple[str, ...]) -> LabelledData:
    """The clips of `data.test`, else those of `data.validation`. No video is opened.

    Args:
        recipe: Names the lists.
        labels: Of the network, in the order of its scores.
    Raises:
        ConfigError: The recipe names none, or is of another kind of network.
        InputError: A list is wrong.
    """
    section = recipe.data
    if not has_protocol(recipe):
        raise ConfigError(
            f"data.test and data.validation: {recipe.name} names no clips of {section.kind!r} to measure a "
            "network of whole clips on"
        )
    lists = section.test or section.validation
    if section.kind == "labelled":
        if not lists:
            return read_recipe_clips(recipe).validation
        return read_labelled([Path(path) for path in lists], min_classes=1)
    part: Part = "test" if section.test else "validation"
    return read_published(
        section.kind,
        lists,
        part,
        videos=section.videos,
        labels=section.labels,
        separator=section.separator,
        classes=labels,
    )


def protocol_job(
    recipe: Recipe, model: str, *, out: Path | None = None, resume: bool = True, fps: float | None = None
) -> EvaluateJob:
    """What a recipe's section `evaluation` wants.

    Args:
        recipe: Settings.
        model: A model folder, or any other model.
        out, resume: See `EvaluateJob`.
        fps: Of the data's frames.
    """
    section = recipe.evaluation
    return EvaluateJob(
        model=model,
        views=f"{section.crops}x{section.clips}",
        out=out,
        title=f"{Path(model).name} on {recipe.data.kind}",
        resume=resume,
        fps=fps,
        pooling=section.combine,
        offset_views=result_spec(recipe, 1).offset_views,
    )


def evaluate_protocol(
    recipe: Recipe,
    folder: Path,
    *,
    fabric: Fabric,
    share: Share,
    reader: VideoReader | None = None,
    on_file: Callable[[int, int], None] = lambda done, of: None,
) -> LabelledRun:
    """Measure the network of a finished run, and write the figures in its card.

    Scores are kept file by file, so a run that was killed goes on after the last one.

    Args:
        recipe: Of the run.
        folder: Of the run; holds the model folder, and gets `EVALUATION`.
        fabric, share: Of this process.
        reader: Reads the files; None: without limits of its own.
        on_file: Called with how many files of this process are done, and of how many.
    Returns:
        The run, with evaluation and summary in the first process.
    Raises:
        Interrupted, Terminated: Stopped.
        InputError, ConfigError: The clips cannot be read or are none of the network's.
    """
    model = folder / recipe.name
    data = protocol_data(recipe, read_model_folder(model).card.labels)
    if not data.clips:
        raise ConfigError("data.validation: there are no clips to measure the network on")
    reader = replace(reader or VideoReader(), fps=data.fps)
    run = LabelledRun(data, protocol_job(recipe, str(model), out=folder / EVALUATION, fps=data.fps), share)
    done = 0

    def count(outcome: Outcome[FileAnswers]) -> None:
        nonlocal done
        done += 1
        failures = [outcome.error] if outcome.result is None else outcome.result.failures
        for failure in failures:
            logger.warning("evaluation: %s", failure)
        on_file(done, len(run.videos))

    load = partial(
        Classifier,
        str(model),
        config=engine_config(fabric),
        limits=reader.limits,
        isolate=reader.isolate,
        fps=data.fps,
    )
    try:
        run_batch(run.outcomes(load, reader=reader), total=run.num_files, on_outcome=count, rest=_REST)
    except PartialFailure as failure:
        logger.warning("evaluation: %s", failure)
    if run.summary is not None:
        keep_figures(read_model_folder(model), figures_of(recipe, run.summary))
    return run


def figures_of(recipe: Recipe, summary: EvaluationSummary) -> dict[str, Any]:
    """The figures of an evaluation by a recipe, for the card of a model folder."""
    section = recipe.evaluation
    values = {key: getattr(summary, name) for name, key in _FIGURES.items()}
    if summary.top1 is not None:
        values["map"] = None  # it is of those with several labels
    figures: dict[str, Any] = {
        f"test_{key}": round(value, 4) for key, value in values.items() if value is not None
    }
    figures |= {"test_clips": float(summary.clips), "test_failed": float(summary.failed)}
    figures["test_views"] = f"{section.crops} crops of {section.clips} clips, {section.combine}"
    return figures


def keep_figures(model: ModelFolder, figures: Mapping[str, Any]) -> ModelFolder:
    """Write the figures of a test in the card of a model folder, in place of those of an earlier one."""
    kept = {key: value for key, value in model.card.figures.items() if not key.startswith("test_")}
    return replace_card(model, replace(model.card, figures={**kept, **figures}))
