"""Where libraries keep their files when a command runs."""

import os

from twinpath.cli.library_caches import keep_in_cache

NAMES = ("TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR")


def named(monkeypatch, cache):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("TWINPATH_HOME", str(cache))
    keep_in_cache()
    return [os.environ.get(name) for name in NAMES]


def test_in_the_cache_and_nothing_is_made(tmp_path, monkeypatch):
    cache = tmp_path / "new" / "cache"
    assert named(monkeypatch, cache) == [str(cache / "inductor"), str(cache / "matplotlib")]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_the_user_names_stays(tmp_path, monkeypatch):
    named(monkeypatch, tmp_path)
    monkeypatch.setenv("MPLCONFIGDIR", "/mine")
    keep_in_cache()
    assert os.environ["MPLCONFIGDIR"] == "/mine"


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert named(monkeypatch, tmp_path) == [None, None]
