"""Weight files that are damaged, hostile or half written: rows 27 to 32 of the list of faults."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from twinpath.atomic import atomic_path
from twinpath.errors import DamagedWeights, NotAFile, UnknownWeightFormat, UnsafeWeights, WeightsError
from twinpath.weights.formats import read_weights


class _RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("code-ran",)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def torch_file(path: Path, content: object = None) -> Path:
    torch.save({"a.weight": torch.arange(1000.0)} if content is None else content, path)
    return path


def refused(path: Path, kind: type[WeightsError], words: str | None = None) -> None:
    with pytest.raises(kind, match=words) as caught:
        read_weights(path)
    assert caught.value.exit_code == 5
    assert len(str(caught.value)) > 20
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("kept", [1, 40, 500, 4200, -1])
def test_truncated_torch_file(kept: int, here: Path) -> None:
    path = torch_file(here / "w.pt")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, WeightsError if kept == 1 else DamagedWeights)


def test_empty_file(here: Path) -> None:
    (here / "w.pt").touch()
    refused(here / "w.pt", DamagedWeights, "empty")


def test_flipped_byte_in_a_torch_file(here: Path) -> None:
    path = torch_file(here / "w.pt")
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 2000] ^= 1
    path.write_bytes(content)
    refused(path, DamagedWeights, "CRC")


def test_torch_file_written_without_checksums(here: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = torch_file(here / "w.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read_weights(path).tensors["a.weight"].shape == (1000,)


def test_compressed_members(here: Path) -> None:
    path = torch_file(here / "w.pt")
    bomb = here / "bomb.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            big = member.filename.endswith("data/0")
            target.writestr(member.filename, bytes(50_000_000) if big else source.read(member))
    refused(bomb, UnsafeWeights, "compressed")


def test_gzip_that_explodes_fills_no_memory(here: Path) -> None:
    import resource

    path = here / "w.pkl.gz"
    path.write_bytes(gzip.compress(b"(dp" + bytes(200_000_000), 9))
    assert path.stat().st_size < 250_000
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, UnsafeWeights, "grow")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 100_000


def test_gzip_cut_or_nested(here: Path) -> None:
    path = here / "w.gz"
    path.write_bytes(gzip.compress(torch_file(here / "w.pt").read_bytes())[:300])
    refused(path, DamagedWeights, "gzip")
    path.write_bytes(gzip.compress(gzip.compress(b"x")))
    refused(path, UnsafeWeights, "inside")


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_with_code(protocol: int, here: Path) -> None:
    path = here / "w.pkl"
    path.write_bytes(pickle.dumps({"blobs": {"conv1_w": _RunsCode()}}, protocol=protocol))
    refused(path, UnsafeWeights, "mkdir")
    assert not (here / "code-ran").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_torch_file_with_code(zipped: bool, here: Path) -> None:
    torch.save({"model_state": {"a": _RunsCode()}}, here / "w.pt", _use_new_zipfile_serialization=zipped)
    refused(here / "w.pt", UnsafeWeights, "mkdir")
    assert not (here / "code-ran").exists()


@pytest.mark.parametrize(
    "values", [np.array([_RunsCode()], dtype=object), np.array(["a"]), np.zeros(2, "f4,i4")]
)
def test_caffe2_arrays_of_other_things_than_numbers(values: np.ndarray, here: Path) -> None:
    (here / "w.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": values}}))
    refused(here / "w.pkl", WeightsError)
    assert not (here / "code-ran").exists()


def test_caffe2_file_cut_anywhere(here: Path) -> None:
    path = here / "w.pkl"
    whole = pickle.dumps({"blobs": {"conv1_w": np.ones(50, np.float32)}}, protocol=2)
    for kept in range(2, len(whole) - 1, 7):
        path.write_bytes(whole[:kept])
        refused(path, WeightsError)  # a name cut short is told as a strange name


@pytest.mark.parametrize(
    "forged",
    [
        b"\x80\x02}r\xff\xff\xff\xff.",  # a memo index that would take 64 GB
        b"\x80\x04\x8e\x00\x00\x00\x00\x00\x00\x00\x7f.",  # bytes of impossible length
        b"\x80\x02]" + b"]" * 50_000 + b"a" * 50_000 + b".",  # deep nesting
        b"\x80\x02Q.",  # a persistent id with nothing on the stack
        b"\x80\x02.",
    ],
)
def test_forged_pickles(forged: bytes, here: Path) -> None:
    (here / "w.pkl").write_bytes(forged)
    refused(here / "w.pkl", WeightsError)


def test_safetensors_cut_huge_header_overlap_and_nan(here: Path) -> None:
    path = here / "w.safetensors"
    save_file({"a.weight": torch.ones(100)}, path)
    whole = path.read_bytes()
    for kept in (5, 20, len(whole) - 1):
        path.write_bytes(whole[:kept])
        refused(path, WeightsError)
    path.write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
    refused(path, DamagedWeights, "header")
    tensor = {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}
    header = json.dumps({"a": tensor, "b": tensor}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(40))
    refused(path, DamagedWeights)
    save_file({"good": torch.ones(3), "bad.weight": torch.tensor([1.0, float("nan")])}, path)
    refused(path, DamagedWeights, "bad.weight")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_values_that_are_not_finite_in_a_torch_file(value: float, here: Path) -> None:
    path = torch_file(here / "w.pt", {"state_dict": {"conv.weight": torch.tensor([[1.0, value]])}})
    refused(path, DamagedWeights, "conv.weight")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {"b": 3}}, torch.ones(3)])
def test_torch_files_that_hold_no_weights(content: object, here: Path) -> None:
    refused(torch_file(here / "w.pt", content), UnknownWeightFormat)


@pytest.mark.parametrize(
    "content",
    [b"<!doctype html><p>Log in", b"random text here", bytes(300), b"\x89PNG\r\n\x1a\n" + bytes(90)],
)
def test_other_files(content: bytes, here: Path) -> None:
    (here / "w.pt").write_bytes(content)
    refused(here / "w.pt", UnknownWeightFormat)


def test_other_zip_archives(here: Path) -> None:
    with zipfile.ZipFile(here / "w.pt", "w") as archive:
        archive.writestr("letter.txt", "hello")
    refused(here / "w.pt", UnknownWeightFormat, "no torch file")


def test_things_that_are_no_files(here: Path) -> None:
    os.mkfifo(here / "pipe")
    for path in (here, here / "absent.pt", here / "pipe", Path("/dev/zero")):
        with pytest.raises(NotAFile):
            read_weights(path)


def _small_files(folder: Path) -> list[bytes]:
    tensors = {"a.weight": torch.arange(20.0), "b.bias": torch.ones(3)}
    torch.save(tensors, folder / "zip.pt")
    torch.save({"model_state": tensors}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "w.safetensors")
    arrays = {"blobs": {"conv1_w": np.ones((2, 3), np.float32)}}
    files = [(folder / name).read_bytes() for name in ("zip.pt", "legacy.pt", "w.safetensors")]
    files += [pickle.dumps(arrays, protocol=protocol) for protocol in (0, 2, 5)]
    return [*files, gzip.compress(files[1])]


def test_mutated_bytes_give_typed_errors_only(here: Path) -> None:
    rng = np.random.default_rng(0)
    path = here / "mutated"
    refusals = 0
    for whole in _small_files(here):
        for _ in range(150):
            content = bytearray(whole)
            for at in rng.integers(len(content), size=rng.integers(1, 4)):
                content[at] = rng.integers(256)
            path.write_bytes(content)
            try:
                read_weights(path)
            except WeightsError:
                refusals += 1
    assert refusals > 300


SAVE_FOR_EVER = """
    import sys, torch
    from twinpath.models.registry import architecture
    from twinpath.weights.load import save_weights
    model = architecture("slowfast_tiny").build()
    print("ready", flush=True)
    while True:
        save_weights(model, sys.argv[1])
"""


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_kill_while_saving_leaves_a_whole_file(here: Path) -> None:
    path = here / "w.safetensors"
    process = run_python(SAVE_FOR_EVER, path)
    assert process.stdout is not None
    process.stdout.readline()
    while not path.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    read_weights(path)
    dead = here / f".{path.name}.{next_owner(process.pid)}.tmp{path.suffix}"
    dead.write_bytes(b"half")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
    assert [p.name for p in here.iterdir()] == [path.name]  # what the dead process left is swept


def next_owner(pid: int) -> str:
    from twinpath.atomic import _machine

    return f"{_machine()}-{pid}-00000000"


def test_temporaries_of_the_living_and_of_other_files_stay(here: Path) -> None:
    living = here / f".w.pt.{next_owner(os.getpid())}.tmp.pt"
    other = here / ".v.pt.elsewhere-1-00000000.tmp.pt"
    for path in (living, other):
        path.write_bytes(b"half")
    with atomic_path(here / "w.pt") as temporary:
        temporary.write_bytes(b"new")
    assert living.exists()
    assert other.exists()


SAVE_ON_A_FULL_DISK = """
    import resource, sys
    from twinpath.models.registry import architecture
    from twinpath.weights.load import save_weights
    model = architecture("slowfast_tiny").build()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save_weights(model, sys.argv[1])
    except OSError as error:
        print(error.errno, error)
"""


def test_full_disk_keeps_the_old_file(here: Path) -> None:
    path = here / "w.safetensors"
    save_file({"old.weight": torch.ones(2)}, path)
    process = run_python(SAVE_ON_A_FULL_DISK, path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.startswith(str(errno.EFBIG))
    assert "the old file is kept" in out
    assert read_weights(path).tensors.keys() == {"old.weight"}
    assert [p.name for p in here.iterdir()] == [path.name]


def test_an_error_while_writing_keeps_the_old_file(here: Path) -> None:
    (here / "w.pt").write_bytes(b"old")

    def write_and_fail() -> None:
        with atomic_path(here / "w.pt") as temporary:
            temporary.write_bytes(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert (here / "w.pt").read_bytes() == b"old"
    assert len(list(here.iterdir())) == 1
