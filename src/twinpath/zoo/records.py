"""One record for each published weight file, with everything needed to use it. No torch.

A record's name has network, upstream and dataset: `slowfast_r50_8x8.ptv_k400`. The table is
`records.csv`; figures of accuracy are the upstreams' own, over all `views`.
"""

from __future__ import annotations

import csv
import fnmatch
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Literal, cast
from urllib.parse import urlsplit

from twinpath.errors import UnknownModel
from twinpath.labels import datasets
from twinpath.models.input_spec import InputSpec, Sampling, Triple
from twinpath.suggest import did_you_mean


@dataclass(frozen=True)
class Record:
    """A weight file and how to use it.

    Attributes:
        name: In `create_model` and everywhere else.
        architecture: The network, a name of `models.registry`.
        upstream: Who published it: pytorchvideo, pyslowfast, torchvision or twinpath.
        upstream_name: Its name at the upstream.
        url: Of the file; empty: it is part of this package.
        file_format: As the upstream states it, for people; the format is detected from the content.
        dataset: Of training. `label_set` names its classes.
        num_classes: Logits.
        num_frames, sampling_rate: The clip, see `InputSpec`.
        alpha: Frames of the fast pathway for one of the slow; None: one pathway.
        train_crop, test_short_side, test_crop: In pixels.
        resize_px, sampling, mean, std, offset_views: See `InputSpec`.
        views: Crops in space and clips in time over which the published accuracy is averaged.
        top1, top5, map: Published accuracy in percent; None: not stated.
        gflops: Multiply-adds of one view in 1e9; None: not stated.
        params_m: Parameters in 1e6; None: not stated.
        activation, averaging: Of the head at test time, see `models.layers.head`.
        pooling: "window": at a larger crop the pooling window of the training crop slides;
            "whole": the head pools the whole map (PySlowFast after short-cycle multigrid training).
        options: Of the network, where this file's differs from the architecture's.
        licence: Of the weights. The dataset's own terms hold besides.
        note: For users; may be empty.
    """

    name: str
    architecture: str
    upstream: str
    upstream_name: str
    url: str
    file_format: str
    dataset: str
    num_classes: int
    num_frames: int
    sampling_rate: int
    alpha: int | None
    train_crop: int
    test_short_side: int
    test_crop: int
    resize_px: tuple[int, int] | None
    sampling: Sampling
    mean: Triple
    std: Triple
    views: tuple[int, int]
    offset_views: bool
    top1: float | None
    top5: float | None
    map: float | None
    gflops: float | None
    params_m: float | None
    activation: Literal["softmax", "sigmoid"]
    averaging: Literal["logits", "scores"]
    pooling: Literal["window", "whole"]
    options: Mapping[str, bool]
    licence: str
    note: str

    @property
    def file_name(self) -> str:
        """Name of the weight file in the cache."""
        suffix = PurePosixPath(urlsplit(self.url).path).suffix if self.url else ".safetensors"
        return self.name + suffix

    @property
    def embedded_folder(self) -> Path | None:
        """The model folder inside this package; None for a record that is downloaded."""
        if self.url:
            return None
        return Path(str(resources.files("twinpath"))) / "assets" / self.name

    @property
    def embedded_path(self) -> Path | None:
        """The weight file inside this package; None for a record that is downloaded."""
        return None if self.embedded_folder is None else self.embedded_folder / "weights.safetensors"

    @property
    def embedded_graph(self) -> Path | None:
        """The exported graph (ONNX) of a model that is inside this package, which runs without torch."""
        return None if self.embedded_folder is None else self.embedded_folder / "model.onnx"

    @property
    def input_spec(self) -> InputSpec:
        """What the preprocessing needs, at the published test size."""
        return InputSpec(
            self.num_frames,
            self.sampling_rate,
            self.test_short_side,
            self.test_crop,
            self.mean,
            self.std,
            self.sampling,
            self.resize_px,
            self.offset_views,
        )

    @property
    def label_set(self) -> str | None:
        """The data set's name in `twinpath.labels.labels`; None: its class names are not in this package."""
        if self.dataset.startswith("ava"):
            return "ava"
        return self.dataset if self.dataset in datasets() else None

    @property
    def views_pooling(self) -> Literal["mean", "max"]:
        """How scores of several views become one: Charades takes the maximum."""
        return "max" if self.dataset == "charades" else "mean"


def record(name: str) -> Record:
    """Look a record up by its full name, for example "slowfast_r50_8x8.ptv_k400".

    Raises:
        UnknownModel: No such record; names the nearest one.
    """
    if name not in _table():
        hint = did_you_mean(name, _table())
        raise UnknownModel(f"no weights are called {name!r}{hint} (list_models() names all)")
    return _table()[name]


def record_names() -> Collection[str]:
    """The names of all records."""
    return _table().keys()


def records(pattern: str = "*") -> list[Record]:
    """All records whose name matches a shell pattern, sorted by name."""
    return [_table()[name] for name in sorted(_table()) if fnmatch.fnmatchcase(name, pattern)]


def best_record(architecture: str) -> Record | None:
    """The record for a network's name alone: that with the highest accuracy on Kinetics-400.

    For a network without weights for Kinetics-400 it is the best on its first data set; without any weights
    it is None. AVA 2.1 and 2.2 count as one data set.
    """
    of_network = [r for r in _table().values() if r.architecture == architecture]
    if not of_network:
        return None
    on_kinetics = [r for r in of_network if r.dataset == "kinetics400"]
    chosen = on_kinetics or [r for r in of_network if r.label_set == of_network[0].label_set]
    return max(chosen, key=lambda r: r.top1 or r.map or 0.0)


@cache
def _table() -> dict[str, Record]:
    text = resources.files("twinpath.zoo").joinpath("records.csv").read_text(encoding="utf-8")
    return {row["name"]: _record(row) for row in csv.DictReader(text.splitlines())}


def _record(row: dict[str, str]) -> Record:
    return Record(
        name=row["name"],
        architecture=row["architecture"],
        upstream=row["upstream"],
        upstream_name=row["upstream_name"],
        url=row["url"],
        file_format=row["file_format"],
        dataset=row["dataset"],
        num_classes=int(row["num_classes"]),
        num_frames=int(row["num_frames"]),
        sampling_rate=int(row["sampling_rate"]),
        alpha=int(row["alpha"]) if row["alpha"] else None,
        train_crop=int(row["train_crop"]),
        test_short_side=int(row["test_short_side"]),
        test_crop=int(row["test_crop"]),
        resize_px=_pair(row["resize"]) if row["resize"] else None,
        sampling=cast(Sampling, row["sampling"]),
        mean=_triple(row["mean"]),
        std=_triple(row["std"]),
        views=_pair(row["views"]),
        offset_views=row["offset"] == "1",
        top1=_float_or_none(row["top1"]),
        top5=_float_or_none(row["top5"]),
        map=_float_or_none(row["map"]),
        gflops=_float_or_none(row["gflops"]),
        params_m=_float_or_none(row["params_m"]),
        activation=cast(Literal["softmax", "sigmoid"], row["activation"]),
        averaging=cast(Literal["logits", "scores"], row["averaging"]),
        pooling=cast(Literal["window", "whole"], row["pooling"]),
        options=_switches(row["options"]),
        licence=row["licence"],
        note=row["note"],
    )


def _pair(text: str) -> tuple[int, int]:
    first, second = text.split("x")
    return int(first), int(second)


def _triple(text: str) -> Triple:
    r, g, b = (float(value) for value in text.split())
    return r, g, b


def _switches(text: str) -> dict[str, bool]:
    """Read "one=true two=false"."""
    pairs = (part.split("=") for part in text.split())
    return {name: value == "true" for name, value in pairs}


def _float_or_none(text: str) -> float | None:
    return float(text) if text else None
