"""Embeddings of labelled clips by a frozen network, kept on the disk: computed once for a clip and a model.

    $TWINPATH_HOME/features/MODEL/CLIP.npy      both names are hashes: of all that the numbers depend on

A clip is told by the content of its file and its span, so that files may be moved and renamed. What is
damaged there is computed anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.data.labelled.clip import LabelledClip
from twinpath.engine.base import Engine
from twinpath.errors import INPUT_FAILURES, InputError
from twinpath.jobs.batch import input_failure
from twinpath.paths import cache_dir
from twinpath.recognize.labelled import LabelledReader
from twinpath.video.frame_folder import find_sequence, frames_folder
from twinpath.weights.hashes import known_sha256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """Embeddings of the clips that could be read.

    Attributes:
        clips: Those, in order.
        features: (N, V, D) float32: of V views of each.
        as_they_are: (N, V', D): those of the views that are not mirrored.
        failed: The others, with the reason.
        computed: How many were not on the disk.
    """

    clips: tuple[LabelledClip, ...]
    features: NDArray[np.float32]
    as_they_are: NDArray[np.float32]
    failed: tuple[tuple[LabelledClip, Exception], ...] = ()
    computed: int = 0


def clip_features(
    clips: Sequence[LabelledClip],
    load: Callable[[], Engine],
    reader: LabelledReader,
    *,
    model: Mapping[str, Any],
    progress: Progress | None = None,
) -> ClipFeatures:
    """Embeddings of the views of labelled clips, from the disk where they are there.

    Args:
        clips: The clips.
        load: Gives an engine for the output "embed"; called once, if a clip is not on the disk.
        reader: Reads their views.
        model: What tells the network and its weights, as JSON values.
        progress: Called with how many clips are done, and of all.
    """
    kept = _FeatureStore(reader, model)
    found = {clip: kept.read(clip) for clip in clips}
    missing = [clip for clip, features in found.items() if features is None]
    failed: list[tuple[LabelledClip, Exception]] = []
    done = len(clips) - len(missing)
    if progress is not None:
        progress(done, len(clips))
    for scored in reader.infer(load(), missing) if missing else ():
        clip = scored.key
        if scored.error is not None:
            failed.append((clip, input_failure(scored.error, clip.path)))
        else:
            kept.write(clip, computed := np.concatenate(scored.scores))
            found[clip] = computed
        done += 1
        if progress is not None:
            progress(done, len(clips))
    read = tuple(clip for clip in clips if found[clip] is not None)
    embedded = [one for clip in clips if (one := found[clip]) is not None]
    features = np.stack(embedded) if embedded else np.zeros((0, kept.rows, 0), dtype=np.float32)
    plain = features
    if reader.with_mirrored:  # each view is followed by its mirror image
        by_view = features.reshape(len(read), reader.views.time, 2, reader.views.space, -1)
        plain = by_view[:, :, 0].reshape(len(read), kept.rows // 2, -1)
    return ClipFeatures(read, features, plain, tuple(failed), len(missing) - len(failed))


class _FeatureStore:
    """The embeddings on the disk of one model and one choice of views."""

    def __init__(self, reader: LabelledReader, model: Mapping[str, Any]) -> None:
        key = {
            "model": dict(model),
            "spec": asdict(reader.spec),
            "views": str(reader.views),
            "with_mirrored": reader.with_mirrored,
            "fps": reader.reader.fps,
            "format": 1,
        }
        self._folder = cache_dir() / "features" / _hash(key)[:24]
        self.rows = reader.views_per_clip * reader.views.space

    def read(self, clip: LabelledClip) -> NDArray[np.float32] | None:
        """(V, D), or None where they are not there, damaged, or the file cannot be read."""
        try:
            features = np.load(self._path(clip), allow_pickle=False)
        except (OSError, ValueError, EOFError, *INPUT_FAILURES):
            return None
        if features.dtype != np.float32 or features.ndim != 2 or len(features) != self.rows:
            return None
        return features  # type: ignore[no-any-return]

    def write(self, clip: LabelledClip, features: NDArray[np.float32]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(clip)) as temporary, temporary.open("wb") as file:
            np.save(file, features.astype(np.float32), allow_pickle=False)

    def _path(self, clip: LabelledClip) -> Path:
        key = {"content": content_sha256(clip.path), "span": [clip.start_s, clip.end_s], "clock": clip.clock}
        return self._folder / f"{_hash(key)[:32]}.npy"


def content_sha256(path: Path) -> str:
    """A hash of the bytes of a video, or of the names and bytes of its frames.

    Raises:
        OSError, InputError: It cannot be read.
    """
    if frames_folder(path) is None:
        return known_sha256(path)
    try:
        pictures = find_sequence(path).paths
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return _hash([[picture.name, known_sha256(picture)] for picture in pictures])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
