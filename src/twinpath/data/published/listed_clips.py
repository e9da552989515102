"""Clips of long lists, kept as columns: a million of them take little memory, which processes share.

columns = ClipColumns(Path("videos"), "train")
columns.add("abseiling/a.mp4", 0)
clips = columns.clips(("abseiling", "zumba"))    # a sequence of `LabelledClip`
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip, Part
from twinpath.data.labelled.groups import group_of

UNLABELLED = -1


class ListedClips(Sequence[LabelledClip]):
    """Clips of one class each, or of none. Each is made when it is asked for."""

    def __init__(
        self,
        folder: Path,
        part: Part,
        classes: Sequence[str],
        names: bytes,
        ends: NDArray[np.int64],
        labels: NDArray[np.int32],
    ) -> None:
        """
        Args:
            folder: What names are relative to.
            part: What the clips are for.
            classes: Names of the classes.
            names: The names of all files, one behind the other.
            ends: (N,) where each ends.
            labels: (N,) indices of classes, or `UNLABELLED`.
        """
        self._folder, self._part, self._names, self._ends, self._labels = folder, part, names, ends, labels
        self._labels_of = [(name,) for name in classes]

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> LabelledClip: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LabelledClip, ...]: ...
    def __getitem__(self, index: int | slice) -> LabelledClip | tuple[LabelledClip, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        path, label = self._folder / self._name(index), int(self._labels[index])
        labels = () if label == UNLABELLED else self._labels_of[label]
        return LabelledClip(path, labels, part=self._part, group=group_of(path))

    def paths(self) -> Iterator[Path]:
        """The files, in order."""
        return (self._folder / self._name(index) for index in range(len(self)))

    def _name(self, index: int) -> str:
        begin = int(self._ends[index - 1]) if index else 0
        return self._names[begin : int(self._ends[index])].decode("utf-8", "surrogateescape")


class ClipColumns:
    """Collects the clips of a list.

    Attributes:
        repeated: How many clips were there before, with the same label.
        contradicting: How many were there before with another one.
        first_repeated: The name of the first clip that was there before.
    """

    def __init__(self, folder: Path, part: Part) -> None:
        self._folder, self._part = folder, part
        self._names, self._ends, self._labels = bytearray(), array("q"), array("i")
        self._seen: dict[int, int] = {}
        self.repeated = self.contradicting = 0
        self.first_repeated = ""

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def highest_label(self) -> int:
        """The highest index of a class; `UNLABELLED` where there is none."""
        return max(self._labels, default=UNLABELLED)

    def add(self, name: str, label: int) -> None:
        """A clip.

        Args:
            name: Its file, relative to the folder.
            label: The index of its class, or `UNLABELLED`.
        """
        key = hash(name)  # of 64 bits: names would take ten times the memory
        before = self._seen.get(key)
        if before is None:
            self._seen[key] = label
        else:
            self.first_repeated = self.first_repeated or name
            self.repeated += before == label
            self.contradicting += before != label
        self._names += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._names))
        self._labels.append(label)

    def renumber(self, indices: Sequence[int]) -> None:
        """Give class i of every clip the index `indices[i]`."""
        self._labels = array("i", (indices[label] for label in self._labels))

    def clips(self, classes: Sequence[str]) -> ListedClips:
        """All of them, with the names of their classes."""
        ends, labels = np.array(self._ends, dtype=np.int64), np.array(self._labels, dtype=np.int32)
        return ListedClips(self._folder, self._part, classes, bytes(self._names), ends, labels)

    def notes(self) -> Iterator[str]:
        """What is doubled. Such clips count twice, as in PySlowFast."""
        first = f"; the first is {self.first_repeated}"
        if self.repeated:
            yield f"clips that are listed more than once, and count so often: {self.repeated}{first}"
        if self.contradicting:
            yield f"clips that are listed again with another label: {self.contradicting}{first}"
