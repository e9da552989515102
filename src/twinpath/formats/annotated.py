"""People in a video, where and when, and what they do, as somebody annotated them, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass

from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.box_observations import Box


@dataclass(frozen=True, slots=True)
class AnnotatedBox:
    """One person at one time.

    Attributes:
        at: Seconds since the first frame; of `AnnotatedVideo.counts_frames` the number of a frame, from 0.
        box_xyxy: In pixels of `AnnotatedVideo.size_px`.
        actions: Names of what the person does; none is an answer, too.
        place: In the file, for messages: "tracks[3].points[0]".
        is_set: Whether somebody set it at this frame; False: a program interpolated it.
        is_outside: The person is not in the picture from this frame on.
    """

    at: float
    box_xyxy: Box
    actions: tuple[str, ...]
    place: str
    is_set: bool = True
    is_outside: bool = False


@dataclass(frozen=True, eq=False)
class AnnotatedVideo:
    """The people of one video.

    Attributes:
        file: Of the annotations, for messages.
        video: Name of the video in it; "" if it has none.
        size_px: Width and height of the annotated frames; (1, 1): boxes are relative; None: not known.
        tracks: The boxes of each person in order of time, at most one at a time. A person of whom nothing is
            known but one box is a track.
        counts_frames: Whether boxes lie at frames, not at seconds; between two boxes of a track the person is
            there, too, on the line from one to the other.
        classes: Names of actions in the order of the file; empty: it has no order.
        notes: What a user should know, a sentence each.
    """

    file: str
    video: str
    size_px: tuple[float, float] | None
    tracks: tuple[tuple[AnnotatedBox, ...], ...]
    counts_frames: bool = False
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_relative(self) -> bool:
        """Whether boxes are shares of the frame: AVA CSV."""
        return self.size_px == (1.0, 1.0)

    def error(self, place: str, what: str) -> InputError:
        """An error to raise, with file and place."""
        return InputError(f"{self.file}: {shown(place, 120)}: {shown(what)}")
