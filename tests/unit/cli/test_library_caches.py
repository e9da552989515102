"""Where libraries keep their files when a command runs."""

import os

from twinpath.cli.library_caches import keep_in_cache

NAMES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR")


def named(monkeypatch, cache):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWINPATH_HOME", str(cache))
    keep_in_cache()
    return [os.environ.get(name) for name in NAMES]


def test_in_the_cache_and_nothing_is_made(tmp_path, monkeypatch):
    cache = tmp_path / "new" / "cache"
    folders = [str(cache / name) for name in ("inductor", "triton", "numba", "matplotlib")]
    assert named(monkeypatch, cache) == folders
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_the_user_names_stays(tmp_path, monkeypatch):
    named(monkeypatch, tmp_path)
    for name in ("MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "/mine")
    keep_in_cache()
    assert os.environ["MPLCONFIGDIR"] == os.environ["NUMBA_CACHE_DIR"] == "/mine"


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert named(monkeypatch, tmp_path) == [None] * len(NAMES)
