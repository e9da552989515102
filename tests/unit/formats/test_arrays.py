"""Arrays of an earlier run: nothing is allocated on the word of a file."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from twinpath.formats.arrays import open_arrays


def saved(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


def packed(path: Path, header: str, content: bytes = b"", *, kind: int = zipfile.ZIP_STORED) -> Path:
    """An array called "a" with a header written by hand."""
    text = header.encode()
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content)
    return path


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    numbers = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    path = saved(tmp_path / "a.npz", n=numbers, t=["a", "ü"], f='{"x": 1}', none=np.zeros((0, 4), np.float32))
    with open_arrays(path) as arrays:
        assert (arrays.numbers("n", "float64", ndim=2, least=0, most=5) == numbers).all()
        assert arrays.numbers("none", "float32", ndim=2).shape == (0, 4)
        assert arrays.texts("t") == ("a", "ü")
        assert arrays.facts("f") == {"x": 1}


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 5.5])
def test_values_that_cannot_be(tmp_path: Path, value: float) -> None:
    path = saved(tmp_path / "a.npz", n=[0.0, value])
    with pytest.raises(ValueError, match="cannot be"), open_arrays(path) as arrays:
        arrays.numbers("n", "float64", ndim=1, least=0, most=5)


@pytest.mark.parametrize("other", [np.zeros(3, np.float32), np.zeros((3, 1)), np.zeros(3, "M8[s]"), ["x"]])
def test_arrays_of_another_kind(tmp_path: Path, other: object) -> None:
    path = saved(tmp_path / "a.npz", n=other)
    with pytest.raises(ValueError, match="of shape"), open_arrays(path) as arrays:
        arrays.numbers("n", "float64", ndim=1)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        "{'descr': '<U999999999', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': 'x', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1.5,), }\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 300 + ")" * 300 + ", }\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3" + " " * 60_000 + ",), }\n",
        "{'descr': '<f8',\n",
        "",
    ],
)
def test_headers_that_lie(tmp_path: Path, header: str) -> None:
    path = packed(tmp_path / "a.npz", header, b"\0" * 8)
    tracemalloc.start()
    with pytest.raises(ValueError), open_arrays(path) as arrays:  # noqa: PT011 - each has its own words
        arrays.texts("a")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_packed_array_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (8000000,), }\n"
    path = packed(tmp_path / "a.npz", header, b"\0" * 64_000_000, kind=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(ValueError, match="not stored as it was written"), open_arrays(path) as arrays:
        arrays.numbers("a", "float64", ndim=1)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\xff" * 18])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError), open_arrays(path):  # noqa: PT011 - each has its own words
        pass


def test_a_changed_byte_and_a_missing_array(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", n=np.zeros(100))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(ValueError, match="no item named"), open_arrays(path) as arrays:
        arrays.texts("m")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="CRC"), open_arrays(path) as arrays:
        arrays.numbers("n", "float64", ndim=1)


def test_facts_that_nest_too_deeply(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", f="[" * 5000)
    with pytest.raises(ValueError, match="nested too deeply"), open_arrays(path) as arrays:
        arrays.facts("f")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_arrays(tmp_path / "none.npz"):
        pass
