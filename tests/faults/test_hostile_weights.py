"""Weight files of some bytes that would take the memory, the day or the process: refused within limits."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import resource
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights, WeightsError
from twinpath.weights import pickled_arrays
from twinpath.weights.formats import read_weights
from twinpath.weights.load import load_weights

MOST_KB = 150_000  # beyond what the process has


def refused(path: Path, kind: type[WeightsError] = WeightsError, words: str | None = None) -> str:
    """The error's message; memory and time stay within bounds."""
    before_kb, began_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(kind, match=words) as caught:
        read_weights(path)
    assert time.process_time() - began_s < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < MOST_KB
    message = str(caught.value)
    assert caught.value.exit_code == 5
    assert path.name in message
    assert message.isprintable()
    assert len(message) < 1000
    return message


def torch_file(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    """A torch file whose pickle is this one."""
    source = io.BytesIO()
    torch.save({"a": torch.ones(4)}, source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("data.pkl") else old.read(name))
    return path


LYING_LENGTHS = [
    code + struct.pack("<Q", size) for code in (b"\x96", b"\x8e", b"\x8d") for size in (1 << 33, 1 << 62)
] + [code + struct.pack("<I", (1 << 32) - 1) for code in (b"B", b"T", b"X", b"\x8b")]
NESTED_TUPLE = b")" + b"2\x86" * 60  # two to the power of 60 items, shared
NESTED_LIST = b"]" + b"2a" * 60


@pytest.mark.parametrize("kind", ["caffe2", "torch"])
@pytest.mark.parametrize("lie", LYING_LENGTHS)
def test_lengths_that_lie(lie: bytes, kind: str, tmp_path: Path) -> None:
    path, data = tmp_path / "w.pkl", b"\x80\x04}" + lie + b"abc."
    if kind == "torch":
        with_pickle(path, data)
    else:
        path.write_bytes(data)
    refused(path, DamagedWeights, "cut short|number of")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02}" + NESTED_TUPLE + b"Ns.",
        b"\x80\x02}" + NESTED_TUPLE + b"N" + NESTED_TUPLE + b"N\x86\x85.",
        b"\x80\x02cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03" + NESTED_LIST + b"NNNNNNtb.",
        b"\x80\x02cnumpy\ndtype\n" + NESTED_LIST + b"\x85R.",
        b"\x80\x04\x8f(" + NESTED_TUPLE + b"\x90.",
        b"\x80\x04(" + NESTED_TUPLE + b"\x91.",
        b"\x80\x02cbuiltins\nset\n]" + NESTED_TUPLE + b"a\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n]" + NESTED_TUPLE + b"N\x86a\x85R.",
        b"\x80\x02}U\x05blobs}U\x01a" + NESTED_LIST + b"sss.",
    ],
    ids=["key", "tuple", "byte order", "type", "set", "frozenset", "set of a list", "ordered", "blob"],
)
@pytest.mark.parametrize("kind", ["caffe2", "torch"])
def test_nested_things_where_a_name_belongs(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pkl"
    if kind == "torch":
        with_pickle(path, data)
    else:
        path.write_bytes(data)
    refused(path)


def test_more_instructions_than_weights_need(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + b"N0" * 1_500_000 + b".")
    refused(tmp_path / "w.pkl", UnsafeWeights, "instructions")


def test_a_text_that_is_encoded_again_and_again(tmp_path: Path) -> None:
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x00X\x06\x00\x00\x00latin1q\x010"
    encode = b"c_codecs\nencode\nq\x02" + b"h\x02h\x00h\x01\x86R" * 5000
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02}" + text + encode + b".")
    refused(tmp_path / "w.pkl", DamagedWeights, "repeated")


def test_keys_that_share_a_hash(tmp_path: Path) -> None:
    """Numbers that are multiples of 2**61 - 1 all hash to 0: a dict of them takes quadratic time."""
    keys = b"".join(
        b"\x8a" + bytes([len(n)]) + n + b"N"
        for n in ((i * ((1 << 61) - 1)).to_bytes(11, "little") for i in range(1, 200_000))
    )
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02}(" + keys + b"u.")
    refused(tmp_path / "w.pkl", UnknownWeightFormat)
    puts = b"".join(b"p%d\n" % (i * ((1 << 61) - 1)) for i in range(100_000))
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02}" + puts + b".")
    refused(tmp_path / "w.pkl", DamagedWeights)


@pytest.mark.parametrize(
    "name", [b"ccollections\nOrderedDict\n", b"cbuiltins\nset\n", b"ccollections\nCounter\n"]
)
def test_long_things_that_are_copied_again_and_again(name: bytes, tmp_path: Path) -> None:
    pairs = b"](" + b"N)\x86" * 50_000 + b"eq\x000"
    data = b"\x80\x02" + pairs + name + b"q\x010" + b"h\x01h\x00\x85R0" * 100_000 + b"}."
    (tmp_path / "w.pkl").write_bytes(data)
    refused(tmp_path / "w.pkl", DamagedWeights, "repeated")


def test_more_tensors_than_any_network_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinpath.weights.containers.MAX_TENSORS", 100)
    refused(
        torch_file(tmp_path / "w.pt", {f"a{i}": torch.ones(1) for i in range(101)}),
        UnsafeWeights,
        "101 tensors",
    )


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(1 << 40),
        torch.zeros(1).expand(1 << 20, 1 << 20, 1 << 20),
        torch.zeros(1000, 1).expand(1000, 1 << 20),
        torch.zeros(64).as_strided((1 << 15, 1 << 15), (0, 0)),
    ],
)
def test_tensors_that_claim_more_than_the_file_holds(tensor: torch.Tensor, tmp_path: Path) -> None:
    refused(torch_file(tmp_path / "w.pt", {"model": {"a.weight": tensor}}), UnsafeWeights, "claim")


def test_one_array_under_many_names(tmp_path: Path) -> None:
    array = np.zeros(1 << 20, np.float32)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": {f"conv{i}_w": array for i in range(2000)}}))
    refused(tmp_path / "w.pkl", UnsafeWeights, "claim")


def test_small_expanded_and_shared_tensors_are_taken(tmp_path: Path) -> None:
    shared = torch.arange(12.0)
    content = {"a": torch.ones(1).expand(30), "b": shared.reshape(3, 4).t(), "c": shared, "d": torch.ones(())}
    read = read_weights(torch_file(tmp_path / "w.pt", content)).tensors
    assert all(torch.equal(read[name], tensor) for name, tensor in content.items())


def test_tensors_that_reach_beyond_their_values(tmp_path: Path) -> None:
    path, source = tmp_path / "w.pt", io.BytesIO()
    torch.save({"a.weight": torch.arange(1000.0)}, source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:400] if name.endswith("data/0") else content)
    refused(path, DamagedWeights, "a.weight needs 1000 values, and 100 are there")


def test_members_that_only_another_reader_sees(tmp_path: Path) -> None:
    """One reader takes the first table of contents, another the last: only one looks at a file."""
    path, bomb, good = tmp_path / "w.pt", io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
        archive.writestr("archive/data/0", bytes(50_000_000))
    torch.save({"a": torch.ones(4)}, good)
    path.write_bytes(bomb.getvalue() + good.getvalue())
    assert read_weights(path).tensors["a"].tolist() == [1, 1, 1, 1]
    path.write_bytes(good.getvalue() + bomb.getvalue())
    refused(path, UnsafeWeights, "compressed")


def test_a_table_of_contents_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        for number in range(100):
            archive.writestr(f"archive/{number:070}", b"")
    data = source.getvalue()
    begin, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    many = data[begin:end] * 800
    record = struct.pack("<4s4HLLH", b"PK\x05\x06", 0, 0, 65535, 65535, len(many), begin, 0)
    path.write_bytes(data[:begin] + many + record)
    refused(path, UnsafeWeights, "table of contents")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_values_without_values(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.ones(3, device="meta")}, path, _use_new_zipfile_serialization=zipped)
    refused(path, UnknownWeightFormat, "no values")


@pytest.mark.parametrize(
    ("tensor", "kind", "words"),
    [
        (torch.tensor([1 + 1j, complex(float("nan"), 0)]), UnknownWeightFormat, "complex"),
        (torch.ones(2, dtype=torch.complex64), UnknownWeightFormat, "complex"),
        (torch.eye(3).to_sparse(), UnknownWeightFormat, "sparse"),
        (torch.tensor([1e300], dtype=torch.float64), DamagedWeights, "not finite"),
        (torch.tensor([float("nan")]).to(torch.float8_e4m3fn), DamagedWeights, "not finite"),
        (torch.tensor([float("inf")], dtype=torch.bfloat16), DamagedWeights, "not finite"),
        (np.array(["a", "b"]), UnknownWeightFormat, "no array of numbers"),
    ],
)
def test_values_that_no_network_has(
    tensor: object, kind: type[WeightsError], words: str, tmp_path: Path
) -> None:
    refused(torch_file(tmp_path / "w.pt", {"state_dict": {"a.weight": tensor}}), kind, words)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float64])
def test_kinds_of_floating_point_are_taken(dtype: torch.dtype, tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    content = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    load_weights(model, torch_file(tmp_path / "w.pt", content))
    assert torch.equal(model.weight.to(dtype), content["weight"])


def test_integers_are_no_weights(tmp_path: Path) -> None:
    path = torch_file(
        tmp_path / "w.pt", {"weight": torch.ones(2, 3, dtype=torch.int8), "bias": torch.ones(2)}
    )
    with pytest.raises(UnknownWeightFormat, match="weight holds integers"):
        load_weights(torch.nn.Linear(3, 2), path)


@pytest.mark.parametrize(
    "state",
    [
        b"}X\x0c\x00\x00\x00__defaults__K\x07\x85s",  # defaults of a constructor of ours
        b"}X\x0f\x00\x00\x00_MAX_DIMENSIONSK\x07s",
        b"N}X\x05\x00\x00\x00dtypeK\x07s\x86",
    ],
)
@pytest.mark.parametrize(
    "name", [b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n"]
)
def test_a_pickle_changes_nothing_of_ours(name: bytes, state: bytes, tmp_path: Path) -> None:
    before = pickled_arrays.PickledDtype.__init__.__defaults__, dict(vars(pickled_arrays.PickledDtype))
    (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + name + state + b"b.")
    refused(tmp_path / "w.pkl", DamagedWeights, "a state of what has none")
    assert (
        pickled_arrays.PickledDtype.__init__.__defaults__,
        dict(vars(pickled_arrays.PickledDtype)),
    ) == before
    whole = {"blobs": {"conv1_w": np.ones(3, np.float32)}}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    assert read_weights(tmp_path / "w.pkl").tensors["conv1_w"].tolist() == [1, 1, 1]


def safetensors_file(path: Path, header: str, values: int = 40) -> Path:
    raw = header.encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(values))
    return path


ENTRY = '{"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}'


@pytest.mark.parametrize(
    "header",
    [
        f'{{"a": {ENTRY}, "a": {ENTRY}}}',
        f'{{"a": {ENTRY}, "b": {ENTRY}}}',
        f'{{"a": {ENTRY.replace("[0, 40]", "[8, 48]")}}}',
        f'{{"a": {ENTRY.replace("[0, 40]", "[40, 0]")}}}',
        f'{{"a": {ENTRY.replace("40", "4000000000000")}}}',
        f'{{"a": {ENTRY.replace("[10]", "[-10, -1]")}}}',
        f'{{"a": {ENTRY.replace("[10]", "[4294967296, 4294967296, 4294967296]")}}}',
        f'{{"a": {ENTRY.replace("F32", "C64")}}}',
        f'{{"a": {ENTRY.replace("F32", "X9")}}}',
        '{"a": 3}',
        '{"a": {}}',
        "[1, 2]",
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        json.dumps({"x\x1b[31m\n": {"dtype": "F32"}}),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_safetensors_headers_that_lie(header: str, packed: bool, tmp_path: Path) -> None:
    path = safetensors_file(tmp_path / "w.safetensors", header)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    refused(path)


def test_a_safetensors_header_as_long_as_the_format_allows(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90_000_000) + b"{")
        file.truncate(90_000_100)
    refused(path, DamagedWeights, "header claims 90,000,000 bytes")
