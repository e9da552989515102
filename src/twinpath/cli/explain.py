"""`twinpath explain`: why did the model answer so?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import (
    AsJson,
    Debug,
    Model,
    OutFolder,
    Reading,
    Resume,
    Runtime,
    Videos,
    Weights,
)

if TYPE_CHECKING:
    from twinpath.jobs.batch import Outcome
    from twinpath.results.explanation import PersonAt


SheetFormats = Annotated[
    str,
    typer.Option(
        "--formats",
        metavar="A,B",
        help="Which files to write; also features.png (what each stage makes of the clip), kernels.png "
        "(with what the network begins).",
    ),
]


@dataclass(frozen=True)
class KeyframeOptions:
    """Whose score a detection model explains."""

    at: Annotated[
        float | None,
        typer.Option("--at", metavar="S", min=0, help="With a detection model: the time of the person."),
    ] = None
    box: Annotated[
        str | None,
        typer.Option("--box", metavar="X1,Y1,X2,Y2", help="With a detection model: the person, in pixels."),
    ] = None

    def person(self) -> PersonAt | None:
        """Raises: UsageError: Only one of them is given, or the box is none."""
        from twinpath.errors import UsageError
        from twinpath.results.explanation import PersonAt

        if self.at is None and self.box is None:
            return None
        try:
            left, top, right, bottom = (float(side) for side in (self.box or "").split(","))
        except ValueError:
            raise UsageError(f"--box {self.box!r}: give four numbers, X1,Y1,X2,Y2, with --at S") from None
        if self.at is None or not (left < right and top < bottom):
            raise UsageError(f"--box {self.box}: give a box with an area, and its time with --at S")
        return PersonAt(self.at, (left, top, right, bottom))


@option_groups
def explain(
    *,
    videos: Videos,
    model: Model = None,
    weights: Weights = None,
    label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Whose score is explained.  [default: the best one's]")
    ] = None,
    start: Annotated[
        float, typer.Option(metavar="S", min=0, help="Skip so many seconds at the start of each file.")
    ] = 0.0,
    person: KeyframeOptions,
    pathway: Annotated[
        str, typer.Option(metavar="NAME", help="Whose map the video shows: whole, slow or fast.")
    ] = "whole",
    out: OutFolder = Path("twinpath-explain"),
    formats: SheetFormats = "json,png,mp4",
    resume: Resume = True,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show where and when a model finds an activity, and check it.

    Writes the clip that `classify` takes as a video with a map over it and a curve of time below, a sheet of
    frames, and JSON. Needs torch.
    """
    from twinpath.cli.batch import find_checked, how_to_resume, show_batch
    from twinpath.cli.console import outlive_reader
    from twinpath.cli.loading import Loader, model_or_best
    from twinpath.cli.progress import BatchBar
    from twinpath.extras import check_torch
    from twinpath.jobs.explain import ExplainJob, write_explanations

    outlive_reader()
    check_torch("an explanation")
    runtime.config()
    found = find_checked(videos, reading)
    name = model_or_best(model, weights)
    job = ExplainJob(
        model=name, weights=weights, out=out, label=label, start_s=start,
        person=person.person(), pathway=pathway,
        formats=tuple(formats.split(",")), resume=resume, fps=reading.fps,
    )  # fmt: skip
    from twinpath.explain.explainer import Explainer

    bar = BatchBar("explaining", total=len(found.videos))
    loader = Loader(Explainer, name, weights, runtime, reading)
    outcomes = write_explanations(found.videos, job, loader, progress=bar)
    show_batch(
        outcomes,
        bar,
        lambda outcome, result: _print(outcome, result, job.out, as_json=json),
        as_json=json,
        skipped=found.skipped,
        rest=how_to_resume(resume=resume),
    )


def _print(outcome: Outcome[dict[str, Any]], result: dict[str, Any], out: Path, *, as_json: bool) -> None:
    from twinpath.cli.console import print_json, print_line, print_note
    from twinpath.paths import display_path

    if as_json:
        print_json(result)
        return
    video = display_path(outcome.video.path)
    for warning in result["warnings"]:
        print_note(f"warning: {video}: {warning}")
    done = ", done before" if outcome.was_done else ""
    print_line(
        f"{video}: {result['label']} {100 * result['score']:.1f} %, most at {result['peak_s']:.2f} s{done}"
    )
    if result["label"] != result["best_label"]:
        print_line(f"  the model answers {result['best_label']}, {100 * result['best_score']:.1f} %")
    for name, score in result["score_without"].items():
        print_line(f"  without the {name} pathway {100 * score:.1f} %")
    measured = result["faithfulness"]
    print_line(
        f"  mean logit while the map's places are greyed {measured['deletion']:.2f} (random "
        f"{measured['random_deletion']:.2f}), while they are shown {measured['insertion']:.2f} (random "
        f"{measured['random_insertion']:.2f})"
    )
    folder = out / outcome.video.name.parent
    print_line(f"  {', '.join(display_path(folder / name) for name in result['files'].values())}")
