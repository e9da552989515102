"""Explanations of many videos, in files.

job = ExplainJob(model="slowfast_r50_8x8.ptv_k400", out=Path("explained"))
for outcome in write_explanations(find_inputs(["clips"]), job, lambda: Explainer(job.model)):
    outcome.error or outcome.result.score
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.atomic import atomic_path
from twinpath.errors import UsageError
from twinpath.jobs.batch import Outcome, Progress, each_input
from twinpath.jobs.outputs import (
    OutputFiles,
    check_folders,
    check_targets,
    checked_formats,
    name_outputs,
    sweep_targets,
)
from twinpath.recognize.model import Task, check_model
from twinpath.recognize.read import fps_settings, source_provenance
from twinpath.render.explanation import write_sheet, write_video
from twinpath.render.seen_sheets import write_kernels_sheet, write_maps_sheet
from twinpath.results.explanation import Explanation, PersonAt
from twinpath.results.provenance import Provenance
from twinpath.suggest import did_you_mean
from twinpath.video.find import InputVideo

if TYPE_CHECKING:
    from twinpath.explain.explainer import Explainer

EXPLANATION_FORMATS = ("json", "png", "mp4", "features.png", "kernels.png")
DEFAULT_FORMATS = ("json", "png", "mp4")


@dataclass(frozen=True, kw_only=True)
class ExplainJob:
    """What is wanted of every video.

    Attributes:
        model: A network, a record or a model folder.
        out: Folder for the files.
        weights: A weight file in place of the record's.
        label: Whose score is explained; None: the best one's.
        start_s: Skip this many seconds at the start of each file.
        person: Of detection models: who, and when.
        pathway: Whose map the video shows: "whole", "slow" or "fast".
        formats: Of the files, of `EXPLANATION_FORMATS`.
        resume: Leave out videos whose files are there.
        fps: Of what has no times, see `VideoReader`.
    Raises:
        UsageError: There is no such format or pathway.
    """

    model: str
    out: Path
    weights: Path | None = None
    label: str | None = None
    start_s: float = 0.0
    person: PersonAt | None = None
    pathway: str = "whole"
    formats: tuple[str, ...] = DEFAULT_FORMATS
    resume: bool = True
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.pathway not in ("whole", "slow", "fast"):
            raise UsageError(f"pathway: there is no {self.pathway!r}; choose from whole, slow, fast")
        object.__setattr__(self, "formats", checked_formats(self.formats, EXPLANATION_FORMATS))


def write_explanations(
    videos: Sequence[InputVideo],
    job: ExplainJob,
    load: Callable[[], Explainer],
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome[dict[str, Any]]]:
    """Explain each video, and write the files. JSON is written last, so that it stands for all of them.

    Args:
        videos: Each once.
        job: What is wanted.
        load: Gives the explainer; called when the first video needs it.
        progress: Called with the parts of the current video that are done, and of all.
    Returns:
        The outcome of each video, in order, made while it is taken; results as `Explanation.to_dict`.
    Raises:
        UsageError: The model is unknown or has no such label; two videos have one name; a file cannot be
            written.
    """
    task: Task = "classification" if job.person is None else "detection"
    facts = check_model(job.model, task=task, weights=job.weights)
    if job.label is not None and job.label not in facts.labels:
        raise UsageError(
            f"{facts.name} has no label {job.label!r}{did_you_mean(job.label, facts.labels, count=3)}"
        )
    files = name_outputs(videos, job.out, "explain")
    check_folders(files.values())
    formats = (*(name for name in job.formats if name != "json"), "json")  # JSON is what a resume reads
    targets = [outputs.path(ending) for outputs in files.values() for ending in formats]
    check_targets(targets, [*(video.path for video in videos), *([job.weights] if job.weights else [])])
    sweep_targets(targets)
    settings = {
        "label": job.label, "start_s": job.start_s, "person": job.person, "pathway": job.pathway,
        **fps_settings(job.fps),
    }  # fmt: skip
    loaded: list[Explainer] = []

    def work(video: InputVideo) -> Outcome[dict[str, Any]]:
        made_of = source_provenance(
            video.path, model=facts.name, weights_sha256=facts.weights_sha256(job.weights), settings=settings
        )
        outputs = files[video]
        done = _done(outputs, formats, made_of) if job.resume else None
        if done is not None:
            return Outcome(video, result=done, was_done=True)
        if not loaded:
            loaded.append(load())
        explanation = loaded[0](
            video.path, label=job.label, start_s=job.start_s, person=job.person, progress=progress
        )
        return Outcome(video, result=_write(explanation, outputs, formats, made_of, job, loaded[0]))

    return each_input(videos, work)


def _done(outputs: OutputFiles, formats: Sequence[str], made_of: Provenance) -> dict[str, Any] | None:
    """What an earlier run wrote of the same video, model and settings; None: not all of it is there."""
    if not all(outputs.path(ending).is_file() for ending in formats):
        return None
    try:
        found: dict[str, Any] = json.loads(outputs.path("json").read_text("utf-8"))
        is_same = Provenance.from_dict(found["provenance"]) == made_of
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_same else None


def _write(
    explanation: Explanation,
    outputs: OutputFiles,
    formats: Sequence[str],
    made_of: Provenance,
    job: ExplainJob,
    explainer: Explainer,
) -> dict[str, Any]:
    reader = explainer.reader
    reading: dict[str, Any] = {"limits": reader.limits, "fps": reader.fps, "isolate": reader.isolate}
    outputs.base.parent.mkdir(parents=True, exist_ok=True)
    if job.pathway not in explanation.maps:
        raise UsageError(f"{explanation.model} has no {job.pathway} pathway; take 'whole'")
    if "mp4" in formats:
        write_video(explanation, outputs.path("mp4"), pathway=job.pathway, **reading)
    if "png" in formats:
        write_sheet(explanation, outputs.path("png"), **reading)
    if "features.png" in formats:
        seen = explainer.seen(explanation.video, start_s=job.start_s, person=job.person)
        write_maps_sheet(seen, outputs.path("features.png"))
    if "kernels.png" in formats:
        write_kernels_sheet(explainer.kernels(), outputs.path("kernels.png"))
    record = explanation.to_dict() | {
        "files": {ending: outputs.path(ending).name for ending in formats},
        "provenance": made_of.to_dict(),
    }
    with atomic_path(outputs.path("json")) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record
