"""All of a file into a network, or nothing."""

from __future__ import annotations

import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

from twinpath.errors import WeightsMismatch
from twinpath.models.registry import architecture
from twinpath.weights.formats import read_weights
from twinpath.weights.load import load_weights, save_weights


def tiny(num_classes: int = 12, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return architecture("slowfast_tiny").build(num_classes=num_classes)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in model.state_dict().items() if "num_batches" not in n}


def assert_same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("wrapper", ["model_state", "state_dict", None])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("gzipped", [True, False], ids=["gzip", "plain"])
def test_torch_files(wrapper: str | None, zipped: bool, gzipped: bool, tmp_path: Path) -> None:
    source, target = tiny(seed=1), tiny(seed=2)
    content = source.state_dict() if wrapper is None else {wrapper: source.state_dict(), "epoch": 3}
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    path = tmp_path / "weights.pkl"  # the name says nothing
    path.write_bytes(gzip.compress(file.getvalue(), 1) if gzipped else file.getvalue())
    report = load_weights(target, path)
    assert (report.format, report.naming, report.left_out) == ("torch", "twinpath", ())
    assert report.loaded == len(state(source))
    assert_same(state(source), state(target))


@pytest.mark.parametrize("gzipped", [True, False], ids=["gzip", "plain"])
def test_safetensors_round_trip(gzipped: bool, tmp_path: Path) -> None:
    source, target = tiny(seed=1), tiny(seed=2)
    path = tmp_path / "new folder" / "weights.pth"
    save_weights(source, path, {"architecture": "slowfast_tiny"})
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    report = load_weights(target, path)
    assert report.format == "safetensors"
    assert gzipped or report.metadata == {"architecture": "slowfast_tiny"}
    assert_same(state(source), state(target))
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("protocol", range(6))
def test_caffe2_arrays_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    blobs = {
        "conv1_w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "pred_w": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
        "pred_b": np.arange(3, dtype=">f4"),
        "lr": np.float32(0.5),
        "model_iter": 7,
    }
    path = tmp_path / "weights.pyth"
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=protocol))
    file = read_weights(path)
    assert file.format == "caffe2"
    assert file.tensors.keys() == blobs.keys() - {"model_iter"}
    for name, tensor in file.tensors.items():
        assert np.array_equal(tensor.numpy(), blobs[name])


def test_caffe2_pickle_of_python_2_and_old_numpy(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(
        b"\x80\x02}q\x00U\x05blobsq\x01}q\x02U\x07conv1_wq\x03cnumpy.core.multiarray\n_reconstruct\nq\x04"
        b"cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x80?\x00\x00\x00\xc0tbss."
    )
    assert read_weights(path).tensors["conv1_w"].tolist() == [1.0, -2.0]


def test_every_difference_is_listed_and_nothing_is_changed(tmp_path: Path) -> None:
    model, path = tiny(), tmp_path / "weights.safetensors"
    before = state(model)
    tensors = {name: tensor + 1 for name, tensor in state(model).items()}
    del tensors["slow.stem.conv.weight"]
    tensors["extra.weight"] = torch.ones(2)
    tensors["head.projection.bias"] = torch.ones(5)
    save_file(tensors, path)
    with pytest.raises(WeightsMismatch, match=r"1 missing \(slow\.stem\.conv\.weight\)") as caught:
        load_weights(model, path)
    assert caught.value.missing == ["slow.stem.conv.weight"]
    assert caught.value.unexpected == ["extra.weight"]
    assert caught.value.shape_mismatch == [("head.projection.bias", (5,), (12,))]
    assert "\n" not in str(caught.value)
    assert_same(before, state(model))


def test_a_file_of_another_network_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(tiny(num_classes=7), path)
    with pytest.raises(WeightsMismatch, match="looks like slowfast_tiny with 7 classes"):
        load_weights(architecture("slow_r50_8x8").build(), path)


def test_two_entries_for_one_parameter_are_refused(tmp_path: Path) -> None:
    model, path = tiny(), tmp_path / "weights.safetensors"
    names = {
        "s1.pathway0_stem.bn.running_mean": torch.ones(24),
        "s1.pathway0_stem.bn.bn.running_mean": torch.ones(24),
        "s1.pathway1_stem.bn.weight": torch.ones(8),
    }
    save_file(names, path)
    with pytest.raises(WeightsMismatch) as caught:
        load_weights(model, path)
    assert len(caught.value.unexpected) == 1


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    """By its hash an evaluation knows the model again."""
    source, facts = tiny(), {f"fact {i}": "µ" * i for i in range(9)}
    for name in ("a", "b"):
        save_weights(source, tmp_path / name, facts)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safetensors.safe_open(tmp_path / "a", "pt") as file:
        assert file.metadata().items() >= facts.items()


def test_head_left_out(tmp_path: Path) -> None:
    source, target, path = tiny(seed=1), tiny(num_classes=5, seed=2), tmp_path / "weights.safetensors"
    save_weights(source, path)
    head = target.head.projection.weight.detach().clone()
    report = load_weights(target, path, leave_out=("head.projection",))
    assert report.left_out == ("head.projection.weight", "head.projection.bias")
    assert torch.equal(target.head.projection.weight, head)
    assert torch.equal(target.slow.stem.conv.weight, source.slow.stem.conv.weight)
