"""Weights made from parameter names, as for the golden figures, and files of them in upstream formats.

The published weight files are not part of the tests. A golden file says what the reference network
gives for weights made by `golden_array`; if ours gives the same through our loader for that file
format, then the published file gives the published accuracy. The figures were
measured on PyTorchVideo and PySlowFast with PyTorch 2.14 on a CPU; each file names its source.
"""

from __future__ import annotations

import contextlib
import csv
import json
import pickle
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

GOLDEN = Path(__file__).parents[1] / "golden"
# The network of ours that each golden file is about.
INDEX = {
    Path(row["golden"]).stem: row["our_name"]
    for row in csv.DictReader((GOLDEN / "index.csv").read_text().splitlines())
}
# What the config builds where the weights published under its name are another network's.
OTHER_NETWORK = {"psf_Kinetics_MVIT_B_32x3_CONV": "mvit_v1_b24_32x3"}


@cache
def golden(name: str) -> dict[str, Any]:
    """The golden figures of one network, for example "ptv_slow_r50"."""
    return json.loads((GOLDEN / "models" / f"{name}.json").read_text())


def golden_array(seed: int, key: str, shape: list[int]) -> np.ndarray:
    """The float32 array that stands for one parameter of the reference."""
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    if key.endswith("running_var"):
        values = rng.uniform(2.0, 4.0, shape)
    elif key.endswith("running_mean"):
        values = 0.1 * rng.standard_normal(shape)
    elif len(shape) == 1 and key.endswith("weight"):
        values = rng.uniform(0.5, 1.5, shape)
    elif len(shape) <= 1:
        values = 0.1 * rng.standard_normal(shape)
    elif key.endswith("weight"):
        gain = 2 if len(shape) >= 3 else 1
        values = rng.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))
    else:
        values = 0.02 * rng.standard_normal(shape)
    if "conv_theta" in key:
        values = values * 0.002
    return np.asarray(values, dtype=np.float32)


def golden_state(figures: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every parameter of the reference by its own name."""
    return {key: golden_array(figures["seed"], key, shape) for key, shape in figures["state"]}


def golden_clip(figures: dict[str, Any]) -> torch.Tensor:
    """The input of the golden output: (1, 3, T, H, W) float32."""
    size = [figures["input"][side] for side in ("frames", "height", "width")]
    values = np.random.default_rng([figures["seed"], *size]).standard_normal((1, 3, *size))
    return torch.from_numpy(values.astype(np.float32))


@contextlib.contextmanager
def without_first_values() -> Iterator[None]:
    """Networks that are built in the block have no first values, which take a tenth of a comparison's time: a
    file has all of them, or the output is another one."""
    names = [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(torch.nn.init, name, lambda tensor, *_, **__: tensor))
        yield


def write_golden_checkpoint(figures: dict[str, Any] | str | Path, path: Path) -> Path:
    """Write a golden's weights as its upstream would; `figures` is a golden file, its name or its content."""
    if isinstance(figures, (str, Path)):
        source = Path(figures)
        figures = json.loads(source.read_text()) if source.suffix == ".json" else golden(str(figures))
    tensors = {key: torch.from_numpy(array) for key, array in golden_state(figures).items()}
    wrapper = re.search(r"dict under '(\w+)'", figures["checkpoint_format"])
    torch.save({wrapper[1]: tensors} if wrapper else tensors, path)
    return path


def write_caffe2_checkpoint(figures: dict[str, Any], path: Path, *, protocol: int = 2) -> Path:
    """Write a PySlowFast golden's weights as Caffe2 would, optimizer state and all."""
    blobs: dict[str, Any] = {}
    for key, array in golden_state(figures).items():
        name = caffe2_name(key, figures)
        blobs[name] = array
        if name.endswith("_w"):
            blobs[name + "_momentum"] = np.zeros(3, np.float32)
    blobs["lr"] = np.float32(0.1)
    blobs["model_iter"] = np.array([7], np.int64)
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=protocol))
    return path


def caffe2_name(key: str, figures: dict[str, Any]) -> str:
    """PySlowFast's name of a parameter to Caffe2's: written apart from the package's own map."""
    module, _, leaf = key.rpartition(".")
    if module == "head.projection":
        return {"weight": "pred_w", "bias": "pred_b"}[leaf]
    norm_leaf = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}[leaf]
    if fused := re.fullmatch(r"s(\d)_fuse\.(conv_f2s|bn)", module):
        stage = int(fused[1])
        last = max(int(n) for s, n in _blocks(figures) if s == stage) if stage > 1 else 0
        base = "t_pool1_subsample" if stage == 1 else f"t_res{stage}_{last}_branch2c_bn_subsample"
        return f"{base}_w" if fused[2] == "conv_f2s" else f"{base}_bn_{norm_leaf}"
    stage_, pathway, part = re.fullmatch(r"s(\d)\.pathway(\d)_(.*)", module).groups()  # type: ignore[union-attr]
    prefix = "t_" if pathway == "1" else ""
    if part.startswith("stem"):
        return prefix + ("conv1_w" if part == "stem.conv" else f"res_conv1_bn_{norm_leaf}")
    if non_local := re.fullmatch(r"nonlocal(\d+)\.(conv_)?(\w+)", part):
        base = f"nonlocal_conv{stage_}_{non_local[1]}_{non_local[3]}"
        return f"{base}_{norm_leaf}" if non_local[3] == "bn" else f"{base}_{leaf[0]}"
    block, branch = re.fullmatch(r"res(\d+)\.(.*)", part).groups()  # type: ignore[union-attr]
    base = f"{prefix}res{stage_}_{block}_" + branch.replace("branch2.", "branch2")
    return f"{base}_{norm_leaf}" if base.endswith("_bn") else f"{base}_w"


def _blocks(figures: dict[str, Any]) -> set[tuple[int, int]]:
    found = (re.match(r"s(\d)\.pathway\d_res(\d+)\.", key) for key, _ in figures["state"])
    return {(int(m[1]), int(m[2])) for m in found if m}
