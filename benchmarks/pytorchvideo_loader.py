"""Training clips by PyTorchVideo's `LabeledVideoDataset`, in a process of its own, without Twinpath.

    python -m benchmarks.pytorchvideo_loader    # with the Python of `pytorchvideo_venv.py`

Its transforms are those of its training example for Kinetics, and those of its `create_video_transform` for
RandAugment. They import a module of torchvision that has another name by now.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
import torchvision.transforms._functional_tensor

from benchmarks.networks import FRAMES_PER_SECOND
from benchmarks.worker import serve

sys.modules["torchvision.transforms.functional_tensor"] = torchvision.transforms._functional_tensor

from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler  # noqa: E402
from pytorchvideo.transforms import (  # noqa: E402
    ApplyTransformToKey,
    ConvertUint8ToFloat,
    Normalize,
    Permute,
    RandAugment,
    RandomResizedCrop,
    RandomShortSideScale,
    UniformTemporalSubsample,
)
from torchvision.transforms import Compose, Lambda, RandomCrop, RandomHorizontalFlip  # noqa: E402

FRAMES, SAMPLING_RATE, CROP = 32, 2, 224
MEAN, STD = (0.45,) * 3, (0.225,) * 3


def transform(recipe: str) -> Any:
    """Of the frames of a clip, (3, T, H, W) float32, 0 to 255."""
    subsample, normalize = UniformTemporalSubsample(FRAMES), Normalize(MEAN, STD)
    flip = RandomHorizontalFlip()
    if recipe == "crop":
        scale = Lambda(lambda clip: clip / 255.0)
        return Compose([subsample, scale, normalize, RandomShortSideScale(256, 320), RandomCrop(CROP), flip])
    permute = Permute((1, 0, 2, 3))
    crop = RandomResizedCrop(CROP, CROP, (0.08, 1.0), (3 / 4, 4 / 3))
    to_bytes = Lambda(lambda clip: clip.to(torch.uint8))
    augment = RandAugment(magnitude=7, num_layers=4, prob=0.5)
    return Compose(
        [subsample, to_bytes, permute, augment, permute, ConvertUint8ToFloat(), normalize, crop, flip]
    )


class PyTorchVideoLoader:
    """The method that `Worker` calls."""

    def clips(self, recipe: str, videos: Sequence[str], count: int, seed: int) -> dict[str, Any]:
        """Make clips of the videos in turn; CPU and wall time of all together."""
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        dataset = LabeledVideoDataset(
            [(videos[i % len(videos)], {"label": 0}) for i in range(count)],
            make_clip_sampler("random", FRAMES * SAMPLING_RATE / FRAMES_PER_SECOND),
            torch.utils.data.SequentialSampler,
            ApplyTransformToKey("video", transform(recipe)),
            decode_audio=False,
        )
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        made = 0
        for sample in dataset:
            assert sample["video"].shape == (3, FRAMES, CROP, CROP)
            made += 1
        assert made == count
        return {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s}


if __name__ == "__main__":
    serve(PyTorchVideoLoader())
