"""ImageNet: a folder of pictures for each class, n01440764/a.JPEG. A picture is a clip of one frame.

Networks learn from it before they are inflated: their 2D kernels become 3D ones.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.class_names import class_name
from twinpath.data.labelled.clip import LabelledData, Part
from twinpath.data.pictures import PICTURE_SUFFIXES, read_picture
from twinpath.data.published.class_list import class_index
from twinpath.data.published.listed_clips import ClipColumns
from twinpath.errors import InputError, NotAFile
from twinpath.formats.file_content import read_text
from twinpath.formats.json_nodes import Node, parse_json
from twinpath.formats.text_columns import line_error, lines_of
from twinpath.paths import display_path
from twinpath.suggest import did_you_mean

IMAGENET_KIND = "pictures"
_SYNSET = re.compile(r"n\d+")


def read_imagenet(
    folders: Sequence[Path], part: Part, *, names: Path | None = None, classes: Sequence[str] | None = None
) -> LabelledData:
    """List the pictures in folders of classes. No picture is opened.

    Args:
        folders: Each holds a folder of pictures for each class; in the order of their names they are the
            network's outputs.
        part: What the pictures are for.
        names: Words for the folders' names: LOC_synset_mapping.txt, "n01440764 tench, Tinca tinca", or
            imagenet_class_index.json, {"0": ["n01440764", "tench"]}; None: the folders' names.
        classes: Names of the classes in order; None: those of the folders. Other folders are an error then.
    Raises:
        NotAFile: A folder does not exist.
        InputError: There are no folders with pictures, or one that is no class.
    """
    words = {} if names is None else _words(names)
    found = [(name, root) for root in folders for name in _class_folders(root)]
    if not found:
        raise InputError(
            f"{display_path(folders[0])} holds no folders with pictures; there should be one for each class"
        )
    ordered = sorted({name for name, _ in found})
    lacking = [name for name in ordered if words and name not in words]
    if lacking:
        raise InputError(f"{display_path(str(names))} has no words for {', '.join(lacking[:3])}")
    name_of = {name: words.get(name, class_name(name)) for name in ordered}
    chosen = tuple(classes) if classes is not None else tuple(name_of[name] for name in ordered)
    index = class_index(chosen)
    columns = ClipColumns(folders[0] if len(folders) == 1 else Path(), part)
    skipped: Counter[str] = Counter()
    for name, root in found:
        label = index.get(name_of[name])
        if label is None:
            raise InputError(
                f"{display_path(root / name)}: {name_of[name]!r} is none of the classes"
                f"{did_you_mean(name_of[name], chosen)}"
            )
        prefix = name if len(folders) == 1 else str(root / name)
        for file in _files(root / name, skipped):
            columns.add(f"{prefix}/{file}", label)
    if not len(columns):
        raise InputError(f"{display_path(folders[0])}: there are no pictures in the folders of its classes")
    return LabelledData(
        columns.clips(chosen), chosen, kind=IMAGENET_KIND, skipped=dict(skipped.most_common())
    )


def picture_frames(path: Path) -> NDArray[np.uint8]:
    """A picture as a clip of one frame: (1, H, W, 3) uint8 RGB.

    Raises:
        NotAFile, InputError: It does not exist, or does not decode.
    """
    return read_picture(path)[None]


def _class_folders(root: Path) -> list[str]:
    """The names of the folders of classes, sorted: those called as synsets, if there are any, else all."""
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise NotAFile(f"the folder {display_path(root)} cannot be listed: {error.strerror}") from error
    return [name for name in names if _SYNSET.fullmatch(name)] or names


def _files(folder: Path, skipped: Counter[str]) -> list[str]:
    """The names of the pictures in a folder, sorted; other files are counted."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    pictures = [name for name in names if os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES]  # noqa: PTH122
    if len(pictures) < len(names):
        skipped.update(Path(name).suffix.lower() for name in set(names) - set(pictures))
    return pictures


def _words(path: Path) -> dict[str, str]:
    """Words by the names of folders. Words that stand for two classes, such as crane, have the folder behind.

    Raises:
        NotAFile, InputError: There is no such file, or it is none of the two.
    """
    text = read_text(path)
    words: dict[str, str] = {}
    if text.lstrip().startswith("{"):
        root = parse_json(text, display_path(path))
        for key in root.value:
            folder, word = (node.text() for node in _pair(root[key]))
            words[folder] = word.replace("_", " ")
    else:
        for line, row in enumerate(lines_of(text), 1):
            folder, found, word = row.strip().partition(" ")
            if row.strip() and not (found and word.strip()):
                raise line_error(path, line, "not a folder's name and its words, such as n01440764 tench")
            if row.strip():
                words[folder] = word.split(",")[0].strip()
    counts = Counter(words.values())
    return {folder: word if counts[word] == 1 else f"{word} ({folder})" for folder, word in words.items()}


def _pair(node: Node) -> list[Node]:
    entries = node.each()
    if len(entries) != 2:
        raise node.error(f"{len(entries)} entries, not the name of a folder and a word")
    return entries
