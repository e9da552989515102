"""Decoded frames of labelled clips for training, kept on the disk: no epoch decodes a short clip again.

    frames = DecodedClips(folder, clips, SpanFrames(reader, short_side_px=128))
    frames.decode()                         # once: what cannot be read is in `frames.failed`
    frames.times_s(3), frames.read(3)       # (N,) seconds and (N, h, w, 3) uint8

What has no room within the limit is decoded each time; the pixels are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip
from twinpath.errors import INPUT_FAILURES, InputError
from twinpath.jobs.batch import input_failure
from twinpath.recognize.labelled import LabelledReader
from twinpath.train.kept_frames import KeptFrames
from twinpath.video.clip_plan import Selections
from twinpath.video.clips import ClipSource
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.video.sampling import TIME_TOLERANCE_S, Times, clip_span_s, on_screen_indices
from twinpath.video.selection import AtTimes

Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

_CHUNK_FRAMES = 32  # decoded at once: as float32 a frame takes four times the memory
_LONG_FRAMES = 2048  # of a clip; a longer one is decoded where it is looked at


class FrameReader(Protocol):
    """Reads the frames of a clip that training may want."""

    def key(self) -> dict[str, Any]:
        """What the pixels depend on beside the clip, as JSON values."""

    def times_s(self, clip: LabelledClip) -> Times:
        """(N,) the times of its frames in seconds; nothing is decoded. Raises as `read`."""

    def read(self, clip: LabelledClip, times_s: Times) -> Pixels:
        """(N, h, w, 3) the frames at these times.

        Raises:
            InputError, LimitExceeded, OSError: The file cannot be used.
        """


@dataclass(frozen=True)
class SpanFrames:
    """Whole frames over the span of a clip, twice as dense as the network takes them.

    Attributes:
        reader: Of the clips, with the network's input.
        short_side_px: To which frames are resized.
    """

    reader: LabelledReader
    short_side_px: int

    @property
    def step_s(self) -> float:
        """From one frame to the next, at least. Closer ones would differ by less than a quarter of a step of
        the network, and take room."""
        return clip_span_s(1, self.reader.spec.sampling_rate) / 2

    def key(self) -> dict[str, Any]:
        return {"short_side_px": self.short_side_px, "step_s": self.step_s, "fps": self.reader.reader.fps}

    def times_s(self, clip: LabelledClip) -> Times:
        start_s, end_s = self.reader.span_s(clip)
        all_s = self.reader.reader.frame_times(clip.path)
        stop_s = np.inf if end_s is None else end_s
        within_s = all_s[(all_s >= start_s - TIME_TOLERANCE_S) & (all_s < stop_s - TIME_TOLERANCE_S)]
        if not len(within_s):
            if start_s > all_s[-1] + 1.0:  # as `plan_views`: it would repeat the last frame
                raise InputError(
                    f"the clip of {start_s:g} s lies behind the last frame, at {all_s[-1]:.2f} s"
                )
            within_s = all_s[on_screen_indices(all_s, [start_s])]
        grid_s = np.append(np.arange(within_s[0], within_s[-1], self.step_s), within_s[-1])
        chosen: Times = within_s[np.unique(on_screen_indices(within_s, grid_s))]
        return chosen

    def read(self, clip: LabelledClip, times_s: Times) -> Pixels:
        chunks = [times_s[i : i + _CHUNK_FRAMES].tolist() for i in range(0, len(times_s), _CHUNK_FRAMES)]
        plan = Selections(tuple(AtTimes(tuple(chunk)) for chunk in chunks))
        return _rounded(self.reader.reader.open(clip.path, plan, Resize(self.short_side_px, None)))


@dataclass(frozen=True)
class ViewFrames:
    """The views of a clip one after the other, as an evaluation takes them.

    Attributes:
        reader: Of the clips.
    """

    reader: LabelledReader

    @property
    def num_views(self) -> int:
        """In space and time."""
        return self.reader.views_per_clip * self.reader.views.space

    def key(self) -> dict[str, Any]:
        return {"views": str(self.reader.views), "spec": str(self.reader.spec), "fps": self.reader.reader.fps}

    def times_s(self, clip: LabelledClip) -> Times:
        """Numbers in place of times: which frames there are, the reader decides."""
        return np.arange(self.num_views * self.reader.spec.num_frames, dtype=np.float64)

    def read(self, clip: LabelledClip, times_s: Times) -> Pixels:
        return _rounded(self.reader.open(clip))


def _rounded(source: ClipSource) -> Pixels:
    """All frames of an open video, which is closed: (N, h, w, 3), one crop after the other."""
    parts: list[Pixels] = []
    with source:
        for clip in source:
            assert isinstance(clip.frames, ResizedFrames)
            crops_KTHWC = np.rint(clip.frames.pixels).astype(np.uint8).swapaxes(0, 1)
            parts.extend(crops_KTHWC)
    return np.concatenate(parts)


class DecodedClips:
    """The frames of a list of clips, by their index.

    Args:
        folder: Gets the files; made if it is missing. Several lists may share one.
        clips: The clips.
        frames: Reads them.
        max_bytes: Of all files in the folder; they take half of the free disk at most.
    Attributes:
        failed: Clips that cannot be read, with the reason, by index; complete after `decode`.
    """

    def __init__(
        self, folder: Path, clips: Sequence[LabelledClip], frames: FrameReader, *, max_bytes: int
    ) -> None:
        self._clips, self._frames = clips, frames
        self._kept = KeptFrames(folder, max_bytes)
        self._times_s: dict[int, Times] = {}
        self._paths: dict[int, Path] = {}
        self.failed: dict[int, Exception] = {}

    def decode(
        self, *, threads: int = 1, leave_out: Sequence[int] = (), progress: Progress | None = None
    ) -> None:
        """Read every clip once; those that lie in the folder already are not decoded again.

        Args:
            threads: How many are read at once.
            leave_out: Indices of clips that are not read.
            progress: Called with how many are done, and of how many.
        """
        wanted = [i for i in range(len(self._clips)) if i not in set(leave_out)]
        with closing(_in_order(self._decode, wanted, threads)) as results:
            for done, (i, pixels) in enumerate(results, start=1):
                if pixels is not None and self._kept.keep(path := self._path(self._clips[i]), pixels):
                    self._paths[i] = path
                del pixels
                if progress is not None:
                    progress(done, len(wanted))

    def times_s(self, index: int) -> Times:
        """(N,) the times of a clip's frames in seconds."""
        return self._times_s[index]

    def read(self, index: int, picks: NDArray[np.int64] | None = None) -> Pixels:
        """(T, h, w, 3) frames of a clip, those of `picks` (T,) in its times; None: all.

        Raises:
            InputError, LimitExceeded, OSError: The file changed, or is gone.
        """
        if index in self._paths:
            kept = np.load(self._paths[index], mmap_mode="r", allow_pickle=False)
            return np.array(kept if picks is None else kept[picks])
        times_s = self._times_s[index]
        if picks is None:
            return self._frames.read(self._clips[index], times_s)
        distinct, places = np.unique(picks, return_inverse=True)
        return self._frames.read(self._clips[index], times_s[distinct])[places]

    def _decode(self, index: int) -> tuple[int, Pixels | None]:
        """The index, and the frames of a clip that are not kept yet."""
        clip = self._clips[index]
        try:
            times_s = self._frames.times_s(clip)
            self._times_s[index] = times_s
            path = self._path(clip)
            kept = self._kept.load(path)
            if kept is not None and len(kept) == len(times_s):
                self._paths[index] = path
                return index, None
            if len(times_s) > _LONG_FRAMES:
                self._frames.read(clip, times_s[:1])
                return index, None
            return index, self._frames.read(clip, times_s)
        except INPUT_FAILURES as error:
            self.failed[index] = input_failure(error, clip.path)
            return index, None

    def _path(self, clip: LabelledClip) -> Path:
        return self._kept.path(clip, self._frames.key())


def _in_order(
    decode: Callable[[int], tuple[int, Pixels | None]], indices: Sequence[int], threads: int
) -> Generator[tuple[int, Pixels | None], None, None]:
    """What a function gives for each index, a few computed at once."""
    waiting: deque[Future[tuple[int, Pixels | None]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for i in indices:
            waiting.append(pool.submit(decode, i))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
