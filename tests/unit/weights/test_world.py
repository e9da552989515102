"""Weights as people have them: under prefixes and wrappers, beside other things, and other people's files."""

from __future__ import annotations

import argparse
import collections
import datetime
import gzip
import io
import logging
import pathlib
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.support.golden_weights import golden
from twinpath.errors import (
    NotAFile,
    UnknownWeightFormat,
    UnsafeWeights,
    UsageError,
    WeightsError,
    WeightsMismatch,
)
from twinpath.models.registry import architecture
from twinpath.weights.formats import read_weights
from twinpath.weights.load import load_weights
from twinpath.weights.names import convert_names
from twinpath.zoo.convert import convert

State = dict[str, Tensor]


def tiny(seed: int = 0, num_classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return architecture("slowfast_tiny").build(num_classes=num_classes, width=4)


def state(seed: int = 1) -> State:
    return {n: t for n, t in tiny(seed).state_dict().items() if "num_batches" not in n}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def refused(path: Path, *words: str, kind: type[WeightsError] = UnknownWeightFormat) -> None:
    with pytest.raises(kind) as caught:
        load_weights(tiny(), path)
    message = str(caught.value)
    assert caught.value.exit_code == 5
    assert path.name in message
    assert message.isprintable()
    assert len(message) < 700
    for word in words:
        assert word in message


def assert_loaded(model: nn.Module, expected: State) -> None:
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in expected.items())


PREFIXES = [
    "",
    "module.",
    "_orig_mod.",
    "model.module.",
    "module._orig_mod.",
    "_orig_mod.module.",
    "model.network.backbone.",
    "model._orig_mod.net.module.",
    "a.b.c.d.e.f.",
    "lit_module.video_encoder.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_in_any_nesting(prefix: str, tmp_path: Path) -> None:
    expected, model = state(), tiny()
    report = load_weights(model, saved(tmp_path / "w.pt", {prefix + name: t for name, t in expected.items()}))
    assert_loaded(model, expected)
    assert (report.naming, report.beside, report.loaded) == ("twinpath", (), len(expected))


def test_what_wrappers_insert_in_the_middle(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    inserted = {
        name.replace(".res3.", "._orig_mod.res3._checkpoint_wrapped_module."): t
        for name, t in expected.items()
    }
    assert any("_orig_mod" in name for name in inserted)
    load_weights(model, saved(tmp_path / "w.pt", inserted))
    assert_loaded(model, expected)


WRAPPERS: list[Callable[[State], Any]] = [
    lambda s: {"model_state": s},
    lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}},
    lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    lambda s: {"net": s, "acc": 0.5},
    lambda s: {"network": {"weights": s}},
    lambda s: {"checkpoint": {"model": {"state_dict": s}}, "args": {"lr": 1}},
    lambda s: {"my_own_name": s},
    lambda s: {"module": s, "ds_config": {"zero": 1}},
    lambda s: collections.OrderedDict(model_ema=collections.OrderedDict(s)),
    lambda s: [s],
    lambda s: (s, 3, {"lr": 0.1}),
    lambda s: {"models": [{"state_dict": s}], "epoch": 3},
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_wrappers_in_any_nesting(wrap: Callable[[State], Any], zipped: bool, tmp_path: Path) -> None:
    expected, model, path = state(), tiny(), tmp_path / "w.pt"
    torch.save(
        wrap({f"module.{name}": t for name, t in expected.items()}),
        path,
        _use_new_zipfile_serialization=zipped,
    )
    report = load_weights(model, path)
    assert_loaded(model, expected)
    assert report.entry


def test_a_lightning_checkpoint(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    beside = {"criterion.weight": torch.ones(3), "val_acc.confmat": torch.zeros(3, 3), "mean": torch.ones(3)}
    content = {
        "epoch": 9,
        "global_step": 100,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {f"model.{name}": tensor for name, tensor in expected.items()} | beside,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}],
        "lr_schedulers": [{"milestones": collections.Counter({3: 1})}],
        "hyper_parameters": {"lr": 0.1},
    }
    report = load_weights(model, saved(tmp_path / "w.ckpt", content))
    assert_loaded(model, expected)
    assert (report.entry, report.prefix) == ("state_dict", "model.")
    assert set(report.beside) == beside.keys()


def test_what_stands_beside_bare_names(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    content = expected | {"criterion.weight": torch.ones(3), "loss_fn.pos_weight": torch.ones(3)}
    content |= {"n_averaged": torch.tensor(5)}
    report = load_weights(model, saved(tmp_path / "w.pt", content))
    assert_loaded(model, expected)
    assert len(report.beside) == 3


def test_plain_values_among_the_tensors(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    load_weights(model, saved(tmp_path / "w.pt", expected | {"epoch": 3, "arch": "slowfast", "best": None}))
    assert_loaded(model, expected)


@pytest.mark.parametrize("name", [str.encode, hash])
def test_tensors_without_names(name: Callable[[str], object], tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {name(key): tensor for key, tensor in state().items()})
    refused(path, "by number or bytes, not by name", "state_dict()")


def test_what_is_under_no_known_name_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", state() | {"slow.res6.weight": torch.ones(3)})
    refused(path, "1 unexpected (slow.res6.weight)", kind=WeightsMismatch)


def test_a_head_above_the_backbone(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    content = {n if n.startswith("head.") else f"backbone.{n}": t for n, t in expected.items()}
    load_weights(model, saved(tmp_path / "w.pt", {f"model.{n}": t for n, t in content.items()}))
    assert_loaded(model, expected)


@pytest.mark.parametrize("key", ["model_ema", "ema", "ema_model", "state_dict_ema", "ema_state_dict"])
def test_the_average_is_taken_where_there_are_both(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain, average, model = state(1), state(2), tiny()
    path = saved(tmp_path / "w.pt", {"model": plain, key: average})
    with caplog.at_level(logging.WARNING):
        assert load_weights(model, path).entry == key
    assert_loaded(model, average)
    assert f"{key} was taken, not model" in caplog.text
    assert load_weights(model, path, entry="model").entry == "model"
    assert_loaded(model, plain)
    with pytest.raises(UnknownWeightFormat, match=r"no weights at entry='modl'.*model"):
        load_weights(model, path, entry="modl")


def test_an_average_by_prefix(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain, average, model = state(1), state(2), tiny()
    content = {f"model.{n}": t for n, t in plain.items()} | {
        f"ema_model.module.{n}": t for n, t in average.items()
    }
    with caplog.at_level(logging.WARNING):
        report = load_weights(model, saved(tmp_path / "w.pt", {"state_dict": content}))
    assert_loaded(model, average)
    assert report.prefix == "ema_model."
    assert "model." in caplog.text


def test_several_weights_of_one_rank_are_not_guessed(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"left": state(1), "right": state(2)})
    refused(path, "several weights", "left", "right", "entry=")


@pytest.mark.parametrize(
    "names",
    [
        ["blocks.0.conv.weight", "blocks.6.proj.weight", "blocks.6.proj.bias"],
        [
            "model.blocks.0.conv.weight",
            "model.blocks.1.res_blocks.0.branch1_conv.weight",
            "model.blocks.5.proj.bias",
        ],
    ],
)
def test_names_of_pytorchvideo_that_begin_like_a_wrapper(names: list[str]) -> None:
    converted = convert_names(names)
    assert converted.naming == "pytorchvideo"
    assert not converted.beside


# what stands beside the weights


def test_numpy_scalars_and_plain_things_are_taken(tmp_path: Path) -> None:
    expected, model = state(), tiny()
    content = {
        "state_dict": expected,
        "best": np.float64(0.5),
        "step": np.int64(3),
        "flag": np.bool_(True),
        "history": np.arange(5.0),
        "classes": np.array(["run", "jump"]),
        "kinds": {"a", "b"},
        "complex": 1 + 2j,
        "ordered": collections.OrderedDict(a=1),
        "counts": collections.defaultdict(int, a=1),
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
        "bytes": b"abc",
        "bytearray": bytearray(b"abc"),
        "no bytes": b"",
        "range": range(3),
        "slice": slice(1, 2),
        "big": 10**18,
        "nothing": None,
    }
    load_weights(model, saved(tmp_path / "w.pt", content))
    assert_loaded(model, expected)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "thing",
    [
        argparse.Namespace(lr=0.1),
        pathlib.PurePosixPath("/data"),
        datetime.datetime(2026, 1, 1),
        nn.CrossEntropyLoss(),
    ],
    ids=["Namespace", "Path", "datetime", "module"],
)
def test_other_objects_are_refused_with_the_line_that_saves_the_rest(
    thing: object, zipped: bool, tmp_path: Path
) -> None:
    path = tmp_path / "w.pt"
    torch.save(
        {"epoch": 1, "state_dict": state(), "args": thing}, path, _use_new_zipfile_serialization=zipped
    )
    loaded = f"torch.load({str(path)!r}, map_location='cpu', weights_only=False)"
    line = f"torch.save({loaded}['state_dict'], 'weights.pt')"
    refused(path, line, "If you trust its author", kind=UnsafeWeights)
    line = line.replace("'weights.pt'", repr(str(tmp_path / "alone.pt")))
    exec(line, {"torch": torch})
    model = tiny()
    load_weights(model, tmp_path / "alone.pt")
    assert_loaded(model, state())


def test_a_whole_module_is_refused_with_the_line_that_saves_its_weights(tmp_path: Path) -> None:
    refused(saved(tmp_path / "w.pt", nn.Linear(2, 2)), ".state_dict(), 'weights.pt')", kind=UnsafeWeights)
    refused(
        saved(tmp_path / "v.pt", {"model": nn.Linear(2, 2)}), "['model'].state_dict()", kind=UnsafeWeights
    )


class _Tensors(collections.OrderedDict[str, Tensor]):
    """A state dict of a class of its own, as some trainers keep it."""


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_dict_of_its_own_class_is_refused_with_the_line_that_makes_it_a_plain_one(
    is_wrapped: bool, tmp_path: Path
) -> None:
    tensors = _Tensors(state())
    path = saved(tmp_path / "w.pt", {"model": tensors} if is_wrapped else tensors)
    loaded = f"torch.load({str(path)!r}, map_location='cpu', weights_only=False)"
    at = "['model']" if is_wrapped else ""
    line = f"torch.save(dict({loaded}{at}), 'weights.pt')"
    refused(path, line, kind=UnsafeWeights)
    exec(line.replace("'weights.pt'", repr(str(tmp_path / "alone.pt"))), {"torch": torch})
    model = tiny()
    load_weights(model, tmp_path / "alone.pt")
    assert_loaded(model, state())


def test_an_address_is_no_weight_file(tmp_path: Path) -> None:
    for address in ("https://joe:secret@example.org/x.pth", "https:/joe:secret@example.org/x.pth"):
        with pytest.raises(NotAFile, match="is an address, not a file of weights; download it") as caught:
            load_weights(tiny(), address)
        assert "secret" not in str(caught.value)
    with pytest.raises(NotAFile, match=r"x\.pth does not exist; check the name"):
        load_weights(tiny(), tmp_path / "x.pth")


class _RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1",)


def test_nobody_is_told_how_to_run_code(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"state_dict": state(), "args": argparse.Namespace(a=_RunsCode())})
    with pytest.raises(UnsafeWeights, match=r"builtins\.eval") as caught:
        read_weights(path)
    assert "torch.load" not in str(caught.value)


# other people's files


def zip_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


def tar_of(name: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


IR = b'<?xml version="1.0"?>\n<net name="Model0" version="11">\n\t<layers></layers></net>'
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IR, "OpenVINO"),
        (POINTER, "git lfs pull"),
        (b"\n\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b'{"metadata": {}, "weight_map": {"a": "model-00001.safetensors"}}', "several files"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "Keras"),
        (b"GGUF\x03\0\0\0" + bytes(90), "GGUF"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(90), "ONNX"),
        (b"\x08\x01\x12\x9c\x03\x0a\x05serve" + bytes(90), "SavedModel"),
        (b"\x1c\0\0\0TFL3" + bytes(90), "TensorFlow Lite"),
        (b'model_checkpoint_path: "model.ckpt-3"\n', "TensorFlow"),
        (b"\x93NUMPY\x01\0" + bytes(90), "NumPy"),
        (zip_of(a_npy=b"\x93NUMPY", b_npy=b"\x93NUMPY"), "NumPy arrays"),
        (zip_of(config_json=b"{}", model_weights_h5=b""), "Keras"),
        (zip_of(best_pth=b"", readme_txt=b""), "unpack it"),
        (zip_of(word__document_xml=b""), "no torch file"),
        (zip_of(m__code__a_py=b"", m__constants_pkl=b"", m__data_pkl=b"\x80\x02N."), "TorchScript"),
        (tar_of("best.pth"), "tar archive"),
        (b"BZh91AY&SY" + bytes(90), "bzip2"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(90), "7z"),
        (b"\0\0\0\x20ftypisom" + bytes(90), "video"),
        (bytes(5000), "zeros"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_other_files_are_named_with_a_next_step(
    content: bytes, words: str, packed: bool, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(gzip.compress(content) if packed else content)
    refused(path, words)


def test_a_torchscript_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    refused(path, "TorchScript", "torch.jit.load(FILE, map_location='cpu').state_dict()")


def test_the_values_of_an_openvino_ir(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_bytes(IR)
    (tmp_path / "net.bin").write_bytes(np.random.default_rng(0).standard_normal(99).tobytes())
    refused(tmp_path / "net.bin", "OpenVINO")


def test_pickles_of_arrays_by_name(tmp_path: Path) -> None:
    arrays = {"stem.conv.weight": np.ones(3, np.float32)}
    for content in (arrays, {"model": arrays, "__author__": "x"}):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(content))
        refused(tmp_path / "w.pkl", "no 'blobs'", "safetensors.numpy.save_file")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": torch.ones(2)}))
    refused(tmp_path / "w.pkl", "pickle.load(open(", kind=UnsafeWeights)


OTHER_PEOPLES_NAMES = {
    "MMAction2": [
        "backbone.slow_path.conv1.conv.weight",
        "backbone.fast_path.conv1.bn.weight",
        "cls_head.fc_cls.bias",
    ],
    "VideoMAE": ["encoder.patch_embed.proj.weight", "encoder.blocks.0.attn.q_bias", "decoder.norm.weight"],
    "transformers": ["videomae.embeddings.patch_embeddings.projection.weight", "classifier.weight"],
    "TimeSformer": ["model.cls_token", "model.time_embed", "model.blocks.0.temporal_attn.qkv.weight"],
    "Swin": ["backbone.layers.0.blocks.0.attn.relative_position_bias_table"],
    "I3D": ["Conv3d_1a_7x7.conv3d.weight", "Mixed_3b.b0.conv3d.weight", "logits.conv3d.bias"],
    "person detector": [
        "backbone.body.conv1.weight",
        "rpn.head.cls_logits.weight",
        "roi_heads.box_head.fc6.bias",
    ],
    "language model": ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"],
    "YOLO": ["model.0.conv.weight", "model.1.bn.weight", "model.22.cv2.0.0.conv.weight"],
}


@pytest.mark.parametrize("wrapper", ["", "module."])
@pytest.mark.parametrize("owner", OTHER_PEOPLES_NAMES)
def test_whose_names_they_are(owner: str, wrapper: str, tmp_path: Path) -> None:
    content = {f"{wrapper}{name}": torch.ones(3) for name in OTHER_PEOPLES_NAMES[owner]}
    content |= {f"{wrapper}{OTHER_PEOPLES_NAMES[owner][0]}.{i}": torch.ones(3) for i in range(500)}
    path = saved(tmp_path / "w.pt", {"state_dict": content})
    refused(path, owner, kind=WeightsMismatch)
    with pytest.raises(WeightsMismatch, match=owner):
        convert(path, tmp_path / "w.safetensors")


def test_another_number_of_classes_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(
        {n: t.contiguous() for n, t in tiny(num_classes=7).state_dict().items() if "num_b" not in n}, path
    )
    refused(
        path,
        "7 classes where the network has 3",
        "load it into a network of 7 classes",
        "leave_out=",
        kind=WeightsMismatch,
    )


def test_no_last_layer_only_where_the_rest_fits(tmp_path: Path) -> None:
    backbone = {
        n: t for n, t in architecture("slowfast_tiny").build().state_dict().items() if "head" not in n
    }
    path = saved(tmp_path / "w.pt", backbone)
    with pytest.raises(WeightsMismatch, match="the rest fits, but the file has no last layer"):
        load_weights(architecture("slowfast_tiny").build(), path)
    with pytest.raises(UsageError, match="has no last layer; give num_classes"):
        convert(path, tmp_path / "w.safetensors")
    with pytest.raises(WeightsMismatch, match="missing"):
        convert(path, tmp_path / "w.safetensors", model="slow_r50_8x8")
    missing_more = {n: t for n, t in backbone.items() if "res5" not in n}
    with pytest.raises(WeightsMismatch, match="missing") as caught:
        load_weights(architecture("slowfast_tiny").build(), saved(tmp_path / "v.pt", missing_more))
    assert "no last layer" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "ptv_slow_r50_detection",
        "ptv_x3d_s",
        "ptv_efficient_x3d_s",
        "psf_Kinetics_MVITv2_S_16x4",
        "psf_ImageNet_REV_VIT_B",
        "tv_s3d",
        "tv_r2plus1d_18",
    ],
)
@pytest.mark.parametrize("prefix", ["model.", "model.module._orig_mod."])
def test_every_upstreams_names_under_prefixes(name: str, prefix: str) -> None:
    names = [key for key, _ in golden(name)["state"]]
    bare, wrapped = convert_names(names), convert_names([*(prefix + n for n in names), "criterion.weight"])
    assert wrapped.naming == bare.naming
    assert wrapped.beside == ("criterion.weight",)
    assert wrapped.ours == {ours: tuple(prefix + n for n in theirs) for ours, theirs in bare.ours.items()}
