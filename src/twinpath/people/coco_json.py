"""Boxes in COCO's JSON: a dataset with images and annotations, or a list of results.

When a picture was is told by its `time_s`, else by `frame_index` or `frame_id`, which count from 0, else by
the last digits of its `file_name`, which count from 1 as FFmpeg writes them, unless there is a frame 0.
Source: https://cocodataset.org/#format-data and #format-results
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from twinpath.errors import InputError
from twinpath.people.frame_clock import FrameClock, folder_of, frame_number
from twinpath.people.json_nodes import Node
from twinpath.people.sightings import (
    TIME_DIGITS,
    BoxFile,
    Sighting,
    chosen_video,
    gathered,
    shares_of,
    size_of,
)

_PERSON = "person"
_COCO_PERSON = 1  # COCO's own number, for lists that do not say what their categories are


def read_coco(root: Node, where: str, *, video: Path, size_px: tuple[float, float]) -> BoxFile:
    person = _person_category(root.find("categories"))
    images = _images_of_video(root, where, video)
    clock = FrameClock(video)
    times_s = dict(zip(images, _times_of(list(images.values()), clock), strict=True))
    known = {image["id"].name_or_number() for image in root["images"].each()}
    found = []
    for entry in root["annotations"].each():
        image_id = entry["image_id"].name_or_number()
        if image_id not in known:
            raise entry["image_id"].error(f"there is no image {image_id!r}")
        crowd, category = entry.find("iscrowd"), entry.find("category_id")
        is_person = person is None or category is None or category.name_or_number() == person
        if image_id in images and is_person and not (crowd and crowd.value):
            size = size_of(images[image_id], size_px)
            found.append((entry, _coco_sighting(entry, times_s[image_id], size)))
    return gathered(_once_each(found), times_s.values())


def read_results(
    entries: Sequence[Node], where: str, *, video: Path, size_px: tuple[float, float]
) -> BoxFile:
    """A list of detections as COCO's evaluation takes them, without a list of images."""
    categories = {c.name_or_number() for c in (entry.find("category_id") for entry in entries) if c}
    if len(categories) > 1 and _COCO_PERSON not in categories:
        raise InputError(f"{where}: several category_id, and none is {_COCO_PERSON}, COCO's for a person")
    if len(categories) > 1:
        entries = [entry for entry in entries if entry["category_id"].value == _COCO_PERSON]
    times_s = _times_of(entries, FrameClock(video))
    found = [(entry, _coco_sighting(entry, t, size_px)) for entry, t in zip(entries, times_s, strict=True)]
    return gathered(_once_each(found))


def _once_each(found: Sequence[tuple[Node, Sighting]]) -> list[Sighting]:
    """Raises: InputError: a track, or a box that belongs to none, is there twice at one time."""
    seen: set[tuple[object, ...]] = set()
    for entry, s in found:
        key = (s.time_s, s.box) if s.track is None else (s.time_s, s.track)
        if key in seen:
            what = "the same box is there" if s.track is None else f"track {s.track} is"
            raise entry.error(f"{what} twice at {s.time_s:g} s")
        seen.add(key)
    return [s for _, s in found]


def _person_category(categories: Node | None) -> int | str | None:
    """The number of the category that is people; None where the file does not list categories."""
    if categories is None or not categories.each():
        return None
    by_name = {c["name"].text().casefold(): c["id"].name_or_number() for c in categories.each()}
    if _PERSON not in by_name:
        raise categories.error(f"none of them is called {_PERSON!r}, only {', '.join(list(by_name)[:5])}")
    return by_name[_PERSON]


def _images_of_video(root: Node, where: str, video: Path) -> dict[int | str, Node]:
    """The images of one video, by their id: told by `video_id`, or by the folder in `file_name`."""
    images = root["images"].each()
    listed = root.find("videos")
    names = {v["id"].value: v["name"].text() for v in listed.each()} if listed else {}
    name_of: Callable[[Node], str] = (
        (lambda image: names.get(image["video_id"].name_or_number(), "")) if names else folder_of
    )
    groups: dict[str, dict[int | str, Node]] = {}
    known: set[int | str] = set()
    for image in images:
        number = image["id"].name_or_number()
        if number in known:
            raise image["id"].error(f"image {number!r} is there twice")
        known.add(number)
        groups.setdefault(name_of(image), {})[number] = image
    return groups[chosen_video(groups, video, where)] if groups else {}


def _times_of(images: Sequence[Node], clock: FrameClock) -> list[float]:
    """Seconds of images, or of entries that stand for one: from `time_s`, else from the frame's number."""
    numbers = [None if image.find("time_s") else frame_number(image) for image in images]
    # Frames in names count from 1 as FFmpeg writes them, unless there is a frame 0.
    first = 0 if any(n is not None and n.number == 0 for n in numbers) else 1
    times_s = []
    for image, found in zip(images, numbers, strict=True):
        if found is None:
            times_s.append(image["time_s"].number(at_least=0))
        else:
            index = found.number if found.from_zero else found.number - first
            times_s.append(clock.time_s(index, found.node))
    return [round(time_s, TIME_DIGITS) for time_s in times_s]


def _coco_sighting(entry: Node, time_s: float, size_px: tuple[float, float]) -> Sighting:
    x, y, width, height = entry["bbox"].numbers(4)
    score = entry.find("score")
    track = entry.find("track_id") or entry.find("instance_id")
    return Sighting(
        time_s,
        shares_of(entry["bbox"], (x, y, x + width, y + height), size_px),
        score.number(at_least=0, at_most=1) if score else 1.0,
        track.name_or_number() if track else None,
    )
