"""AVA for training: the people of every annotated second, true ones and those that a detector found.

keyframes = read_ava_training(["ava_train_v2.2.csv"], ["ava_train_predicted_boxes.csv"])
keyframes[0].boxes_xyxy, keyframes[0].targets
sources = training_sources(ava_sources(["train.csv"], "frames"), keyframes)
frames = keyframe_frames(sources, keyframes[0], num_frames=32, sampling_rate=2)

Predicted boxes that overlap with nobody who is annotated stay, with an all-zero target: of a person who does
none of the actions. Data of one's own in AVA's form has its own label map, seconds and frame rate, which
`frame_folders`, `read_frame_list` and `video_files` take.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.data.ava.clips import (
    FRAME_RATE,
    AvaSource,
    Frames,
    MissingClip,
    VideoFile,
    frame_folders,
    read_frame_list,
    video_files,
)
from twinpath.data.pictures import PICTURE_SUFFIXES
from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.ava import ANY_ACTION, BoxRows, read_exclusions, read_predicted, read_truth
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map
from twinpath.labels import class_ids
from twinpath.labels import labels as built_in
from twinpath.paths import display_path

Source = str | os.PathLike[str]

#: Validation during training takes the seconds that this divides. Source: PySlowFast, `ava_helper.py`.
VALIDATION_EVERY = 4
_MOST_OUTPUTS = 100_000


@dataclass(frozen=True, eq=False)
class AvaKeyframe:
    """A second of a video, and who does what.

    Attributes:
        video: Its name.
        second: The second, as the data counts.
        boxes_xyxy: (P, 4) float32, x1, y1, x2, y2 in relative coordinates, within 0 and 1.
        targets: (P, C) float32, 1 for the actions of each person; all 0: none.
    """

    video: str
    second: int
    boxes_xyxy: NDArray[np.float32]
    targets: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AvaKeyframes(Sequence[AvaKeyframe]):
    """A part of AVA, or of data in its form. K keyframes with P boxes, which have L labels.

    Attributes:
        classes: Names in the order of a network's outputs; output i is the action with id i + 1.
        videos: Names of the videos.
        video: (K,) int64, index into `videos`.
        second: (K,) int64.
        box_begins: (K + 1,) int64, the first box of each keyframe.
        boxes_xyxy: (P, 4) float32, relative.
        label_begins: (P + 1,) int64, the first label of each box.
        labels: (L,) int64, indices of classes.
        notes: What a user should know of the data, a sentence each.
    """

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    video: NDArray[np.int64]
    second: NDArray[np.int64]
    box_begins: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float32]
    label_begins: NDArray[np.int64]
    labels: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.second)

    @property
    def num_negatives(self) -> int:
        """Boxes of people who do none of the actions."""
        return int((np.diff(self.label_begins) == 0).sum())

    def __getitem__(self, index: int) -> AvaKeyframe:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        begin, end = self.box_begins[index : index + 2].tolist()
        targets = np.zeros((end - begin, len(self.classes)), dtype=np.float32)
        for row, box in enumerate(range(begin, end)):
            targets[row, self.labels[self.label_begins[box] : self.label_begins[box + 1]]] = 1.0
        video = self.videos[int(self.video[index])]
        return AvaKeyframe(video, int(self.second[index]), self.boxes_xyxy[begin:end].copy(), targets)


def read_ava_training(
    truth: Sequence[Source],
    predicted: Sequence[Source] = (),
    *,
    label_map: LabelMap | None = None,
    least_score: float = 0.9,
    excluded: Source | None = None,
    every: int = 1,
    seconds: range | None = None,
    available: Container[str] | None = None,
) -> AvaKeyframes:
    """Read the boxes of a part. No video is opened.

    Boxes of a second with the same coordinates are one, with the labels of all. PySlowFast compares their
    text, so there 0.5 and 0.50 are two people; and it keeps boxes without an area, which are left out here.

    Args:
        truth: Files of true boxes.
        predicted: Files of predicted boxes, with the actions of the true boxes that they overlap, or none.
        label_map: The actions; None: AVA's.
        least_score: Of predicted boxes. PySlowFast: 0.8 for SlowFast, 0.9 for Slow.
        excluded: A file of seconds that are left out.
        every: Only seconds that it divides, `VALIDATION_EVERY` for validation during training.
        seconds: Only these, AVA: range(902, 1799); None: all in the files.
        available: Names of the videos that there are; seconds of others are left out. None: all.
    Raises:
        NotAFile: No such file.
        InputError: With file and line: see `formats.ava`; or nothing is left.
    """
    label_map = label_map or built_in_label_map()
    read = [read_truth(path, label_map) for path in truth]
    read += [read_predicted(path, label_map, min_score=least_score) for path in predicted]
    rows = joined_rows(read)
    notes: list[str] = []  # not those of the files: here what is doubled counts once
    exclusions = frozenset() if excluded is None else read_exclusions(excluded)
    kept: NDArray[np.bool_] = np.ones(len(rows), dtype=bool)
    if available is not None:
        there = np.asarray([name in available for name in rows.videos], dtype=bool)
        kept &= there[rows.video]
        notes += missing_notes([name for name in rows.videos if name not in available])
    kept &= rows.second % every == 0
    if seconds is not None:
        kept &= np.isin(rows.second, np.asarray(seconds, dtype=np.int64))
    if exclusions:
        pairs = zip(rows.video.tolist(), rows.second.tolist(), strict=True)
        kept &= np.fromiter(((rows.videos[v], s) not in exclusions for v, s in pairs), bool, count=len(rows))
    rows = rows.where(kept)
    boxes = np.clip(rows.boxes_xyxy, 0.0, 1.0)
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not has_area.all():
        notes.append(f"boxes without an area in the picture, left out: {int((~has_area).sum())}")
    if not has_area.any():
        raise InputError(f"{display_path(truth[0] if truth else predicted[0])}: no box is left to learn from")
    return _keyframes(rows.where(has_area), output_names(label_map), tuple(notes))


def output_names(label_map: LabelMap) -> tuple[str, ...]:
    """The names of a network's outputs: the action with id i + 1 is output i, also where an id has no name.

    AVA's networks have 80 outputs, and its label map names 60 of them.

    Raises:
        InputError: An id is far beyond the number of actions.
    """
    count = max(label_map.known)
    if count > _MOST_OUTPUTS:
        raise InputError(
            f"the label map has id {count}, and a network as many outputs; number the actions from 1 on"
        )
    is_avas = set(class_ids("ava")) <= label_map.known
    others = dict(zip(class_ids("ava"), built_in("ava"), strict=True)) if is_avas else {}
    return tuple(label_map.names.get(i, others.get(i, f"action {i}")) for i in range(1, count + 1))


def ava_sources(
    lists: Sequence[Source], folder: Source, *, begins_at_s: int | None = None, fps: float = FRAME_RATE
) -> dict[str, AvaSource]:
    """Where the clips of videos come from, by name: lists of frames, folders of frames, or videos.

    Args:
        lists: Lists of frames; none: the folder holds a folder of frames for each video, or the videos.
        folder: What paths in the lists are relative to.
        begins_at_s: The second of the first frames; None: 900, and of videos see `VideoFile`.
        fps: Frames per second of frames; videos have their own.
    Raises:
        NotAFile: A list or the folder does not exist, or nothing is in it.
        InputError: A list is wrong, or two have the same video.
    """
    folder = Path(folder)
    if not lists:
        has_frames = folder.is_dir() and any(_holds_pictures(path) for path in sorted(folder.iterdir()))
        if has_frames:
            return frame_folders(folder, begins_at_s=begins_at_s, fps=fps)
        return video_files(folder, begins_at_s=begins_at_s)
    sources: dict[str, AvaSource] = {}
    for path in lists:
        found = read_frame_list(path, folder, begins_at_s=begins_at_s, fps=fps)
        twice = sorted(sources.keys() & found)
        if twice:
            raise InputError(f"{display_path(path)}: video {shown(twice[0])} is in another list, too")
        sources.update(found)
    return sources


def _holds_pictures(path: Path) -> bool:
    return path.is_dir() and any(file.suffix.lower() in PICTURE_SUFFIXES for file in path.iterdir())


def training_sources(
    sources: Mapping[str, AvaSource], annotated: AvaKeyframes | BoxRows
) -> dict[str, AvaSource]:
    """Sources of clips that are read one by one: by its last annotated second a video is known as trimmed."""
    last: dict[str, int] = {}
    for video, second in zip(annotated.video.tolist(), annotated.second.tolist(), strict=True):
        name = annotated.videos[video]
        last[name] = max(second, last.get(name, 0))
    return {
        name: VideoFile(source.path, begins_at_s=source.begins_at_s, last_second=last.get(name))
        if isinstance(source, VideoFile)
        else source
        for name, source in sources.items()
    }


def keyframe_frames(
    sources: Mapping[str, AvaSource], keyframe: AvaKeyframe, *, num_frames: int, sampling_rate: int
) -> Frames:
    """The clip around a keyframe: (T, H, W, 3) uint8 RGB.

    Args:
        sources: Videos or folders of frames by name, see `training_sources`.
        keyframe: The keyframe.
        num_frames: T.
        sampling_rate: tau, in frames of a 30 fps video.
    Raises:
        InputError, LimitExceeded, OSError: It cannot be read; the message has the reason.
    """
    source = sources.get(keyframe.video)
    if source is None:
        raise InputError(f"no video and no folder of frames is called {shown(keyframe.video)}")
    (clip,) = source.clips([keyframe.second], num_frames=num_frames, sampling_rate=sampling_rate)
    if isinstance(clip, MissingClip):
        raise InputError(clip.reason)
    return clip.frames


def joined_rows(parts: Sequence[BoxRows]) -> BoxRows:
    """The rows of several files. Raises: InputError: There is no file."""
    if not parts:
        raise InputError("no file of boxes is named")
    numbers = {name: i for i, name in enumerate(dict.fromkeys(name for p in parts for name in p.videos))}
    of_file = [np.asarray([numbers[name] for name in p.videos], dtype=np.int64)[p.video] for p in parts]
    return BoxRows(
        tuple(numbers),
        np.concatenate(of_file),
        np.concatenate([p.second for p in parts]),
        np.concatenate([p.boxes_xyxy for p in parts]),
        np.concatenate([p.action_id for p in parts]),
        np.concatenate([p.score for p in parts]),
    )


def missing_notes(missing: Sequence[str]) -> Iterator[str]:
    """A note on videos that are not there, if there are any."""
    if missing:
        yield f"videos with boxes that are not there, left out: {len(missing)}, first {shown(missing[0])}"


def _keyframes(rows: BoxRows, classes: tuple[str, ...], notes: tuple[str, ...]) -> AvaKeyframes:
    """Equal boxes become one, in order of video, second and first row."""
    boxes = np.clip(rows.boxes_xyxy, 0.0, 1.0)
    columns = (rows.video, rows.second, *boxes.T)
    order = np.lexsort(columns[::-1])  # stable: of equal rows the first one stays the first
    is_new = np.zeros(len(rows), dtype=bool)
    is_new[0] = True
    for column in columns:
        is_new[1:] |= np.diff(column[order]) != 0
    first, box_of = order[is_new], np.empty(len(rows), dtype=np.int64)
    box_of[order] = np.cumsum(is_new) - 1
    in_order = np.lexsort((first, rows.second[first], rows.video[first]))
    place = np.empty(len(first), dtype=np.int64)
    place[in_order] = np.arange(len(first))
    first = first[in_order]
    video, second = rows.video[first], rows.second[first]
    begins = np.flatnonzero((np.diff(video, prepend=-1) != 0) | (np.diff(second, prepend=-1) != 0))
    labelled = rows.action_id != ANY_ACTION
    pairs = np.unique(place[box_of[labelled]] * len(classes) + rows.action_id[labelled] - 1)
    label_begins = np.searchsorted(pairs, np.arange(len(first) + 1) * len(classes))
    return AvaKeyframes(
        classes,
        rows.videos,
        video[begins],
        second[begins],
        np.append(begins, len(first)),
        boxes[first].astype(np.float32),
        label_begins.astype(np.int64),
        pairs % len(classes),
        notes,
    )
