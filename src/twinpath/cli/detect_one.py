"""One video of `twinpath detect`: looked at, or as an earlier run left it, and written into its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twinpath.recognize.detector import Detector
    from twinpath.results.detections import Detections
    from twinpath.results.keyframes import Keyframe, KeyframeScores
    from twinpath.results.provenance import Provenance

ENDINGS = {"json": "json", "csv": "ava.csv", "xml": "cvat.xml", "mp4": "mp4", "png": "png"}


@dataclass(frozen=True)
class Job:
    """What is wanted of every video.

    Attributes:
        people, tracker, every_s, min_score, min_person_score, smooth_s: As for `Detector`.
        kinds: Which files, keys of `ENDINGS`.
        labels: Of a person in the annotated video.
        hud: Whether that shows time and speed.
        resume: Go on from what earlier runs left.
        run: What decides the result, beside the video.
    """

    people: str
    tracker: str
    every_s: float
    min_score: NDArray[np.float64]
    min_person_score: float | None
    smooth_s: float
    kinds: tuple[str, ...]
    labels: int
    hud: bool
    resume: bool
    run: Provenance

    @property
    def can_go_on(self) -> bool:
        """Whether a later run may go on in the middle of a video."""
        return "json" in self.kinds and self.people != "motion"  # which has seen the pictures before


@dataclass
class Done:
    """One video: who does what, and the files that tell it; or why there is none.

    Attributes:
        files: By kind.
        was_there: An earlier run did it.
    """

    path: Path
    found: Detections | None = None
    files: dict[str, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    took_s: float = 0.0
    was_there: bool = False
    error: Exception | None = None


def is_done(job: Job, path: Path, base: Path) -> bool:
    """Whether an earlier run made all files, of this same video, asked for the same: the JSON comes last."""
    from twinpath.cli.outputs import file_of
    from twinpath.formats.detections import read_provenance

    if not all(file_of(base, ENDINGS[kind]).is_file() for kind in job.kinds):
        return False
    provenance = read_provenance(file_of(base, ENDINGS["json"]))
    return provenance is not None and provenance.is_of(path) and provenance.same_run(job.run)


def detect_into_files(
    job: Job, detector: Detector, path: Path, base: Path, progress: Callable[[int, int], None]
) -> Done:
    """One video, in files; or why there is none: one bad file does not end a batch."""
    from twinpath.errors import InputError, LimitExceeded
    from twinpath.video.source import open_video

    began_s = time.perf_counter()
    done = Done(path)
    try:
        open_video(path).close()  # says better than the next line what is wrong with a file
        provenance = job.run.for_file(path)  # before the work: a file that changes meanwhile is another one
        done.found = _detect(job, detector, path, base, provenance, progress)
        done.warnings = _once([*done.found.warnings, *_write(job, done, base, provenance)])
    except OSError as error:
        done.error = error
    except (InputError, LimitExceeded) as error:
        done.error = error
        _unfinished(base).unlink(missing_ok=True)
    else:
        _unfinished(base).unlink(missing_ok=True)
    done.took_s = time.perf_counter() - began_s
    return done


def _unfinished(base: Path) -> Path:
    from twinpath.cli.outputs import file_of

    return file_of(base, "unfinished.npz")


def _detect(
    job: Job,
    detector: Detector,
    path: Path,
    base: Path,
    provenance: Provenance,
    progress: Callable[[int, int], None],
) -> Detections:
    """Look at a video, from where an earlier run was stopped; leave what a later one may go on from."""
    from twinpath.formats.keyframes import save_keyframe_scores

    place = _unfinished(base)

    def keep(keyframes: Sequence[Keyframe]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        save_keyframe_scores(_part(job, detector, path, provenance, keyframes), place)

    return detector(
        path,
        people=job.people,
        tracker=job.tracker,
        every_s=job.every_s,
        min_score=job.min_score,
        min_person_score=job.min_person_score,
        smooth_s=job.smooth_s,
        resume_from=_earlier(place, provenance) if job.resume and job.can_go_on else (),
        on_checkpoint=keep if job.can_go_on else None,
        progress=progress,
    )


def _part(
    job: Job, detector: Detector, path: Path, provenance: Provenance, keyframes: Sequence[Keyframe]
) -> KeyframeScores:
    from twinpath.results.keyframes import KeyframeScores

    return KeyframeScores(
        video=str(path),
        provenance=provenance,
        dataset=detector.dataset,
        engine=detector.engine.describe(),
        person_detector=job.people,
        tracker=job.tracker,
        width_px=0,
        height_px=0,
        duration_s=0.0,
        every_s=job.every_s,
        labels=detector.labels,
        keyframes=tuple(keyframes),
        keyframes_expected=0,
        complete=False,
        warnings=(),
        timing_s={},
        settings={},
    )


def _earlier(place: Path, provenance: Provenance) -> Sequence[Keyframe]:
    """What a stopped run left; nothing where it is not there, is damaged, or is of something else."""
    from twinpath.errors import InputError
    from twinpath.formats.keyframes import load_keyframe_scores

    try:
        scores = load_keyframe_scores(place)
    except (InputError, OSError):
        return ()
    return scores.keyframes if scores.provenance == provenance else ()


def _once(warnings: list[str]) -> tuple[str, ...]:
    """Drawing reads the video again, and may count the same damage a little differently."""
    first: dict[str, str] = {}
    for warning in warnings:
        first.setdefault("".join(c for c in warning if not c.isdigit()), warning)
    return tuple(first.values())


def as_before(job: Job, path: Path, base: Path) -> Done:
    """What an earlier run found; or why it cannot be read."""
    from twinpath.cli.outputs import file_of
    from twinpath.errors import InputError
    from twinpath.formats.detections import read_detections

    done = Done(path, files={kind: file_of(base, ENDINGS[kind]) for kind in job.kinds}, was_there=True)
    try:
        done.found = read_detections(done.files["json"])
    except (InputError, OSError) as error:
        done.error = error
    else:
        done.warnings = done.found.warnings
    return done


def _write(job: Job, done: Done, base: Path, provenance: Provenance) -> list[str]:
    """Write the files, the JSON last, since it tells that all are there; returns what there is to say."""
    from twinpath.cli.console import count_progress
    from twinpath.cli.outputs import file_of
    from twinpath.formats.detections import DETECTION_KINDS, write_detection_file
    from twinpath.render.annotate import annotate_video
    from twinpath.render.contact_sheet import contact_sheet
    from twinpath.video.probe import frame_times

    assert done.found is not None
    warnings: list[str] = []
    base.parent.mkdir(parents=True, exist_ok=True)
    times_s = frame_times(done.path) if "xml" in job.kinds else None
    for kind in sorted(job.kinds, key="json".__eq__):
        place = file_of(base, ENDINGS[kind])
        if kind in DETECTION_KINDS:
            write_detection_file(done.found, place, kind, frame_times_s=times_s, provenance=provenance)
        elif kind == "png":
            contact_sheet(done.path, done.found, place)
        else:
            with count_progress("drawing") as progress:
                warnings += annotate_video(
                    done.path, done.found, place, top_k=job.labels, hud=job.hud, progress=progress
                )
    done.files = {kind: file_of(base, ENDINGS[kind]) for kind in job.kinds}
    return warnings
