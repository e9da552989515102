"""Read a published data set by its kind: `read_published`.

train = read_published("kinetics", ["train.csv"], "train", videos="videos", labels="kinetics400")
validation = read_published("kinetics", ["val.csv"], "validation", videos="videos", classes=train.classes)
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from twinpath.data.labelled.clip import LabelledClip, LabelledData, Part
from twinpath.data.labelled.groups import is_there
from twinpath.data.published.charades import read_charades
from twinpath.data.published.class_list import read_class_names
from twinpath.data.published.hmdb51 import read_hmdb51
from twinpath.data.published.imagenet import read_imagenet
from twinpath.data.published.kinetics import read_kinetics
from twinpath.data.published.listed_clips import ListedClips
from twinpath.data.published.something import read_something
from twinpath.data.published.ucf101 import read_ucf101
from twinpath.data.published.unlabelled import read_unlabelled
from twinpath.errors import NotAFile, UsageError
from twinpath.paths import display_path
from twinpath.suggest import did_you_mean
from twinpath.video.frame_folder import is_frame_pattern

Source = str | os.PathLike[str]

KINDS = ("kinetics", "ucf101", "hmdb51", "something", "charades", "imagenet", "unlabelled")


def read_published(
    kind: str,
    lists: Sequence[Source],
    part: Part,
    *,
    videos: Source = "",
    labels: Source = "",
    separator: str = " ",
    classes: Sequence[str] | None = None,
    num_classes: int | None = None,
    check: bool = False,
) -> LabelledData:
    """Read the clips of one part of a data set. No video is opened: a missing one shows when it is read.

    Args:
        kind: One of `KINDS`.
        lists: The lists of the part, in the published format of the kind, see the module of the kind; of
            ImageNet and for unlabelled videos folders. A pattern such as "splits/*_test_split1.txt" stands
            for all files that match.
        part: What the clips are for.
        videos: The folder that paths in lists are relative to; "": the working folder.
        labels: Names of the classes in the order of their numbers: a file, see `class_list`, or the name of a
            data set, "kinetics400"; "": as each kind does without.
        separator: Between path and label of Kinetics lists.
        classes: The names of the classes in order, in place of `labels`: those of the training part, for the
            others.
        num_classes: Of Kinetics lists without names: how many classes there are; None: as many as occur.
        check: Count the files that do not exist, as a note.
    Raises:
        UsageError: No such kind, or an empty separator.
        NotAFile: A list is missing, or a pattern matches nothing; of data with `check`, not one file exists.
        InputError: A list is wrong; names the line.
    """
    if kind not in KINDS:
        raise UsageError(
            f"no published data is called {kind!r}{did_you_mean(kind, KINDS)} ({', '.join(KINDS)})"
        )
    if not separator:
        raise UsageError("the separator between path and label is empty")
    paths, folder = _expanded(lists), Path(videos)
    if classes is None and labels and kind != "imagenet":
        classes = read_class_names(Path(labels) if not isinstance(labels, str) else labels)
    match kind:
        case "kinetics":
            data = read_kinetics(
                paths, part, videos=folder, separator=separator, classes=classes, num_classes=num_classes
            )
        case "ucf101":
            data = read_ucf101(paths, part, videos=folder, classes=classes)
        case "hmdb51":
            data = read_hmdb51(paths, part, videos=folder, classes=classes)
        case "something":
            data = read_something(paths, part, videos=folder, classes=classes)
        case "charades":
            data = read_charades(paths, part, videos=folder, classes=classes)
        case "imagenet":
            names = Path(labels) if labels else None
            data = read_imagenet(paths, part, names=names, classes=classes)
        case _:
            data = read_unlabelled(paths, part, videos=folder, separator=separator)
    return _checked(data) if check else data


def missing_files(clips: Sequence[LabelledClip]) -> tuple[int, Path | None]:
    """How many files and folders of clips do not exist, and the first of them."""
    paths: Iterable[Path] = clips.paths() if isinstance(clips, ListedClips) else (c.path for c in clips)
    missing, first = 0, None
    for path in paths:
        if not is_there(path.parent if is_frame_pattern(path) else path):
            missing += 1
            first = first or path
    return missing, first


def _checked(data: LabelledData) -> LabelledData:
    missing, first = missing_files(data.clips)
    if first is None:
        return data
    if missing == len(data.clips):
        raise NotAFile(
            f"not one of {missing} files exists, the first is {display_path(first)}; check the folder"
        )
    note = f"files that do not exist: {missing} of {len(data.clips)}, the first is {display_path(first)}"
    return replace(data, notes=(*data.notes, note))


def _expanded(lists: Sequence[Source]) -> list[Path]:
    """Each list once, patterns expanded."""
    paths: list[Path] = []
    for name in (os.fspath(one) for one in lists):
        if os.path.lexists(name) or not glob.has_magic(name):
            paths.append(Path(name))
            continue
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - absolute ones
        if not matches:
            raise NotAFile(f"the pattern {display_path(name)} matches nothing; check the folder")
        paths += map(Path, matches)
    if not paths:
        raise NotAFile("no list of clips is named")
    return list(dict.fromkeys(paths))
