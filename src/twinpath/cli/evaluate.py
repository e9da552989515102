"""`twinpath evaluate`: how often is a model right?"""

from __future__ import annotations

from typing import Annotated

import typer

from twinpath.cli.ava_options import AvaOptions
from twinpath.cli.completion import model_names
from twinpath.cli.evaluate_labelled import LabelledOptions
from twinpath.cli.evaluate_synthetic import SyntheticOptions
from twinpath.cli.option_groups import option_groups
from twinpath.cli.options import AsJson, Debug, Reading, Runtime, Weights

_Named = Annotated[
    str | None,
    typer.Option("--model", autocompletion=model_names, metavar="NAME", help="The same as NAME."),
]


@option_groups
def evaluate(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            autocompletion=model_names,
            metavar="NAME|DIR",
            help="A model of the data set, a model folder, or the folder of a training by a recipe.  "
            "[default: slowfast_tiny.synthetic]",
        ),
    ] = None,
    labelled: LabelledOptions,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="synthetic, or ava: who does what, from AVA's own files.")
    ] = "synthetic",
    named: _Named = None,
    weights: Weights = None,
    synthetic: SyntheticOptions,
    ava: AvaOptions,
    reading: Reading,
    runtime: Runtime,
    json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure how right a model is, on your videos or on AVA.

    With --data: accuracy with its interval, each class, confusions, calibration; with --out also every score
    and a report. Of the synthetic world: accuracy, or frame mAP of a detection model. Of AVA: the official
    frame mAP, of a model on videos or frames, or of a file of results. Options from --annotations to
    --at-most are for AVA, but --out and --resume also go with --data.
    With --recipe, or of the folder of a training: the recipe's test clips by its views, as published.
    """
    from twinpath.cli.evaluate_ava import evaluate_on_ava
    from twinpath.cli.evaluate_labelled import evaluate_on_clips
    from twinpath.cli.evaluate_synthetic import DEFAULT_MODEL, evaluate_on_synthetic
    from twinpath.errors import UsageError

    if model is not None and named is not None:
        raise UsageError(f"{model} and --model {named} both name a model; give one")
    model = model or named
    runtime.config()
    if labelled.are_given(model):
        labelled.check(model, dataset, synthetic, ava)
        evaluate_on_clips(labelled, model, weights, ava, reading, runtime, as_json=json)
        return
    labelled.check_absent(reading)
    if dataset == "ava":
        if synthetic.are_given:
            raise UsageError(
                "--clips, --seed and --workers are for the synthetic world; AVA has its own videos"
            )
        evaluate_on_ava(ava, model, weights, runtime, as_json=json)
    elif dataset == "synthetic":
        if other := ava.first_given():
            raise UsageError(f"{other} is for --dataset ava")
        evaluate_on_synthetic(synthetic, model or DEFAULT_MODEL, weights, runtime, as_json=json)
    else:
        raise UsageError(f"--dataset {dataset!r}: choose synthetic or ava")
