"""`twinpath evaluate` of a detection network on the key frames of a recipe: frame mAP, as published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.cli.options import Runtime

if TYPE_CHECKING:
    from twinpath.cli.ava_options import AvaOptions
    from twinpath.train.recipe import Recipe


def evaluate_on_keyframes(
    recipe: Recipe,
    model: str,
    weights: Path | None,
    ava: AvaOptions,
    runtime: Runtime,
    *,
    devices: int | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Score the people of this process, and in the first one print the figures.

    Args:
        recipe, model, weights, ava, runtime, as_json: As the user gave them.
        devices: Processes that share the videos; None: one, or torchrun's.
        folder: For scores and results of a training of this very recipe, whose card gets the figures.
    """
    from twinpath.cli.console import outlive_reader, print_note
    from twinpath.cli.evaluate_ava import EngineLoader, show_measured
    from twinpath.cli.evaluate_labelled import share_of_devices
    from twinpath.cli.progress import count_bar
    from twinpath.jobs.ava import evaluate_ava
    from twinpath.paths import display_path
    from twinpath.recognize.model import check_model
    from twinpath.train.ava_protocol import RESULTS, keyframes_job, measured_keyframes
    from twinpath.train.loop.keyframes import read_test_keyframes
    from twinpath.train.protocol import keep_figures
    from twinpath.zoo.model_folder import read_model_folder

    name = check_model(model, task="detection", weights=weights).name
    keyframes = read_test_keyframes(recipe)
    out, stays = ava.out, False
    if out is None and folder is not None:
        out, stays = folder / RESULTS, True
    job = keyframes_job(
        recipe, model, keyframes, weights=weights, out=out, resume=ava.resume, keep_journal=stays
    )
    if out is not None:
        outlive_reader()
    share, runtime = share_of_devices(devices, runtime)
    load = EngineLoader(model, weights, runtime, is_quiet=bool(share.process))
    if share.process:
        evaluate_ava(job, load, share=share)
        return
    with count_bar("evaluating") as progress:
        run = evaluate_ava(job, load, progress=progress, share=share)
    measured = measured_keyframes(keyframes, run, out)
    if folder is not None:
        keep_figures(read_model_folder(model), measured.figures)
    if out is not None:
        print_note(f"wrote {display_path(out)}")
    facts = {"model": name, "engine": load.description}
    show_measured(facts, run, measured.score, keyframes.label_map, keyframes.notes, as_json=as_json)
