"""Keyframes with labelled people: what a detection network learns from.

data = read_keyframes([Path("match.xml"), Path("final.detect.json")], videos=Path("videos"))
for keyframe in data.keyframes:
    keyframe.path, keyframe.time_s, keyframe.boxes_xyxy_px, keyframe.labels
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.data.labelled.keyframe_choice import keyframes_by_frame, keyframes_by_time
from twinpath.errors import INPUT_FAILURES, InputError, NotAFile, UsageError
from twinpath.escapes import shown
from twinpath.formats.action_boxes import read_action_boxes
from twinpath.formats.annotated import AnnotatedBox, AnnotatedVideo
from twinpath.formats.box_observations import mismatched_shape, videos_called
from twinpath.paths import display_path
from twinpath.results.evaluation import FailedInput
from twinpath.suggest import did_you_mean
from twinpath.video.find import find_videos
from twinpath.video.isolated import frame_times_isolated, probe_isolated
from twinpath.video.probe import frame_times, probe

EVERY_S = 1.0  # as `detect` and AVA have keyframes
_SUFFIXES = (".xml", ".json", ".jsonl", ".csv")  # of a folder: the files of the first one that occurs


@dataclass(frozen=True, eq=False)
class LabelledKeyframe:
    """One picture of a video and what the people in it do.

    Attributes:
        path: The video.
        time_s: In seconds since its first frame.
        boxes_xyxy_px: (P, 4) float32, x1, y1, x2, y2 in pixels of the displayed frame, clipped to it.
        labels: P times the names of the actions; of somebody who does none of them there are none.
        part: What the data says it is for; None: it says nothing.
        group: Keyframes of one group must not be divided between training and evaluation.
    """

    path: Path
    time_s: float
    boxes_xyxy_px: NDArray[np.float32]
    labels: tuple[tuple[str, ...], ...]
    part: Part | None = None
    group: str = ""


@dataclass(frozen=True, eq=False)
class LabelledKeyframes:
    """A data set.

    Attributes:
        keyframes: By video, in order of time; each has somebody in it.
        classes: Names of the actions, in the order of a network's outputs.
        kind: What was read, for people: "annotated people, 2 files".
        failed: Files that could not be used.
        notes: What a user should know of the data, a sentence each.
    """

    keyframes: tuple[LabelledKeyframe, ...]
    classes: tuple[str, ...]
    kind: str = ""
    failed: tuple[FailedInput, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def num_people(self) -> int:
        """Boxes in all keyframes."""
        return sum(len(keyframe.labels) for keyframe in self.keyframes)

    def targets(self) -> NDArray[np.bool_]:
        """(boxes, C): who does what, in the order of the keyframes and their boxes."""
        index = {label: c for c, label in enumerate(self.classes)}
        targets = np.zeros((self.num_people, len(self.classes)), dtype=bool)
        for row, labels in zip(targets, (labels for k in self.keyframes for labels in k.labels), strict=True):
            row[[index[label] for label in labels]] = True
        return targets

    def as_clips(self) -> LabelledData:
        """A clip of a second around each keyframe, with all that somebody in it does."""
        clips = tuple(
            LabelledClip(
                keyframe.path,
                tuple(dict.fromkeys(label for labels in keyframe.labels for label in labels)),
                max(keyframe.time_s - EVERY_S / 2, 0.0),
                keyframe.time_s + EVERY_S / 2,
                keyframe.part,
                keyframe.group,
            )
            for keyframe in self.keyframes
        )
        return LabelledData(clips, self.classes, is_multi_label=True, kind=self.kind, notes=self.notes)


def read_keyframes(
    sources: Path | Sequence[Path],
    *,
    videos: Path | None = None,
    label_map: Path | None = None,
    classes: Sequence[str] | None = None,
    every_s: float = EVERY_S,
    begins_at_s: float | None = None,
    fps: float | None = None,
    isolate: bool = False,
) -> LabelledKeyframes:
    """Read files with boxes and actions, see `formats.action_boxes`.

    Of annotated times those are taken that lie `every_s` or more apart: keyframes close to each other show
    the same. Where a person's box follows from the boxes around it (CVAT), keyframes are added in between.

    Args:
        sources: Files, or folders. A folder stands for its .xml files; if it has none, for its .json files;
            else for its .csv files.
        videos: The video, or the folder where the videos are, below it, too. None: beside the files, or where
            a file says.
        label_map: For AVA CSV, see `read_action_boxes`.
        classes: Use these actions only, in this order; None: all that somebody does, sorted, or in the order
            of the label map.
        every_s: The least distance of two keyframes of one video in seconds; 0: all that are annotated.
        begins_at_s: Where the seconds of AVA CSV count from something else than the video's first frame: the
            second at which this is. None: 0, and 900 where the video is too short for that.
        fps: Of folders of pictures and raw streams, see `open_video`.
        isolate: Read videos in a sandboxed process.
    Raises:
        NotAFile, InputError, LimitExceeded: The only file cannot be used; or none of several; or nobody does
            anything in them. Of several files the others are used, see `LabelledKeyframes.failed`.
        UsageError: An argument is out of range, or AVA CSV is without its label map.
    """
    if not 0 <= every_s < math.inf:
        raise UsageError(f"every_s must be 0 s or more, not {every_s:g}")
    files = _files([sources] if isinstance(sources, Path) else sources)
    reader = _KeyframeCollector(videos, every_s, begins_at_s, fps, isolate=isolate)
    failed: list[FailedInput] = []
    for file in files:
        try:
            for annotated in read_action_boxes(file, label_map=label_map):
                reader.add(annotated, file)
        except UsageError:
            raise
        except INPUT_FAILURES as error:
            if len(files) == 1:
                raise
            failed.append(FailedInput(file, str(error)))
    if not reader.keyframes:
        if failed:
            reasons = "; ".join(one.reason for one in failed[:3])
            raise InputError(f"none of {len(failed)} files with people can be used: {reasons}")
        raise InputError(f"{_named(files)}: nobody is annotated; draw boxes around the people")
    kind = f"annotated people, {len(files)} {'file' if len(files) == 1 else 'files'}"
    return _with_classes(reader, classes, _named(files), kind, tuple(failed))


def _named(files: Sequence[Path]) -> str:
    return display_path(files[0]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def _files(sources: Iterable[Path]) -> list[Path]:
    """Each once. Raises: NotAFile: A folder without annotations."""
    files: list[Path] = []
    for source in sources:
        if not source.is_dir():
            files.append(source)
            continue
        below = sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))
        found = next((named for s in _SUFFIXES if (named := [p for p in below if p.suffix.lower() == s])), [])
        if not found:
            raise NotAFile(f"the folder {display_path(source)} holds no {', '.join(_SUFFIXES)}")
        files += found
    return list(dict.fromkeys(files))


def _with_classes(
    reader: _KeyframeCollector,
    wanted: Sequence[str] | None,
    where: str,
    kind: str,
    failed: tuple[FailedInput, ...],
) -> LabelledKeyframes:
    """Raises: InputError: Nobody does anything; UsageError: Or nothing that is wanted."""
    keyframes = tuple(reader.keyframes)
    counts = Counter(label for keyframe in keyframes for labels in keyframe.labels for label in labels)
    if not counts:
        raise InputError(
            f"{where}: no box has an action; tick actions (CVAT: checkboxes of the label, or a list 'action')"
        )
    notes = list(dict.fromkeys(reader.notes))
    lost = sorted(reader.labels - counts.keys())
    if lost:
        notes.append(f"in no keyframe that is used, and left out: {shown(', '.join(lost))}")
    ordered = tuple(reader.order) if reader.order else tuple(sorted(counts))
    classes = tuple(label for label in dict.fromkeys((*ordered, *sorted(counts))) if label in counts)
    if wanted is not None:
        for label in wanted:
            if label not in counts:
                raise UsageError(f"{where}: nobody has the action {label!r}{did_you_mean(label, classes)}")
        classes = tuple(dict.fromkeys(wanted))
        keyframes = tuple(
            replace(
                keyframe,
                labels=tuple(
                    tuple(label for label in found if label in classes) for found in keyframe.labels
                ),
            )
            for keyframe in keyframes
        )
    return LabelledKeyframes(keyframes, classes, kind, failed, tuple(notes))


class _KeyframeCollector:
    """Collects the keyframes of many files."""

    def __init__(
        self,
        videos: Path | None,
        every_s: float,
        begins_at_s: float | None,
        fps: float | None,
        *,
        isolate: bool,
    ) -> None:
        self._finder, self._every_s, self._begins_at_s = _Finder(videos), every_s, begins_at_s
        self._probe = partial(probe_isolated if isolate else probe, fps=fps)
        self._frame_times = partial(frame_times_isolated if isolate else frame_times, fps=fps)
        self._file_of: dict[Path, Path] = {}
        self.keyframes: list[LabelledKeyframe] = []
        self.labels: set[str] = set()
        self.order: dict[str, None] = {}
        self.notes: list[str] = []

    def add(self, annotated: AnnotatedVideo, file: Path) -> None:
        """The keyframes of one video.

        Raises:
            InputError: It is not found, or a file before has it; or a box is outside of it.
        """
        video, note = self._finder.find(annotated, file)
        other = self._file_of.setdefault(video.resolve(), file)
        if other != file:
            raise InputError(
                f"{annotated.file}: the people of {display_path(video)} are in {display_path(other)}, too; "
                "give one of the two"
            )
        info, times_s = self._probe(video), self._frame_times(video)
        shown_px = (float(info.width), float(info.height))
        notes = [*annotated.notes, *([note] if note else [])]
        if annotated.size_px is not None and not annotated.is_relative:
            differs = mismatched_shape(annotated.size_px, shown_px)
            if differs:
                notes.append(
                    f"{annotated.file}: boxes are of frames of {differs[0]}x{differs[1]}, stretched to the "
                    f"{info.width}x{info.height} of {display_path(video)}"
                )
        if annotated.counts_frames:
            found = keyframes_by_frame(annotated, times_s, self._every_s)
        else:
            found = keyframes_by_time(annotated, times_s, self._every_s, self._begins_at_s)
        keyframes = [_keyframe(annotated, video, t, boxes, shown_px) for t, boxes in found]
        self.keyframes += [keyframe for keyframe in keyframes if len(keyframe.labels)]
        self.labels.update(label for track in annotated.tracks for box in track for label in box.actions)
        self.order.update(dict.fromkeys(annotated.classes))
        self.notes += notes


def _keyframe(
    annotated: AnnotatedVideo,
    video: Path,
    time_s: float,
    people: Sequence[AnnotatedBox],
    shown_px: tuple[float, float],
) -> LabelledKeyframe:
    """Raises: InputError: Somebody's box, set by a person, is outside the picture."""
    size_px = annotated.size_px or shown_px
    inside, labels = [], []
    for person in people:
        box = np.clip(np.asarray(person.box_xyxy) / (size_px * 2), 0.0, 1.0) * (shown_px * 2)
        if not (box[2:] > box[:2]).all():
            if not person.is_set:
                continue  # interpolated: out of the picture on the way
            x1, y1, x2, y2 = person.box_xyxy
            raise annotated.error(
                person.place,
                f"({x1:g}, {y1:g}, {x2:g}, {y2:g}) is outside the picture of {size_px[0]:g}x{size_px[1]:g}",
            )
        inside.append(box)
        labels.append(person.actions)
    boxes = np.asarray(inside, dtype=np.float32).reshape(-1, 4)
    return LabelledKeyframe(video, float(time_s), boxes, tuple(labels), group=str(video))


class _Finder:
    """Finds the videos of annotations."""

    def __init__(self, videos: Path | None) -> None:
        self._folder = videos
        self._found = None if videos is None else find_videos([videos])

    def find(self, annotated: AnnotatedVideo, file: Path) -> tuple[Path, str]:
        """The video, and a note where it may be another one; else "".

        Raises:
            InputError: There is none, or several are called so.
        """
        name, where = annotated.video, annotated.file
        if self._found is not None and self._folder is not None:
            if self._found == [self._folder]:  # a single video, whatever it is called
                is_called = not name or bool(videos_called(name, self._found))
                note = "" if is_called else f"{where}: its people are of {name!r}, by the name"
                return self._folder, note
            found = videos_called(name, self._found) if name else []
            place = f"in {display_path(self._folder)}"
        else:
            found, place = self._beside(name, file), "beside it"
        if len(found) == 1:
            return found[0], ""
        called = f"its video {shown(repr(name))}" if name else "its video, which it does not name,"
        if found:
            raise InputError(
                f"{where}: {called} may be {shown(', '.join(map(str, found[:3])))}; give it with videos"
            )
        raise InputError(f"{where}: {called} is not {place}; give the video, or its folder, with videos")

    def _beside(self, name: str, file: Path) -> list[Path]:
        """The video where the file says, seen from it or from the working folder; else beside the file."""
        if not name:
            return []
        named = Path(name)
        places = [file.parent / named, named, file.parent / named.name]
        exact = next((place for place in places if place.is_file()), None)
        if exact is not None:
            return [exact]
        try:
            return videos_called(named.name, find_videos([file.parent]))
        except InputError:  # no video there
            return []
