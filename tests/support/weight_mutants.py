"""Changes weight files of every format and sees how loading them ends.

    python -m tests.support.weight_mutants --count 20000 --seed 1

Each mutant is made from the seed and its number alone: bytes are changed blindly, or instructions of a
pickle, members of an archive and entries of a header are changed with their lengths and checksums made
right again, which reaches deeper. Each is read, converted to our names and loaded into a network, in a
process of its own with limits. Allowed is a load that holds together, or one of our errors. Anything else is
a find: another exception, a crash, more time or memory than there is. Its file is kept, and the command that
tries it again is printed:

    python -m tests.support.weight_mutants --seed 1 --only 4711      # this mutant, made anew
    python -m tests.support.weight_mutants --file FILE               # a file that was kept
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import pickle
import pickletools
import resource
import select
import shlex
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from tests.support.byte_changes import flip_bits, overwrite, remove, repeat, splice, swap_chunks, truncate
from twinpath.errors import WeightsError
from twinpath.escapes import printable
from twinpath.models.registry import architecture
from twinpath.weights.load import load_weights

MEMORY_BYTES = 1 << 28  # beyond what the process has when it begins; the files have less than 200 kB
ADDRESSES_BYTES = 1 << 30
CPU_S = 8
WALL_S = 40.0  # on a busy machine
AT_ONCE = 10  # in one process; where something is found, each is tried again in its own
ENOUGH = 20  # findings; then something is wrong that shows in every file
MOST_LETTERS = 1200  # of a message

Random = np.random.Generator
Change = Callable[[Random, bytes, bytes], bytes]  # of a file, with a second one to take from


def originals() -> list[bytes]:
    """Files of every format, with what is found beside weights in the world. The same bytes each time."""
    tensors = _tensors()
    checkpoint = {
        "epoch": 3,
        "best": np.float64(0.5),
        "cfg": "DETECTION:\n  ALIGNED: true\n",
        "model_state": OrderedDict((f"module.{name}", tensor) for name, tensor in tensors.items()),
        "optimizer_state": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    }
    wide = {
        "a": torch.zeros(1).expand(40),
        "b": torch.arange(12.0).reshape(3, 4).t(),
        "c": torch.ones(()) / 3,
    }
    kinds = {
        "half": torch.ones(5, dtype=torch.float16),
        "brain": torch.ones(5, dtype=torch.bfloat16),
        "float8": torch.ones(5).to(torch.float8_e4m3fn),
        "count": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    }
    arrays = {
        "blobs": {f"{name}_w": tensor.numpy() for name, tensor in tensors.items()} | {"lr": np.float32(1)}
    }
    files = [_torch(tensors), _torch(checkpoint), _torch(wide), _torch(kinds)]
    files += [_legacy_torch(checkpoint), _legacy_torch(tensors)]
    files += [safetensors.torch.save(tensors, {"architecture": "slowfast_tiny"})]
    files += [pickle.dumps(arrays, protocol=protocol) for protocol in (0, 1, 2, 4, 5)]
    files += [gzip.compress(data, 1, mtime=0) for data in (files[0], files[4], files[6], files[9])]
    return files


def network() -> torch.nn.Module:
    """What the files are loaded into: a part of a small network, with names of ours."""
    torch.manual_seed(0)
    whole = architecture("slowfast_tiny").build(num_classes=3, width=2)
    part, slow = torch.nn.Module(), torch.nn.Module()
    slow.stem, slow.res2 = whole.slow.stem, whole.slow.res2
    part.slow, part.head = slow, whole.head
    return part


def _tensors() -> dict[str, torch.Tensor]:
    state = network().state_dict()
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _torch(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _legacy_torch(content: Any) -> bytes:
    """As torch before 1.6 wrote it; `torch.save` names and orders the storages by their addresses."""
    file = io.BytesIO()
    storages: dict[int, tuple[str, Any]] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, torch.storage.TypedStorage):
                return None
            address = value._untyped_storage.data_ptr()
            key = storages.setdefault(address, (str(len(storages)), value))[0]
            return ("storage", torch.FloatStorage, key, "cpu", value._untyped_storage.nbytes() // 4)

    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    for part in (0x1950A86A20F9469CFC6C, 1001, system, content):
        Pickler(file, protocol=2).dump(part)
    pickle.dump([key for key, _ in storages.values()], file, protocol=2)
    for _, storage in storages.values():
        values = torch.tensor([], dtype=torch.float32).set_(storage).numpy()
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
    return file.getvalue()


# Ways to change a file without knowing its format.


def _blind(change: Callable[..., np.ndarray]) -> Change:
    def changed(rng: Random, data: bytes, other: bytes) -> bytes:
        return change(rng, _array(data), _array(other)).tobytes() if data else data

    return changed


def _array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


# And with knowing it. Each gives the file unchanged where it has no such thing.


def change_pickle(rng: Random, data: bytes, other: bytes) -> bytes:
    """One to three instructions of the pickle, in an archive with a right checksum."""
    if data.startswith(b"\x1f\x8b"):
        return _in_gzip(rng, data, other, change_pickle)
    if not data.startswith(b"PK"):
        return _changed_pickle(rng, data)
    members = _members(data)
    for i, (name, content) in enumerate(members):
        if name.endswith("data.pkl"):
            members[i] = (name, _changed_pickle(rng, content))
    return _archive(rng, members) if members else data


def _changed_pickle(rng: Random, data: bytes) -> bytes:
    for _ in range(rng.integers(1, 4)):
        places = _places(data)
        if len(places) < 3:
            return data
        i = int(rng.integers(1, len(places) - 1))
        at, end = places[i], places[i + 1]
        kind = rng.integers(6)
        if kind == 0:  # leave one out
            data = data[:at] + data[end:]
        elif kind == 1:  # twice
            data = data[:end] + data[at:end] + data[end:]
        elif kind == 2:  # from elsewhere in the file
            j = int(rng.integers(1, len(places) - 1))
            data = data[:at] + data[places[j] : places[j + 1]] + data[end:]
        elif kind == 3 and end - at > 1:  # another argument
            changed = bytearray(data[at:end])
            changed[int(rng.integers(1, len(changed)))] = int(rng.choice(_BYTES))
            data = data[:at] + bytes(changed) + data[end:]
        elif kind == 4:  # another number in place of one
            numbers = [n for n in range(1, len(places) - 1) if data[places[n]] in b"KMJI"]
            if numbers:
                n = int(rng.choice(numbers))
                number = int(rng.choice(_NUMBERS))
                data = data[: places[n]] + _pushed(number) + data[places[n + 1] :]
        else:
            piece = _PIECES[int(rng.integers(len(_PIECES)))]
            data = data[:at] + piece + data[at:]
    return data


def _places(data: bytes) -> list[int]:
    """Where instructions begin."""
    found = []
    try:
        for _, _, at in pickletools.genops(data):
            found.append(at or 0)
            if len(found) > 20_000:
                break
    except (ValueError, IndexError, KeyError, struct.error, OverflowError):
        pass
    return found


def _pushed(number: int) -> bytes:
    """The instruction that pushes a number."""
    size = (number.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + number.to_bytes(size, "little", signed=True)


_BYTES = (0, 1, 2, 0x2E, 0x30, 0x7F, 0x80, 0xFF, *b"().0NRbtuseacQhq]}")
_NUMBERS = (0, 1, -1, 2, 3, 255, 65536, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), 2**100)
_SIZES = (0, 1, 2**16, 2**31 - 1, 2**32 - 1)
_LONG_SIZES = (2**32, 2**33, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
_PIECES: tuple[bytes, ...] = (
    *(code + struct.pack("<I", size) for code in (b"B", b"T", b"X", b"\x8b", b"j", b"r") for size in _SIZES),
    *(
        code + struct.pack("<Q", size)
        for code in (b"\x8e", b"\x8d", b"\x96", b"\x95")
        for size in _LONG_SIZES
    ),
    b")" + b"2\x86" * 60 + b"Ns",  # a key that takes for ever to hash
    b")" + b"2\x86" * 60,
    b"]" + b"2a" * 50,
    b"]" * 2000,
    b"(" * 3000 + b"t" * 3000,
    b"}" + b"2s" * 20,
    b"N" * 5000,
    b"2" * 100_000,
    b"cos\nsystem\n(X\x04\x00\x00\x00truetR",
    b"cbuiltins\neval\n(X\x01\x00\x00\x001tR",
    b"cpathlib\nPosixPath\n(X\x01\x00\x00\x00atR",
    b"cnumpy\ndtype\n(]2a2ataR",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R",
    b"ctorch._utils\n_rebuild_sparse_tensor\n(NNtR",
    b"c__main__\nNet\n)R}b",
    b"c_codecs\nencode\n(X\x03\x00\x00\x00abcX\x06\x00\x00\x00latin1tR",
    b"\x8c\x05torch\x8c\x06Tensor\x93)\x81}b",
    b"Q",
    b"Pabc\n",
    b"\x82\x01",
    b"\x97",
    b"\x98",
    b"o",
    b"ios\nsystem\n",
    b"\x92",
    b"\x91",
    b"(\x90",
    b"I" + b"9" * 5000 + b"\n",
    b"F1e400\n",
    b"Fnan\n",
    b"S'" + b"\\" * 99 + b"'\n",
    b"V\\ud800\n",
    b"X\x02\x00\x00\x00\x1b[",
    b"\x80\xff",
    b".",
)


def change_header(rng: Random, data: bytes, other: bytes) -> bytes:
    """An entry of a safetensors header."""
    if data.startswith(b"\x1f\x8b"):
        return _in_gzip(rng, data, other, change_header)
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        return data
    if not isinstance(header, dict) or len(header) < 2 or data[8:9] != b"{":
        return data
    names = list(header)
    name = names[int(rng.integers(len(names)))]
    entry = header[name]
    text = None
    kind = rng.integers(7)
    if kind == 0 and isinstance(entry, dict):
        entry["dtype"] = str(rng.choice(["F64", "F16", "I8", "BOOL", "F8_E4M3", "C64", "F4", "U64", "x", ""]))
    elif kind == 1 and isinstance(entry, dict):
        entry["shape"] = [int(n) for n in rng.choice(_NUMBERS[:-1], rng.integers(0, 6))]
    elif kind == 2 and isinstance(entry, dict):
        entry["data_offsets"] = [int(n) for n in rng.choice(_NUMBERS[:-1], rng.integers(0, 4))]
    elif kind == 3:
        header[name] = json.loads(
            str(rng.choice(["null", "1", '"a"', "[]", "{}", '{"dtype": 3}', "[[[[]]]]"]))
        )
    elif kind == 4:
        header[f"{name}\x1b[31m\n"] = header.pop(name)
    elif kind == 5:
        text = json.dumps(header)[:-1] + f", {json.dumps(name)}: {json.dumps(entry)}}}"
    else:
        header[names[0]] = entry
    raw = (text or json.dumps(header)).encode()
    claimed = len(raw) if rng.random() < 0.9 else int(rng.choice([0, 1, 7, 10**8, 2**31, 2**63]))
    return struct.pack("<Q", claimed) + raw + data[8 + length :]


def change_members(rng: Random, data: bytes, other: bytes) -> bytes:
    """Members of an archive: left out, twice, swapped, renamed, emptied, joined by others."""
    members = _members(data)
    if len(members) < 2:
        return data
    i, j = (int(n) for n in rng.integers(len(members), size=2))
    name, content = members[i]
    kind = rng.integers(8)
    if kind == 0:
        del members[i]
    elif kind == 1:
        members.append((name, content))
    elif kind == 2:
        members[i], members[j] = (name, members[j][1]), (members[j][0], content)
    elif kind == 3:
        members[i] = (
            str(rng.choice(["", "/", "../a", "data.pkl", "a/data.pkl", "a\x1b\n", "x" * 5000])),
            content,
        )
    elif kind == 4:
        members[i] = (name, b"")
    elif kind == 5:
        members[i] = (name, content[: int(rng.integers(len(content) + 1))])
    elif kind == 6:
        members.append(
            (str(rng.choice(["code/a.py", "constants.pkl", "a/byteorder", "archive/byteorder"])), b"big")
        )
    else:
        members[i] = (name, content * int(rng.integers(2, 20)))
    return _archive(rng, members)


def change_directory(rng: Random, data: bytes, _: bytes) -> bytes:
    """A number in the table of contents of an archive."""
    signature = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x03\x04")[rng.integers(5)]
    at = data.find(signature, int(rng.integers(len(data)))) if data else -1
    at = data.rfind(signature) if at < 0 else at
    if at < 0:
        return data
    size = int(rng.choice([1, 2, 4, 8]))
    field = (int(rng.choice(_NUMBERS)) % (1 << 8 * size)).to_bytes(size, "little")
    where = at + 4 + int(rng.integers(0, 48))
    return data[:where] + field + data[where + size :]


def pack(rng: Random, data: bytes, _: bytes) -> bytes:
    """Gzipped, once more."""
    return gzip.compress(data, 1, mtime=0)


def _in_gzip(rng: Random, data: bytes, other: bytes, change: Change) -> bytes:
    try:
        inner = gzip.decompress(data)
    except (EOFError, OSError, zlib.error):
        return data
    return gzip.compress(change(rng, inner, other), 1, mtime=0)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, EOFError, ValueError, OSError, NotImplementedError, RuntimeError, zlib.error):
        return []


def _archive(rng: Random, members: Sequence[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    how = zipfile.ZIP_STORED if rng.random() < 0.95 else zipfile.ZIP_DEFLATED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that are there twice
        with zipfile.ZipFile(file, "w", how) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name or "x"), content, how)
    return file.getvalue()


CHANGES: tuple[Change, ...] = (
    *map(_blind, (flip_bits, overwrite, truncate, remove, repeat, splice, swap_chunks)),
    change_directory,
    *(change_pickle,) * 7,
    *(change_members,) * 2,
    *(change_header,) * 2,
    pack,
)


def mutant(files: list[bytes], *, seed: int, number: int) -> bytes:
    """One to four changes of one of the files."""
    rng = np.random.default_rng([seed, number])
    data = files[rng.integers(len(files))]
    for change in rng.choice(len(CHANGES), rng.integers(1, 5)):
        data = CHANGES[change](rng, data, files[rng.integers(len(files))])
        if not data:
            break
    return data


@dataclass(frozen=True)
class Outcome:
    """How loading one mutant ended.

    Attributes:
        end: "loaded", or the name of an error. `WeightsMismatch`: it was read, and does not fit the network.
        finding: What must not be, or None.
    """

    end: str
    finding: str | None


def examine(path: Path, model: torch.nn.Module) -> Outcome:
    """Load a file in a process of its own, with limits on memory and time."""
    began_s = time.monotonic()
    outcomes, code = _examine_all([path], model)
    if outcomes:
        return outcomes[0]
    return Outcome("crashed", f"the process ended with {code} after {time.monotonic() - began_s:.1f} s")


def examine_several(paths: Sequence[Path], model: torch.nn.Module) -> list[Outcome]:
    """The same for several files in one process; those that it did not end well with, each in its own."""
    outcomes, _ = _examine_all(paths, model)
    outcomes += [Outcome("crashed", "not tried yet")] * (len(paths) - len(outcomes))
    return [examine(path, model) if o.finding else o for path, o in zip(paths, outcomes, strict=True)]


def _examine_all(paths: Sequence[Path], model: torch.nn.Module) -> tuple[list[Outcome], int]:
    """The outcomes until the process ended, and its exit code."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _in_child(writer, paths, model)
    os.close(writer)
    answer, latest_s = b"", time.monotonic()
    while select.select([reader], [], [], max(0.0, latest_s + WALL_S - time.monotonic()))[0]:
        piece = os.read(reader, 1 << 16)
        if not piece:
            break
        answer, latest_s = answer + piece, time.monotonic()
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    lines = answer.decode().split("\n")[:-1]
    return [Outcome(**json.loads(line)) for line in lines], os.waitstatus_to_exitcode(status)


def _in_child(writer: int, paths: Sequence[Path], model: torch.nn.Module) -> None:
    """Never returns."""
    _limit_memory()
    for path in paths:
        outcome = Outcome("crashed", "no answer")
        try:
            used_s = int(time.process_time()) + CPU_S
            resource.setrlimit(resource.RLIMIT_CPU, (used_s, resource.RLIM_INFINITY))
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome = _load(path, model)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) << 10
            if grown > MEMORY_BYTES:
                outcome = Outcome(outcome.end, f"took {grown >> 20} MiB; it ended with {outcome.end}")
        except BaseException as error:  # noqa: BLE001 - what is searched for
            outcome = Outcome(type(error).__name__, f"{type(error).__name__}: {error}"[:2000])
        os.write(writer, json.dumps(vars(outcome)).encode() + b"\n")
    os._exit(0)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDRESSES_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load(path: Path, model: torch.nn.Module) -> Outcome:
    warnings.simplefilter("error")
    try:
        report = load_weights(model, path)
    except WeightsError as error:
        message = str(error)
        if type(error) is WeightsError or path.name not in message or printable(message) != message:
            found = f"not one printable line with the name: {type(error).__name__}: {message!r}"
        elif len(message) > MOST_LETTERS or "MemoryError" in message:
            found = f"{type(error).__name__}: {message}"
        else:
            return Outcome(type(error).__name__, None)
        return Outcome(type(error).__name__, found[:2000])
    assert report.loaded > 0
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    return Outcome("loaded", None)


def run(numbers: range, *, seed: int, keep: Path) -> Iterator[tuple[int, Outcome]]:
    """Make, examine and forget the mutants of these numbers; keep those with a finding, in `keep`."""
    torch.set_num_threads(1)  # a process that is forked must not wait for threads that it does not have
    files, model = originals(), network()
    with tempfile.TemporaryDirectory(prefix="twinpath-weights-") as folder:
        _warm_up(files, model, Path(folder))
        for first in range(numbers.start, numbers.stop, AT_ONCE):
            some = range(first, min(first + AT_ONCE, numbers.stop))
            paths = [Path(folder) / _name(seed, number) for number in some]
            for path, number in zip(paths, some, strict=True):
                path.write_bytes(mutant(files, seed=seed, number=number))
            outcomes = examine_several(paths, model)
            for path, number, outcome in zip(paths, some, outcomes, strict=True):
                if outcome.finding:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / path.name).write_bytes(path.read_bytes())
                path.unlink()
                yield number, outcome


def _warm_up(files: list[bytes], model: torch.nn.Module, folder: Path) -> None:
    """Load the originals here: what is imported and compiled on first use need not be so in every process."""
    for i, data in enumerate(files):
        path = folder / f"original-{i}"
        path.write_bytes(data)
        with contextlib.suppress(WeightsError):
            load_weights(model, path)


def _name(seed: int, number: int) -> str:
    return f"weights-{seed}-{number}.pt"


def describe(number: int, outcome: Outcome, *, seed: int, keep: Path) -> str:
    """A finding, and how to see it again."""
    again = shlex.join([sys.executable, "-m", "tests.support.weight_mutants"])
    return (
        f"mutant {number} of seed {seed}: {outcome.finding}\n"
        f"  {again} --seed {seed} --only {number}\n"
        f"  {again} --file {shlex.quote(str(keep / _name(seed, number)))}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; gives the exit code: 1 where something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="only the mutant of this number")
    parser.add_argument("--file", type=Path, help="a file, in place of mutants")
    parser.add_argument("--keep", type=Path, default=Path("build/mutants"), help="where findings are kept")
    wanted = parser.parse_args(argv)
    if wanted.count < 1:
        parser.error("--count: one mutant at least")
    if wanted.file:
        outcome = examine(wanted.file, network())
        print(outcome.end, outcome.finding or "", sep="\n")
        return int(outcome.finding is not None)
    from twinpath.cli.progress import BatchBar

    numbers = range(wanted.count) if wanted.only is None else range(wanted.only, wanted.only + 1)
    ends: Counter[str] = Counter()
    findings = done = 0
    began_s = time.monotonic()
    outcomes = run(numbers, seed=wanted.seed, keep=wanted.keep)
    for number, outcome in BatchBar("weights", total=len(numbers)).over(outcomes):
        ends[outcome.end] += 1
        done += 1
        if outcome.finding:
            findings += 1
            print(describe(number, outcome, seed=wanted.seed, keep=wanted.keep), flush=True)
            if findings == ENOUGH:
                break
    print(f"{done} mutants of weights in {time.monotonic() - began_s:.0f} s, {findings} findings")
    print("each ended with: " + ", ".join(f"{end} {count}" for end, count in ends.most_common()))
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
