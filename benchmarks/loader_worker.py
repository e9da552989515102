"""Training clips by Twinpath, in a process of its own; see `loader`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.worker import serve
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.labelled import LabelledReader
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.train.augment.pipeline import ClipPixels
from twinpath.train.augment.times import TimeRule
from twinpath.train.clips.batch import ToClips, collate
from twinpath.train.clips.dataset import ClipDataset
from twinpath.train.clips.pictures import ClipPictures
from twinpath.train.sample_request import ClipShape, SampleRequest
from twinpath.train.sections import AugmentationSection, ClipSection

SPEC = InputSpec(num_frames=32, sampling_rate=2, short_side_px=256, crop_px=224)
SECTIONS = {
    "crop": (ClipSection(), AugmentationSection()),
    "rand_augment": (
        ClipSection(area=(0.08, 1.0)),
        AugmentationSection(rand_augment="m7-n4-mstd0.5-inc1", erasing=0.25),
    ),
}


class LoaderWorker:
    """The method that `Worker` calls."""

    def __init__(self) -> None:
        self._datasets: dict[tuple[str, ...], ClipDataset] = {}

    def clips(self, recipe: str, videos: Sequence[str], count: int, seed: int) -> dict[str, Any]:
        """Make clips of the videos in turn; CPU and wall time of all together."""
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        dataset = self._dataset(recipe, videos)
        to_clips = ToClips(SPEC, erasing=dataset.pixels.erasing)
        shape = ClipShape(SPEC.num_frames, SPEC.crop_px)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for sample in range(count):
            request = SampleRequest(sample % len(videos), seed, sample, shape)
            clips = to_clips(collate([dataset[request]]))
            assert clips.shape == (1, 3, SPEC.num_frames, SPEC.crop_px, SPEC.crop_px)
        return {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}

    def _dataset(self, recipe: str, videos: Sequence[str]) -> ClipDataset:
        key = (recipe, *videos)
        if key not in self._datasets:
            clip, augmentation = SECTIONS[recipe]
            data = LabelledData(tuple(LabelledClip(Path(video), ("a",)) for video in videos), ("a", "b"))
            self._datasets[key] = ClipDataset(
                data,
                ClipPictures(LabelledReader(VideoReader(), SPEC, Views(1, 1))),
                TimeRule.of(clip, sampling_rate=SPEC.sampling_rate),
                ClipPixels.of(clip, augmentation, crop_px=SPEC.crop_px),
                seed=0,
            )
        return self._datasets[key]


if __name__ == "__main__":
    serve(LoaderWorker())
