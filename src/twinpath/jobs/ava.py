"""A detection network on a split of AVA, with its results in a file.

job = AvaJob(model=name, people=people, sources=sources, label_map=label_map, out=Path("results.csv"))
run = evaluate_ava(job, lambda: open_engine(job.model, output="boxes"))

Several processes share the videos: each has a `Share`, scores its own, and the first one writes the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from twinpath.data.ava.clips import AvaSource
from twinpath.engine.base import Engine
from twinpath.errors import InputError, UsageError
from twinpath.evaluate.ava import AvaRun, People, score_split
from twinpath.formats.ava import read_results, write_results
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.journal import read_journal
from twinpath.formats.journal_parts import JournalPart, Share, part_of
from twinpath.jobs.batch import Progress, stopped_error
from twinpath.jobs.outputs import check_folder, check_targets
from twinpath.jobs.score_files import other_settings
from twinpath.locks import exclusive
from twinpath.paths import display_path
from twinpath.recognize.model import check_model
from twinpath.results.provenance import Provenance
from twinpath.zoo.model_facts import facts_of_model


@dataclass(frozen=True, eq=False, kw_only=True)
class AvaJob:
    """What is evaluated, on which videos, and where the results go.

    Attributes:
        model: A detection network or a record.
        people: Boxes to score, see `evaluate.ava.people_to_score`.
        sources: Videos or frames by name.
        label_map: Actions that count.
        weights: A weight file in place of the record's.
        inputs: Files that were read for this, which `out` must not replace.
        out: AVA's results file. Until it is complete a journal beside it has the scores of finished videos.
        resume: Take the scores that are in the journal; False: start over, and replace `out` at the end.
        keep_journal: Leave it beside complete results, so that the same again has nothing to score.
    """

    model: str
    people: People
    sources: Mapping[str, AvaSource]
    label_map: LabelMap
    weights: Path | None = None
    inputs: tuple[Path, ...] = ()
    out: Path | None = None
    resume: bool = True
    keep_journal: bool = False


def evaluate_ava(
    job: AvaJob,
    load: Callable[[], Engine],
    *,
    progress: Progress | None = None,
    share: Share = Share(),
) -> AvaRun:
    """Score the people of the split, and write the results file.

    Args:
        job: What is wanted.
        load: Gives the engine, of the job's model and weights, for boxes.
        progress: Called with the seconds that are done, and of all, of this process.
        share: Of this process; all have the same job. `out` is in a folder that all see, or what one was
            killed at is scored again.
    Returns:
        The scores of the split; in processes but the first, of their own videos.
    Raises:
        UsageError: The model is no detection network or does not score all actions; or `out` is an input, is
            there already, its journal is of other settings, or another run is writing to it.
        InputError: No video could be used, or there is no person to score.
        Interrupted, Terminated: Stopped; with `out`, a later run does the rest.
    """
    facts = check_model(job.model, task="detection", weights=job.weights)
    model, sha256 = facts.name, facts.weights_sha256(job.weights)
    run = Provenance.of(
        None, model=model, weights_sha256=sha256, settings={"actions": list(job.label_map.ids)}
    )
    if job.out is None:
        return _score(job, load(), progress, share, None)
    check_folder(job.out.parent)
    first = job.out.with_name(job.out.name + ".done.jsonl")
    own = part_of(first, share.process)
    with exclusive(own if share.process else job.out):
        _prepare(job, own, run, is_first=not share.process)
        engine = load()
        paths = [job.sources[video].path for video in share.part(job.people) if video in job.sources]
        with JournalPart(own, run, paths, first=[first], resume=job.resume) as journal:
            try:
                found = _score(job, engine, progress, share, journal)
            except (KeyboardInterrupt, SystemExit) as stop:
                finished, total = len(journal.written(paths)), len(share.part(job.people))
                raise stopped_error(stop, finished=finished, total=total) from stop
        if not share.process:
            write_results(job.out, found.rows)
            if not (found.failures or job.keep_journal):
                own.unlink(missing_ok=True)
    return found


def _score(
    job: AvaJob, engine: Engine, progress: Progress | None, share: Share, journal: JournalPart | None
) -> AvaRun:
    """Raises: InputError: nothing could be scored."""
    found = score_split(
        engine,
        facts_of_model(job.model).spec,
        job.people,
        job.sources,
        job.label_map,
        progress=progress,
        journal=journal,
        share=share,
    )
    if found.keyframes or share.process:
        return found
    if found.failures:
        raise InputError(f"no video could be used; {found.failures[0]}")
    raise InputError("there is no person to score: no box reaches min_person_score, or all are excluded")


def _prepare(job: AvaJob, journal: Path, run: Provenance, *, is_first: bool) -> None:
    """Check the journal of this process: it is of this run, or absent; and the results file.

    Raises:
        UsageError, InputError: See `evaluate_ava`.
    """
    assert job.out is not None
    sources = [source.path for source in job.sources.values()]
    weights = [] if job.weights is None else [job.weights]
    check_targets([job.out, journal], [*job.inputs, *sources, *weights])
    if journal.exists():
        other = next((made for made in read_journal(journal) if not made.same_run(run)), None)
        if not job.resume:
            journal.unlink()
        elif other is not None:
            raise other_settings(journal, other, run)
    elif is_first and job.out.exists() and job.resume:
        raise UsageError(
            f"{display_path(job.out)} is complete already; give another file, or resume=False to replace it"
        )
    elif is_first and job.out.exists():
        read_results(job.out, job.label_map)  # raises where it is something else
