"""Measure how well a network's features tell real actions apart: a linear classifier, in folds by group.

    python -m scripts.measure_transfer slowfast_tiny.synthetic --ut ut/datasets/UT_Interaction
    python -m scripts.measure_transfer slowfast_tiny --weights run/last.ckpt --fight fight --falls falls

Data, which is fetched and never part of this package nor of what it was trained on:
    --ut     UT-Interaction, segmented: 120 clips of six interactions; ten folds by recorded sequence
             (github:deliangWu/Video-Interaction-Recognition-and-Detection-, folder datasets/UT_Interaction)
    --fight  300 clips of surveillance cameras, fight or not; ten folds
             (github:seymanurakti/fight-detection-surv-dataset)
    --falls  falls and everyday movements of four subjects; a fold for each

Of each clip, windows of the network's input are spread over its length, each with its mirror image. A feature
is the mean of a map over time and space, its maximum, or the deviation over time of its mean over space. The
classifier is a logistic regression on the
standardised mean over the windows; its strength is found by cross-validation inside each training part.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.preprocess import Normalise
from twinpath.video.decode import FrameStream
from twinpath.video.resize import Resize
from twinpath.weights.formats import read_weights
from twinpath.zoo.create import create_model, input_spec

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # C of the logistic regression, on standardised features
KEPT_FPS = 15.0  # of frames in memory: a network of sampling rate 4 takes every second one of them
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    path: Path
    label: int
    group: int


def ut_interaction(folder: Path) -> list[Clip]:
    """N_SEQUENCE_LABEL.avi; the sequences 1 to 10 of set 1 and 11 to 20 of set 2 make ten groups."""
    clips = []
    for path in sorted(folder.glob("*/segmented_set?/*.avi")):
        match = re.fullmatch(r"(\d+)_(\d+)_([0-5])", path.stem)
        if match:
            clips.append(Clip(path, int(match[3]), (int(match[2]) - 1) % 10))
    return clips


def fights(folder: Path) -> list[Clip]:
    """Folders fight and noFight. Neighbours in name may be of one recording: groups are runs of names."""
    clips = []
    for label, name in enumerate(("noFight", "fight")):
        paths = sorted(path for path in (folder / name).iterdir() if path.is_file())
        clips += [Clip(path, label, 10 * i // len(paths)) for i, path in enumerate(paths)]
    return clips


def falls(folder: Path) -> list[Clip]:
    """Folders fall and daily; names begin with the subject."""
    return [
        Clip(path, label, int(path.stem[7]))
        for label, name in enumerate(("daily", "fall"))
        for path in sorted((folder / name).glob("subject*.mp4"))
    ]


def frames_of(path: Path, spec: InputSpec, cache: Path | None) -> NDArray[np.uint8]:
    """(N, h, w, 3) resized frames of a clip at about KEPT_FPS; decoded once where there is a cache."""
    stored = cache and cache / f"{spec.short_side_px}_{path.parent.name}_{path.stem}.npy"
    if stored and stored.exists():
        frames: NDArray[np.uint8] = np.load(stored, mmap_mode="r")
        return frames
    resize = Resize(short_side_px=spec.short_side_px, crop_px=None)
    kept = []
    with FrameStream(path) as stream:
        for time_s, frame in stream:
            if time_s * KEPT_FPS >= len(kept) - 0.05:
                kept.append(np.rint(resize.of_clip(frame[None]).pixels[0, 0]).astype(np.uint8))
    frames = np.stack(kept)
    if stored:
        stored.parent.mkdir(parents=True, exist_ok=True)
        np.save(stored, frames)
    return frames


def windows(frames: NDArray[np.uint8], spec: InputSpec, num_windows: int, num_crops: int) -> Array:
    """(windows * crops * 2, T, S, S, 3): spread over the clip; each is followed by its mirror image."""
    span = spec.clip_sampling.span_s * KEPT_FPS
    starts = np.linspace(0, max(0.0, len(frames) - span), num_windows)
    side = spec.crop_px
    views = []
    for start in starts:
        times = start + np.linspace(0, min(span, len(frames)) - 1, spec.num_frames)
        clip = frames[np.clip(np.round(times).astype(int), 0, len(frames) - 1)]
        top, slack = (clip.shape[1] - side) // 2, clip.shape[2] - side
        for left in [slack // 2] if num_crops == 1 else [0, slack // 2, slack]:
            if clip.shape[1] > clip.shape[2]:  # upright
                y = [0, top, 2 * top][[0, slack // 2, slack].index(left)] if num_crops > 1 else top
                crop = clip[:, y : y + side, :side]
            else:
                crop = clip[:, top : top + side, left : left + side]
            views += [crop, crop[:, :, ::-1]]
    return np.stack(views).astype(np.float32)


class Maps(nn.Module):
    """A network's maps after each stage of each pathway, pooled: names to (B, D)."""

    def __init__(self, network: VideoNetwork) -> None:
        super().__init__()
        self.network = network
        self.kept: dict[str, Tensor] = {}
        for name in ("slow.res3", "slow.res4", "slow.res5", "fast.res3", "fast.res4", "fast.res5"):
            network.get_submodule(name).register_forward_hook(self._keep(name))

    def _keep(self, name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_: nn.Module, __: object, output: Tensor) -> None:
            self.kept[name] = output

        return keep

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        self.network.forward_features(clip)
        pooled = {}
        for name, x in self.kept.items():
            pooled[f"{name}.mean"] = x.mean((2, 3, 4))
            pooled[f"{name}.max"] = x.amax((2, 3, 4))
            pooled[f"{name}.std"] = x.std((2, 3, 4))
            pooled[f"{name}.tmax"] = x.mean((3, 4)).amax(2)  # the mean over space where it is largest
            pooled[f"{name}.tstd"] = x.mean((3, 4)).std(2)
            pooled[f"{name}.smax"] = x.amax((3, 4)).mean(2)
        return pooled


@torch.inference_mode()
def features(
    network: VideoNetwork, spec: InputSpec, clips: list[Clip], cache: Path | None, views: tuple[int, int]
) -> dict[str, Array]:
    """Names to (clips, views, D)."""
    maps, normalise = Maps(network.eval()), Normalise(mean=spec.mean, std=spec.std)
    found: dict[str, list[Array]] = {}
    for clip in clips:
        pixels = torch.from_numpy(windows(frames_of(clip.path, spec, cache), spec, *views))
        batches = [maps(normalise(part).contiguous()) for part in pixels.split(8)]
        for name in batches[0]:
            found.setdefault(name, []).append(torch.cat([batch[name] for batch in batches]).numpy())
    return {name: np.stack(of_clips) for name, of_clips in found.items()}


class _Space:
    """Features standardised, and rotated to the few directions that few clips span: the same classifier."""

    def __init__(self, x: Array) -> None:
        self._scaler = StandardScaler().fit(x)
        self._axes = np.linalg.svd(self._scaler.transform(x), full_matrices=False)[2].T

    def __call__(self, x: Array) -> Array:
        found: Array = self._scaler.transform(x) @ self._axes
        return found


def _log_scores(x: Array, y: NDArray[np.int64], of: Array) -> dict[float, Array]:
    """By strength: (clips, classes) log probabilities of clips `of`, learned from `x` and `y`."""
    space = _Space(x)
    inside, outside = space(x), space(of)
    return {
        strength: LogisticRegression(C=strength, max_iter=1000).fit(inside, y).predict_log_proba(outside)
        for strength in STRENGTHS
    }


def _folds(groups: NDArray[np.int64], at_most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    number = min(at_most, len(np.unique(groups)))
    yield from GroupKFold(number).split(groups, groups=groups)


def accuracy(x: Array, clips: list[Clip]) -> dict[str, float]:
    """Of a classifier on (clips, D): by strength, and with the strength found inside the training part."""
    y, groups = np.array([c.label for c in clips]), np.array([c.group for c in clips])
    right = {strength: np.zeros(len(y)) for strength in STRENGTHS}
    loss = {strength: np.zeros(len(y)) for strength in STRENGTHS}
    nested = np.zeros(len(y))
    for train, test in _folds(groups, 10):
        inner = dict.fromkeys(STRENGTHS, 0.0)
        for fit, held in _folds(groups[train], 4):
            for strength, scores in _log_scores(x[train[fit]], y[train[fit]], x[train[held]]).items():
                inner[strength] += float(scores[np.arange(len(held)), y[train[held]]].sum())
        best = max(inner, key=lambda strength: inner[strength])
        for strength, scores in _log_scores(x[train], y[train], x[test]).items():
            right[strength][test] = scores.argmax(1) == y[test]
            loss[strength][test] = -scores[np.arange(len(test)), y[test]]
        nested[test] = right[best][test]
    by_strength = {s: float(r.mean()) for s, r in right.items()}
    return {
        "nested": float(nested.mean()),
        "best": max(by_strength.values()),
        "loss": min(float(v.mean()) for v in loss.values()),
    }


def _inputs(stages: tuple[str, ...], kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{pathway}.{s}.{kind}" for s in stages for kind in kinds for pathway in ("slow", "fast"))


_KINDS = ("mean", "tstd", "max")
INPUTS: dict[str, tuple[str, ...]] = {
    "embedding": _inputs(("res5",), ("mean",)),
    "res5": _inputs(("res5",), _KINDS),
    "res4, res5": _inputs(("res4", "res5"), _KINDS),
    "res3, res4, res5": _inputs(("res3", "res4", "res5"), _KINDS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path, help="a checkpoint of a run, in place of the record's")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--crops", type=int, default=1, choices=(1, 3))
    parser.add_argument("--cache", type=Path, help="folder for decoded frames")
    parser.add_argument("--save", type=Path, help="folder for the features, as NumPy archives")
    sets = {"ut": ut_interaction, "fight": fights, "falls": falls}
    for name in sets:
        parser.add_argument(f"--{name}", type=Path)
    args = parser.parse_args()
    network = create_model(args.model, pretrained=args.weights is None and "." in args.model)
    if args.weights:
        load(network, args.weights)
    spec = input_spec(args.model)
    for name, read in sets.items():
        folder = getattr(args, name)
        if folder is None:
            continue
        began, clips = time.perf_counter(), read(folder)
        cache = args.cache and args.cache / name
        found = features(network, spec, clips, cache, (args.windows, args.crops))
        if args.save:
            args.save.mkdir(parents=True, exist_ok=True)
            y, groups = [c.label for c in clips], [c.group for c in clips]
            np.savez(args.save / f"{name}.npz", y=y, groups=groups, **found)
        print(f"{name}: {len(clips)} clips, features in {time.perf_counter() - began:.0f} s")
        for title, parts in INPUTS.items():
            x = np.concatenate([found[part].mean(axis=1) for part in parts], axis=1)
            figures = accuracy(x, clips)
            print(f"  {title:18} " + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))


def load(network: nn.Module, path: Path) -> None:
    """Weights of a checkpoint or of a weight file; those of a head with other classes are left out."""
    tensors = {name.removeprefix("network."): value for name, value in read_weights(path).tensors.items()}
    own = network.state_dict()
    fitting = {n: v.float() for n, v in tensors.items() if n in own and own[n].shape == v.shape}
    missing = [
        n for n in own if n not in fitting and not n.startswith("head.") and own[n].is_floating_point()
    ]
    if missing:
        raise SystemExit(f"{path} lacks {len(missing)} tensors of the network, first {missing[0]}")
    network.load_state_dict(fitting, strict=False)


if __name__ == "__main__":
    main()
