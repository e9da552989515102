"""A labelled clip: a part of a video and what happens in it. All data sets of videos are lists of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

#: Share of the clips that may be unreadable; with more, something is wrong with the data as a whole.
MOST_BROKEN = 1 / 3

Part = Literal["train", "validation", "test"]
Clock = Literal["video", "player"]


@dataclass(frozen=True)
class LabelledClip:
    """A whole video or a span of it.

    Attributes:
        path: The file, or the folder of frames.
        labels: Names of its classes: one, or for multi-label data any number.
        start_s, end_s: The span in seconds; None: from the first frame, to the last.
        part: What the data says it is for; None: it says nothing.
        group: Clips of one group must not be divided between training and evaluation: they show the same
            scene.
        clock: What the span's times count from: "video": the first frame; "player": what a player shows,
            which differs where the sound begins first, see `Timeline.on_players_clock`.
    """

    path: Path
    labels: tuple[str, ...]
    start_s: float | None = None
    end_s: float | None = None
    part: Part | None = None
    group: str = ""
    clock: Clock = "video"

    @property
    def scene(self) -> str:
        """The group, or of a clip without one its file."""
        return self.group or str(self.path)


@dataclass(frozen=True)
class LabelledData:
    """A data set.

    Attributes:
        clips: In the order of the data.
        classes: Names of the classes, in the order of a network's outputs: sorted, unless the data says.
        is_multi_label: Whether a clip may have several classes, or none.
        kind: What was read, for people: "folder of classes", "CSV", …
        skipped: How many files of a folder were passed over, by suffix.
        notes: What a user should know of the data, a sentence each.
    """

    clips: tuple[LabelledClip, ...]
    classes: tuple[str, ...]
    is_multi_label: bool = False
    kind: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def class_indices(self, clip: LabelledClip) -> tuple[int, ...]:
        """The indices of a clip's labels in `classes`, increasing."""
        return tuple(sorted(self.classes.index(label) for label in set(clip.labels)))
