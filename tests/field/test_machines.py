"""Cases from the field: the machine, its disks and who starts Twinpath there. Numbers as in README.md."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from twinpath.locks import exclusive, open_locked


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:  # 29
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with exclusive(tmp_path / "out.npz"):
        (tmp_path / "out.npz").write_bytes(b"features")
    with open_locked(tmp_path / "results.jsonl") as file:
        file.write(b"{}\n")
    assert (tmp_path / "results.jsonl").read_bytes() == b"{}\n"


def test_another_error_of_a_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # 29
    fcntl = pytest.importorskip("fcntl")

    def flock(*_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"), exclusive(tmp_path / "out.npz"):
        pass
