"""People and their actions from annotations of CVAT: "CVAT for video 1.1", as `cvat.py` and CVAT write it.

An action is, whichever the annotator chose:

    a checkbox                <attribute name="wave">true</attribute>
    a list or a text          <attribute name="action">wave</attribute>
    a label of its own        <track label="wave">        where the label has no attributes as above

Other attributes say nothing about actions. A label called "person" or the like is no action.

A box with outside="1" says that the person is not there from this frame on. Frames are numbered as in the
video, from 0. CVAT writes a box for every frame, most of them interpolated (keyframe="0"); `cvat.py` those
that were detected.
Source: CVAT's documentation of the format, and what its exporter and importer do.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.annotated import AnnotatedBox, AnnotatedVideo
from twinpath.formats.box_observations import Box, side_order_error
from twinpath.formats.text_columns import number_or_none, whole_number_or_none

ROOT = "annotations"
_PERSON_WORDS = frozenset({"person", "persons", "people", "pedestrian", "human", "somebody", "someone"})
_ACTION_WORDS = frozenset({"action", "actions", "activity"})
_NO_ACTION = frozenset({"", "-", "none", "no action", "__undefined__"})
_PROLOG = re.compile(r"\s*(?:(?:<\?.*?\?>|<!--.*?-->)\s*)*", re.DOTALL)
_CHUNK = 1 << 16


def parse_cvat(text: str, where: str) -> AnnotatedVideo:
    """The people of one video.

    Args:
        text: The content of a file.
        where: Its name, for messages.
    Raises:
        InputError: Not "CVAT for video 1.1", or damaged; names the line or the track. A document type
            declaration is refused: CVAT writes none, and one may define entities that fill the memory.
    """
    _check_prolog(text, where)
    reader = _TrackReader(where)
    for element in _elements(text, where):
        reader.add(element)
    return reader.video()


def is_cvat(text: str) -> bool:
    """Whether a text may be meant: it begins as XML does."""
    return text.lstrip()[:1] == "<"


def _check_prolog(text: str, where: str) -> None:
    """Raises: InputError: A document type, or another format."""
    found = _PROLOG.match(text)
    begin = found.end() if found else 0
    if text.startswith("<!DOCTYPE", begin):
        line = text.count("\n", 0, begin) + 1
        raise InputError(f"{where}:{line}: a document type declaration is not allowed; CVAT writes none")
    if not text.startswith(f"<{ROOT}", begin):
        raise InputError(
            f"{where}: no annotations of CVAT: it begins with {shown(repr(text[begin : begin + 20]))}, not "
            f"with <{ROOT}>"
        )


def _elements(text: str, where: str) -> Iterator[ET.Element]:
    """The elements below the root, whole, one after the other; each is freed when the next one is asked for.

    Raises:
        InputError: Not well-formed.
    """
    parser: ET.XMLPullParser[ET.Element] = ET.XMLPullParser(["start", "end"])
    open_elements: list[ET.Element] = []
    try:
        for begin in range(0, len(text) + 1, _CHUNK):
            parser.feed(text[begin : begin + _CHUNK])
            for event, element in cast("Iterator[tuple[str, ET.Element]]", parser.read_events()):
                if event == "start":
                    open_elements.append(element)
                elif len(open_elements) == 2:
                    yield open_elements.pop()
                    open_elements[0].clear()
                else:
                    open_elements.pop()
        parser.close()
    except ET.ParseError as error:
        line, what = error.position[0], str(error).partition(":")[0]
        raise InputError(f"{where}:{line}: not XML: {what}; export it again") from error


@dataclass
class _Label:
    """What a label of the task may say about actions."""

    kinds: dict[str, str]  # of its attributes: "checkbox", "select", …
    names_actions: bool = False  # by its attributes

    def actions(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The actions in the attributes of a box."""
        found = []
        for name, value in values.items():
            kind = self.kinds.get(name) or ("checkbox" if value.lower() in ("true", "false") else "text")
            if kind == "checkbox":
                self.names_actions = True
                found += [name] if value.lower() == "true" else []
            elif name.casefold() in _ACTION_WORDS:
                self.names_actions = True
                found += [] if value.casefold() in _NO_ACTION else [value]
        return tuple(dict.fromkeys(found))


class _TrackReader:
    """Collects a file's tracks."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._source = ""
        self._size_px: tuple[float, float] | None = None
        self._labels: dict[str, _Label] = {}
        self._tracks: list[tuple[str, tuple[AnnotatedBox, ...]]] = []
        self._without_boxes = 0

    def add(self, element: ET.Element) -> None:
        """An element below the root."""
        if element.tag == "meta":
            self._read_meta(element)
        elif element.tag == "track":
            self._read_track(element)
        elif element.tag == "image":
            raise InputError(
                f"{self._where} is 'CVAT for images', without tracks; export the task as 'CVAT for video 1.1'"
            )

    def video(self) -> AnnotatedVideo:
        """All of it."""
        return AnnotatedVideo(
            file=self._where,
            video=self._source,
            size_px=self._size_px,
            tracks=tuple(self._with_label(label, boxes) for label, boxes in self._tracks),
            counts_frames=True,
            notes=tuple(self._notes()),
        )

    def _with_label(self, label: str, boxes: tuple[AnnotatedBox, ...]) -> tuple[AnnotatedBox, ...]:
        """The boxes with the action that the label names, if it does."""
        if self._labels[label].names_actions or label.casefold() in _PERSON_WORDS or not label:
            return boxes
        return tuple(replace(box, actions=(label,)) for box in boxes)

    def _notes(self) -> Iterator[str]:
        if self._without_boxes:
            yield f"{self._where}: {self._without_boxes} tracks are no boxes, and are left out"
        ignored = sorted(
            name
            for label in self._labels.values()
            for name, kind in label.kinds.items()
            if kind != "checkbox" and name.casefold() not in _ACTION_WORDS
        )
        if ignored:
            names = shown(", ".join(map(repr, ignored)))
            yield f"{self._where}: attributes that are neither checkboxes nor 'action' are left out: {names}"

    def _read_meta(self, meta: ET.Element) -> None:
        tasks = len(meta.findall("project/tasks/task"))
        if tasks > 1:
            raise InputError(f"{self._where} has {tasks} tasks; export each on its own")
        task = next((found for found in map(meta.find, _TASKS) if found is not None), meta)
        self._source = (
            task.findtext("source") or meta.findtext("source") or task.findtext("name") or ""
        ).strip()
        width, height = (
            number_or_none(meta.findtext(f".//original_size/{side}") or "") for side in ("width", "height")
        )
        if width and height and width >= 1 and height >= 1:
            self._size_px = (width, height)
        for label in meta.iter("label"):
            kinds = {
                _text_of(attribute, "name"): _text_of(attribute, "input_type").lower()
                for attribute in label.iter("attribute")
            }
            names_actions = any(
                kind == "checkbox" or name.casefold() in _ACTION_WORDS for name, kind in kinds.items()
            )
            self._labels[_text_of(label, "name")] = _Label(kinds, names_actions)

    def _read_track(self, track: ET.Element) -> None:
        place = f"track {track.get('id', len(self._tracks))}"
        name = track.get("label", "").strip()
        label = self._labels.setdefault(name, _Label({}))
        boxes = sorted((self._box(box, label, place) for box in track.iter("box")), key=lambda box: box.at)
        for earlier, later in pairwise(boxes):
            if earlier.at == later.at:
                raise self._error(later.place, "a second box at this frame")
        if boxes:
            self._tracks.append((name, tuple(boxes)))
        else:
            self._without_boxes += 1

    def _box(self, box: ET.Element, label: _Label, track: str) -> AnnotatedBox:
        frame = whole_number_or_none(box.get("frame", ""), minimum=0)
        if frame is None:
            raise self._error(track, f"frame is {box.get('frame')!r}, not a whole number from 0")
        place = f"{track}, frame {frame}"
        values = {a.get("name", "").strip(): (a.text or "").strip() for a in box.iter("attribute")}
        return AnnotatedBox(
            at=frame,
            box_xyxy=self._sides(box, place),
            actions=label.actions(values),
            place=place,
            is_set=box.get("keyframe", "1") == "1",
            is_outside=box.get("outside", "0") == "1",
        )

    def _sides(self, box: ET.Element, place: str) -> Box:
        """x1, y1, x2, y2; of a rotated box those of the upright one around it."""
        sides = []
        for name in ("xtl", "ytl", "xbr", "ybr"):
            side = number_or_none(box.get(name, ""))
            if side is None:
                raise self._error(place, f"{name} is {box.get(name)!r}, not a number")
            sides.append(side)
        x1, y1, x2, y2 = sides
        problem = side_order_error((x1, y1, x2, y2), may_be_flat=True)
        if problem:
            raise self._error(place, problem)
        turned = math.radians(number_or_none(box.get("rotation", "0")) or 0.0)
        if not turned:
            return x1, y1, x2, y2
        width, height = x2 - x1, y2 - y1
        half_x = (abs(width * math.cos(turned)) + abs(height * math.sin(turned))) / 2
        half_y = (abs(width * math.sin(turned)) + abs(height * math.cos(turned))) / 2
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        return x - half_x, y - half_y, x + half_x, y + half_y

    def _error(self, place: str, what: str) -> InputError:
        return InputError(f"{self._where}: {shown(place, 120)}: {shown(what)}")


_TASKS = ("task", "project/tasks/task", "job")  # where an export describes its video


def _text_of(element: ET.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()
