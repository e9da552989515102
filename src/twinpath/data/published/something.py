"""Something-Something v2: its JSON files, with videos or, as PySlowFast has it, with frames in lists.

    something-something-v2-labels.json       {"Approaching something with your camera": "0", …}
    something-something-v2-train.json        [{"id": "78687", "template": "Holding [something] next to …"}, …]
    test-answers.csv                         1420;Throwing something in the air and letting it fall
    train.csv                                a list of frames, see `formats.frame_list`

Left and right are classes of it, so clips must not be mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.published.class_list import class_index, read_class_names
from twinpath.data.published.frame_folders import FRAMES_PER_SECOND, listed_path, shared_folders
from twinpath.data.published.listed_clips import ClipColumns
from twinpath.errors import InputError
from twinpath.formats.file_content import read_text
from twinpath.formats.frame_list import ListedVideo, is_frame_list, read_listed_videos
from twinpath.formats.json_nodes import Node, parse_json
from twinpath.formats.text_columns import line_error, stream_lines
from twinpath.labels import labels as built_in
from twinpath.paths import display_path
from twinpath.suggest import did_you_mean

SOMETHING_KIND = "Something-Something v2"
LABEL_FILES = ("something-something-v2-labels.json", "labels.json")
_SUFFIX = ".webm"


class _Video(NamedTuple):
    where: str  # file and place, for messages
    name: str
    template: str


def read_something(
    lists: Sequence[Path], part: Part, *, videos: Path, classes: Sequence[str] | None = None
) -> LabelledData:
    """Read videos with their labels. No video is opened.

    Args:
        lists: JSON files, or the CSV file with the answers of the test set; and for frames lists of these,
            beside them. Videos that are in no list of frames are left out then.
        part: What the clips are for.
        videos: The folder with the videos, 78687.webm; with lists of frames what their paths are relative to.
        classes: Names of the classes in order; None: those of the file of labels beside the first list, or
            without one the published ones.
    Raises:
        NotAFile: No such file.
        InputError: A file is wrong, a template is no class, or there are no clips; names the place.
    """
    if classes is None:
        beside = next((lists[0].parent / n for n in LABEL_FILES if (lists[0].parent / n).is_file()), None)
        classes = built_in("something_something_v2") if beside is None else read_class_names(beside)
    frames: dict[str, ListedVideo] = {}
    labelled: list[Path] = []
    for path in lists:
        if is_frame_list(next((line for line in stream_lines(path) if line.strip()), "")):
            frames.update(read_listed_videos(path))
        else:
            labelled.append(path)
    if not labelled:
        raise InputError(f"{display_path(lists[0])} has no labels; give the JSON file of its videos, too")
    shared = shared_folders(frames.values())
    columns, index = ClipColumns(videos, part), _compared(classes)
    missing: list[str] = []
    for video in (video for path in labelled for video in _videos(path)):
        label = index.get(_key(video.template))
        if label is None:
            raise InputError(
                f"{video.where}: {video.template!r} is none of the classes"
                f"{did_you_mean(video.template, classes)}"
            )
        if not frames:
            columns.add(video.name + _SUFFIX, label)
        elif video.name in frames:
            columns.add(listed_path(frames[video.name], shared, lists), label)
        else:
            missing.append(video.name)
    if not len(columns):
        raise InputError(f"{display_path(labelled[0])}: there are no clips for {part}")
    notes = [*columns.notes()]
    if missing:
        notes.append(f"videos without a list of frames, left out: {len(missing)}; the first is {missing[0]}")
    return LabelledData(
        columns.clips(classes),
        tuple(classes),
        kind=SOMETHING_KIND,
        notes=tuple(notes),
        fps=FRAMES_PER_SECOND if frames else None,
    )


def _key(template: str) -> str:
    """A template as it is compared: without the brackets around its things."""
    return " ".join(template.replace("[", "").replace("]", "").split())


def _compared(classes: Sequence[str]) -> Mapping[str, int]:
    return {_key(name): index for name, index in class_index(classes).items()}


def _videos(path: Path) -> Iterator[_Video]:
    """Raises: InputError: It is no such file."""
    text = read_text(path)
    if text.lstrip()[:1] in ("[", "{"):
        root = parse_json(text, display_path(path))
        del text
        for node in root.each():
            yield _Video(_where(node), str(node["id"].name_or_number()), node["template"].text())
        return
    for line, row in enumerate(text.splitlines(), 1):
        if row.strip():
            name, found, template = row.partition(";")
            if not found or not name.strip():
                raise line_error(path, line, "neither JSON nor a row id;label")
            yield _Video(f"{display_path(path)}:{line}", name.strip(), template.strip())


def _where(node: Node) -> str:
    return f"{node.file}: {node.place}" if node.place else node.file
