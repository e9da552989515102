"""Read every video of a data set and say what is there, before anything is trained.

run = DataCheckRun(read_labelled("actions"))
for outcome in run.outcomes():
    outcome.error or outcome.result            # of each video, as soon as it is read
run.check.copies, run.check.similar_labels     # of all of them
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from twinpath.atomic import atomic_path
from twinpath.data.labelled.check import CheckedClip, CheckedVideo, DataCheck, Pictures, Unusable
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.look_alikes import ClipSignature, signature_times
from twinpath.data.labelled.table import fits_table, write_label_table
from twinpath.errors import INPUT_FAILURES
from twinpath.jobs.batch import Outcome, input_failure
from twinpath.paths import display_path
from twinpath.prefetch import PrefetchEach, check_prefetch
from twinpath.recognize.read import VideoReader
from twinpath.render.data_page import write_data_page
from twinpath.results.clock import clock
from twinpath.video.clip_plan import Selections
from twinpath.video.file_access import open_binary
from twinpath.video.find import InputVideo
from twinpath.video.probe import VideoInfo
from twinpath.video.resize import Resize, ResizedFrames
from twinpath.video.selection import AtTimes

#: How many clips of a data set have pictures on its page: enough to see what is there.
MOST_WITH_PICTURES = 360
_FEWEST_OF_CLASS = 2  # whatever the number of classes
_READ_PX = 160  # sides of the square to which frames are squeezed; a multiple of a signature's side
_PICTURE_PX = 90  # height
_SHOWN = (1 / 8, 1 / 2, 7 / 8)  # of a clip
_LATE_S = 0.5  # a span may end so much behind the video
_HASHED_BYTES = 1 << 22  # at a time
_RESULT_BYTES = 1 << 20  # of one video, about


class DataCheckRun:
    """Reads the videos of a data set, a few at once.

    Args:
        data: What to check.
        reader: Reads the files.
        with_pictures: Whether some clips of each class keep pictures for a page.
    Attributes:
        videos: Each once, in order of the data.
        check: The result, when all outcomes were taken; None before.
    """

    def __init__(
        self,
        data: LabelledData,
        reader: VideoReader | None = None,
        *,
        with_pictures: bool = True,
    ) -> None:
        self._data, self._reader = data, reader or VideoReader()
        self._clips: dict[Path, list[int]] = {}
        for number, clip in enumerate(data.clips):
            self._clips.setdefault(clip.path, []).append(number)
        self.videos = [InputVideo.of(path) for path in self._clips]
        self._pictured = _pictured(data) if with_pictures else frozenset()
        self.check: DataCheck | None = None

    def outcomes(self) -> Iterator[Outcome[CheckedVideo]]:
        """What became of each video, in order, made while it is taken."""
        sizes = _repeated_sizes(video.path for video in self.videos)
        videos: list[CheckedVideo] = []
        unusable: list[Unusable] = []
        read = (self._read(path, numbers, sizes) for path, numbers in self._clips.items())
        with PrefetchEach(
            read,
            at_once=self._reader.videos_at_once,
            size_bytes=lambda result: _RESULT_BYTES,
            max_bytes=_RESULT_BYTES * self._reader.videos_at_once,
        ) as results:
            for video, result in zip(self.videos, results, strict=True):
                if isinstance(result, Exception):
                    error = input_failure(result, video.path)
                    unusable.append(Unusable(video.path, str(error), len(self._clips[video.path])))
                    yield Outcome(video, error=error)
                    continue
                videos.append(result)
                unusable += [Unusable(video.path, c.problem, 1) for c in result.clips if c.problem]
                yield Outcome(video, result)
        self.check = DataCheck(self._data, tuple(videos), tuple(unusable))

    def _read(
        self, path: Path, numbers: Sequence[int], sizes: frozenset[int]
    ) -> Iterator[CheckedVideo | Exception]:
        """Of one video, in a thread of its own."""
        try:
            yield self._checked(path, numbers, sizes)
        except INPUT_FAILURES as error:
            yield error

    def _checked(self, path: Path, numbers: Sequence[int], sizes: frozenset[int]) -> CheckedVideo:
        info = self._reader.probe(path)
        duration_s = info.duration_s if info.duration_s is not None else self._end_s(path)
        clips = [_span_of(self._data.clips[number], number, info, duration_s) for number in numbers]
        looked, warnings = self._looked_at(path, sorted(clips, key=lambda clip: clip.start_s))
        return CheckedVideo(
            path=path,
            duration_s=duration_s,
            width_px=info.width,
            height_px=info.height,
            fps=info.average_fps,
            codec=info.codec,
            container=info.container,
            size_bytes=info.size_bytes,
            sha256=_sha256(path) if info.size_bytes in sizes else None,
            warnings=tuple(dict.fromkeys((*info.warnings, *warnings, *_late(self._data, clips, duration_s)))),
            clips=looked,
        )

    def _end_s(self, path: Path) -> float:
        """The end of a raw stream, which has no header."""
        times_s = self._reader.frame_times(path)
        return float(times_s[-1] + (np.diff(times_s).mean() if len(times_s) > 1 else 0.04))

    def _looked_at(
        self, path: Path, clips: Sequence[CheckedClip]
    ) -> tuple[tuple[CheckedClip, ...], Sequence[str]]:
        """The clips with what their frames show, and warnings about the file."""
        usable = [clip for clip in clips if clip.problem is None]
        if not usable:
            return tuple(clips), ()
        plan = Selections(tuple(AtTimes(signature_times(clip.start_s, clip.end_s)) for clip in usable))
        squeeze = Resize(_READ_PX, _READ_PX, resize_px=(_READ_PX, _READ_PX))
        seen = {clip.number: clip for clip in clips}
        with self._reader.open(path, plan, squeeze) as source:
            for clip, read in zip(usable, source, strict=True):
                frames = read.frames
                assert isinstance(frames, ResizedFrames)
                seen[clip.number] = CheckedClip(
                    clip.number,
                    clip.start_s,
                    clip.end_s,
                    signature=ClipSignature.of(frames.pixels[:, 0], read.times_s),
                    pictures=_pictures(frames) if clip.number in self._pictured else None,
                )
            warnings = source.warnings
        return tuple(seen.values()), warnings


def _pictured(data: LabelledData) -> frozenset[int]:
    """The indices of the clips that keep pictures: of each class as many, spread over its clips."""
    of_class: dict[str, list[int]] = {label: [] for label in data.classes}
    for number, clip in enumerate(data.clips):
        for label in clip.labels:
            of_class[label].append(number)
    each = max(MOST_WITH_PICTURES // max(len(of_class), 1), _FEWEST_OF_CLASS)
    return frozenset(
        numbers[int(i)]
        for numbers in of_class.values()
        for i in np.linspace(0, len(numbers) - 1, min(each, len(numbers)))
    )


def _repeated_sizes(paths: Iterator[Path]) -> frozenset[int]:
    """Sizes in bytes that several files have: only these can be equal, and need digests."""
    sizes: Counter[int] = Counter()
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            if path.is_file():
                sizes[path.stat().st_size] += 1
    return frozenset(size for size, count in sizes.items() if count > 1)


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with open_binary(path) as file:
        while block := file.read(_HASHED_BYTES):
            digest.update(block)
            check_prefetch()
    return digest.hexdigest()


def _span_of(clip: LabelledClip, number: int, info: VideoInfo, duration_s: float) -> CheckedClip:
    """Where a clip lies in its video."""
    earlier_s = info.first_frame_s if clip.clock == "player" else 0.0
    start_s = max((clip.start_s or 0.0) - (earlier_s if clip.start_s else 0.0), 0.0)
    end_s = duration_s if clip.end_s is None else clip.end_s - earlier_s
    problem = None
    if start_s >= duration_s and start_s > 0:
        problem = f"the clip from {clock(start_s)} begins behind the end, {clock(duration_s)}"
    elif end_s <= start_s and clip.end_s is not None:
        problem = f"the clip from {clock(start_s)} has no frames"
    if problem is not None:
        return CheckedClip(number, start_s, end_s, f"{display_path(clip.path)}: {problem}")
    return CheckedClip(number, start_s, min(end_s, duration_s))


def _late(data: LabelledData, clips: Sequence[CheckedClip], duration_s: float) -> Iterator[str]:
    """A warning if spans end behind the video."""
    late_s = [data.clips[c.number].end_s or 0.0 for c in clips if c.problem is None]
    if late_s and max(late_s) > duration_s + _LATE_S:
        yield f"a clip ends at {clock(max(late_s))}, behind the end of the video, {clock(duration_s)}"


def _pictures(frames: ResizedFrames) -> Pictures:
    """The first, the middle and the last one, in the proportions of the video."""
    aspect = min(max(frames.width_px / frames.height_px, 0.25), 4.0)
    size = (max(1, math.floor(_PICTURE_PX * aspect)), _PICTURE_PX)
    chosen = [int(share * len(frames)) for share in _SHOWN]
    shown = np.rint(frames.pixels[chosen, 0]).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)) for picture in shown]
    )


def write_check(check: DataCheck, folder: Path, *, title: str) -> list[Path]:
    """Write into a folder: the page (`data.html`), the same as JSON, and the usable clips as a table.

    In the table (`data.csv`) clips that likely show one scene are one group where that leaves something to
    evaluate. It is a data set itself; there is none without a row, or if a label holds "|".

    Returns:
        The files, the page first.
    Raises:
        OSError: One cannot be written.
    """
    page, values, table = (folder / f"data.{ending}" for ending in ("html", "json", "csv"))
    with atomic_path(values) as temporary:
        temporary.write_text(json.dumps(check.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    write_data_page(check, page, title=title)
    if not check.usable or not fits_table(check.data):
        return [page, values]
    write_label_table(check.corrected().clips, table)
    return [page, values, table]
