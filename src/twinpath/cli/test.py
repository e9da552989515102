"""`twinpath test`: how often is a model right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twinpath.cli.options import AsJson, Debug, Device


def test(
    model: Annotated[
        str, typer.Argument(metavar="NAME", help="A model of the synthetic world.")
    ] = "slowfast_tiny.synthetic",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A weight file to use with the model.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, metavar="N", help="How many fresh clips to make.")] = 1000,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Which clips; training sees none of these.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that make clips.")] = 1,
    device: Device = "auto",
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure accuracy on fresh clips of the synthetic world."""
    from twinpath.cli.console import bar, print_json, with_progress
    from twinpath.engine.torch_engine import leave_cores_to
    from twinpath.errors import UsageError
    from twinpath.evaluate.synthetic import answers_on_fresh_clips, summarise
    from twinpath.recognize.classify import Classifier
    from twinpath.zoo.create import resolve

    _, record = resolve(model)
    if record is None or record.dataset != "synthetic":  # said before anything is downloaded
        raise UsageError(
            f"{model} is no model of the synthetic world; other test sets come in a later version"
        )
    leave_cores_to(workers)
    classifier = Classifier(model, weights, device)
    answers = answers_on_fresh_clips(
        lambda path: classifier(path).label, num_clips=clips, seed=seed, workers=workers
    )
    summary = summarise(list(with_progress(answers, total=clips, title="testing")))
    if json:
        print_json({"model": classifier.model, "clips": clips, "seed": seed, **summary.to_dict()})
        return
    for action, share in summary.by_action.items():
        print(f"{action:<10} {bar(share)} {100 * share:5.1f} %")
    low, high = summary.interval
    print(
        f"top-1 {100 * summary.top1:.1f} % of {clips} clips "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
    )
    for wrong in summary.confusions[:5]:
        print(f"  {wrong.count} x {wrong.truth} taken for {wrong.answer}")
