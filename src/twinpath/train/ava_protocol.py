"""The published protocol of AVA: a detection network measured on all key frames, as its recipe says.

    keyframes = read_test_keyframes(recipe)
    run = evaluate_ava(keyframes_job(recipe, "runs/x/x", keyframes), load, share=share)
    evaluate_keyframes(recipe, folder)      # the same to its end, with the figures in the folder's card

During a training only seconds that `evaluation.keyframes_every` divides are measured; here every second is,
and people of videos that are not there are missed. Source: PySlowFast, tools/test_net.py, utils/meters.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.engine.open import open_engine
from twinpath.evaluate.ava import AvaRun
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.journal_parts import Share
from twinpath.jobs.ava import AvaJob, evaluate_ava
from twinpath.metrics.frame_map import FrameMap
from twinpath.train.loop.keyframes import ScoredKeyframes, read_test_keyframes
from twinpath.train.loop.processes import engine_config
from twinpath.train.protocol import EVALUATION, keep_figures
from twinpath.train.recipe import Recipe
from twinpath.zoo.model_folder import read_model_folder

if TYPE_CHECKING:
    from lightning.fabric import Fabric

logger = logging.getLogger(__name__)

RESULTS = "results.csv"  # in the folder `EVALUATION` of a run, with the scores of each video beside it


@dataclass(frozen=True, eq=False)
class MeasuredKeyframes:
    """What a network was measured by.

    Attributes:
        run: Its scores.
        score: Frame mAP at an overlap of 0.5.
        label_map: The actions that count.
        out: AVA's results file; None: none was written.
    """

    run: AvaRun
    score: FrameMap
    label_map: LabelMap
    out: Path | None

    @property
    def figures(self) -> dict[str, Any]:
        """For the card of its model folder."""
        return {
            "test_frame_map": round(self.score.mean, 4),
            "test_keyframes": float(self.run.keyframes),
            "test_people": float(self.run.people),
            "test_failed": float(sum(len(failure.seconds) for failure in self.run.failures)),
        }


def measured_keyframes(keyframes: ScoredKeyframes, run: AvaRun, out: Path | None) -> MeasuredKeyframes:
    """The figures of a run."""
    return MeasuredKeyframes(run, keyframes.measured(run.rows), keyframes.label_map, out)


def keyframes_job(
    recipe: Recipe,
    model: str,
    keyframes: ScoredKeyframes,
    *,
    weights: Path | None = None,
    out: Path | None = None,
    resume: bool = True,
    keep_journal: bool = False,
) -> AvaJob:
    """What a recipe wants to be scored.

    Args:
        recipe: Settings.
        model: A model folder, or any other detection network.
        keyframes: `read_test_keyframes` of the recipe.
        weights, out, resume, keep_journal: See `AvaJob`.
    """
    section = recipe.data
    lists = (*section.test, *section.validation, *section.train)
    files = (section.boxes_test, *section.predicted_boxes_test, section.excluded, section.labels, *lists)
    return AvaJob(
        model=model,
        people=keyframes.people,
        sources=keyframes.sources,
        label_map=keyframes.label_map,
        weights=weights,
        inputs=tuple(Path(name) for name in files if name),
        out=out,
        resume=resume,
        keep_journal=keep_journal,
    )


def evaluate_keyframes(
    recipe: Recipe,
    folder: Path,
    *,
    fabric: Fabric,
    share: Share,
    on_keyframe: Callable[[int, int], None] = lambda done, of: None,
) -> MeasuredKeyframes | None:
    """Measure the network of a finished run on all key frames, and write the figures in its card.

    Scores are kept video by video, so a run that was killed goes on after the last one.

    Args:
        recipe: Of the run.
        folder: Of the run; holds the model folder, and gets `EVALUATION`.
        fabric, share: Of this process.
        on_keyframe: Called with how many key frames of this process are done, and of how many.
    Returns:
        The figures; None in processes but the first.
    Raises:
        Interrupted, Terminated: Stopped.
        InputError, ConfigError: The files of boxes cannot be read, or no video of them.
    """
    model = folder / recipe.name
    keyframes = read_test_keyframes(recipe)
    out = folder / EVALUATION / RESULTS
    job = keyframes_job(recipe, str(model), keyframes, out=out, keep_journal=True)
    load = partial(open_engine, str(model), output="boxes", config=engine_config(fabric))
    run = evaluate_ava(job, load, progress=on_keyframe, share=share)
    if share.process:
        return None
    for failure in run.failures:
        logger.warning("evaluation: %s", failure)
    measured = measured_keyframes(keyframes, run, out)
    keep_figures(read_model_folder(model), measured.figures)
    return measured
