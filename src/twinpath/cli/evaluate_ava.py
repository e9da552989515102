"""`twinpath evaluate --dataset ava`: frame mAP of a detection network, or of a file of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.cli.ava_options import AvaOptions
from twinpath.cli.options import Runtime

if TYPE_CHECKING:
    from twinpath.engine.base import Engine
    from twinpath.evaluate.ava import AvaRun
    from twinpath.formats.ava import BoxRows
    from twinpath.formats.ava_label_map import LabelMap
    from twinpath.metrics.frame_map import FrameMap

DEFAULT_MODEL = "slowfast_r50_8x8_det.ptv_ava"


def evaluate_on_ava(
    options: AvaOptions, model: str | None, weights: Path | None, runtime: Runtime, *, as_json: bool
) -> None:
    """Score the people of the split, unless there are results already; then measure, and print."""
    from twinpath.cli.console import outlive_reader
    from twinpath.formats.ava import read_exclusions, read_results, read_truth
    from twinpath.formats.ava_label_map import built_in_label_map, read_label_map
    from twinpath.metrics.ava import ava_frame_map

    options.check(model, weights)
    assert options.annotations is not None
    if options.out is not None:
        outlive_reader()
    label_map = read_label_map(options.label_map) if options.label_map else built_in_label_map()
    truth = read_truth(options.annotations, label_map)
    excluded = read_exclusions(options.exclude) if options.exclude else frozenset()
    run = None
    if options.results is not None:
        found, facts = read_results(options.results, label_map), {"results": str(options.results)}
    else:
        model = model or DEFAULT_MODEL
        run, facts = _run(options, model, weights, runtime, truth, excluded, label_map)
        found = run.rows
    score = ava_frame_map(truth, found, label_map, excluded=excluded, max_per_second=options.at_most)
    notes = (*truth.notes, *found.notes)
    show_measured(facts, run, score, label_map, notes, as_json=as_json)


def show_measured(
    facts: dict[str, Any],
    run: AvaRun | None,
    score: FrameMap,
    label_map: LabelMap,
    notes: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Print the figures, and what is odd or failed; arguments as of `print_ava`.

    Raises:
        PartialFailure: Seconds could not be scored.
    """
    from twinpath.cli.console import print_note
    from twinpath.cli.show_ava import print_ava
    from twinpath.errors import PartialFailure

    notes = list(dict.fromkeys(notes))
    for note in notes:
        print_note(f"warning: {note}")
    failures = run.failures if run else ()
    for failure in failures:
        print_note(f"twinpath: {failure}")
    print_ava(facts, run, score, label_map, notes, as_json=as_json)
    if failures:
        lost = len({failure.video for failure in failures})
        raise PartialFailure(f"{lost} videos could not be used, or not all of them; each is named above")


def _run(
    options: AvaOptions,
    model: str,
    weights: Path | None,
    runtime: Runtime,
    truth: BoxRows,
    excluded: frozenset[tuple[str, int]],
    label_map: LabelMap,
) -> tuple[AvaRun, dict[str, Any]]:
    """What the network finds, and which network it was."""
    from twinpath.cli.progress import count_bar
    from twinpath.evaluate.ava import people_to_score
    from twinpath.formats.ava import read_people
    from twinpath.jobs.ava import AvaJob, evaluate_ava
    from twinpath.recognize.model import check_model

    facts = check_model(model, task="detection", weights=weights)
    least = options.min_person_score
    if least is None:
        least = facts.min_person_score or 0.0
    predicted = read_people(options.people, min_score=least) if options.people else None
    job = AvaJob(
        model=facts.model,
        people=people_to_score(truth, predicted, excluded=excluded),
        sources=options.sources(),
        label_map=label_map,
        weights=weights,
        inputs=options.inputs,
        out=options.out,
        resume=options.resume,
    )
    load = EngineLoader(facts.model, weights, runtime)
    with count_bar("evaluating") as progress:
        run = evaluate_ava(job, load, progress=progress)
    return run, {"model": facts.name, "engine": load.description}


class EngineLoader:
    """Loads a network for boxes when it is called, with as many classes as the weights have: the label map
    may be that of another data set.

    Args:
        model, weights, runtime: Which network, and how it is run.
        is_quiet: Print nothing.
    Attributes:
        description: Of the engine, for people; empty before.
    """

    def __init__(self, model: str, weights: Path | None, runtime: Runtime, *, is_quiet: bool = False) -> None:
        self._model, self._weights, self._runtime, self._is_quiet = model, weights, runtime, is_quiet
        self.description = ""

    def __call__(self) -> Engine:
        import sys

        from twinpath.cli.console import print_note
        from twinpath.cli.progress import download_bar
        from twinpath.engine.open import open_engine

        with download_bar(f"downloading {self._model}") as progress:
            loaded = open_engine(
                self._model,
                self._weights,
                output="boxes",
                config=self._runtime.config(),
                progress=progress,
                on_status=print_note if sys.stderr.isatty() and not self._is_quiet else None,
            )
        self.description = loaded.describe()
        return loaded
