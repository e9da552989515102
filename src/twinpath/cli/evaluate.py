"""`twinpath evaluate`: how often is a model right?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twinpath.cli.options import AsJson, Debug, Device, WeightsOption

if TYPE_CHECKING:
    from twinpath.cli.evaluate_ava import AvaOptions
    from twinpath.evaluate.synthetic_clips import Summary

# Options for the synthetic world.
Clips = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="How many fresh clips, or scenes of people, to make.  [default: 1000]"
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Which clips; training sees none of these.  [default: 0]"),
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Processes that make clips.  [default: 1]")
]

# Options for AVA: its own files, whom to score in which pictures, and results.
Annotations = Annotated[Path | None, typer.Option(metavar="FILE", help="The ground truth: ava_val_v2.2.csv.")]
Exclude = Annotated[Path | None, typer.Option(metavar="FILE", help="Rows video,second that do not count.")]
LabelMapFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Actions that count, .pbtxt or .csv.  [default: AVA's 60]"),
]
People = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Boxes of a person detector to score.  [default: the true boxes]"),
]
PeopleScore = Annotated[
    float | None,
    typer.Option(metavar="S", help="Leave out people below it.  [default: 0.8; for slow networks 0.9]"),
]
VideoFolder = Annotated[Path | None, typer.Option(metavar="DIR", help="Videos, whole or cut at 900 s.")]
FrameFolders = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A folder of frames for each video, 30 a second.")
]
FrameList = Annotated[
    Path | None, typer.Option(metavar="FILE", help="PySlowFast's list of the frames in --frames.")
]
BeginsAt = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="S", help="The second at which videos or frames begin.  [default: 900 if cut, else 0]"
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write AVA's results file; a run that was broken off goes on."),
]
Results = Annotated[Path | None, typer.Option(metavar="FILE", help="Measure a results file; run nothing.")]
AtMost = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Of each second count the N best results only; AVA's competition: 50."
    ),
]


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A model of the data set.  [default: slowfast_tiny.synthetic]"),
    ] = None,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="synthetic, or ava: who does what, from AVA's own files.")
    ] = "synthetic",
    named: Annotated[str | None, typer.Option("--model", metavar="NAME", help="The same as NAME.")] = None,
    weights: WeightsOption = None,
    clips: Clips = None,
    seed: Seed = None,
    workers: Workers = None,
    annotations: Annotations = None,
    exclude: Exclude = None,
    label_map: LabelMapFile = None,
    people: People = None,
    people_score: PeopleScore = None,
    videos: VideoFolder = None,
    frames: FrameFolders = None,
    frame_list: FrameList = None,
    begins_at: BeginsAt = None,
    out: Out = None,
    results: Results = None,
    at_most: AtMost = None,
    device: Device = "auto",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure how right a model is, on fresh clips or on AVA.

    Of the synthetic world: accuracy, or frame mAP of a model that tells what each person does. Of AVA: the
    official frame mAP, of a model on videos or frames, or of a file of results. From --annotations on, the
    options are for AVA.
    """
    from twinpath.cli.evaluate_ava import AvaOptions, evaluate_on_ava
    from twinpath.errors import UsageError

    if model is not None and named is not None:
        raise UsageError(f"{model} and --model {named} both name a model; give one")
    model = model or named
    ava = AvaOptions(
        annotations=annotations,
        exclude=exclude,
        label_map=label_map,
        people=people,
        min_person_score=people_score,
        videos=videos,
        frames=frames,
        frame_list=frame_list,
        begins_at_s=begins_at,
        results=results,
        at_most=at_most,
        model=model,
        weights=weights,
        device=device,
        out=out,
        json=json,
    )
    if dataset == "ava":
        if (clips, seed, workers) != (None, None, None):
            raise UsageError(
                "--clips, --seed and --workers are for the synthetic world; AVA has its own videos"
            )
        evaluate_on_ava(ava)
    elif dataset == "synthetic":
        _refuse_ava_options(ava)
        _evaluate_on_synthetic(
            model or "slowfast_tiny.synthetic", weights, clips or 1000, seed or 0, workers or 1, device, json
        )
    else:
        raise UsageError(f"--dataset {dataset!r}: choose synthetic or ava")


def _refuse_ava_options(ava: AvaOptions) -> None:
    """Raises: UsageError: one of them is given, which the synthetic world has no use for."""
    from twinpath.errors import UsageError

    other = ava.given(
        *("annotations", "exclude", "label_map", "people", "min_person_score", "videos", "frames"),
        *("frame_list", "begins_at_s", "results", "at_most", "out"),
    )
    if other:
        raise UsageError(f"{other} is for --dataset ava")


def _evaluate_on_synthetic(
    model: str, weights: Path | None, clips: int, seed: int, workers: int, device: str, json: bool
) -> None:
    from twinpath.cli.console import print_json, with_progress
    from twinpath.device import leave_cores_to
    from twinpath.errors import UsageError
    from twinpath.evaluate.synthetic_clips import answers_on_fresh_clips, summarise
    from twinpath.recognize.classifier import Classifier
    from twinpath.zoo.create import resolve

    architecture, record = resolve(model)
    if record is None or record.dataset != "synthetic":  # said before anything is downloaded
        raise UsageError(f"{model} is no model of the synthetic world; for AVA there is --dataset ava")
    leave_cores_to(workers)
    if architecture.is_detector:
        from twinpath.cli.evaluate_scenes import evaluate_on_scenes

        evaluate_on_scenes(model, weights, scenes=clips, seed=seed, workers=workers, device=device, json=json)
        return
    classifier = Classifier(model, weights, device)
    answers = answers_on_fresh_clips(
        lambda path: classifier(path).label, num_clips=clips, seed=seed, workers=workers
    )
    summary = summarise(list(with_progress(answers, total=clips, title="testing")))
    if json:
        print_json({"model": classifier.model, "clips": clips, "seed": seed, **summary.to_dict()})
    else:
        _print(summary, clips)


def _print(summary: Summary, clips: int) -> None:
    """A bar for each action, the share of right answers, and what was taken for what."""
    from twinpath.cli.console import bar

    for action, share in summary.by_action.items():
        print(f"{action:<10} {bar(share)} {100 * share:5.1f} %")
    low, high = summary.interval
    print(
        f"top-1 {100 * summary.top1:.1f} % of {clips} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    for wrong in summary.confusions[:5]:
        print(f"  {wrong.count} x {wrong.truth} taken for {wrong.answer}")
