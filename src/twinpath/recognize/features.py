"""What a network sees in a video, as numbers for other programs: the FeatureExtractor.

extract = FeatureExtractor("slowfast_r50_8x8")
for start_s, end_s, embedding in extract("match.mp4"):
    ...
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, UsageError
from twinpath.prefetch import batches
from twinpath.results.features import Feature
from twinpath.video.clip_plan import Windows
from twinpath.video.clips import open_clips
from twinpath.video.sampling import clip_span_s
from twinpath.zoo.create import input_spec, resolve

if TYPE_CHECKING:
    from twinpath.weights.fetch import Progress

logger = logging.getLogger(__name__)

MIN_EVERY_S = 0.01  # finer than any video's frames


class FeatureExtractor:
    """Turns videos into embeddings, one for each clip of the model's length. Make one, call it many times.

    Args:
        model: A network or a record (`twinpath models list`); a network alone takes its best weights.
        weights: A weight file to use in place of the record's; for any number of classes, since the
            classifier is left out.
        device: "auto", "cpu", "cuda", "cuda:1", …
        every_s: Seconds from the start of one clip to that of the next. None: clips follow each other
            without gap. Less gives a finer timeline and takes as much longer.
        config: Which engine, device, precision and threads; in place of `device`.
        progress: Told the bytes done and expected while weights are downloaded.
    Attributes:
        model: Full name of network and weights.
        span_s: Length of a clip in seconds.
    Raises:
        UnknownModel: No such name.
        UsageError: It has no published weights and none were given; it sees boxes, not clips; the device or
            `every_s` makes no sense.
        WeightsError: The weights cannot be fetched, trusted or do not fit.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        every_s: float | None = None,
        config: EngineConfig | None = None,
        progress: Progress | None = None,
    ) -> None:
        architecture, record = resolve(model)
        if architecture.is_detector:
            raise UsageError(f"{model} sees persons in boxes; take a network that sees whole clips")
        if record is None and weights is None:
            raise UsageError(f"no weights are published for {model}; give a file with --weights")
        if every_s is not None and not MIN_EVERY_S <= every_s < math.inf:
            raise UsageError(f"a clip every {every_s:g} s makes no sense; give at least {MIN_EVERY_S} s")
        from twinpath.engine.open import open_engine

        self.model = record.name if record else architecture.name
        self.spec = input_spec(model)
        self.span_s = clip_span_s(self.spec.num_frames, self.spec.sampling_rate)
        self.every_s = self.span_s if every_s is None else every_s
        self.engine = open_engine(
            self.model,
            None if weights is None else Path(weights),
            output="embed",
            config=config or EngineConfig(device=device),
            progress=progress,
            on_status=logger.info,
        )

    def __call__(
        self,
        video: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
        warn: Callable[[str], None] = logger.warning,
    ) -> Iterator[Feature]:
        """Embed a whole video, clip by clip, in memory for a few clips.

        The last clip ends with the video; where that cuts it short its frames are taken evenly from what
        there is.

        Args:
            video: A path.
            progress: Told how many clips are done, of how many.
            warn: Told, after the last clip, what the user should know about the file, in a line each.
        Yields:
            One `Feature` for each clip, in order of time.
        Raises:
            InputError: The file cannot be used; says why.
            LimitExceeded: The file would cost too much.
        """
        done = 0
        with open_clips(video, Windows(self.spec.clip_sampling, self.every_s)) as stream:
            for batch in batches(stream, self.engine.batch_clips):
                embeddings = np.concatenate(self.engine([clip.frames for clip in batch]))
                if not np.isfinite(embeddings).all():
                    raise InputError(
                        f"{self.model} gave features that are not numbers; are its weights sound?"
                    )
                for clip, embedding in zip(batch, embeddings, strict=True):
                    yield Feature(clip.start_s, clip.end_s, embedding)
                done += len(batch)
                if progress is not None:
                    progress(done, len(stream))
            for warning in stream.warnings:
                warn(warning)
