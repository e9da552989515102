"""Names of the upstreams in ours, and back."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch

from tests.support import golden_weights
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.weights.names import TABLES, convert_names, table_of
from twinpath.weights.names.caffe2 import CAFFE2
from twinpath.weights.names.table import NameTable, ParameterSlot

GOLDENS = list(golden_weights.INDEX)
OF_SLOWFAST = ["ptv_slowfast_r50", "psf_Kinetics_SLOWFAST_8x8_R50"]


def names_in(golden: str) -> list[str]:
    return [name for name, _shape in golden_weights.golden(golden)["state"]]


def our_names(network: str) -> list[str]:
    with torch.device("meta"):
        state = architecture(network).build().state_dict()
    return sorted(name for name in state if not name.endswith("num_batches_tracked"))


@cache
def table_of_golden(golden: str) -> NameTable | None:
    return table_of(names_in(golden))


@pytest.mark.parametrize("golden", GOLDENS)
def test_a_table_reads_both_ways(golden: str) -> None:
    """Each of their names has a place in ours, no two the same, and its place leads back to it."""
    names = names_in(golden)
    table = table_of_golden(golden)
    assert table is not None
    kept = [name for name in names if not table.is_dropped(name)]
    places = {name: table.to_ours(name) for name in kept}
    assert all(places.values())
    assert len(set(places.values())) == len(kept)
    for name, place in places.items():
        assert place is not None
        back = table.to_theirs(place.ours)
        assert back is not None
        assert len(back) == place.parts
        assert back[place.part] == name


@pytest.mark.parametrize("golden", OF_SLOWFAST)
@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
def test_wrappers_prefixes_are_taken_off(golden: str, prefix: str) -> None:
    converted = convert_names(prefix + name for name in names_in(golden))
    assert sorted(converted.ours) == our_names("slowfast_r50_8x8")
    assert (converted.dropped, converted.incomplete, converted.repeated) == ((), {}, ())


def test_caffe2_names_are_the_references() -> None:
    rows = json.loads((golden_weights.GOLDEN / "rules" / "caffe2_names.json").read_text())
    assert len(rows) > 300
    for caffe2, psf in rows:
        if caffe2 in {"lr", "model_iter", "conv1_w_momentum"}:
            assert CAFFE2.is_dropped(caffe2)
            continue
        assert not CAFFE2.is_dropped(caffe2)
        assert CAFFE2.to_ours(caffe2) == ParameterSlot(psf)
        # The last block's number in a lateral's name is not in PySlowFast's.
        assert CAFFE2.to_theirs(psf) == (None if "branch2c_bn_subsample" in caffe2 else (caffe2,))


def test_several_of_theirs_make_one_of_ours() -> None:
    table = NameTable("pytorchvideo", [("{n}.qkv.{leaf}", *(f"{{n}}.{part}.{{leaf}}" for part in "qkv"))])
    assert table.to_ours("3.k.bias") == ParameterSlot("3.qkv.bias", 1, 3)
    assert table.to_theirs("3.qkv.bias") == ("3.q.bias", "3.k.bias", "3.v.bias")
    assert table.to_ours("3.z.bias") is None


def test_rows_with_other_placeholders() -> None:
    table = NameTable("torchvision", [("res{n}.conv_{ab}.{leaf}", "layer{n}.{n}.{ab}.{leaf}")])
    assert table.to_ours("layer1.1.b.running_var") == ParameterSlot("res1.conv_b.running_var")
    assert table.to_ours("layer1.2.b.running_var") is None
    assert table.to_ours("layer1.1.c.running_var") is None
    assert table.to_ours("layer1.1.b.running_varx") is None
    assert table.to_theirs("res12.conv_a.weight") == ("layer12.12.a.weight",)


@pytest.mark.parametrize("norm", ["s1.pathway0_stem.bn", "s3.pathway1_res2.branch2.a_bn", "s2_fuse.bn"])
def test_sub_batch_norm_becomes_plain(norm: str) -> None:
    plain = [f"{norm}.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")]
    sub = [
        *plain[:2],
        *(f"{norm}.{part}.{leaf}" for part in ("bn", "split_bn") for leaf in ("running_mean", "running_var")),
        f"{norm}.bn.num_batches_tracked",
    ]
    second_pathway = ["s1.pathway1_stem.conv.weight"]
    folded = convert_names(sub + second_pathway)
    assert folded.ours.keys() == convert_names(plain + second_pathway).ours.keys()
    assert len(folded.dropped) == 3


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_our_own_names_stay(network: str) -> None:
    names = our_names(network)
    converted = convert_names(names)
    assert converted.naming == "twinpath"
    assert converted.ours == {name: (name,) for name in names}


def test_names_of_nobody_stay_and_are_not_swallowed() -> None:
    names = ["trunk.0.kernel.weight", "answer.bias"]
    assert convert_names(names).ours == {name: (name,) for name in names}


def test_no_table_is_left_out_of_the_goldens() -> None:
    assert {id(table) for table in TABLES} == {id(table_of_golden(golden)) for golden in GOLDENS}
