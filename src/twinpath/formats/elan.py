"""Annotations of ELAN (.eaf) as segments: each with a time of its own counts, on whatever tier it stands.

The label is the annotation's value; where that is empty, the name of its tier: `timelines.write_eaf` makes a
tier for each label. Times are those of ELAN's player. Source: ELAN's schema EAFv3.0.xsd.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.formats.segment_files import LabelledSpan, SegmentFile
from twinpath.formats.text_columns import whole_number_or_none
from twinpath.formats.xml_text import parse_xml
from twinpath.paths import display_path

_MS = 0.001
_FILE_URL = "file://"


def read_eaf(path: Path, content: bytes) -> SegmentFile:
    """Read a file's annotations.

    Args:
        path: The file, for messages.
        content: Its bytes.
    Raises:
        InputError: It is not XML, or not ELAN's, or a time is missing or wrong; names the annotation.
    """
    where = display_path(path)
    root = parse_xml(content, where)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"{where}: XML of another program ({shown(root.tag)}), not ELAN's annotations")
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise InputError(f"{where}: times in {shown(units)}, not milliseconds; save it with a newer ELAN")
    media = [] if header is None else [m for m in header.iter("MEDIA_DESCRIPTOR") if not _is_sound(m)]
    later_s = _MS * _number(media[0].get("TIME_ORIGIN", "0"), where, "TIME_ORIGIN") if media else 0.0
    slots = {slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    spans, unaligned, elsewhere = [], 0, 0
    tiers = {tier.get("TIER_ID", "").strip() for tier in root.iter("TIER")}
    for tier, annotation in _annotations(root):
        name = f"annotation {shown(annotation.get('ANNOTATION_ID', '?'))}"
        start_ms, end_ms = (_slot_ms(annotation, key, slots, where, name) for key in ("1", "2"))
        if start_ms is None or end_ms is None:
            unaligned += 1
            continue
        if end_ms <= start_ms:
            raise InputError(f"{where}: {name} ends at {end_ms} ms, not after its start, {start_ms} ms")
        value = (annotation.findtext("ANNOTATION_VALUE") or "").strip()
        elsewhere += value != tier and value in tiers
        if not (value or tier):
            raise InputError(f"{where}: {name} has no text, and its tier no name")
        spans.append(LabelledSpan(start_ms * _MS + later_s, end_ms * _MS + later_s, value or tier))
    notes = _notes(where, len(media), unaligned, elsewhere, sum(1 for _ in root.iter("REF_ANNOTATION")))
    videos = tuple(_locations(media[0])) if media else ()
    return SegmentFile(path, videos, tuple(spans), "player", notes=tuple(notes))


def _annotations(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    """Each annotation with times of its own, and the name of its tier."""
    for tier in root.iter("TIER"):
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            yield tier.get("TIER_ID", "").strip(), annotation


def _slot_ms(
    annotation: ET.Element, key: str, slots: Mapping[str, str | None], where: str, name: str
) -> int | None:
    """The start or the end of an annotation; None: its place in time is open."""
    slot = annotation.get(f"TIME_SLOT_REF{key}", "")
    if slot not in slots:
        raise InputError(f"{where}: {name} names the time slot {shown(slot)!r}, which does not exist")
    value = slots[slot]
    return None if value is None else _number(value, where, f"time slot {shown(slot)}")


def _number(text: str, where: str, what: str) -> int:
    number = whole_number_or_none(text, minimum=0)
    if number is None:
        raise InputError(f"{where}: {what} is {shown(text)!r}, not a whole number of milliseconds from 0")
    return number


def _is_sound(media: ET.Element) -> bool:
    return media.get("MIME_TYPE", "").startswith("audio/") or media.get("EXTRACTED_FROM") is not None


def _locations(media: ET.Element) -> Iterator[str]:
    """Where the video may be: ELAN writes addresses without percent encoding, other programs with it.

    The absolute path is first, as in ELAN.
    """
    for key in ("MEDIA_URL", "RELATIVE_MEDIA_URL"):
        url = media.get(key, "").strip()
        if not url or ("://" in url and not url.startswith(_FILE_URL)):
            continue
        path = url.removeprefix(_FILE_URL)
        if url.startswith(_FILE_URL):
            is_windows = path.lstrip("/")[1:2] == ":"  # file:///C:/videos/match.mp4
            path = path.lstrip("/") if is_windows else "/" + path.lstrip("/")
        yield from dict.fromkeys((path, unquote(path)))


def _notes(where: str, videos: int, unaligned: int, elsewhere: int, references: int) -> Iterator[str]:
    if videos > 1:
        yield f"{where}: of its {videos} videos the first is used"
    if unaligned:
        yield f"{where}: annotations without times, left out: {unaligned}"
    if references:
        yield f"{where}: annotations that refer to others, left out: {references}"
    if elsewhere:
        yield f"{where}: annotations whose text is the name of another tier, and counts: {elsewhere}"
