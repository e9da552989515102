"""Any weight file to one of ours."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.support.golden_weights import golden, write_caffe2_checkpoint, write_golden_checkpoint
from twinpath.errors import DamagedWeights, NotAFile, UnknownModel, UsageError, WeightsMismatch
from twinpath.models.registry import architecture
from twinpath.weights.formats import read_weights
from twinpath.weights.load import load_weights, save_weights
from twinpath.zoo.convert import convert
from twinpath.zoo.create import create_model

TINY = "slowfast_tiny"


def tiny(path: Path, *, num_classes: int = 12) -> Path:
    torch.manual_seed(0)
    save_weights(architecture(TINY).build(num_classes=num_classes), path)
    return path


@pytest.fixture(scope="module")
def converted_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.mark.parametrize(
    ("reference", "naming", "model", "also"),
    [
        ("ptv_x3d_s", "pytorchvideo", "x3d_s.ptv_k400", True),
        ("psf_Kinetics_X3D_S", "pyslowfast", "x3d_s", True),
        ("tv_s3d", "torchvision", "s3d", False),
    ],
)
def test_every_upstreams_file_becomes_ours(
    reference: str, naming: str, model: str, also: bool, converted_files: Path, tmp_path: Path
) -> None:
    source = write_golden_checkpoint(reference, converted_files / "theirs.pyth")
    target = tmp_path / "new" / "ours.safetensors"
    done = convert(source, target, model=model)
    assert (done.format, done.naming, done.model, done.num_classes) == ("torch", naming, model, 400)
    assert bool(done.also_fits) is also
    assert done.params == golden(reference)["num_params"]
    ours, theirs = create_model(model), create_model(model)
    assert load_weights(ours, target).naming == "twinpath"
    load_weights(theirs, source)
    state = theirs.state_dict()
    assert all(torch.equal(t, state[n]) for n, t in ours.state_dict().items() if "num_batches" not in n)
    with safe_open(target, "pt") as file:
        assert file.metadata() == file.metadata() | {
            "architecture": model.split(".")[0],
            "num_classes": "400",
            "source": "theirs.pyth",
            "source_naming": naming,
        }
    assert [path.name for path in target.parent.iterdir()] == ["ours.safetensors"]


def test_caffe2_and_gzip(converted_files: Path, tmp_path: Path) -> None:
    figures = golden("psf_Kinetics_SLOW_4x16_R50")
    source = write_caffe2_checkpoint(figures, converted_files / "blobs.pkl")
    target = tmp_path / "ours.safetensors"
    done = convert(source, target)
    assert (done.format, done.naming, done.model) == ("caffe2", "caffe2", "slow_r50_4x16")
    assert "slow_r50_8x8" in done.also_fits  # the same parameters, other frames
    assert {"lr", "conv1_w_momentum"} <= set(done.dropped)
    again = tmp_path / "again.safetensors"
    target.write_bytes(gzip.compress(target.read_bytes(), 0))
    assert convert(target, again, model="slow_r50_8x8").naming == "twinpath"
    tensors = read_weights(again).tensors
    assert tensors["pathway.stem.conv.weight"].shape == (64, 3, 1, 7, 7)


def test_a_new_head_is_the_same_each_time(tmp_path: Path) -> None:
    source = tiny(tmp_path / "a.safetensors")
    done = convert(source, tmp_path / "b.safetensors", num_classes=7)
    assert (done.new_head, done.num_classes) == (True, 7)
    convert(source, tmp_path / "c.safetensors", num_classes=7)
    again = read_weights(tmp_path / "c.safetensors").tensors
    assert all(torch.equal(t, again[n]) for n, t in read_weights(tmp_path / "b.safetensors").tensors.items())
    model = architecture(TINY).build(num_classes=7)
    load_weights(model, tmp_path / "b.safetensors")
    before = read_weights(source).tensors["slow.stem.conv.weight"]
    assert torch.equal(model.slow.stem.conv.weight, before)
    assert convert(source, tmp_path / "d.safetensors", num_classes=12).new_head is False


def test_a_file_without_a_head(tmp_path: Path) -> None:
    tensors = read_weights(tiny(tmp_path / "a.safetensors")).tensors
    save_file({n: t for n, t in tensors.items() if "head" not in n}, tmp_path / "body.safetensors")
    with pytest.raises(UsageError, match="give num_classes to make a new one"):
        convert(tmp_path / "body.safetensors", tmp_path / "b.safetensors")
    done = convert(tmp_path / "body.safetensors", tmp_path / "b.safetensors", num_classes=3)
    assert (done.model, done.new_head, done.num_classes) == (TINY, True, 3)


def test_half_precision_is_made_whole(tmp_path: Path) -> None:
    model = architecture(TINY).build().half()
    save_weights(model, tmp_path / "half.safetensors")
    convert(tmp_path / "half.safetensors", tmp_path / "whole.safetensors")
    assert {t.dtype for t in read_weights(tmp_path / "whole.safetensors").tensors.values()} == {torch.float32}


def test_the_input_and_an_older_output_stay_when_it_fails(tmp_path: Path) -> None:
    source = tiny(tmp_path / "a.safetensors")
    before = source.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(source)
    for target in (source, tmp_path / "link.safetensors"):
        with pytest.raises(UsageError, match="is the file to be converted"):
            convert(source, target)
    assert source.read_bytes() == before
    old = tmp_path / "old.safetensors"
    old.write_bytes(b"old")
    with pytest.raises(WeightsMismatch, match="looks like slowfast_tiny with 12 classes"):
        convert(source, old, model="x3d_s")
    with pytest.raises(UnknownModel, match="did you mean slowfast_tiny"):
        convert(source, old, model="slowfast_tny")
    (tmp_path / "cut.safetensors").write_bytes(before[:-5])
    with pytest.raises(DamagedWeights):
        convert(tmp_path / "cut.safetensors", old)
    with pytest.raises(NotAFile):
        convert(tmp_path / "missing", old)
    save_file({"a.weight": torch.ones(2)}, tmp_path / "strange.safetensors")
    with pytest.raises(WeightsMismatch, match=r"of no network that Twinpath knows .*give a model"):
        convert(tmp_path / "strange.safetensors", old)
    assert old.read_bytes() == b"old"


def test_what_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"something\.safetensors"):
        convert(tmp_path / "a.pyth", tmp_path / "b.pyth")
    with pytest.raises(UsageError, match="num_classes must be at least 1, not 0"):
        convert(tmp_path / "a.pyth", tmp_path / "b.safetensors", num_classes=0)
