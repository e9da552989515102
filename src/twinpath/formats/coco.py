"""Boxes in COCO's JSON: a dataset with images and annotations, or a list of results.

The time of an image is its `time_s`; else by its `frame_index` or `frame_id`, which count from 0; else by the
last digits of its `file_name`, which count from 1 as FFmpeg writes them, unless there is a frame 0. People
are the category called "person"; without a list of categories, category 1 if there are several. Source:
https://cocodataset.org/#format-data and #format-results
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinpath.errors import InputError
from twinpath.formats.box_observations import (
    TIME_DIGITS,
    BoxFile,
    BoxObservation,
    image_size,
    make_box_file,
    match_video_name,
    mismatched_shape,
    relative_box,
)
from twinpath.formats.frame_clock import FrameClock, folder_of, frame_number
from twinpath.formats.json_nodes import Node

_PERSON = "person"
_COCO_PERSON = 1  # COCO's id of "person", for files without a list of categories


def read_coco(root: Node, where: str, *, video: Path, size_px: tuple[float, float], isolate: bool) -> BoxFile:
    """Read the boxes of one video from a dataset. Arguments and errors as for `read_boxes`."""
    annotations = root["annotations"].each()
    people = _person_flags(annotations, root.find("categories"), where)
    name, images = _images_of_video(root, where, video)
    clock = FrameClock(video, isolate=isolate)
    times_s = dict(zip(images, _times_of(list(images.values()), clock), strict=True))
    image_ids = {image["id"].name_or_number() for image in root["images"].each()}
    observations = []
    shape = None
    for entry, is_person in zip(annotations, people, strict=True):
        image_id = entry["image_id"].name_or_number()
        if image_id not in image_ids:
            raise entry["image_id"].error(f"there is no image {image_id!r}")
        crowd = entry.find("iscrowd")
        if image_id in images and is_person and not (crowd and crowd.value):
            measured_px = image_size(images[image_id], size_px)
            shape = shape or mismatched_shape(measured_px, size_px)
            observations.append((entry, _observation(entry, times_s[image_id], measured_px)))
    return make_box_file(
        _without_duplicates(observations), times_s.values(), video=name, mismatched_shape_px=shape
    )


def read_coco_results(
    entries: Sequence[Node], where: str, *, video: Path, size_px: tuple[float, float], isolate: bool
) -> BoxFile:
    """Read the boxes of one video from a list of results without a list of images."""
    people = _person_flags(entries, None, where)
    by_folder: dict[str, list[Node]] = {}
    for entry, is_person in zip(entries, people, strict=True):
        if is_person:
            by_folder.setdefault(folder_of(entry), []).append(entry)
    folder = match_video_name(by_folder, video, where) if by_folder else ""
    entries = by_folder.get(folder, [])
    times_s = _times_of(entries, FrameClock(video, isolate=isolate))
    observations = [
        (entry, _observation(entry, t, size_px)) for entry, t in zip(entries, times_s, strict=True)
    ]
    return make_box_file(_without_duplicates(observations), video=folder)


def _without_duplicates(observations: Sequence[tuple[Node, BoxObservation]]) -> list[BoxObservation]:
    """The observations. Raises: InputError: A track, or a box without a track, is a duplicate at one time."""
    seen_keys: set[tuple[object, ...]] = set()
    for entry, observation in observations:
        key = (
            (observation.time_s, observation.box)
            if observation.track is None
            else (observation.time_s, observation.track)
        )
        if key in seen_keys:
            name = "the same box" if observation.track is None else f"track {observation.track}"
            raise entry.error(f"{name} is there twice at {observation.time_s:g} s")
        seen_keys.add(key)
    return [observation for _, observation in observations]


def _person_flags(entries: Sequence[Node], categories: Node | None, where: str) -> list[bool]:
    """Whether each entry is a person. With a list of categories, an entry without a category is one."""
    if categories is None or not categories.each():
        return _person_flags_by_id(entries, where)
    name_of = {c["id"].name_or_number(): c["name"].text().casefold() for c in categories.each()}
    if _PERSON not in name_of.values():
        only = ", ".join(list(name_of.values())[:5])
        raise categories.error(f"none of them is called {_PERSON!r}, only {only}")
    people = []
    for entry in entries:
        category = entry.find("category_id")
        if category and category.name_or_number() not in name_of:
            raise category.error(f"there is no category {category.value!r}")
        people.append(category is None or name_of[category.value] == _PERSON)
    return people


def _person_flags_by_id(entries: Sequence[Node], where: str) -> list[bool]:
    """Without a list of categories: all entries are people; of several categories, those with COCO's id."""
    numbers = {c.name_or_number() for c in (entry.find("category_id") for entry in entries) if c}
    if len(numbers) <= 1:
        return [True] * len(entries)
    if _COCO_PERSON not in numbers:
        raise InputError(f"{where}: several category_id, and none is {_COCO_PERSON}, COCO's for a person")
    return [entry["category_id"].value == _COCO_PERSON for entry in entries]


def _images_of_video(root: Node, where: str, video: Path) -> tuple[str, dict[int | str, Node]]:
    """A video's name and its images by id; `video_id` or the folder in `file_name` names the video."""
    images = root["images"].each()
    names = _names_of_videos(root.find("videos"))
    groups: dict[str, dict[int | str, Node]] = {}
    image_ids: set[int | str] = set()
    for image in images:
        number = image["id"].name_or_number()
        if number in image_ids:
            raise image["id"].error(f"image {number!r} is a duplicate")
        image_ids.add(number)
        groups.setdefault(_video_of(image, names), {})[number] = image
    if not groups:
        return "", {}
    name = match_video_name(groups, video, where)
    return name, groups[name]


def _names_of_videos(videos: Node | None) -> dict[int | str, str]:
    """Names of the videos by id; empty if there is no list of videos."""
    names: dict[int | str, str] = {}
    for listed in videos.each() if videos else ():
        number, name = listed["id"].name_or_number(), listed["name"].text()
        if number in names:
            raise listed["id"].error(f"video {number!r} is a duplicate")
        if name in names.values():
            raise listed["name"].error(f"video {name!r} is a duplicate")
        names[number] = name
    return names


def _video_of(image: Node, names: dict[int | str, str]) -> str:
    if not names:
        return folder_of(image)
    number = image["video_id"].name_or_number()
    if number not in names:
        raise image["video_id"].error(f"there is no video {number!r}")
    return names[number]


def _times_of(images: Sequence[Node], clock: FrameClock) -> list[float]:
    """The times in seconds of images, or of results: `time_s`, else by the frame number."""
    numbers = [None if image.find("time_s") else frame_number(image) for image in images]
    # Frame numbers in names start at 1, as FFmpeg writes them, unless there is a frame 0.
    first = 0 if any(n is not None and n.number == 0 for n in numbers) else 1
    times_s = []
    for image, number in zip(images, numbers, strict=True):
        if number is None:
            times_s.append(image["time_s"].number(at_least=0))
        else:
            index = number.number if number.from_zero else number.number - first
            times_s.append(clock.time_s(index, number.node))
    return [round(time_s, TIME_DIGITS) for time_s in times_s]


def _observation(entry: Node, time_s: float, size_px: tuple[float, float]) -> BoxObservation:
    x, y, width, height = entry["bbox"].numbers(4)
    score = entry.find("score")
    track = entry.find("track_id") or entry.find("instance_id")
    return BoxObservation(
        time_s,
        relative_box(entry["bbox"], (x, y, x + width, y + height), size_px),
        score.number(at_least=0, at_most=1) if score else 1.0,
        track.name_or_number() if track else None,
    )
