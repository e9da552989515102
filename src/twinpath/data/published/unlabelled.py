"""Videos without labels, for masked pre-training: folders, or lists of one path a line.

A list for another purpose will do: the label behind a path, or a column of numbers, is passed over.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.published.kinetics import without_counts
from twinpath.data.published.listed_clips import UNLABELLED, ClipColumns
from twinpath.errors import InputError
from twinpath.formats.text_columns import stream_lines
from twinpath.paths import display_path
from twinpath.video.find import find_all

UNLABELLED_KIND = "unlabelled videos"


def read_unlabelled(
    sources: Sequence[Path], part: Part, *, videos: Path, separator: str = " "
) -> LabelledData:
    """List videos. No video of a list is opened.

    Args:
        sources: Folders, with the videos in them and below; or lists.
        part: What the clips are for.
        videos: The folder that paths in lists are relative to.
        separator: Between the columns of lists.
    Raises:
        NotAFile: No such list, or a folder without videos.
        InputError: There are no videos.
    """
    columns = ClipColumns(videos, part)
    skipped: Counter[str] = Counter()
    for source in sources:
        if source.is_dir():
            found = find_all([source])
            skipped.update(found.skipped)
            for video in found.videos:
                columns.add(os.path.abspath(video.path), UNLABELLED)  # noqa: PTH100 - not relative to `videos`
            continue
        for text in map(str.strip, stream_lines(source)):
            if text:
                columns.add(without_counts(text, separator), UNLABELLED)
    if not len(columns):
        raise InputError(f"{display_path(sources[0])}: there are no videos in this list")
    return LabelledData(
        columns.clips(()),
        (),
        kind=UNLABELLED_KIND,
        skipped=dict(skipped.most_common()),
        notes=tuple(columns.notes()),
    )
