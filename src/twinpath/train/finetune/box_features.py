"""What the last layer of a detection network sees in the boxes of labelled keyframes; kept on disk.

features = BoxFeatures(open_box_embedder(network, spec, …), spec, model="…", reader=VideoReader())
features.of_video(path, keyframes)     # of each keyframe (P, V, D): people as they are, and mirrored

An entry of the cache is named after the content of a video and of the model, and has one part for each
keyframe: another label computes nothing anew, another box one clip.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.boxes import flipped_boxes
from twinpath.data.labelled.keyframes import LabelledKeyframe
from twinpath.formats.arrays import open_arrays
from twinpath.models.input_spec import InputSpec
from twinpath.paths import cache_dir, display_path
from twinpath.prefetch import Shares, batches
from twinpath.recognize.checkpoint import PeriodicCheckpoint
from twinpath.recognize.inference import batch_is_ready, prefetched_clips, scores_of, size_bytes
from twinpath.recognize.labelled import mirrored
from twinpath.recognize.read import VideoReader
from twinpath.train.finetune.features import content_sha256
from twinpath.video.clip_plan import Keyframes, Selections
from twinpath.video.clips import Clip

if TYPE_CHECKING:
    from twinpath.engine.openvino_engine import OpenVinoEngine
    from twinpath.engine.torch_engine import TorchEngine

logger = logging.getLogger(__name__)


Embeddings = NDArray[np.float32]  # (P, V, D): V = 2 as they are and mirrored, else 1


class BoxFeatures:
    """Embeddings of people in keyframes.

    Args:
        engine: See `open_box_embedder`.
        spec: Its input.
        model: What tells the network from others.
        reader: Reads the videos.
        with_mirrored: Whether people are looked at mirrored, too.
    """

    def __init__(
        self,
        engine: OpenVinoEngine | TorchEngine,
        spec: InputSpec,
        *,
        model: Mapping[str, Any],
        reader: VideoReader,
        with_mirrored: bool = True,
    ) -> None:
        self._views = 2 if with_mirrored else 1
        self._engine, self._spec, self._reader = engine, spec, reader
        self._resize = replace(engine.resize, keep_middle=False)
        self._facts = {
            "model": dict(model),
            "spec": asdict(spec),
            "engine": f"{engine.name} {engine.precision}",
            "fps": reader.fps,
            "views": self._views,
        }

    def of_video(
        self,
        video: Path,
        keyframes: Sequence[LabelledKeyframe],
        on_keyframe: Callable[[int], None] = lambda done: None,
    ) -> list[Embeddings]:
        """(P, V, D) embeddings of the people in each keyframe of a video.

        Args:
            video: The file.
            keyframes: All of this video, each with somebody in it.
            on_keyframe: Called with the number of keyframes done.
        Raises:
            InputError, LimitExceeded, WorkerDied: The file cannot be used; or the network gives no numbers.
        """
        path = self._path(video)
        known = _read(path, self._views, self._engine.num_classes)
        names = [_name(keyframe) for keyframe in keyframes]
        missing = {name: k for name, k in zip(names, keyframes, strict=True) if name not in known}
        on_keyframe(len(keyframes) - len(missing))
        if missing:
            checkpoint = PeriodicCheckpoint(lambda: _write(path, known), lambda: len(known))
            try:
                self._compute(video, missing, known, checkpoint, on_keyframe, total=len(keyframes))
            finally:
                checkpoint.save()
        return [known[name] for name in names]

    def _compute(
        self,
        video: Path,
        missing: dict[str, LabelledKeyframe],
        known: dict[str, Embeddings],
        checkpoint: PeriodicCheckpoint,
        on_keyframe: Callable[[int], None],
        *,
        total: int,
    ) -> None:
        """Adds what is missing to what is known."""
        around = Keyframes(self._spec.num_frames, self._spec.sampling_rate, every_s=1.0)
        plan = Selections(tuple(around.at(keyframe.time_s) for keyframe in missing.values()))
        by_number = list(missing.items())
        done = total - len(missing)
        shares = Shares.of(self._reader.limits.max_bytes)
        with (
            self._reader.open(video, plan, self._resize) as clips,
            prefetched_clips(clips, shares) as prefetched,
        ):
            for batch in batches(
                prefetched,
                self._engine.batch_clips,
                size_bytes=size_bytes,
                max_bytes=shares.batch_bytes,
                is_ready=batch_is_ready(self._engine, prefetched),
            ):
                people = [by_number[clip.number][1].boxes_xyxy_px for clip in batch]
                for clip, embeddings in zip(batch, self._embed(batch, people), strict=True):
                    known[by_number[clip.number][0]] = embeddings
                done += len(batch)
                del batch, clip  # free the frames before the next ones are read
                on_keyframe(done)
                checkpoint.save_if_due()

    def _embed(self, clips: list[Clip], people: list[NDArray[np.float32]]) -> list[Embeddings]:
        """(P, V, D) of each clip."""
        views = [scores_of(self._engine, [clip.frames for clip in clips], people)]
        if self._views > 1:
            flipped = [
                flipped_boxes(boxes, width=_width_px(clip)) for clip, boxes in zip(clips, people, strict=True)
            ]
            views.append(scores_of(self._engine, [mirrored(clip.frames) for clip in clips], flipped))
        return [np.stack(of_clip, axis=1) for of_clip in zip(*views, strict=True)]

    def _path(self, video: Path) -> Path:
        """In the cache."""
        content = content_sha256(video)
        model = hashlib.sha256(json.dumps(self._facts, sort_keys=True).encode()).hexdigest()
        return cache_dir() / "features" / f"boxes-{content[:24]}-{model[:24]}.npz"


def _width_px(clip: Clip) -> int:
    frames = clip.frames
    return frames.shape[2] if isinstance(frames, np.ndarray) else frames.width_px


def _name(keyframe: LabelledKeyframe) -> str:
    """Of a keyframe in the cache: its time and boxes."""
    facts = [round(keyframe.time_s, 6), np.round(keyframe.boxes_xyxy_px, 3).tolist()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(path: Path, views: int, width: int) -> dict[str, Embeddings]:
    """What is in the cache; nothing if it is damaged."""
    try:
        with open_arrays(path) as arrays:
            names, counts = arrays.texts("names"), arrays.numbers("counts", "int64", ndim=1, least=1)
            embeddings = arrays.numbers("embeddings", "float32", ndim=3)
        if embeddings.shape != (counts.sum(), views, width) or len(names) != len(counts):
            raise ValueError("its arrays do not match")
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        logger.warning("%s is not used (%s); it is computed anew", display_path(path), error)
        return {}
    return dict(zip(names, np.split(embeddings, np.cumsum(counts)[:-1]), strict=True))


def _write(path: Path, known: dict[str, Embeddings]) -> None:
    """Where the cache cannot be written, nothing is kept."""
    with suppress(OSError), atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            names=np.array(list(known)),
            counts=np.array([len(e) for e in known.values()], dtype=np.int64),
            embeddings=np.concatenate(list(known.values())),
        )
