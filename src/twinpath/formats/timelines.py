"""Timelines in files: JSON, CSV, subtitles, and ELAN's annotations.

Subtitles and ELAN's annotations have the times of a player's clock. JSON and CSV have times since the first
frame; both say when a player shows that.

write_timeline_file(timeline, Path("match.srt"), "srt")
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from twinpath import __version__
from twinpath.atomic import atomic_path
from twinpath.formats.text_columns import escape_cell
from twinpath.formats.xml_text import xml_text
from twinpath.results.segments import Segment

if TYPE_CHECKING:
    from twinpath.results.timeline import Timeline

_EAF_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TIER_TYPE = "activity"
_MIME_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska", ".webm": "video/webm", ".mpg": "video/mpeg", ".ts": "video/mp2t",
}  # fmt: skip


def write_timeline_file(timeline: Timeline, path: Path, kind: str) -> None:
    """Write one file atomically.

    Args:
        timeline: Complete, or the first part of a video.
        path: The file to write.
        kind: One of `TIMELINE_KINDS`.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        TIMELINE_KINDS[kind](timeline, file, path.parent)


def write_json(timeline: Timeline, file: IO[str], folder: Path) -> None:
    """Write settings, segments, and every window with its best labels; one line per window."""
    head = json.dumps(timeline.to_dict(with_windows=False), indent=2, allow_nan=False)
    file.write(head.removesuffix("\n}") + ',\n  "windows": [')
    for i, window in enumerate(timeline.window_dicts()):
        file.write(("," if i else "") + "\n    " + json.dumps(window, allow_nan=False))
    file.write("\n  ]\n}\n")


def write_csv(timeline: Timeline, file: IO[str], folder: Path) -> None:
    """Write the segments as CSV, for spreadsheets and pandas.

    Times are in seconds since the first frame; the last two columns are start and end on a player's clock.
    """
    writer = csv.writer(file, lineterminator="\n")
    scores = ["mean_score", "peak_score", "peak_s"]
    writer.writerow(["start_s", "end_s", "length_s", "label", *scores, "player_start_s", "player_end_s"])
    for s, shown in zip(timeline.segments, timeline.on_players_clock().segments, strict=True):
        times_s = [s.start_s, s.end_s, round(s.length_s, 3)]
        scores_of = [s.mean_score, s.peak_score, s.peak_s]
        writer.writerow([*times_s, escape_cell(s.label), *scores_of, shown.start_s, shown.end_s])


def write_srt(timeline: Timeline, file: IO[str], folder: Path) -> None:
    """Write subtitles in SubRip's format, for video players."""
    for number, cue in enumerate(cues(timeline.on_players_clock().segments), start=1):
        times = f"{_timestamp(cue.start_ms, ',')} --> {_timestamp(cue.end_ms, ',')}"
        text = "\n".join(_cue_line(segment) for segment in cue.segments)
        file.write(f"{number}\n{times}\n{text}\n\n")


def write_vtt(timeline: Timeline, file: IO[str], folder: Path) -> None:
    """Write subtitles in WebVTT, for a `<track>` of a web page."""
    file.write("WEBVTT\n")
    for cue in cues(timeline.on_players_clock().segments):
        times = f"{_timestamp(cue.start_ms, '.')} --> {_timestamp(cue.end_ms, '.')}"
        text = "\n".join(_cue_line(segment) for segment in cue.segments)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        file.write(f"\n{times}\n{text}\n")


class Cue(NamedTuple):
    """One subtitle: simultaneous segments, the highest mean score first."""

    start_ms: int
    end_ms: int
    segments: tuple[Segment, ...]


def cues(segments: Sequence[Segment]) -> Iterator[Cue]:
    """Subtitles that do not overlap: a new one whenever a segment begins or ends."""
    borders_ms = sorted({_ms(s.start_s) for s in segments} | {_ms(s.end_s) for s in segments})
    waiting = sorted(segments, key=lambda s: s.start_s, reverse=True)
    active: list[Segment] = []
    for start_ms, end_ms in itertools.pairwise(borders_ms):
        while waiting and _ms(waiting[-1].start_s) <= start_ms:
            active.append(waiting.pop())
        active = [s for s in active if _ms(s.end_s) > start_ms]
        if active:
            best_first = sorted(active, key=lambda s: (-s.mean_score, s.index))
            yield Cue(start_ms, end_ms, tuple(best_first))


def _cue_line(segment: Segment) -> str:
    return f"{segment.label} {100 * segment.mean_score:.0f} %".replace("-->", "→")


def _timestamp(time_ms: int, mark: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{ms:03}"


def _ms(time_s: float) -> int:
    return round(1000 * time_s)


def write_eaf(timeline: Timeline, file: IO[str], folder: Path) -> None:
    """Write annotations for ELAN: one tier per label, since annotations of a tier must not overlap.

    ELAN's times are those of its player.

    Source: ELAN's schema EAFv3.0.xsd and, for file names, its `FileUtility`: "file:///" and the path without
    percent encoding.
    """
    timeline = timeline.on_players_clock()
    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "twinpath",
            "DATE": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _EAF_SCHEMA,
        },
    )
    _add_header(document, timeline, folder)
    _add_tiers(document, timeline)
    ET.SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"LINGUISTIC_TYPE_ID": _TIER_TYPE, "TIME_ALIGNABLE": "true", "GRAPHIC_REFERENCES": "false"},
    )
    ET.indent(document, "    ")
    file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write(ET.tostring(document, encoding="unicode") + "\n")


def _add_header(document: ET.Element, timeline: Timeline, folder: Path) -> None:
    header = ET.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    path = Path(timeline.windows.video).absolute()
    media = {
        "MEDIA_URL": "file:///" + path.as_posix().lstrip("/"),
        "MIME_TYPE": _MIME_TYPES.get(path.suffix.lower(), "unknown"),
    }
    try:
        relative = Path(os.path.relpath(path, folder.absolute())).as_posix()
        media["RELATIVE_MEDIA_URL"] = relative if relative.startswith("../") else f"./{relative}"
    except ValueError:  # no relative path to another drive of Windows
        pass
    ET.SubElement(header, "MEDIA_DESCRIPTOR", {key: xml_text(value) for key, value in media.items()})
    facts = {
        "lastUsedAnnotationId": str(len(timeline.segments)),
        "twinpath.version": __version__,
        "twinpath.model": timeline.windows.provenance.model,
        "twinpath.complete": str(timeline.windows.complete).lower(),
    }
    for name, value in facts.items():
        ET.SubElement(header, "PROPERTY", {"NAME": name}).text = xml_text(value)


def _add_tiers(document: ET.Element, timeline: Timeline) -> None:
    order = ET.SubElement(document, "TIME_ORDER")
    ends = [(_ms(s.start_s), 0, n) for n, s in enumerate(timeline.segments)]
    ends += [(_ms(s.end_s), 1, n) for n, s in enumerate(timeline.segments)]
    slots: dict[tuple[int, int], str] = {}  # (segment, 0: its start, 1: its end) to its id
    for number, (time_ms, which, n) in enumerate(sorted(ends), start=1):
        slots[n, which] = f"ts{number}"
        ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(time_ms)})
    tiers: dict[str, ET.Element] = {}
    for n, segment in enumerate(timeline.segments):
        label = xml_text(segment.label)
        if label not in tiers:
            tiers[label] = _add_tier(document, label, timeline.windows.provenance.model)
        annotation = ET.SubElement(
            ET.SubElement(tiers[label], "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {
                "ANNOTATION_ID": f"a{n + 1}",
                "TIME_SLOT_REF1": slots[n, 0],
                "TIME_SLOT_REF2": slots[n, 1],
            },
        )
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = label
    if not tiers:
        _add_tier(document, _TIER_TYPE, timeline.windows.provenance.model)


def _add_tier(document: ET.Element, name: str, model: str) -> ET.Element:
    attributes = {"TIER_ID": name, "LINGUISTIC_TYPE_REF": _TIER_TYPE, "ANNOTATOR": f"twinpath {model}"}
    return ET.SubElement(document, "TIER", attributes)


#: File formats that this module writes.
TIMELINE_KINDS: dict[str, Callable[[Timeline, IO[str], Path], None]] = {
    "json": write_json,
    "csv": write_csv,
    "srt": write_srt,
    "vtt": write_vtt,
    "eaf": write_eaf,
}
