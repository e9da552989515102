"""A checked data set as a self-contained HTML page with a contact sheet of every class.

write_data_page(check, Path("data.html"), title="actions")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from twinpath.atomic import atomic_path
from twinpath.data.labelled.check import UNSAID, CheckedClass, CheckedClip, Copies, DataCheck
from twinpath.data.labelled.clip import LabelledClip
from twinpath.paths import display_path
from twinpath.render.html_page import escaped, file_link, filled_page, notes_html
from twinpath.render.thumbnails import picture_uri
from twinpath.results.clock import clock

_MOST_FILES = 400  # of a list
_MOST_COPIES = 60
_MOST_SCENES = 100
_MOST_SHOWN = 6  # of a set of copies
_PICTURE_PX = 240
PART_TITLES = {"train": "train", "validation": "validation", "test": "test", UNSAID: "no part"}


def write_data_page(check: DataCheck, path: Path, *, title: str) -> None:
    """Write the page. It needs no other file and runs no script; videos are linked by their paths.

    Args:
        check: The data set.
        path: The HTML file to create or replace.
        title: Heading of the page.
    Raises:
        OSError: The file cannot be written.
    """
    page = _DataPage(check)
    parts = {
        "title": escaped(title),
        "facts": escaped(facts_in_words(check)),
        "figures": page.figures(),
        "problems": notes_html(check.problems()),
        "classes": page.classes(),
        "unusable": page.unusable(),
        "damaged": page.damaged(),
        "copies": page.copies(),
        "scenes": page.scenes(),
        "videos": page.videos(),
        "notes": page.notes(),
        "sheets": "\n".join(map(page.sheet, check.classes)),
    }
    text = filled_page("data_page.html", parts)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def facts_in_words(check: DataCheck) -> str:
    """What was read, in a line."""
    data = check.data
    kind = f"{data.kind}, several labels for a clip" if data.is_multi_label else data.kind
    counts = (
        (len(data.classes), "class", "classes"),
        (len(data.clips), "clip", "clips"),
        (len({clip.path for clip in data.clips}), "video", "videos"),
    )
    return " · ".join([kind, *(f"{count} {one if count == 1 else many}" for count, one, many in counts)])


class _DataPage:
    """The sections of the page, as HTML."""

    def __init__(self, check: DataCheck) -> None:
        self._check = check
        self._sized = {clip.number: clip for video in check.videos for clip in video.clips}

    def figures(self) -> str:
        check = self._check
        groups = len({clip.scene for clip in check.usable_data.clips})
        lost = f'<span class="lost">{check.lost}</span>' if check.lost else "0"
        figures = {
            "usable clips": str(len(check.usable)),
            "that cannot be used": lost,
            "length of all": clock(check.total_s, 0),
            "groups": str(groups),
            "sets of copies": str(len(check.copies)),
            "names alike": str(len(check.similar_labels)),
        }
        cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items())
        return f'<dl class="figures">{cells}</dl>'

    def classes(self) -> str:
        """A row for each class: what would be trained."""
        classes = self._check.classes
        parts = parts_of(classes)
        heads = ["class", "usable clips", "lost", "groups", *(PART_TITLES[part] for part in parts)]
        heads += ["shortest", "median", "longest"]
        most = max((c.usable for c in classes), default=0)
        rows = "".join(self._class_row(number, c, parts, most) for number, c in enumerate(classes))
        return _table(heads, rows)

    @staticmethod
    def _class_row(number: int, c: CheckedClass, parts: Sequence[str], most: int) -> str:
        bar = f'<span class="bar"><i style="width:{100 * c.usable / max(most, 1):.1f}%"></i></span>'
        lost = f'<span class="lost">{c.clips - c.usable}</span>' if c.clips > c.usable else "0"
        lengths = (c.shortest_s, c.median_s, c.longest_s)
        cells = [
            f"{bar}{c.usable}",
            lost,
            str(c.groups),
            *(str(c.parts.get(part, 0)) for part in parts),
            *("" if length_s is None else f"{length_s:.1f} s" for length_s in lengths),
        ]
        name = escaped(c.label)
        return (
            f'<tr><th title="{name}"><a href="#c{number}">{name}</a></th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )

    def unusable(self) -> str:
        rows = [
            f'<a class="lost" href="{file_link(lost.path)}">{escaped(lost.reason)}</a>'
            for lost in self._check.unusable
        ]
        return _list_section("What cannot be used", rows)

    def damaged(self) -> str:
        rows = [
            f'<a href="{file_link(video.path)}">{escaped(display_path(video.path))}</a>: '
            + escaped("; ".join(video.warnings))
            for video in self._check.videos
            if video.warnings
        ]
        return _list_section("Damaged or odd, but readable", rows)

    def copies(self) -> str:
        check = self._check
        if not check.copies:
            return ""
        more = len(check.copies) - _MOST_COPIES
        return (
            "<section><h2>The same</h2><p class='facts'>Clips that show the same must be in one group, or a "
            "figure of accuracy is of what was learned by heart. Files that are equal byte for byte come "
            'first.</p><div class="sets">'
            + "".join(map(self._set, check.copies[:_MOST_COPIES]))
            + "</div>"
            + (f"<p class='facts'>and {more} more</p>" if more > 0 else "")
            + "</section>"
        )

    def _set(self, copies: Copies) -> str:
        clips = [self._check.data.clips[number] for number in copies.clips]
        what = copies_in_words(copies)
        more = len(clips) - _MOST_SHOWN
        return (
            f'<div class="set"><p>{escaped(what)}</p><div class="sheet">'
            + "".join(
                self._figure(number, clip, with_labels=True)
                for number, clip in list(zip(copies.clips, clips, strict=True))[:_MOST_SHOWN]
            )
            + "</div>"
            + (f"<p class='facts'>and {more} more</p>" if more > 0 else "")
            + "</div>"
        )

    def scenes(self) -> str:
        """Clips that should be of one group."""
        check = self._check
        if not check.scenes:
            return ""
        more = len(check.scenes) - _MOST_SCENES
        return (
            "<section><h2>One scene, in several groups</h2><p class='facts'>They likely show one place or "
            "one recording. If some are trained on and others evaluated, the accuracy is that in places that "
            "are known already. In data.csv each set is one group, unless all clips of a class were recorded "
            "there.</p>"
            + "".join(map(self._scene, check.scenes[:_MOST_SCENES]))
            + (f"<p class='facts'>and {more} more</p>" if more > 0 else "")
            + "</section>"
        )

    def _scene(self, numbers: Sequence[int]) -> str:
        clips = [self._check.data.clips[number] for number in numbers]
        labels = Counter(label for clip in clips for label in clip.labels)
        of = escaped(", ".join(f"{label} {count}" for label, count in labels.most_common()))
        figures = "".join(map(self._small_figure, numbers))
        head = f"<summary>{len(clips)} clips: {of}</summary>"
        return f'<details>{head}<div class="small">{figures}</div></details>'

    def _small_figure(self, number: int) -> str:
        clip, checked = self._check.data.clips[number], self._sized[number]
        name = escaped(display_path(clip.path.name))
        link = file_link(clip.path, *_span(clip, checked))
        if checked.pictures is None:
            return f'<a href="{link}">{name}</a>'
        middle = _image(checked.pictures[len(checked.pictures) // 2])
        return f'<a href="{link}" title="{name}: {escaped(", ".join(clip.labels))}">{middle}</a>'

    def videos(self) -> str:
        """How many videos are of which size, rate and format."""
        videos = self._check.videos
        tables = [
            _counts("size", (f"{v.width_px}×{v.height_px}" for v in videos)),
            _counts("frames per second", ("unknown" if v.fps is None else f"{v.fps:.4g}" for v in videos)),
            _counts("format", (f"{v.codec} in {v.container}" for v in videos)),
        ]
        return f'<div class="beside">{"".join(tables)}</div>'

    def notes(self) -> str:
        if not self._check.data.notes:
            return ""
        rows = "".join(f"<p>{escaped(note)}</p>" for note in self._check.data.notes)
        return f"<section><h2>Notes</h2>{rows}</section>"

    def sheet(self, c: CheckedClass) -> str:
        """The contact sheet of a class."""
        check = self._check
        shown = [
            (number, check.data.clips[number])
            for number, clip in check.usable.items()
            if clip.pictures is not None and c.label in check.data.clips[number].labels
        ]
        of = f"{len(shown)} of {c.usable} clips" if len(shown) < c.usable else f"{c.usable} clips"
        figures = "".join(self._figure(number, clip) for number, clip in shown)
        number = check.data.classes.index(c.label)
        return (
            f'<section id="c{number}"><h2>{escaped(c.label)} <span class="facts">{of}</span></h2>'
            f'<div class="sheet">{figures}</div></section>'
        )

    def _figure(self, number: int, clip: LabelledClip, *, with_labels: bool = False) -> str:
        checked = self._sized[number]
        link = file_link(clip.path, *_span(clip, checked))
        pictures = "" if checked.pictures is None else "".join(map(_image, checked.pictures))
        words = [f"{checked.length_s:.1f} s"]
        if clip.start_s is not None or clip.end_s is not None:
            words = [f"{clock(checked.start_s)} to {clock(checked.end_s)}"]
        if with_labels:
            words.insert(0, ", ".join(clip.labels) or "no label")
        if clip.part is not None:
            words.append(PART_TITLES[clip.part])
        strip = f'<a href="{link}" class="strip">{pictures}</a>' if pictures else ""
        return (
            f'<figure>{strip}<figcaption><a href="{link}">{escaped(display_path(clip.path.name))}</a> '
            f'<span class="facts">{escaped(" · ".join(words))}</span></figcaption></figure>'
        )


def copies_in_words(copies: Copies) -> str:
    """What clips have in common, and what follows."""
    if copies.is_exact:
        what = "Equal files"
    else:
        what = f"They show the same (likeness {copies.likeness:.2f})"
        if copies.later_s is not None and abs(copies.later_s) >= 0.1:
            order = "second begins in the first" if copies.later_s > 0 else "first begins in the second"
            what += f", the {order} at {clock(abs(copies.later_s))}"
    if copies.contradict:
        return f"{what}, with different labels: one of them is wrong"
    return f"{what}, in no common group" if copies.leak else what


def parts_of(classes: Iterable[CheckedClass]) -> list[str]:
    """The parts that the data has; none where it says nothing of parts."""
    there = {part for c in classes for part in c.parts}
    return [part for part in PART_TITLES if part in there] if there - {UNSAID} else []


def _span(clip: LabelledClip, checked: CheckedClip) -> tuple[float | None, float | None]:
    """The span for a player, None where the whole video is meant."""
    if clip.clock == "player":
        return clip.start_s, clip.end_s
    return clip.start_s, None if clip.end_s is None else checked.end_s


def _image(picture: object) -> str:
    return f'<img src="{picture_uri(picture, width_px=_PICTURE_PX)}" alt="" loading="lazy">'  # type: ignore[arg-type]


def _table(heads: Sequence[str], rows: str) -> str:
    head = "".join(f"<th>{escaped(name)}</th>" for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _counts(title: str, values: Iterable[str]) -> str:
    rows = "".join(
        f"<tr><th>{escaped(value)}</th><td>{count}</td></tr>"
        for value, count in Counter(values).most_common(12)
    )
    return _table([title, "videos"], rows)


def _list_section(title: str, rows: Sequence[str]) -> str:
    if not rows:
        return ""
    items = "".join(f"<li>{row}</li>" for row in rows[:_MOST_FILES])
    more = f"<p class='facts'>and {len(rows) - _MOST_FILES} more</p>" if len(rows) > _MOST_FILES else ""
    head = f'<h2>{title} <span class="facts">{len(rows)}</span></h2>'
    return f'<section>{head}<ul class="files">{items}</ul>{more}</section>'
