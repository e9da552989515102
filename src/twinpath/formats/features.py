"""Features of many videos, and the file they go to: NumPy's .npz, or Parquet.

features = np.load("features.npz")
features["embedding"], features["video"], features["start_s"], features["end_s"], features["model"]
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import MissingExtra, UsageError
from twinpath.results.features import Feature

Dtype = Literal["float32", "float16"]

SUFFIXES = (".npz", ".parquet")


def check_target(path: Path) -> None:
    """Find out before the work whether the file can be written.

    Raises:
        UsageError: Its name ends in neither of `SUFFIXES`.
        MissingExtra: Parquet, and pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--out {path}: features go to a file called something.npz or something.parquet")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingExtra("Parquet needs pyarrow; install it with: pip install 'twinpath[features]'")


class FeatureTable:
    """Rows of (video, start, end, embedding), held until they are written: 9 kB a clip of SlowFast.

    Args:
        model: What made them.
        dtype: How numbers of embeddings are held and written; float16 takes half the room.
    """

    def __init__(self, model: str, dtype: Dtype = "float32") -> None:
        self.model = model
        self.dtype = np.dtype(dtype)
        self._rows: dict[str, list[Feature]] = {}

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    @property
    def videos(self) -> tuple[str, ...]:
        """Those that have rows, in the order they came."""
        return tuple(video for video, rows in self._rows.items() if rows)

    @property
    def dim(self) -> int:
        """D, the length of an embedding."""
        return len(self._rows[self.videos[0]][0].embedding)

    def add(self, video: str, feature: Feature) -> None:
        """Put a row behind the others of its video."""
        embedding = feature.embedding.astype(self.dtype)
        self._rows.setdefault(video, []).append(feature._replace(embedding=embedding))

    def forget(self, video: str) -> None:
        """Take a video out, which failed midway."""
        self._rows.pop(video, None)

    def write(self, path: Path) -> None:
        """Write all rows, in the format that the suffix names."""
        rows = [feature for video in self.videos for feature in self._rows[video]]
        videos = [_printable(video) for video in self.videos for _ in self._rows[video]]
        embeddings = np.stack([row.embedding for row in rows])
        starts_s = np.asarray([row.start_s for row in rows])
        ends_s = np.asarray([row.end_s for row in rows])
        if path.suffix == ".npz":
            with path.open("wb") as file:
                np.savez(
                    file,
                    embedding=embeddings,
                    video=np.asarray(videos),
                    start_s=starts_s,
                    end_s=ends_s,
                    model=np.asarray(self.model),
                )
        else:
            _write_parquet(path, embeddings, videos, starts_s, ends_s, self.model)


def _write_parquet(
    path: Path,
    embeddings: NDArray[np.floating],
    videos: Sequence[str],
    starts_s: NDArray[np.float64],
    ends_s: NDArray[np.float64],
    model: str,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table(
        {
            "video": pa.array(videos).dictionary_encode(),  # each name once
            "start_s": starts_s,
            "end_s": ends_s,
            "embedding": pa.FixedSizeListArray.from_arrays(embeddings.reshape(-1), embeddings.shape[1]),
        }
    )
    pyarrow.parquet.write_table(table.replace_schema_metadata({"model": model}), path)


def _printable(video: str) -> str:
    """A name that any program can read: bytes that are no text are written as escapes."""
    return video.encode("utf-8", "backslashreplace").decode()
