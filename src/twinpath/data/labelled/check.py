"""What a check of a data set finds: facts of its videos, what is odd, and what there would be to learn from.

`twinpath.jobs.check_data` reads the videos; here are the results and what follows from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.class_names import similar_labels
from twinpath.data.labelled.clip import MOST_BROKEN, LabelledData
from twinpath.data.labelled.look_alikes import (
    MOST_CLIPS,
    ClipSignature,
    Comparison,
    LookAlike,
    compare_clips,
)
from twinpath.data.labelled.split import groups_across_parts, only_in_training
from twinpath.escapes import printable

FEW_CLIPS = 5  # of a class
UNBALANCED = 10.0  # times as many clips
UNSAID = "unsaid"  # in place of the name of a part
_MOST_NAMED = 8

Pictures = NDArray[np.uint8]  # (T, H, W, 3) RGB


@dataclass(frozen=True, eq=False)
class CheckedClip:
    """A labelled clip in its video.

    Attributes:
        number: Its index among the clips of the data.
        start_s, end_s: Its span since the first frame, within the video.
        problem: Why it cannot be used; None: it can.
        signature: What it shows; None where there is a problem.
        pictures: A few frames in order of time, if they were asked for.
    """

    number: int
    start_s: float
    end_s: float
    problem: str | None = None
    signature: ClipSignature | None = None
    pictures: Pictures | None = None

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, eq=False)
class CheckedVideo:
    """A video that can be read, and its clips.

    Attributes:
        path: The file, or the folder of frames.
        duration_s: From the first frame to the end of the last one.
        width_px, height_px: As displayed.
        fps: Frames per second; None: it has no clock.
        codec, container: See `VideoInfo`.
        size_bytes: Of the file.
        sha256: Of the file, where another one has the same size.
        warnings: What is wrong with the file, although it can be read.
        clips: In order of their starts.
    """

    path: Path
    duration_s: float
    width_px: int
    height_px: int
    fps: float | None
    codec: str
    container: str
    size_bytes: int
    sha256: str | None
    warnings: tuple[str, ...]
    clips: tuple[CheckedClip, ...]

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON values, without pictures."""
        return {
            "path": str(self.path),
            "duration_s": round(self.duration_s, 3),
            "width_px": self.width_px,
            "height_px": self.height_px,
            "fps": None if self.fps is None else round(self.fps, 3),
            "codec": self.codec,
            "container": self.container,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Unusable:
    """A video, or a clip of one, that cannot be used.

    Attributes:
        path: The video.
        reason: One line, which names it.
        clips: How many clips of the data are lost with it.
    """

    path: Path
    reason: str
    clips: int

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"path": str(self.path), "reason": self.reason, "clips": self.clips}


@dataclass(frozen=True)
class CheckedClass:
    """What there is of one class.

    Attributes:
        label: Its name.
        clips: In the data.
        usable: Of these, how many can be read.
        groups: Of the usable ones, how many groups they are in.
        parts: Of the usable ones, how many are in "train", "validation" and "test"; `UNSAID`: the data does
            not say.
        shortest_s, median_s, longest_s: Of the usable ones; None: there are none.
    """

    label: str
    clips: int
    usable: int
    groups: int
    parts: dict[str, int]
    shortest_s: float | None = None
    median_s: float | None = None
    longest_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        lengths = {"shortest_s": self.shortest_s, "median_s": self.median_s, "longest_s": self.longest_s}
        return {
            "label": self.label,
            "clips": self.clips,
            "usable": self.usable,
            "groups": self.groups,
            "parts": self.parts,
            **{name: None if length_s is None else round(length_s, 3) for name, length_s in lengths.items()},
        }


@dataclass(frozen=True)
class Copies:
    """Two clips or more that are the same.

    Attributes:
        clips: Their indices in the data.
        is_exact: Whether their files are equal byte for byte; else what they show is alike.
        likeness: Of the least alike neighbours among them, up to 1.
        later_s: Of two clips that are alike: where the second one begins in the first one, in seconds.
        contradict: Whether they have different labels.
        leak: Whether they are in different groups or parts, so that one could be trained on and another one
            evaluated.
    """

    clips: tuple[int, ...]
    is_exact: bool
    likeness: float
    later_s: float | None
    contradict: bool
    leak: bool


@dataclass(frozen=True, eq=False)
class DataCheck:
    """A checked data set.

    Attributes:
        data: The data set.
        videos: Those that can be read, in order.
        unusable: Videos and clips that cannot be used, with reasons.
    """

    data: LabelledData
    videos: tuple[CheckedVideo, ...]
    unusable: tuple[Unusable, ...]

    @cached_property
    def usable(self) -> dict[int, CheckedClip]:
        """The clips that can be used, by their index in the data."""
        found = {clip.number: clip for video in self.videos for clip in video.clips if clip.problem is None}
        return dict(sorted(found.items()))

    @cached_property
    def classes(self) -> tuple[CheckedClass, ...]:
        """In order of `data.classes`."""
        numbers: dict[str, list[int]] = {label: [] for label in self.data.classes}
        for number, clip in enumerate(self.data.clips):
            for label in clip.labels:
                numbers[label].append(number)
        return tuple(self._class(label, of_class) for label, of_class in numbers.items())

    def _class(self, label: str, numbers: Sequence[int]) -> CheckedClass:
        usable = [number for number in numbers if number in self.usable]
        clips = [self.data.clips[number] for number in usable]
        lengths_s = [self.usable[number].length_s for number in usable]
        three_s = (min(lengths_s), float(np.median(lengths_s)), max(lengths_s)) if lengths_s else ()
        return CheckedClass(
            label,
            len(numbers),
            len(usable),
            len({clip.scene for clip in clips}),
            dict(Counter(clip.part or UNSAID for clip in clips)),
            *three_s,
        )

    @cached_property
    def usable_data(self) -> LabelledData:
        """The data set without what cannot be used."""
        clips = tuple(self.data.clips[number] for number in self.usable)
        return LabelledData(clips, self.data.classes, self.data.is_multi_label, self.data.kind)

    @cached_property
    def similar_labels(self) -> tuple[tuple[str, str], ...]:
        """Names of classes that are likely one."""
        return tuple(similar_labels(self.data.classes))

    @cached_property
    def copies(self) -> tuple[Copies, ...]:
        """Clips of different videos that are the same: equal files first, then look-alikes.

        Those that belong together anyway, of one group, part and label, are left out. Of equal files the
        first clips count.
        """
        by_digest: dict[str, list[int]] = {}
        for video in self.videos:
            usable = [clip.number for clip in video.clips if clip.problem is None]
            if video.sha256 is not None and usable:
                by_digest.setdefault(video.sha256, []).append(min(usable))
        exact = [self._copies(numbers, is_exact=True) for numbers in by_digest.values() if len(numbers) > 1]
        alike = [c for c in self._look_alikes() if c.contradict or c.leak]
        return (*exact, *alike)

    def _look_alikes(self) -> list[Copies]:
        """The most alike first."""
        return [
            self._copies(
                cluster,
                likeness=min(pair.likeness for pair in joined),
                later_s=joined[0].later_s if len(joined) == 1 else None,
            )
            for cluster, joined in _clusters(self._comparison.copies)
        ]

    @cached_property
    def _comparison(self) -> Comparison:
        """Of all usable clips, by their index in the data. Of equal files one stands for all."""
        first_of: dict[str, Path] = {}
        compared = {
            video.path
            for video in self.videos
            if first_of.setdefault(video.sha256 or str(video.path), video.path) is video.path
        }
        clips = [clip for n, clip in self.usable.items() if self.data.clips[n].path in compared]
        numbers, signatures = [], []
        for clip in clips[:MOST_CLIPS]:
            if clip.signature is not None:
                numbers.append(clip.number)
                signatures.append(clip.signature)
        of = [self.data.clips[number] for number in numbers]
        found = compare_clips(signatures, [(c.path, (c.scene, c.part, frozenset(c.labels))) for c in of])
        return Comparison(
            tuple(
                replace(pair, first=numbers[pair.first], second=numbers[pair.second]) for pair in found.copies
            ),
            tuple((numbers[i], numbers[j]) for i, j in found.scenes),
        )

    @cached_property
    def scenes(self) -> tuple[tuple[int, ...], ...]:
        """Usable clips that likely show one scene although they are in several groups; the largest first.

        Each is the indices of all clips of these groups: they should be one group.
        """
        joined: dict[str, list[str]] = {}
        exact = [pair for c in self.copies if c.is_exact for pair in pairwise(c.clips)]
        for pair in (*self._comparison.scenes, *exact):
            mine, others = (joined.setdefault(s, [s]) for s in (self.data.clips[n].scene for n in pair))
            if mine is not others:
                mine += others
                joined.update(dict.fromkeys(others, mine))
        clips_of: dict[int, list[int]] = {}
        for number in self.usable:
            groups = joined.get(self.data.clips[number].scene, [])
            if len(groups) > 1:
                clips_of.setdefault(id(groups), []).append(number)
        return tuple(sorted(map(tuple, clips_of.values()), key=lambda numbers: (-len(numbers), numbers)))

    def _copies(
        self,
        numbers: Sequence[int],
        *,
        is_exact: bool = False,
        likeness: float = 1.0,
        later_s: float | None = None,
    ) -> Copies:
        clips = [self.data.clips[number] for number in numbers]
        return Copies(
            tuple(numbers),
            is_exact,
            likeness,
            later_s,
            contradict=len({frozenset(clip.labels) for clip in clips}) > 1,
            leak=len({(clip.scene, clip.part) for clip in clips}) > 1,
        )

    def corrected(self) -> LabelledData:
        """The usable clips, with times since the first frame, and those of one scene in one group.

        A scene stays divided if a class could not be evaluated otherwise: all of it was recorded there.
        """
        clips = []
        for number, checked in self.usable.items():
            clip = self.data.clips[number]
            start_s = None if clip.start_s is None else checked.start_s
            end_s = None if clip.end_s is None else checked.end_s
            clips.append(replace(clip, start_s=start_s, end_s=end_s, clock="video"))
        data = replace(self.usable_data, clips=tuple(clips))
        place = {number: i for i, number in enumerate(self.usable)}
        for count, numbers in enumerate(reversed(self.scenes), start=1):
            of_scene = {place[number] for number in numbers}
            joined = replace(
                data,
                clips=tuple(
                    replace(clip, group=f"scene {count}") if i in of_scene else clip
                    for i, clip in enumerate(data.clips)
                ),
            )
            if len(only_in_training(joined)) == len(only_in_training(data)):
                data = joined
        return data

    @property
    def lost(self) -> int:
        """How many clips cannot be used."""
        return len(self.data.clips) - len(self.usable)

    @property
    def total_s(self) -> float:
        """The length of all usable clips."""
        return sum(clip.length_s for clip in self.usable.values())

    def problems(self) -> list[str]:
        """What should be looked at before anything is trained, a sentence each; the worst first."""
        return list(_problems(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything but pictures, as JSON values."""
        return {
            "kind": self.data.kind,
            "multi_label": self.data.is_multi_label,
            "clips": len(self.data.clips),
            "usable": len(self.usable),
            "videos": [video.to_dict() for video in self.videos],
            "unusable": [lost.to_dict() for lost in self.unusable],
            "total_s": round(self.total_s, 3),
            "groups": len({clip.scene for clip in self.usable_data.clips}),
            "classes": [of_class.to_dict() for of_class in self.classes],
            "copies": [self._copies_to_dict(copies) for copies in self.copies],
            "scenes": [[self._clip_to_dict(number) for number in scene] for scene in self.scenes],
            "similar_labels": [list(pair) for pair in self.similar_labels],
            "problems": self.problems(),
            "notes": list(self.data.notes),
            "skipped": dict(self.data.skipped),
        }

    def _copies_to_dict(self, copies: Copies) -> dict[str, Any]:
        return {
            "clips": [self._clip_to_dict(number) for number in copies.clips],
            "exact": copies.is_exact,
            "likeness": round(copies.likeness, 4),
            "later_s": None if copies.later_s is None else round(copies.later_s, 3),
            "contradict": copies.contradict,
            "leak": copies.leak,
        }

    def _clip_to_dict(self, number: int) -> dict[str, Any]:
        clip = self.data.clips[number]
        return {
            "path": str(clip.path),
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "labels": list(clip.labels),
        }


def _clusters(pairs: Sequence[LookAlike]) -> list[tuple[list[int], list[LookAlike]]]:
    """Indices that pairs join, in order, with these pairs; in order of the first pair."""
    cluster_of: dict[int, list[int]] = {}
    for pair in pairs:
        mine, others = (cluster_of.setdefault(i, [i]) for i in (pair.first, pair.second))
        if mine is not others:
            mine += others
            cluster_of.update(dict.fromkeys(others, mine))
    joined: dict[int, list[LookAlike]] = {}
    for pair in pairs:
        joined.setdefault(id(cluster_of[pair.first]), []).append(pair)
    return [(sorted(cluster_of[of[0].first]), of) for of in joined.values()]


def _problems(check: DataCheck) -> Iterator[str]:
    data = check.usable_data
    if check.lost:
        share = check.lost / len(check.data.clips)
        stops = ": more than a third, and so training stops" if share > MOST_BROKEN else ""
        yield f"clips that cannot be used: {check.lost} of {len(check.data.clips)}{stops}"
    if gone := [c.label for c in check.classes if not c.usable]:
        yield f"classes without a clip that can be used: {_listed(gone)}"
    if contradictions := [c for c in check.copies if c.contradict]:
        yield f"clips that are the same, and have different labels: {_sum_of(contradictions)}"
    if divided := groups_across_parts(data):
        yield f"groups with clips both for training and for evaluation: {_listed(divided)}"
    if leaks := [c for c in check.copies if c.leak and not c.contradict]:
        yield (
            f"clips that are the same, and in no common group, so that one may be trained on and another one "
            f"evaluated: {_sum_of(leaks)}"
        )
    if check.scenes:
        yield (
            "clips that likely show one scene, but are in several groups: "
            f"{sum(map(len, check.scenes))} (scenes: {len(check.scenes)})"
        )
    for first, second in check.similar_labels:
        yield f"names that are likely one class: {first} and {second}"
    if alone := [label for label in only_in_training(data) if label not in gone]:
        yield f"classes whose clips are all of one group, which cannot be evaluated: {_listed(alone)}"
    if few := [f"{c.label} ({c.usable})" for c in check.classes if 0 < c.usable < FEW_CLIPS]:
        yield f"classes with fewer than {FEW_CLIPS} clips: {_listed(few)}"
    counts = [c.usable for c in check.classes if c.usable]
    if counts and max(counts) >= UNBALANCED * min(counts):
        yield f"the largest class has {max(counts)} clips, the smallest {min(counts)}"
    if damaged := [video for video in check.videos if video.warnings]:
        yield f"videos that can be read, but are damaged or odd: {len(damaged)}"


def _sum_of(copies: Sequence[Copies]) -> int:
    return sum(len(c.clips) for c in copies)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(printable(name) for name in names[:_MOST_NAMED]) + more
