"""The steps of PyTorchVideo's tutorials in a process of their own. It does not import Twinpath.

    python -m benchmarks.pytorchvideo_worker    # with the Python of `pytorchvideo_venv.py`

`pytorchvideo.transforms` cannot be imported with this torchvision, so the few transforms are written out
here. Where the tutorials leave a choice, the faster one is taken: no gradients, no audio, random weights
unless a file is given.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.models import hub
from torch import Tensor, nn

from benchmarks.networks import FRAMES_PER_SECOND, NETWORKS, Network
from benchmarks.worker import serve

MEAN, STD = 0.45, 0.225


def build(network: Network, weights: str | None) -> nn.Module:
    """The network, with random weights or those of a file."""
    model: nn.Module = getattr(hub, network.pytorchvideo_name)(pretrained=False)
    if weights is not None:
        state = torch.load(weights, map_location="cpu")["model_state"]
        # Newer files name the pooling of MViT twice; this release knows one of the names.
        model.load_state_dict({name: t for name, t in state.items() if "._attention_pool_" not in name})
    return model.eval()


def decode(video: EncodedVideo, start_s: float, network: Network) -> Tensor:
    """(3, T, H, W) float32, 0 to 255: every frame of the clip's span."""
    span_s = network.num_frames * network.sampling_rate / FRAMES_PER_SECOND
    clip: Tensor = video.get_clip(start_sec=start_s, end_sec=start_s + span_s)["video"]
    return clip


def opened(path: str) -> EncodedVideo:
    return EncodedVideo.from_path(path, decode_audio=False)


def scaled(clip_CTHW: Tensor, network: Network) -> Tensor:
    """UniformTemporalSubsample, / 255, NormalizeVideo and ShortSideScale: (3, num_frames, h, w)."""
    last = clip_CTHW.shape[1] - 1
    clip_CTHW = clip_CTHW.index_select(1, torch.linspace(0, last, network.num_frames).long())
    clip_CTHW = (clip_CTHW / 255.0 - MEAN) / STD
    height, width = clip_CTHW.shape[2:]
    side = network.short_side_px
    size = (side, side * width // height) if height <= width else (side * height // width, side)
    return F.interpolate(clip_CTHW, size=size, mode="bilinear", align_corners=False)


def cropped(clip_CTHW: Tensor, network: Network, num_crops: int) -> Tensor:
    """CenterCropVideo, or three crops along the longer side: (num_crops, 3, T, crop, crop)."""
    crop = network.crop_px
    top, left = ((side - crop) / 2 for side in clip_CTHW.shape[2:])
    positions = {1: (1.0,), 3: (0.0, 1.0, 2.0)}[num_crops]
    crops = []
    for position in positions:
        is_wide = left >= top
        y, x = round(top if is_wide else top * position), round(left * position if is_wide else left)
        crops.append(clip_CTHW[:, :, y : y + crop, x : x + crop])
    return torch.stack(crops)


def pathways(clips_BCTHW: Tensor, network: Network) -> Any:
    """PackPathway: the input of the network. The list is made anew for each call: the network changes it."""
    if network.alpha is None:
        return clips_BCTHW
    frames = clips_BCTHW.shape[2]
    slow = clips_BCTHW.index_select(2, torch.linspace(0, frames - 1, frames // network.alpha).long())
    return [slow, clips_BCTHW]


def probabilities(model: nn.Module, output: Tensor) -> Tensor:
    """Softmax of the output, which X3D's head has applied already."""
    activation = getattr(model.blocks[-1], "activation", None)  # type: ignore[index]
    return output if isinstance(activation, nn.Softmax) else torch.softmax(output, -1)


class PyTorchVideoWorker:
    """The methods that `Worker` calls. Times are in seconds."""

    def open(self, name: str, weights: str | None = None) -> dict[str, Any]:
        began_s = time.perf_counter()
        self._network = NETWORKS[name]
        self._model = build(self._network, weights)
        return {"total": time.perf_counter() - began_s}

    @torch.inference_mode()
    def network(self) -> dict[str, float]:
        """One random clip of the test crop's size through the network."""
        crop = self._network.crop_px
        clips = torch.randn(1, 3, self._network.num_frames, crop, crop)
        given = pathways(clips, self._network)
        began_s = time.perf_counter()
        self._model(given)
        return {"total": time.perf_counter() - began_s}

    @torch.inference_mode()
    def clip(self, video: str) -> dict[str, float]:
        """From the file to the scores."""
        began_s = time.perf_counter()
        return self._one(opened(video), 0.0, 1, began_s)[0]

    @torch.inference_mode()
    def views(self, video: str, space: int, times: int) -> dict[str, float]:
        """Clips spread evenly over the video, each with its crops, averaged."""
        began_s = time.perf_counter()
        reader = opened(video)
        span_s = self._network.num_frames * self._network.sampling_rate / FRAMES_PER_SECOND
        step_s = (float(reader.duration) - span_s) / (times - 1)
        totals: dict[str, float] = {}
        for number in range(times):
            stages, _ = self._one(reader, number * step_s, space, time.perf_counter())
            totals = {stage: totals.get(stage, 0.0) + value for stage, value in stages.items()}
        return {**totals, "total": time.perf_counter() - began_s}

    @torch.inference_mode()
    def scores(self, video: str) -> list[float]:
        """The scores of all classes for the first clip of a video."""
        output = self._one(opened(video), 0.0, 1, time.perf_counter())[1]
        scores: list[float] = probabilities(self._model, output)[0].tolist()
        return scores

    def decode_clip(self, name: str, video: str) -> dict[str, float]:
        """The frames of one clip's span, decoded and in RGB."""
        began_s = time.perf_counter()
        decode(opened(video), 0.0, NETWORKS[name])
        return {"total": time.perf_counter() - began_s}

    def _one(
        self, reader: EncodedVideo, start_s: float, crops: int, began_s: float
    ) -> tuple[dict[str, float], Tensor]:
        clip = decode(reader, start_s, self._network)
        decoded_s = time.perf_counter()
        given = pathways(cropped(scaled(clip, self._network), self._network, crops), self._network)
        prepared_s = time.perf_counter()
        output = self._model(given).mean(0, keepdim=True)
        ended_s = time.perf_counter()
        stages = {
            "total": ended_s - began_s,
            "decode": decoded_s - began_s,
            "preprocess": prepared_s - decoded_s,
            "infer": ended_s - prepared_s,
        }
        return stages, output


if __name__ == "__main__":
    serve(PyTorchVideoWorker())
