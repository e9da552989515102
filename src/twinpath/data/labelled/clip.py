"""A labelled clip: a part of a video and what happens in it. All data sets of videos are lists of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from twinpath.video.sampling import TIME_TOLERANCE_S

#: Share of the clips that may be unreadable; with more, something is wrong with the data as a whole.
MOST_BROKEN = 1 / 3

Part = Literal["train", "validation", "test"]
Clock = Literal["video", "player"]


class LabelSpan(NamedTuple):
    """When one of a clip's labels holds.

    Attributes:
        label: The name of the class.
        start_s, end_s: In seconds since the first frame of the file; the end itself is outside.
    """

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
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
        spans: When each label holds, for data that says so; empty: all of them hold throughout.
    """

    path: Path
    labels: tuple[str, ...]
    start_s: float | None = None
    end_s: float | None = None
    part: Part | None = None
    group: str = ""
    clock: Clock = "video"
    spans: tuple[LabelSpan, ...] = ()

    def labels_between(self, first_s: float, last_s: float) -> tuple[str, ...]:
        """The labels that hold at some time from one frame to another, both included.

        Args:
            first_s, last_s: Times of the frames, in seconds since the first frame of the file.
        """
        if not self.spans:
            return self.labels
        names = (
            span.label
            for span in self.spans
            if span.start_s <= last_s + TIME_TOLERANCE_S and span.end_s > first_s + TIME_TOLERANCE_S
        )
        return tuple(dict.fromkeys(names))

    @property
    def scene(self) -> str:
        """The group, or of a clip without one its file."""
        return self.group or str(self.path)


@dataclass(frozen=True)
class LabelledData:
    """A data set.

    Attributes:
        clips: In the order of the data; of long lists, made one by one when they are asked for.
        classes: Names of the classes, in the order of a network's outputs: sorted, unless the data says.
        is_multi_label: Whether a clip may have several classes, or none.
        kind: What was read, for people: "folder of classes", "CSV", …
        skipped: How many files of a folder were passed over, by suffix.
        notes: What a user should know of the data, a sentence each.
        fps: Frames per second of clips that are folders of pictures, where the data says it.
    """

    clips: Sequence[LabelledClip]
    classes: tuple[str, ...]
    is_multi_label: bool = False
    kind: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fps: float | None = None

    @cached_property
    def _index_of(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.classes)}

    def class_indices(
        self, clip: LabelledClip, *, between_s: tuple[float, float] | None = None
    ) -> tuple[int, ...]:
        """The indices of a clip's labels in `classes`, increasing.

        Args:
            clip: The clip.
            between_s: Only the labels that hold between these times, see `LabelledClip.labels_between`.
        """
        labels = clip.labels if between_s is None else clip.labels_between(*between_s)
        return tuple(sorted(self._index_of[label] for label in set(labels)))
