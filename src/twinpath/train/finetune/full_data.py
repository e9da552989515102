"""The clips of a run that trains a whole network: read once, then batches for each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from twinpath.data.labelled.clip import MOST_BROKEN, LabelledClip
from twinpath.errors import InputError
from twinpath.models.input_spec import InputSpec
from twinpath.paths import display_path
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.finetune.augment import Augmentation
from twinpath.train.finetune.clip_dataset import (
    FrameBatch,
    TrainingClips,
    ValidationClips,
    training_loader,
    validation_loader,
)
from twinpath.train.finetune.decoded import DecodedClips, Progress, SpanFrames, ViewFrames
from twinpath.train.finetune.full_settings import FullSettings

_ROOM = (
    8 / 7
)  # frames are kept so much larger than the network's, for crops: as 256 to 224 of ImageNet recipes
_MOST_POSITIVE_WEIGHT = 10.0


class LabelledVideoData(L.LightningDataModule):
    """Training and validation clips.

    Args:
        train, validation: The clips; there may be none for validation.
        classes: In the order of the targets.
        spec: Input of the network.
        settings: Of the run.
        reader: Reads the files.
        frames_folder: Gets the decoded frames.
    Attributes:
        failed: The clips that cannot be read, with the reason, by index: first those of `train`, then those
            of `validation`; complete after `decode`.
    """

    def __init__(
        self,
        train: Sequence[LabelledClip],
        validation: Sequence[LabelledClip],
        classes: Sequence[str],
        *,
        spec: InputSpec,
        settings: FullSettings,
        reader: VideoReader,
        frames_folder: Path,
    ) -> None:
        super().__init__()
        self.clips, self._num_train = (*train, *validation), len(train)
        self.spec, self.settings, self._at_once = spec, settings, reader.videos_at_once
        views = LabelledReader(reader, spec, Views.parse(settings.validation_views))
        whole = SpanFrames(views, round(min(spec.resize_px or (spec.short_side_px,)) * _ROOM))
        room = settings.cache_bytes
        self._train = DecodedClips(frames_folder, train, whole, max_bytes=room)
        self._views = ViewFrames(views)
        self._validation = DecodedClips(frames_folder, validation, self._views, max_bytes=room)
        self._targets = _targets(self.clips, classes)
        self.failed: dict[int, Exception] = {}

    def decode(self, known_failed: dict[int, Exception] | None, progress: Progress | None = None) -> None:
        """Read every clip once.

        Args:
            known_failed: Of the run that is resumed: these are left out, even if they can be read now. None:
                it is new.
            progress: Called with how many clips were read, and of how many.
        Raises:
            InputError: More than a third cannot be read, or no clip to learn from; or one that the resumed
                run learned from.
        """
        leave_out = list(known_failed or ())
        first = self._num_train
        parts = (
            (self._train, [i for i in leave_out if i < first], 0),
            (self._validation, [i - first for i in leave_out if i >= first], first),
        )
        found: dict[int, Exception] = {}
        for decoded, left_out, offset in parts:

            def on_read(done: int, _total: int, offset: int = offset) -> None:
                if progress is not None:
                    progress(min(done + offset, len(self.clips)), len(self.clips))

            decoded.decode(threads=self._at_once, leave_out=left_out, progress=on_read)
            found |= {i + offset: error for i, error in decoded.failed.items()}
        if known_failed is not None and found:
            raise InputError(f"a clip that the run learned from cannot be read any more: {_listed(found)}")
        self.failed = (known_failed or {}) | found
        _check_broken(self.failed, self.clips)
        if not self.train_indices:
            raise InputError("there is no clip to learn from; give some for training")

    @property
    def train_indices(self) -> list[int]:
        """Of the training clips that can be read."""
        return [i for i in range(self._num_train) if i not in self.failed]

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.train_indices) * self.settings.repeats // self.settings.batch_size)

    def class_weights(self, *, is_multi_label: bool) -> Tensor:
        """(C,) what an example of each class counts: the root of how rare it is, so that one clip of a rare
        class is not the whole gradient.

        Of one label a clip: 1 on average over the clips. Of several: of a positive example, over a negative
        one.
        """
        targets = self._targets[self.train_indices]
        counts = targets.sum(dim=0)
        if is_multi_label:
            return ((len(targets) - counts) / counts.clamp_min(1)).sqrt().clamp(1, _MOST_POSITIVE_WEIGHT)
        weights = counts.clamp_min(1).rsqrt()
        return weights / ((targets @ weights).mean())

    def train_dataloader(self) -> DataLoader[FrameBatch]:
        settings, indices = self.settings, self.train_indices
        clips = TrainingClips(
            self._train,
            indices,
            self._targets[indices],
            self.spec,
            Augmentation(
                self.spec.crop_px,
                smallest_area=settings.smallest_area,
                flip=settings.flip,
                color=settings.color,
                randaugment=settings.randaugment,
                erasing=settings.erasing,
            ),
            settings.seed,
            self.trainer.current_epoch if self.trainer else 0,
        )
        return training_loader(
            clips, repeats=settings.repeats, batch_size=settings.batch_size, workers=settings.workers
        )

    def val_dataloader(self) -> DataLoader[FrameBatch] | list[DataLoader[FrameBatch]]:
        first = self._num_train
        indices = [i for i in range(len(self.clips) - first) if i + first not in self.failed]
        if not indices:
            return []
        clips = ValidationClips(
            self._validation,
            indices,
            self._targets[[i + first for i in indices]],
            self._views.num_views,
            self.spec.num_frames,
        )
        return validation_loader(clips, batch_size=self.settings.batch_size, workers=self.settings.workers)


def _targets(clips: Sequence[LabelledClip], classes: Sequence[str]) -> Tensor:
    """(N, C) 1 for the classes of each clip."""
    numbers = {label: i for i, label in enumerate(classes)}
    targets = torch.zeros(len(clips), len(classes))
    for row, clip in zip(targets, clips, strict=True):
        row[[numbers[label] for label in clip.labels]] = 1.0
    return targets


def _check_broken(failed: dict[int, Exception], clips: Sequence[LabelledClip]) -> None:
    """Raises: InputError: More than a third of the clips cannot be read."""
    if len(failed) > MOST_BROKEN * len(clips):
        raise InputError(
            f"{len(failed)} of {len(clips)} clips cannot be read, more than a third; mend or remove them: "
            f"{_listed(failed)}"
        )


def _listed(failed: dict[int, Exception]) -> str:
    return "; ".join(str(error) for _, error in sorted(failed.items()))


def clip_name(clip: LabelledClip) -> str:
    """A clip in a message."""
    return display_path(clip.path) + (f" from {clip.start_s:g} s" if clip.start_s else "")
