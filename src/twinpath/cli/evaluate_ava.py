"""`twinpath evaluate --dataset ava`: frame mAP of a detection network, or of a file of results."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.data.ava.clips import AvaSource
    from twinpath.evaluate.ava import AvaRun
    from twinpath.formats.ava import BoxRows
    from twinpath.formats.ava_label_map import LabelMap
    from twinpath.metrics.frame_map import FrameMap

DEFAULT_MODEL = "slowfast_r50_8x8_det.ptv_ava"


@dataclass(frozen=True)
class AvaOptions:
    """What the command line said; each is explained in `twinpath evaluate --help`."""

    annotations: Path | None
    exclude: Path | None
    label_map: Path | None
    people: Path | None
    min_person_score: float | None
    videos: Path | None
    frames: Path | None
    frame_list: Path | None
    begins_at_s: int | None
    results: Path | None
    at_most: int | None
    model: str | None
    weights: Path | None
    device: str
    out: Path | None
    json: bool

    def given(self, *names: str) -> str | None:
        """The first of some options that was given, as it is written."""
        spelled = {"begins_at_s": "begins-at", "min_person_score": "people-score"}
        for name in names:
            if getattr(self, name) is not None:
                return "--" + spelled.get(name, name).replace("_", "-")
        return None


def evaluate_on_ava(options: AvaOptions) -> None:
    """Score the people of the split, unless there are results already; then measure."""
    from twinpath.cli.console import print_note
    from twinpath.errors import InputError, PartialFailure
    from twinpath.formats.ava import read_exclusions, read_results, read_truth, write_results
    from twinpath.formats.ava_label_map import built_in_label_map, read_label_map
    from twinpath.metrics.ava import ava_frame_map

    _check(options)
    assert options.annotations is not None
    label_map = read_label_map(options.label_map) if options.label_map else built_in_label_map()
    truth = read_truth(options.annotations, label_map)
    excluded = read_exclusions(options.exclude) if options.exclude else frozenset()
    run = None
    if options.results is not None:
        found, facts = read_results(options.results, label_map), {"results": str(options.results)}
    else:
        run, facts = _run(options, truth, excluded, label_map)
        found = run.rows
        if not run.keyframes:
            raise InputError(f"no video could be used; {run.failures[0]}" if run.failures else _NOBODY)
        if options.out is not None:
            write_results(options.out, found)
            if not run.failures:
                _journal(options.out).unlink(missing_ok=True)
    score = ava_frame_map(truth, found, label_map, excluded=excluded, most_at_a_second=options.at_most)
    notes = dict.fromkeys((*truth.notes, *found.notes))
    for note in notes:
        print_note(f"warning: {note}")
    failures = run.failures if run else ()
    for failure in failures:
        print_note(f"twinpath: {failure}")
    _print(options, facts, run, score, label_map, list(notes))
    if failures:
        lost = len({failure.video for failure in failures})
        raise PartialFailure(f"{lost} videos could not be used, or not all of them; each is named above")


_NOBODY = "there is nobody to score: no box reaches --people-score, or all seconds are excluded"


def _check(options: AvaOptions) -> None:
    """Raises: UsageError: options that do not make sense together."""
    from twinpath.errors import UsageError

    if options.annotations is None:
        raise UsageError("--dataset ava needs --annotations: the ground truth, such as ava_val_v2.2.csv")
    if options.results is not None:
        other = options.given(
            "videos",
            "frames",
            "frame_list",
            "people",
            "min_person_score",
            "begins_at_s",
            "model",
            "weights",
            "out",
        )
        if other:
            raise UsageError(f"--results measures what was found already; leave out {other}")
        return
    if (options.videos is None) == (options.frames is None):
        raise UsageError("--dataset ava needs --videos or --frames, one of them; or --results to measure")
    if options.frame_list is not None and options.frames is None:
        raise UsageError("--frame-list needs --frames: the folder that its paths start from")
    if options.min_person_score is not None and options.people is None:
        raise UsageError("--people-score needs --people: the boxes of a person detector")


def _run(
    options: AvaOptions, truth: BoxRows, excluded: frozenset[tuple[str, int]], label_map: LabelMap
) -> tuple[AvaRun, dict[str, Any]]:
    """What the network finds, and which network it was."""
    from twinpath.cli.console import count_progress, print_note, progress_bar
    from twinpath.cli.loading import sha256_of
    from twinpath.engine.config import EngineConfig
    from twinpath.engine.open import open_engine
    from twinpath.errors import UsageError
    from twinpath.evaluate.ava import people_to_score, score_split
    from twinpath.formats.ava import read_people
    from twinpath.results.provenance import Provenance
    from twinpath.zoo.create import input_spec, resolve

    architecture, record = resolve(options.model or DEFAULT_MODEL)
    if not architecture.is_detector:
        raise UsageError(
            f"{options.model} does not look into boxes; AVA needs a model such as {DEFAULT_MODEL}"
        )
    name = record.name if record else architecture.name
    least = options.min_person_score
    if least is None:
        least = architecture.min_person_score or 0.0
    predicted = read_people(options.people, min_score=least) if options.people else None
    people = people_to_score(truth, predicted, excluded=excluded)
    sources = _sources(options)
    on_status = print_note if sys.stderr.isatty() else None
    provenance = Provenance.of(
        None,
        model=name,
        weights_sha256=sha256_of(options.weights),
        settings={"actions": list(label_map.ids)},
    )
    with progress_bar(f"downloading {name}") as downloading:
        config = EngineConfig(device=options.device)
        engine = open_engine(
            name, options.weights, output="boxes", config=config, progress=downloading, on_status=on_status
        )
    with count_progress("testing") as progress:
        run = score_split(
            engine,
            input_spec(name),
            people,
            sources,
            label_map,
            progress=progress,
            resume=None if options.out is None else _journal(options.out),
            provenance=provenance,
        )
    return run, {"model": name, "engine": engine.describe()}


def _journal(out: Path) -> Path:
    """Where the scores of videos that are done are kept, until the results are whole."""
    return out.with_name(out.name + ".done.jsonl")


def _sources(options: AvaOptions) -> dict[str, AvaSource]:
    from twinpath.data.ava import frame_folders, read_frame_list, video_files

    if options.videos is not None:
        return video_files(options.videos, begins_at_s=options.begins_at_s)
    assert options.frames is not None
    if options.frame_list is not None:
        return read_frame_list(options.frame_list, options.frames, begins_at_s=options.begins_at_s)
    return frame_folders(options.frames, begins_at_s=options.begins_at_s)


def _print(
    options: AvaOptions,
    facts: dict[str, Any],
    run: AvaRun | None,
    score: FrameMap,
    label_map: LabelMap,
    notes: list[str],
) -> None:
    """The table and the mean; or all of it as one JSON object."""
    from twinpath.cli.console import Column, bar, print_json, print_table

    if options.json:
        by_action = [
            {
                "id": i,
                "action": label_map.names[i],
                "average_precision": ap,
                "true_boxes": score.true_boxes[i],
            }
            for i, ap in score.by_class.items()
        ]
        values = {"dataset": "ava", **facts, "map": score.mean, "by_action": by_action, "notes": notes}
        if run is not None:
            failures = [vars(failure) for failure in run.failures]
            values |= {"keyframes": run.keyframes, "people": run.people, "failures": failures}
        print_json(values)
        return
    precisions = list(score.by_class.values())
    print_table(
        [
            Column("id", [str(i) for i in score.by_class], right=True),
            Column("action", [label_map.names[i] for i in score.by_class]),
            Column("", [bar(ap) for ap in precisions], dispensable=2),
            Column("AP", [f"{100 * ap:.2f} %" for ap in precisions], right=True),
            Column("true boxes", [str(n) for n in score.true_boxes.values()], dispensable=1, right=True),
        ]
    )
    without = len(label_map.names) - len(score.by_class)
    left_out = f"; {without} others have no true box" if without else ""
    if run is not None:
        print(f"{facts['model']}: {run.people} people at {run.keyframes} keyframes")
    print(f"frame mAP@0.5 {100 * score.mean:.2f} % over {len(precisions)} actions{left_out}")
