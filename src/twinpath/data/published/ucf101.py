"""UCF101: trainlist01.txt to 03, testlist01.txt to 03, and classInd.txt with the classes, numbered from 1.

    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1       of a list for training
    ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi         of a list for testing: the folder is the class

The group of a clip, v_ApplyEyeMakeup_g08, is known to `data.labelled.groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.published.class_list import class_index, read_class_names
from twinpath.data.published.listed_clips import ClipColumns
from twinpath.formats.text_columns import line_error, stream_lines, whole_number_or_none
from twinpath.suggest import did_you_mean

UCF101_KIND = "UCF101"
CLASS_FILE = "classInd.txt"


def read_ucf101(
    lists: Sequence[Path], part: Part, *, videos: Path, classes: Sequence[str] | None = None
) -> LabelledData:
    """Read lists. No video is opened.

    Args:
        lists: trainlist or testlist files.
        part: What the clips are for.
        videos: The folder with a folder of videos for each class.
        classes: Names of the classes in order; None: those of classInd.txt beside the first list.
    Raises:
        NotAFile: No such list, or no classInd.txt beside it.
        InputError: With file and line: a folder that is no class, a number that is not the folder's; or there
            are no clips.
    """
    if classes is None:
        classes = read_class_names(lists[0].parent / CLASS_FILE)
    columns, index = ClipColumns(videos, part), class_index(classes)
    for path in lists:
        for line, text in enumerate(stream_lines(path), 1):
            text = text.strip()
            if not text:
                continue
            name, number = _divided(text)
            folder = Path(name.replace("\\", "/")).parent.name
            if folder not in index:
                raise line_error(
                    path, line, f"its folder, {folder!r}, is none of the classes{did_you_mean(folder, index)}"
                )
            if number is not None and number != index[folder] + 1:
                raise line_error(
                    path, line, f"number {number}, and {folder} has the number {index[folder] + 1}"
                )
            columns.add(name, index[folder])
    if not len(columns):
        raise line_error(lists[0], 1, "there are no clips in this list")
    return LabelledData(
        columns.clips(classes), tuple(classes), kind=UCF101_KIND, notes=tuple(columns.notes())
    )


def _divided(text: str) -> tuple[str, int | None]:
    """Path and number; None: it has none."""
    name, _, behind = text.rpartition(" ")
    number = whole_number_or_none(behind, minimum=1) if name.strip() else None
    return (text, None) if number is None else (name.rstrip(), number)
