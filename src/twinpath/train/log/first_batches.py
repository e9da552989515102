"""Pictures of the first batches of a run, as the network will be given them: cropped, changed, erased, mixed;
key frames with the boxes that are left and their actions.

    write_first_batches(recipe, Path("runs/r/dry_run"))

One picture for each shape of clips, two where all clips have one. All random numbers are those of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twinpath.atomic import atomic_path
from twinpath.recognize.read import VideoReader
from twinpath.render.clip_rows import ClipRow, clip_rows
from twinpath.render.keyframe_picture import keyframe_picture, shown_people
from twinpath.train.augment.mix import ClipMix
from twinpath.train.clips.batch import ToClips
from twinpath.train.clips.keyframes import KeyframeClips
from twinpath.train.loop.batches import TrainingBatches
from twinpath.train.loop.loop import mix_rng
from twinpath.train.loop.train import read_training, recipe_schedule, training_data
from twinpath.train.multigrid.schedule import MultigridSchedule
from twinpath.train.recipe import Recipe

_ENDS = 4  # clips from the beginning and from the end of a batch: mixed ones are of the mirrored place
_BATCHES = 2  # where all have one shape
_LEAST_SHARE = 0.02  # of a label that is named
_NOTHING = np.zeros((1, 8, 8, 3), np.uint8)  # in place of a clip that cannot be read


class _Place(NamedTuple):
    epoch: int
    step: int


class ShownBatch(NamedTuple):
    """The first and the last clips of a batch.

    Attributes:
        title: Which batch it is.
        name: The same for a file.
        rows: Clips, with labels and names; last those that cannot be read.
    """

    title: str
    name: str
    rows: list[ClipRow]


def write_first_batches(
    recipe: Recipe, folder: Path, *, reader: VideoReader | None = None
) -> tuple[Path, ...]:
    """Write a PNG for each of `first_batches`; arguments and errors as there.

    Args:
        recipe: Settings.
        folder: Gets the files.
        reader: Reads the clips.
    Returns:
        The files.
    """
    paths = []
    for batch in first_batches(recipe, reader=reader):
        path = folder / f"{batch.name}.png"
        with atomic_path(path) as temporary:
            clip_rows(batch.rows, title=batch.title).save(temporary, "PNG")
        paths.append(path)
    return tuple(paths)


def first_batches(recipe: Recipe, *, reader: VideoReader | None = None) -> Iterator[ShownBatch]:
    """Some clips of the first batch of each shape; of one shape, of the first two.

    Args:
        recipe: Settings.
        reader: Reads the files.
    Raises:
        ConfigError: The recipe names no clips, or cannot be trained.
        InputError: A list or a folder is wrong.
    """
    schedule = recipe_schedule(recipe)
    data = training_data(recipe, read_training(recipe), schedule, reader=reader)
    mix = ClipMix.of(recipe.mix, num_classes=data.num_classes, is_multi_label=data.is_multi_label)
    for place in _places(schedule, data):
        slots = schedule.slots_of(place.epoch)
        slot = slots[place.step % len(slots)]
        shape = f"{slot.shape.frames} frames of {slot.shape.crop_px} px"
        title = f"epoch {place.epoch + 1}, batch {place.step + 1}: {slot.batch_size} clips of {shape}"
        name = f"epoch_{place.epoch + 1:03}_batch_{place.step + 1}_{shape.replace(' ', '_')}"
        yield ShownBatch(title, name, _rows(recipe, data, mix, place))


def _places(schedule: MultigridSchedule, data: TrainingBatches) -> Iterator[_Place]:
    """The first batch of each shape; of one shape, the first two batches."""
    seen = set()
    for phase in schedule.phases:
        epoch = phase.begin_epoch
        if epoch == phase.end_epoch:
            continue
        slots, batches = schedule.slots_of(epoch), data.num_batches(epoch)
        for step, slot in enumerate(slots[:batches]):
            if slot.shape not in seen:
                seen.add(slot.shape)
                yield _Place(epoch, step)
    if len(seen) == 1:
        for step in range(1, min(_BATCHES, data.num_batches(0))):
            yield _Place(0, step)


def _rows(recipe: Recipe, data: TrainingBatches, mix: ClipMix, place: _Place) -> list[ClipRow]:
    """Rows of a batch."""
    made = data.part_of_batch(*place, _ENDS)
    batch = made.clips if isinstance(made, KeyframeClips) else made
    rows = [ClipRow(f"cannot be read: {lost.reason}", _NOTHING) for lost in batch.broken if lost.is_lost]
    if not len(batch.indices):
        return rows
    assert isinstance(data.to_clips, ToClips)
    clips, targets = data.to_clips(batch), batch.targets
    accumulate = recipe.optimizer.accumulate
    earlier = sum(data.num_batches(epoch) // accumulate for epoch in range(place.epoch))
    steps, part = divmod(place.step, accumulate)
    if mix.is_needed and (len(clips) > 1 or not mix.mixes):
        clips, targets = mix(clips, targets, mix_rng(recipe.run.seed, earlier + steps, part, 0))
    frames = _as_bytes(clips, data.to_clips, bgr=recipe.clip.bgr).numpy()
    names = [data.name_of(index) for index in batch.indices.tolist()]
    if isinstance(made, KeyframeClips):
        return [*_keyframe_rows(made, frames, names, data.labels), *rows]
    shown = zip(frames, targets, names, strict=True)
    read = [ClipRow(f"{_labels(data.labels, target)}    {name}", each) for each, target, name in shown]
    return [*read, *rows]


def _keyframe_rows(
    made: KeyframeClips, frames: NDArray[np.uint8], names: Sequence[str], labels: Sequence[str]
) -> Iterator[ClipRow]:
    """A row for each clip, with its key frame and the people in it."""
    for number, (each, name) in enumerate(zip(frames, names, strict=True)):
        is_here = made.boxes[:, 0] == number
        actions = [
            [(labels[k], None) for k in target.nonzero()[:, 0].tolist()]
            for target in made.box_targets[is_here]
        ]
        people = shown_people(made.boxes[is_here, 1:].numpy(), actions)
        doing = [f"{p.track_id}: {', '.join(label for label, _ in p.labels) or 'none'}" for p in people]
        text = f"{name}    {'    '.join(doing) or 'nobody is in the crop'}"
        yield ClipRow(text, each, keyframe_picture(each[len(each) // 2], people))


def _as_bytes(clips: Tensor, to_clips: ToClips, *, bgr: bool) -> Tensor:
    """(B, T, H, W, 3) uint8 of normalised clips; extreme noise of erasing is cut to what can be seen."""
    colours = clips.flip(1) if bgr else clips
    scale, shift = (x[:, None, None, None] for x in (to_clips.normalise.scale, to_clips.normalise.shift))
    return ((colours - shift) / scale).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1)


def _labels(labels: Sequence[str], targets: Tensor) -> str:
    """The classes of a clip, with their shares where they are no whole ones."""
    order = targets.argsort(descending=True, stable=True)
    named = [(labels[i], float(targets[i])) for i in order.tolist() if targets[i] >= _LEAST_SHARE][:4]
    return ", ".join(name if share == 1 else f"{name} {share:.2f}" for name, share in named) or "no label"
