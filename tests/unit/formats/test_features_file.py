"""Features in files: written, read back, and refused where they are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import InputError, MissingExtra, UsageError
from twinpath.formats.features import FeatureTable, check_target
from twinpath.results.provenance import FileFacts, Provenance

RUN = Provenance.of(None, model="some.model", settings={"every_s": None})
FACTS = FileFacts(5, 1.5, "hash")


def table(dtype: str = "float32") -> FeatureTable:
    made = FeatureTable(RUN, dtype)  # type: ignore[arg-type]
    for video, count in (("b.mp4", 1), ("bad\udce9.mp4", 1), ("b.mp4", 2)):  # the later rows of b.mp4 count
        embeddings = np.arange(4, dtype=np.float32) + np.arange(count)[:, None]
        made.put(video, [(float(k), k + 1.5) for k in range(count)], embeddings, FACTS)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_npz_needs_no_pickle(dtype: str, tmp_path: Path) -> None:
    assert (len(table()), table().dim, table().videos) == (3, 4, ("b.mp4", "bad\\udce9.mp4"))
    table(dtype).write(tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert set(file) == {"embedding", "video", "start_s", "end_s", "model", "provenance"}
        assert file["embedding"].dtype == dtype
        assert file["embedding"].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3]]
        assert file["video"].tolist() == ["b.mp4", "b.mp4", "bad\\udce9.mp4"]
        assert file["start_s"].tolist() == [0, 1, 0]
        assert file["end_s"].tolist() == [1.5, 2.5, 1.5]
        assert file["model"] == "some.model"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parquet(dtype: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table(dtype).write(tmp_path / "f.parquet")
    read = parquet.read_table(tmp_path / "f.parquet")
    assert read.column_names == ["video", "start_s", "end_s", "embedding"]
    assert read["embedding"].to_pylist() == [[0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3]]
    assert read["video"].to_pylist() == ["b.mp4", "b.mp4", "bad\\udce9.mp4"]
    assert read.schema.metadata[b"model"] == b"some.model"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_what_was_written_is_read_back(suffix: str, dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / f"f{suffix}"
    table(dtype).write(path)
    read = FeatureTable.load(path)
    assert (read.run, read.dtype, read.videos) == (RUN, np.dtype(dtype), table().videos)
    rows = read.rows_of("bad\udce9.mp4")
    assert rows is not None
    assert (rows.starts_s.tolist(), rows.ends_s.tolist(), rows.source) == ([0], [1.5], FACTS)
    assert rows.embeddings.tolist() == [[0, 1, 2, 3]]
    assert read.rows_of("none.mp4") is None
    read.write(tmp_path / f"again{suffix}")
    assert FeatureTable.load(tmp_path / f"again{suffix}").videos == read.videos


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("size", [0, 100, -10])
def test_a_damaged_or_foreign_file_is_an_error(suffix: str, size: int, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / f"f{suffix}"
    table().write(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="is no valid file of features"):
        FeatureTable.load(path)
    np.savez(tmp_path / "other.npz", embedding=np.zeros((2, 3)), video=np.zeros(2), start_s=0, end_s=0)
    with pytest.raises(InputError, match="is no valid file of features"):
        FeatureTable.load(tmp_path / "other.npz")


def test_a_target_is_looked_at_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    check_target(Path("f.npz"))
    with pytest.raises(UsageError, match=r"must end with \.npz or \.parquet"):
        check_target(Path("f.csv"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[features\]'"):
        check_target(Path("f.parquet"))
