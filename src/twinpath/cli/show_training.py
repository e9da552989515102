"""How `twinpath train` prints what a recipe will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinpath.cli.console import print_line, print_note

if TYPE_CHECKING:
    from pathlib import Path

    from twinpath.jobs.evaluate import LabelledRun
    from twinpath.train.ava_protocol import MeasuredKeyframes
    from twinpath.train.dry_run import DryRun
    from twinpath.train.loop.figures import EpochResult
    from twinpath.train.pyslowfast.translate import Translation
    from twinpath.train.recipe import Recipe


def print_dry_run(run: DryRun) -> None:
    """The network, the clips, their changes, the groups of parameters, the learning rate over the epochs."""
    recipe = run.recipe
    print_line(f"recipe    {recipe.name}")
    print_line(f"network   {recipe.model.network}, {run.num_parameters / 1e6:.2f} M parameters")
    print_line(
        f"clips     {run.frames} frames, every {run.sampling_rate}. of 30 per second, {run.crop_px} px"
    )
    print_line(f"batch     {recipe.run.batch_size} clips")
    print_line(f"epochs    {run.epochs}")
    for what, how in run.changes:
        print_line(f"clips     {what}: {how}")
    for group in run.groups:
        factor = f", rate x {group.learning_rate_factor:.3g}" if group.learning_rate_factor != 1 else ""
        values = f"{group.num_values:,} values in {group.num_tensors} tensors"
        print_line(f"group     {group.name}: {values}, decay {group.weight_decay:g}{factor}")
    for phase, slots in zip(run.phases, run.slots, strict=True):
        if phase.begin_epoch < phase.end_epoch and (len(run.phases) > 1 or len(slots) > 1):
            batches = ", ".join(f"{slot.batch_size} of {slot.shape.crop_px} px" for slot in slots)
            epochs = f"{phase.begin_epoch} to {phase.end_epoch}"
            print_line(f"shape     epoch {epochs}: clips of {phase.shape.frames} frames, {batches}")
    reference = recipe.schedule.reference_batch
    if reference is not None:
        step = recipe.run.batch_size * recipe.optimizer.accumulate
        print_line(f"rate      x {run.rate_factor:g}: steps of {step} clips, for {reference} in the recipe")
    for point in run.learning_rates:
        print_line(f"rate      epoch {point.epoch:7.2f}: {point.learning_rate:.6g}")


def print_first_batches(recipe: Recipe, folder: Path) -> None:
    """Write the first batches as pictures and print where, or why there are none."""
    from twinpath.train.log.first_batches import write_first_batches
    from twinpath.train.recipe_checks import DRAWN

    data = recipe.data
    is_ava = data.kind == "ava"
    has_clips = data.boxes_train and (data.train or data.videos) if is_ava else data.train
    if data.kind in DRAWN:
        print_line(f"pictures  none: the clips of {data.kind} are drawn")
    elif not has_clips:
        keys = "data.boxes_train and data.videos" if is_ava else "data.train"
        print_line(f"pictures  none: the recipe names no clips; give {keys}")
    else:
        for path in write_first_batches(recipe, folder):
            print_line(f"pictures  {path}")


def print_translation(translation: Translation) -> None:
    """What is ignored of a configuration, or other than there: notes on stderr."""
    for note in translation.notes:
        print_note(f"note: {note}")


def print_epoch(result: EpochResult) -> None:
    """A line on stderr: what the epoch gave."""
    figures = "".join(
        f", {name} {value:.3f}" if name == "loss" else f", {name} {value:.1%}"
        for name, value in result.figures.items()
    )
    evaluated = f"; validation{figures[1:]}" if figures else ""
    broken = f"; {result.broken} clips cannot be read" if result.broken else ""
    waited = f"; {result.waited_share:.0%} of the time waiting for clips" if result.waited_share > 0.2 else ""
    left = f", about {_duration(result.left_s)} left" if result.left_s else ""
    print_note(
        f"epoch {result.epoch + 1} of {result.epochs}: loss {result.train_loss:.3f}{evaluated}; "
        f"{result.took_s:.0f} s{left}{waited}{broken}"
    )


def print_measured(found: LabelledRun | MeasuredKeyframes) -> None:
    """A note for each figure of the final evaluation, and where its files are."""
    from twinpath.cli.batch import files_in_words
    from twinpath.cli.show_ava import mean_in_words, people_in_words
    from twinpath.cli.show_evaluation import figures_in_words
    from twinpath.train.ava_protocol import MeasuredKeyframes

    if isinstance(found, MeasuredKeyframes):
        lines = [f"{mean_in_words(found.score, found.label_map)}; {people_in_words(found.run)}"]
        written: tuple[Path, ...] = (found.out,) if found.out else ()
    else:
        assert found.evaluation is not None
        assert found.summary is not None
        lines, written = figures_in_words(found.evaluation, found.summary), found.written
    for line in lines:
        print_note(line)
    if written:
        print_note(f"wrote {files_in_words(written)}")


def _duration(seconds: float) -> str:
    """As coarse as an estimate is."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"
