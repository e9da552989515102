"""Features of many videos in one file: NumPy's .npz, or Parquet.

features = np.load("features.npz")
features["embedding"], features["video"], features["start_s"], features["end_s"], features["model"]

A file also holds the provenance of its rows, so that a later run adds only the missing videos:

table = FeatureTable.load(Path("features.npz"))
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.errors import InputError, MissingExtra, UsageError
from twinpath.escapes import shown
from twinpath.formats.arrays import open_arrays
from twinpath.paths import display_path
from twinpath.results.facts import MOST_SECONDS
from twinpath.results.provenance import FileFacts, Provenance

Dtype = Literal["float32", "float16"]

SUFFIXES = (".npz", ".parquet")
_COLUMNS = ("video", "start_s", "end_s", "embedding")


def check_target(path: Path) -> None:
    """Check, before any work is done, that the file can be written.

    Raises:
        UsageError: Its suffix is none of `SUFFIXES`.
        MissingExtra: Parquet, and pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"the file of features must end with .npz or .parquet, not {display_path(path)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("Parquet needs pyarrow; install it with: pip install 'twinpath[features]'")


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """The features of one video.

    Attributes:
        starts_s, ends_s: (N,) starts and ends of its clips in seconds.
        embeddings: (N, D) embeddings.
        source: Facts of the video file.
    """

    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    embeddings: NDArray[np.floating]
    source: FileFacts | None

    def __len__(self) -> int:
        return len(self.starts_s)


class FeatureTable:
    """Rows of (video, start, end, embedding) in memory: 9 kB per clip of SlowFast.

    Args:
        run: The provenance of all rows without the videos; its `source` is None.
        dtype: The type of the embeddings in memory and in the file; float16 needs half the space.
    """

    def __init__(self, run: Provenance, dtype: Dtype = "float32") -> None:
        self.run = run
        self.dtype = np.dtype(dtype)
        self._videos: dict[str, FeatureRows] = {}

    def __len__(self) -> int:
        return sum(map(len, self._videos.values()))

    @property
    def videos(self) -> tuple[str, ...]:
        """The videos that have rows, in the order in which they were added."""
        return tuple(self._videos)

    @property
    def dim(self) -> int:
        """D, the length of an embedding; 0 if there are no rows."""
        return next((rows.embeddings.shape[1] for rows in self._videos.values()), 0)

    def rows_of(self, video: str) -> FeatureRows | None:
        """The rows of a video; None if it has none."""
        return self._videos.get(_printable(video))

    def put(
        self,
        video: str,
        spans_s: Sequence[tuple[float, float]],
        embeddings: NDArray[np.floating],
        source: FileFacts | None,
    ) -> None:
        """Set all rows of a video; earlier ones are replaced.

        Args:
            video: The path as given.
            spans_s: Start and end of N clips in seconds, N > 0.
            embeddings: (N, D) embeddings.
            source: Facts of the video file.
        """
        starts_s, ends_s = np.asarray(spans_s, dtype=np.float64).T
        self._videos[_printable(video)] = FeatureRows(starts_s, ends_s, embeddings.astype(self.dtype), source)

    def write(self, path: Path) -> None:
        """Write all rows atomically, in the format of the suffix.

        Raises:
            OSError: The file cannot be written, for example on a full disk; an existing file is kept.
        """
        counts = [len(rows) for rows in self._videos.values()]
        columns = {
            "video": np.repeat(np.asarray(self.videos, dtype=np.str_), counts),
            "start_s": np.concatenate([rows.starts_s for rows in self._videos.values()]),
            "end_s": np.concatenate([rows.ends_s for rows in self._videos.values()]),
            "embedding": np.concatenate([rows.embeddings for rows in self._videos.values()]),
        }
        sources = {video: rows.source and asdict(rows.source) for video, rows in self._videos.items()}
        facts = {"model": self.run.model, "provenance": json.dumps(self.run.to_dict() | {"sources": sources})}
        with atomic_path(path) as temporary:
            if path.suffix == ".npz":
                arrays: dict[str, Any] = columns | {name: np.asarray(text) for name, text in facts.items()}
                with temporary.open("wb") as file:
                    np.savez(file, **arrays)
            else:
                _write_parquet(temporary, columns, facts)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `write` wrote.

        Raises:
            InputError: The file is damaged or has another format.
            OSError: The file does not exist or cannot be read.
        """
        try:
            columns, values = _read_npz(path) if path.suffix == ".npz" else _read_parquet(path)
            return cls._of(columns, values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = shown(str(error))
            raise InputError(f"{display_path(path)} is no valid file of features: {reason}") from error

    @classmethod
    def _of(cls, columns: dict[str, NDArray[Any]], values: Any) -> Self:
        """Raises: ValueError, KeyError, TypeError, AttributeError: these are no features of ours."""
        sources = {video: FileFacts.from_dict(facts) for video, facts in values["sources"].items()}
        names, embeddings = columns["video"], columns["embedding"]
        if embeddings.ndim != 2 or any(len(columns[name]) != len(names) for name in _COLUMNS):
            raise ValueError("its columns have different lengths")
        if embeddings.dtype not in (np.float32, np.float16):
            raise ValueError("its embeddings are no floats")
        table = cls(Provenance.from_dict(values), "float16" if embeddings.itemsize == 2 else "float32")
        borders = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
        for first, last in itertools.pairwise(borders):
            video = str(names[first])
            if video in table._videos:
                raise ValueError("the rows of a video are not together")
            part = slice(first, last)
            table._videos[video] = FeatureRows(
                columns["start_s"][part], columns["end_s"][part], embeddings[part], sources[video]
            )
        return table


def _read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], Any]:
    with open_arrays(path) as arrays:
        columns = {
            name: arrays.numbers(name, "float64", ndim=1, least=0.0, most=MOST_SECONDS)
            for name in ("start_s", "end_s")
        }
        columns["video"] = np.asarray(arrays.texts("video"), dtype=np.str_)
        columns["embedding"] = arrays.floats("embedding", ndim=2)
        return columns, arrays.facts("provenance")


def _read_parquet(path: Path) -> tuple[dict[str, NDArray[Any]], Any]:
    """Raises: ValueError: it is damaged or something else."""
    import pyarrow.parquet

    with path.open("rb") as file:
        try:
            table = pyarrow.parquet.read_table(file)
            table.validate(full=True)
        except OSError as error:  # also of what the file holds
            raise ValueError(str(error)) from error
    embeddings = table["embedding"].combine_chunks()
    columns = {name: table[name].to_numpy() for name in ("start_s", "end_s")}
    columns["video"] = np.asarray(table["video"].to_pylist(), dtype=np.str_)
    columns["embedding"] = embeddings.flatten().to_numpy().reshape(len(embeddings), -1)
    for name in ("start_s", "end_s"):
        if columns[name].dtype != np.float64 or not np.isfinite(columns[name]).all():
            raise ValueError(f"{name} holds values that cannot be")
    return columns, json.loads(table.schema.metadata[b"provenance"])


def _write_parquet(path: Path, columns: dict[str, NDArray[Any]], facts: dict[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    embeddings = columns["embedding"]
    table = pa.table(
        {
            "video": pa.array(columns["video"].tolist()).dictionary_encode(),  # each name once
            "start_s": columns["start_s"],
            "end_s": columns["end_s"],
            "embedding": pa.FixedSizeListArray.from_arrays(embeddings.reshape(-1), embeddings.shape[1]),
        }
    )
    pyarrow.parquet.write_table(table.replace_schema_metadata(facts), path)


def _printable(video: str) -> str:
    """A name in valid UTF-8: bytes that are not UTF-8 become escapes."""
    return video.encode("utf-8", "backslashreplace").decode()
