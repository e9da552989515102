"""AVA's tables of boxes: `video,second,x1,y1,x2,y2,…` without a header, boxes as shares of the picture.

    ground truth      … ,action_id[,person_id]
    results           … ,action_id,score
    predicted people  … [,action_id],score          an empty action_id means any

Which faults end the reading, and which the official evaluation forgives:

| fault | |
|---|---|
| another number of columns than in the first row | an error |
| no number, NaN, infinity; no whole second | an error |
| x2 < x1 or y2 < y1 | an error: the columns are mixed up |
| x2 = x1 or y2 = y1 | kept in the truth, where nothing can match it; left out of what was found; noted |
| a true box outside 0 to 1 | an error |
| a found box outside 0 to 1 | kept up to a tenth of the picture, as detectors give; further out an error |
| an action that the label map does not know | an error; AVA's other 20 actions are known and not evaluated |
| the same row again | kept, and so counted twice, as the official evaluation does; noted |
| a byte order mark, Windows' line ends, empty lines | nothing |
| a true row without a box | a second at which nobody was seen |
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.formats.ava_label_map import LabelMap
from twinpath.formats.text_columns import Columns, fault, read_lines
from twinpath.paths import display_path

_BLOCK_LINES = 1 << 16  # split at a time: a results file has millions of lines, each of eight strings
_PLACE = ("video", "second", "x1", "y1", "x2", "y2")
_TRUTH = ((*_PLACE, "action_id"), (*_PLACE, "action_id", "person_id"))
_RESULTS = ((*_PLACE, "action_id", "score"),)
_PEOPLE = ((*_PLACE, "score"), (*_PLACE, "action_id", "score"))
ANY_ACTION = -1
MOST_OUTSIDE = 0.1  # of the picture, that a found box may reach beyond it

Second = tuple[str, int]


@dataclass(frozen=True, eq=False)
class BoxRows:
    """A table of boxes.

    Attributes:
        videos: Their names, in the order in which they come.
        video: (N,) int64, index into `videos`.
        second: (N,) int64.
        boxes_xyxy: (N, 4) float64, shares of the picture's width and height.
        action_id: (N,) int64 from 1; `ANY_ACTION` where the row names none.
        score: (N,) float64; 1 in ground truth.
        notes: What is odd, one line each.
    """

    videos: tuple[str, ...]
    video: NDArray[np.int64]
    second: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float64]
    action_id: NDArray[np.int64]
    score: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.video)

    def where(self, is_wanted: NDArray[np.bool_]) -> BoxRows:
        """Some of the rows; `videos` stays."""
        return BoxRows(
            self.videos,
            self.video[is_wanted],
            self.second[is_wanted],
            self.boxes_xyxy[is_wanted],
            self.action_id[is_wanted],
            self.score[is_wanted],
            self.notes,
        )

    def by_second(self) -> dict[str, dict[int, NDArray[np.float64]]]:
        """For each video, for each of its seconds in order of time, the (N, 4) boxes, each once."""
        found: dict[str, dict[int, dict[tuple[float, ...], None]]] = {}
        columns = (self.video.tolist(), self.second.tolist(), self.boxes_xyxy.tolist())
        for video, second, box in zip(*columns, strict=True):
            found.setdefault(self.videos[video], {}).setdefault(second, {})[tuple(box)] = None
        return {
            video: {second: np.asarray(list(boxes)) for second, boxes in sorted(seconds.items())}
            for video, seconds in found.items()
        }


def read_truth(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """Ground truth, as in ava_val_v2.2.csv.

    Raises:
        NotAFile: No such file.
        InputError: `file:line: what`; see the table above.
    """
    return _read(Path(path), _TRUTH, label_map=label_map, may_be_empty=True)


def read_results(path: str | os.PathLike[str], label_map: LabelMap) -> BoxRows:
    """What a model found: the form in which results are handed in to AVA; errors as for `read_truth`."""
    return _solid(_read(Path(path), _RESULTS, label_map=label_map, most_outside=MOST_OUTSIDE))


def read_people(path: str | os.PathLike[str], *, min_score: float = 0.0) -> BoxRows:
    """The boxes of a person detector, once each, whatever actions stand beside them.

    Args:
        path: The file.
        min_score: Leave out those of whom the detector is less sure. PySlowFast: 0.8 for SlowFast, 0.9 for
            Slow.
    Raises:
        NotAFile, InputError: As for `read_truth`.
    """
    rows = _solid(_read(Path(path), _PEOPLE, most_outside=MOST_OUTSIDE))
    return rows.where(rows.score >= min_score)


def read_exclusions(path: str | os.PathLike[str]) -> frozenset[Second]:
    """Rows `video,second` that the evaluation leaves out.

    Raises:
        NotAFile, InputError: As for `read_truth`.
    """
    path = Path(path)
    found: set[Second] = set()
    for block in _blocks(path, read_lines(path), (("video", "second"),)):
        found.update(zip(block.text("video"), block.whole_numbers("second", least=0).tolist(), strict=True))
    return frozenset(found)


def write_results(path: str | os.PathLike[str], rows: BoxRows) -> None:
    """Write the official results file, whole or not at all.

    Scores have nine digits, which keep apart whatever float32 keeps apart: the file evaluates as `rows` do.

    Raises:
        OSError: The disk is full or refuses; the old file is kept.
    """
    columns = (rows.video, rows.second, rows.boxes_xyxy, rows.action_id, rows.score)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(
            f"{rows.videos[video]},{second:04d},{x1!r},{y1!r},{x2!r},{y2!r},{action},{score:.9g}\n"
            for video, second, (x1, y1, x2, y2), action, score in zip(
                *(column.tolist() for column in columns), strict=True
            )
        )


def _read(
    path: Path,
    layouts: Sequence[tuple[str, ...]],
    *,
    label_map: LabelMap | None = None,
    most_outside: float = 0.0,
    may_be_empty: bool = False,
) -> BoxRows:
    lines = read_lines(path)
    videos: dict[str, int] = {}
    parts = []
    for block in _blocks(path, lines, layouts, may_be_empty=may_be_empty):
        block.refuse(
            np.asarray([not name for name in block.text("video")]), lambda i: "the video has no name"
        )
        video = np.asarray([videos.setdefault(name, len(videos)) for name in block.text("video")], np.int64)
        second = block.whole_numbers("second", least=0)
        boxes = _boxes(block, most_outside)
        parts.append((video, second, boxes, _actions(block, label_map), _scores(block)))
    if not parts:
        raise fault(path, 1, "there are no boxes in this file")
    video, second, boxes, action, score = map(np.concatenate, zip(*parts, strict=True))
    notes = (*_repeated(path, lines), *_flat(path, boxes))
    return BoxRows(tuple(videos), video, second, boxes, action, score, notes)


def _blocks(
    path: Path, lines: list[str], layouts: Sequence[tuple[str, ...]], *, may_be_empty: bool = False
) -> Iterator[Columns]:
    """The rows in blocks of lines; those without a box are left out where they may be there.

    Raises:
        InputError: A row has as many columns as no layout, or as not the first row.
    """
    by_width = {len(layout): layout for layout in layouts}
    width, width_line = 0, 0
    for first in range(0, len(lines), _BLOCK_LINES):
        some = range(first, min(first + _BLOCK_LINES, len(lines)))
        kept = [i for i in some if lines[i] and not lines[i].isspace()]
        if may_be_empty:
            kept = [i for i in kept if not _is_empty(lines[i])]
        if not kept:
            continue
        widths = [lines[i].count(",") + 1 for i in kept]
        if not width:
            width_line, width = kept[0] + 1, widths[0]
        if width not in by_width:
            raise fault(path, width_line, f"{width} columns, and it must be {_either(layouts)}")
        for i, found in zip(kept, widths, strict=True):
            if found != width:
                raise fault(path, i + 1, f"{found} columns, and line {width_line} has {width}")
        fields = ",".join(lines[i] for i in kept).split(",")  # all at once: a list for each row takes long
        columns = {name: fields[i::width] for i, name in enumerate(by_width[width])}
        yield Columns(path, [i + 1 for i in kept], columns)


def _is_empty(line: str) -> bool:
    """Whether a row says that nobody was seen at that second."""
    fields = line.split(",", 2)
    return len(fields) == 2 or (len(fields) == 3 and not fields[2].strip(", "))


def _either(layouts: Sequence[tuple[str, ...]]) -> str:
    return ", or ".join(",".join(layout) for layout in layouts)


def _boxes(block: Columns, most_outside: float) -> NDArray[np.float64]:
    boxes = np.stack([block.numbers(name) for name in ("x1", "y1", "x2", "y2")], axis=1)
    x1, y1, x2, y2 = boxes.T
    block.refuse(x2 < x1, lambda i: f"x2 {x2[i]:g} is less than x1 {x1[i]:g}")
    block.refuse(y2 < y1, lambda i: f"y2 {y2[i]:g} is less than y1 {y1[i]:g}")
    is_outside = (np.minimum(x1, y1) < -most_outside) | (np.maximum(x2, y2) > 1 + most_outside)
    block.refuse(
        is_outside,
        lambda i: "the box {:g},{:g},{:g},{:g} is not within 0 and 1, as shares of the picture".format(
            *boxes[i]
        ),
    )
    return boxes


def _actions(block: Columns, label_map: LabelMap | None) -> NDArray[np.int64]:
    """(N,); without a label map any number, and none."""
    if "action_id" not in block:
        return np.full(len(block), ANY_ACTION, dtype=np.int64)
    if label_map is None:
        return block.whole_numbers("action_id", least=ANY_ACTION, empty=ANY_ACTION)
    found = block.whole_numbers("action_id", least=0)
    block.refuse(
        ~np.isin(found, sorted(label_map.known)),
        lambda i: f"there is no action with id {found[i]} in the label map",
    )
    return found


def _scores(block: Columns) -> NDArray[np.float64]:
    return block.numbers("score") if "score" in block else np.ones(len(block))


def _solid(rows: BoxRows) -> BoxRows:
    """Without boxes that have no area, as the official evaluation takes what was found."""
    x1, y1, x2, y2 = rows.boxes_xyxy.T
    return rows.where((x2 > x1) & (y2 > y1))


def _flat(path: Path, boxes_xyxy: NDArray[np.float64]) -> list[str]:
    """What to say of boxes without an area."""
    x1, y1, x2, y2 = boxes_xyxy.T
    count = int(((x2 == x1) | (y2 == y1)).sum())
    return [f"{display_path(path)}: {count} boxes have no area and match nothing"] if count else []


def _repeated(path: Path, lines: list[str]) -> list[str]:
    """What to say of lines that come again."""
    filled = [line for line in lines if line.strip()]
    count = len(filled) - len(set(filled))
    if not count:
        return []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and seen.setdefault(line, number) != number:
            more = f"; so do {count - 1} more lines" if count > 1 else ""
            return [f"{display_path(path)}:{number}: repeats line {seen[line]}, and both count{more}"]
    raise AssertionError("a line repeats and was not found")
