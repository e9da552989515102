"""Segments of videos as labelled clips: files of `twinpath.formats.segment_files`, corrected by hand."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from twinpath.data.labelled.class_names import class_name
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.data.labelled.groups import group_of, is_there
from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.segment_files import SegmentFile, read_segment_file
from twinpath.paths import display_path
from twinpath.video.find import VIDEO_SUFFIXES

SEGMENTS_KIND = "segments"
_TIMELINE = ".timeline"
_SAME_S = 0.002  # rounding
_SAME_RUN_S = 3.0  # files of one run are written within less, or have ticks of 2 s


def read_segments(paths: Sequence[Path]) -> LabelledData:
    """The segments of some files; each is a clip.

    A timeline is usually there in several formats. If somebody corrected one of them, that one counts: the
    one that differs from all others, and was changed last.

    Args:
        paths: The files, in any mixture of formats.
    Raises:
        NotAFile: A file, or the video of the only file, is missing.
        InputError: A file is wrong, or it cannot be said which of several counts; names it.
    """
    notes: list[str] = []
    files = [_find_video(file) for path in paths for file in read_segment_file(path)]
    chosen = list(_corrected(files, notes))
    clips: dict[tuple[Path, float, float], LabelledClip] = {}
    for found in chosen:
        notes += found.file.notes
        if found.missing:
            if len(chosen) == 1:
                raise NotAFile(found.missing)
            notes.append(found.missing)
        for span in found.file.spans:
            start_s, end_s, label = round(span.start_s, 3), round(span.end_s, 3), class_name(span.label)
            key = (found.video, start_s, end_s)
            labels = clips[key].labels if key in clips else ()
            labels = tuple(dict.fromkeys((*labels, label)))
            clips[key] = LabelledClip(
                found.video, labels, start_s, end_s, group=group_of(found.video), clock=found.file.clock
            )
    if not clips:
        raise InputError(f"{_named(paths)}: there are no segments")
    notes += _overlap_notes(clips.values())
    return LabelledData(
        clips=tuple(clips.values()),
        classes=tuple(sorted({label for clip in clips.values() for label in clip.labels})),
        is_multi_label=any(len(clip.labels) != 1 for clip in clips.values()),
        kind=SEGMENTS_KIND,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Found:
    """What a file has of one video, and where that is; `missing` says so if it is not there."""

    file: SegmentFile
    video: Path
    missing: str = ""

    def is_like(self, other: _Found) -> bool:
        """Whether both files say the same, up to rounding."""
        mine, others = self._shown_spans(), other._shown_spans()
        return len(mine) == len(others) and all(
            label == other_label
            and abs(start_s - other_start_s) < _SAME_S
            and abs(end_s - other_end_s) < _SAME_S
            for (label, start_s, end_s), (other_label, other_start_s, other_end_s) in zip(
                mine, others, strict=True
            )
        )

    def _shown_spans(self) -> list[tuple[str, float, float]]:
        """Labels and times on a player's clock."""
        later_s = self.file.first_frame_s if self.file.clock == "video" else 0.0
        return sorted((class_name(s.label), s.start_s + later_s, s.end_s + later_s) for s in self.file.spans)


def _find_video(file: SegmentFile) -> _Found:
    sought = list(dict.fromkeys(_places(file)))
    for path in sought:
        if is_there(path):
            return _Found(file, path)
    where = f"its video, {display_path(sought[0])}, does not exist"
    advice = f"put it beside this file or beside the folder {display_path(file.path.parent)}"
    return _Found(file, sought[0], f"{display_path(file.path)}: {where}; {advice}")


def _places(file: SegmentFile) -> Iterator[Path]:
    """Where the video may be, the best guess first: as the file says, then by the file's own name."""
    folders = (file.path.parent, file.path.parent.parent)
    if not file.path.parent.name:
        folders = (file.path.parent, file.path.parent / "..")
    for name in file.videos or tuple(_videos_of_siblings(file.path)):
        yield folders[0] / name
        yield Path(name)
        yield from (folder / PureWindowsPath(name).name for folder in folders)
    base = _base(file.path).removesuffix(_TIMELINE)
    yield from (folder / base for folder in folders)
    if Path(base).suffix.lower() not in VIDEO_SUFFIXES:
        for folder in folders:
            yield from sorted(
                path
                for path in folder.glob(f"{glob.escape(base)}.*")
                if path.stem == base and path.suffix.lower() in VIDEO_SUFFIXES
            )


def _base(path: Path) -> str:
    """The name without the ending of its format: match.mp4.timeline of match.mp4.timeline.csv."""
    return path.name.removesuffix(path.suffix)


def _videos_of_siblings(path: Path) -> Iterator[str]:
    """A CSV file names no video; the other formats of the same timeline do."""
    for ending in (".json", ".eaf"):
        sibling = path.with_name(_base(path) + ending)
        if sibling.is_file():
            with contextlib.suppress(InputError, LimitExceeded):  # it is not what was asked for
                yield from (video for file in read_segment_file(sibling) for video in file.videos)


def _corrected(files: Iterable[_Found], notes: list[str]) -> Iterator[_Found]:
    """Of the formats of each timeline the one that counts."""
    by_timeline: dict[tuple[Path, str, Path], list[_Found]] = {}
    for found in files:
        key = (found.file.path.parent, _base(found.file.path), found.video)
        by_timeline.setdefault(key, []).append(found)
    for same in by_timeline.values():
        unlike = [f for f in same if not f.is_like(same[0])]
        if not unlike:
            yield same[0]
            continue
        counts = _only_changed(same)
        if counts is None:
            names = ", ".join(display_path(f.file.path) for f in same)
            raise InputError(f"{names} say different things of one video; give the one that counts")
        others = ", ".join(f.file.path.name for f in same if f is not counts)
        notes.append(
            f"{display_path(counts.file.path)} was changed by hand, and counts in place of "
            f"{display_path(others)}"
        )
        yield counts


def _only_changed(same: Sequence[_Found]) -> _Found | None:
    """The one that differs from all others, which are alike; of two, the one that was changed later."""
    if len(same) == 2:
        older, newer = sorted(same, key=_changed_s)
        return newer if _changed_s(newer) - _changed_s(older) > _SAME_RUN_S else None
    odd = [f for f in same if not any(f.is_like(other) for other in same if other is not f)]
    rest = [f for f in same if f not in odd]
    return odd[0] if len(odd) == 1 and all(f.is_like(rest[0]) for f in rest) else None


def _changed_s(found: _Found) -> float:
    return found.file.path.stat().st_mtime


def _overlap_notes(clips: Iterable[LabelledClip]) -> Iterator[str]:
    by_video: dict[Path, list[LabelledClip]] = {}
    for clip in clips:
        by_video.setdefault(clip.path, []).append(clip)
    overlapping = 0
    for of_video in by_video.values():
        ends_s: dict[tuple[str, ...], float] = {}
        for clip in sorted(of_video, key=lambda clip: clip.start_s or 0.0):
            start_s, end_s = clip.start_s or 0.0, clip.end_s or 0.0
            overlapping += any(
                labels != clip.labels and other_s > start_s + _SAME_S for labels, other_s in ends_s.items()
            )
            ends_s[clip.labels] = max(end_s, ends_s.get(clip.labels, 0.0))
    if overlapping:
        yield f"segments that overlap with one of another class: {overlapping}"


def _named(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return display_path(paths[0]) + more
