"""Names of the upstreams in ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinpath.models.registry import architecture
from twinpath.weights.names import caffe2_to_pyslowfast, detect, is_dropped, translate

GOLDEN = Path(__file__).parents[2] / "golden"
GOLDEN_OF = {
    "slow_r50_8x8": ["ptv_slow_r50", "psf_Kinetics_SLOW_8x8_R50"],
    "slowfast_r50_8x8": ["ptv_slowfast_r50", "psf_Kinetics_SLOWFAST_8x8_R50"],
    "slowfast_r101_8x8": ["ptv_slowfast_r101", "psf_Kinetics_c2_SLOWFAST_8x8_R101_101_101"],
}


def names_in(golden: str) -> list[str]:
    state = json.loads((GOLDEN / "models" / f"{golden}.json").read_text())["state"]
    return [name for name, _shape in state]


def our_names(network: str) -> list[str]:
    import torch

    with torch.device("meta"):
        state = architecture(network).build().state_dict()
    return sorted(name for name in state if not name.endswith("num_batches_tracked"))


@pytest.mark.parametrize(("network", "golden"), [(n, g) for n, gs in GOLDEN_OF.items() for g in gs])
@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
def test_each_of_our_parameters_is_hit_once(network: str, golden: str, prefix: str) -> None:
    translation = translate(prefix + name for name in names_in(golden))
    assert sorted(translation.ours.values()) == our_names(network)
    assert not translation.dropped


def test_caffe2_names_are_the_references() -> None:
    other_networks = ("nonlocal", "conv1_xy", "_fc1_")
    rows = json.loads((GOLDEN / "rules" / "caffe2_names.json").read_text())
    rows = [(caffe2, psf) for caffe2, psf in rows if not any(part in caffe2 for part in other_networks)]
    assert len(rows) > 300
    for caffe2, psf in rows:
        if caffe2 in {"lr", "model_iter", "conv1_w_momentum"}:
            assert is_dropped(caffe2, "caffe2")
        else:
            assert not is_dropped(caffe2, "caffe2")
            assert caffe2_to_pyslowfast(caffe2) == psf


@pytest.mark.parametrize("norm", ["s1.pathway0_stem.bn", "s3.pathway1_res2.branch2.a_bn", "s2_fuse.bn"])
def test_sub_batch_norm_becomes_plain(norm: str) -> None:
    plain = [f"{norm}.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")]
    sub = [
        *plain[:2],
        *(f"{norm}.{part}.{leaf}" for part in ("bn", "split_bn") for leaf in ("running_mean", "running_var")),
        f"{norm}.bn.num_batches_tracked",
    ]
    second_pathway = ["s1.pathway1_stem.conv.weight"]
    folded = translate(sub + second_pathway)
    assert sorted(folded.ours.values()) == sorted(translate(plain + second_pathway).ours.values())
    assert len(folded.dropped) == 3


def test_our_own_names_stay() -> None:
    names = our_names("slowfast_r50_8x8")
    assert detect(names) == "twinpath"
    assert translate(names).ours == {name: name for name in names}


def test_names_of_nobody_stay_and_are_not_swallowed() -> None:
    names = ["layer1.0.conv1.weight", "fc.weight"]
    assert translate(names).ours == {name: name for name in names}
