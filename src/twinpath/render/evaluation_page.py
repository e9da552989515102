"""An evaluation as a self-contained HTML page. Its template is evaluation_page.html.

write_evaluation_page(evaluation, Path("report.html"), title="UT-Interaction")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from twinpath.atomic import atomic_path
from twinpath.errors import INPUT_FAILURES
from twinpath.metrics.evaluation import Mistake, summarise, worst_mistakes
from twinpath.paths import display_path
from twinpath.render.calibration_chart import calibration_chart, calibration_in_words
from twinpath.render.confusion_cells import ConfusionCells, frequent_confusions
from twinpath.render.html_page import escaped, file_link, filled_page, notes_html
from twinpath.render.label_image import Frame
from twinpath.render.thumbnails import picture_uri
from twinpath.results.clock import clock
from twinpath.results.evaluation import (
    ClassFigures,
    ClipAnswer,
    Evaluation,
    EvaluationSummary,
    LearnedClip,
)
from twinpath.results.explanation import ExplainedMistake, Explanation

Thumbnails = Callable[[ClipAnswer], Frame | None]

_MOST_MISTAKES = 24
_MOST_CONFUSIONS = 12
_MOST_FILES = 400  # of a part, or of a confusion
_THUMBNAIL_PX = 280
_MAPS_IN_WORDS = (
    "Frames with what speaks for a label, from red to yellow; the hottest place of each label is yellow, "
    "whatever its score. Scores are those of the one clip that is shown, by the model as it is now: means "
    "over several clips, or answers of a model that had not learned from the clip, differ. “Without slow”: "
    "with that pathway seeing grey."
)


def write_evaluation_page(
    evaluation: Evaluation,
    path: Path,
    *,
    title: str,
    notes: Sequence[str] = (),
    thumbnails: Thumbnails | None = None,
    explained: Sequence[ExplainedMistake] = (),
    summary: EvaluationSummary | None = None,
) -> None:
    """Write the page. It needs no other file and no script of others; files are linked by their paths.

    Args:
        evaluation: At least one answer.
        path: The HTML file to create or replace.
        title: Heading of the page.
        notes: What a reader should know, a sentence each.
        thumbnails: Gives a picture of a clip, (H, W, 3) uint8; None or an error of its file: there is none.
            Called for the worst mistakes only.
        explained: Those of the worst mistakes that have maps.
        summary: The figures, if they are known already.
    Raises:
        InputError: Not one clip was evaluated.
        OSError: The file cannot be written.
    """
    page = _EvaluationPage(evaluation, summary or summarise(evaluation))
    parts = {
        "title": escaped(title),
        "facts": escaped(page.facts()),
        "notes": notes_html(list(notes)),
        "headline": page.headline(),
        "parts": page.parts(),
        "classes": page.classes(),
        "confusion": page.confusion(),
        "calibration": page.calibration(),
        "mistakes": page.mistakes(thumbnails, explained),
        "failed": page.failed(),
        "provenance": page.provenance(),
    }
    text = filled_page("evaluation_page.html", parts)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _EvaluationPage:
    """The sections of the page, as HTML."""

    def __init__(self, evaluation: Evaluation, summary: EvaluationSummary) -> None:
        self._evaluation, self._summary = evaluation, summary
        self._labels = [escaped(label) for label in evaluation.labels]

    def facts(self) -> str:
        of_views = f"{self._evaluation.views} views"
        clips = f"{self._summary.clips} clips"
        return " · ".join(
            fact for fact in (self._evaluation.model, self._evaluation.data, clips, of_views) if fact
        )

    def headline(self) -> str:
        """The one figure with its interval, and the others."""
        s = self._summary
        figures = [
            ("top-5", s.top5 if s.top1 is not None else None),
            ("mean per class", s.mean_per_class),
            ("mean average precision", s.mean_average_precision if s.top1 is not None else None),
            ("calibration error", s.calibration_error),
        ]
        cards = [(name, _percent(value)) for name, value in figures if value is not None]
        cards.append(("log loss", f"{s.log_loss:.3f}"))
        if s.failed:
            cards.append(("files that failed", str(s.failed)))
        others = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cards)
        return f'<div class="headline">{self._main_figure()}<dl class="figures">{others}</dl></div>'

    def _main_figure(self) -> str:
        s = self._summary
        if s.top1 is None:
            value = "–" if s.mean_average_precision is None else _percent(s.mean_average_precision)
            occurring = sum(figures.support > 0 for figures in s.by_class)
            return (
                f'<div class="main"><p class="value">{value}</p><p>mean average precision over the '
                f"{occurring} classes that occur, {s.clips} clips</p></div>"
            )
        assert s.top1_interval is not None
        low, high = s.top1_interval
        most = max(s.by_class, key=lambda figures: figures.support)
        chance = most.support / s.clips
        bar = (
            '<svg class="interval" viewBox="0 0 1000 40" preserveAspectRatio="none" aria-hidden="true">'
            '<rect class="all" x="0" y="12" width="1000" height="16"/>'
            f'<rect class="share" x="0" y="12" width="{1000 * s.top1:.1f}" height="16"/>'
            f'<rect class="between" x="{1000 * low:.1f}" y="17" width="{1000 * (high - low):.1f}" '
            'height="6"/>'
            f'<line class="chance" x1="{1000 * chance:.1f}" x2="{1000 * chance:.1f}" y1="4" y2="36"/></svg>'
        )
        return (
            f'<div class="main"><p class="value">{_percent(s.top1)}</p>'
            f"<p>of {s.clips} clips right (top-1), 95 % interval "
            f"{100 * low:.1f} to {100 * high:.1f} %</p>{bar}"
            f"<p class='facts'>The line is at {_percent(chance)}: always answering "
            f"“{escaped(most.label)}”, the most frequent class, would be right so often.</p></div>"
        )

    def parts(self) -> str:
        """Which files are in which part, and how right the answers are there."""
        by_part: dict[str, list[ClipAnswer]] = {}
        for answer in self._evaluation.answers:
            by_part.setdefault(answer.part, []).append(answer)
        learned: dict[str, list[LearnedClip]] = {}
        for clip in self._evaluation.learned_from:
            learned.setdefault(clip.part, []).append(clip)
        blocks = []
        for part, answers in by_part.items():
            right = sum(answer.best in answer.truth for answer in answers)
            share = (
                ""
                if self._evaluation.is_multi_label
                else f", {right} right ({_percent(right / len(answers))})"
            )
            rows = [self._answered_file(answer) for answer in answers[:_MOST_FILES]]
            blocks.append(_file_block(f"{escaped(part)}: {_clips(len(answers))}{share}", rows, len(answers)))
        for part, clips in learned.items():
            rows = [self._file(clip) + self._truth_after(clip) for clip in clips[:_MOST_FILES]]
            head = f"{escaped(part)}: {_clips(len(clips))}, not evaluated: the model learned from them"
            blocks.append(_file_block(head, rows, len(clips)))
        return "\n".join(blocks)

    def _answered_file(self, answer: ClipAnswer) -> str:
        if self._evaluation.is_multi_label:
            return self._file(answer) + self._truth_after(answer)
        if answer.best in answer.truth:
            return f'{self._file(answer)} <span class="ok">✓ {self._labels[answer.best]}</span>'
        return (
            f'{self._file(answer)} <span class="no">✗ {self._labels[answer.best]}</span>'
            f'<span class="soft">, is {self._truth(answer)}</span>'
        )

    def _file(self, clip: ClipAnswer | LearnedClip) -> str:
        return (
            f'<a href="{file_link(clip.path, clip.start_s, clip.end_s)}">'
            f"{escaped(display_path(clip.path))}{_span(clip)}</a>"
        )

    def _truth(self, clip: ClipAnswer | LearnedClip) -> str:
        return ", ".join(self._labels[index] for index in clip.truth) or "none of them"

    def _truth_after(self, clip: ClipAnswer | LearnedClip) -> str:
        return f' <span class="soft">{self._truth(clip)}</span>'

    def classes(self) -> str:
        """A row for each class."""
        confusion = self._summary.confusion
        taken_for: dict[int, str] = {}
        if confusion is not None:
            for count, truth, answer in reversed(frequent_confusions(confusion, len(self._labels) ** 2)):
                taken_for[truth] = f"{self._labels[answer]} ({count})"
        is_multi = self._evaluation.is_multi_label
        heads = ["class", "clips", "average precision" if is_multi else "recall", "precision"]
        heads += ["recall"] if is_multi else ["average precision", "most often taken for"]
        rows = [
            self._class_row(index, figures, taken_for.get(index, ""))
            for index, figures in enumerate(self._summary.by_class)
            if figures.support or figures.answered
        ]
        others = len(self._labels) - len(rows)
        note = f"<p class='facts'>{others} more classes neither occur nor were answered.</p>"
        head = "".join(f"<th>{name}</th>" for name in heads)
        body = "".join(rows)
        return (
            f'<div class="scroll"><table class="classes"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{note if others else ''}"
        )

    def _class_row(self, index: int, figures: ClassFigures, taken_for: str) -> str:
        if self._evaluation.is_multi_label:
            cells = [_bar(figures.average_precision), _percent(figures.precision), _percent(figures.recall)]
        else:
            precision = _percent(figures.average_precision)
            cells = [_bar(figures.recall), _percent(figures.precision), precision, taken_for]
        absent = "" if figures.support else ' class="absent"'
        return (
            f"<tr{absent}><th>{self._labels[index]}</th><td>{figures.support}</td>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )

    def confusion(self) -> str:
        """The matrix with its most frequent confusions; nothing for multi-label data."""
        confusion = self._summary.confusion
        if confusion is None:
            return ""
        cells = ConfusionCells.of(confusion)
        note = ""
        if cells.hidden:
            shown = len(cells.indices)
            note = (
                f"<p class='facts'>The {shown} of {shown + cells.hidden} classes with the most mistakes; "
                "report.json has all.</p>"
            )
        return (
            f"<section><h2>Confusions</h2>{note}<p class='facts'>Rows are true classes, columns answers; "
            "colours are shares of a row. A cell that is pointed at or tapped says more.</p>"
            f"{self._matrix(cells)}{self._confusion_list(confusion)}</section>"
        )

    def _matrix(self, cells: ConfusionCells) -> str:
        labels = [self._labels[index] for index in cells.indices]
        heads = "".join(f'<th scope="col" title="{label}"><div>{label}</div></th>' for label in labels)
        rows = []
        for row, label in enumerate(labels):
            fields = "".join(self._cell(cells, row, column, labels) for column in range(len(labels)))
            rows.append(f'<tr><th scope="row" title="{label}"><div>{label}</div></th>{fields}</tr>')
        style = f'style=" --count:{len(labels)}"'
        return (
            f'<div class="scroll"><table class="matrix" id="matrix" {style}><thead><tr><td class="corner">'
            f"true ↓ answer →</td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            '<p id="reading" class="facts" aria-live="polite"></p>'
        )

    @staticmethod
    def _cell(cells: ConfusionCells, row: int, column: int, labels: Sequence[str]) -> str:
        count, kind = cells.counts[row, column], "right" if row == column else "wrong"
        if not count:
            return f'<td class="{kind}"></td>'
        strength, total = cells.strength(row, column), cells.totals[row]
        what = f"taken for {labels[column]}" if row != column else "recognised"
        title = f"{labels[row]}: {count} of {_clips(int(total))} {what} ({_percent(count / total)})"
        strong = " strong" if strength > 0.5 else ""
        return f'<td class="{kind}{strong}" style=" --s:{strength:.2f}" title="{title}">{count}</td>'

    def _confusion_list(self, confusion: tuple[tuple[int, ...], ...]) -> str:
        """The most frequent confusions, each with its files."""
        blocks = []
        for count, truth, label in frequent_confusions(confusion, _MOST_CONFUSIONS):
            files = [
                self._file(answer)
                for answer in self._evaluation.answers
                if answer.best == label and truth in answer.truth
            ]
            head = f"{count} × {self._labels[truth]} taken for {self._labels[label]}"
            blocks.append(_file_block(head, files[:_MOST_FILES], count))
        return f"<h3>Most frequent confusions</h3>{''.join(blocks)}" if blocks else ""

    def calibration(self) -> str:
        """How far scores can be believed."""
        is_multi_label = self._evaluation.is_multi_label
        chart = calibration_chart(self._summary.calibration, is_multi_label=is_multi_label)
        unit = "scores of all classes" if is_multi_label else "scores of the answers"
        return (
            f"<div class='beside'>{chart}<div>"
            f"<p>{calibration_in_words(self._summary)}</p>"
            f"<p class='facts'>Bars: the share that is right among the {unit} in ten ranges. On the dashed "
            "line scores are what they promise; below it they promise too much. Bars of few clips say "
            f"little. Expected calibration error {_percent(self._summary.calibration_error)}, log loss "
            f"{self._summary.log_loss:.3f}.</p></div></div>"
        )

    def mistakes(self, thumbnails: Thumbnails | None, explained: Sequence[ExplainedMistake] = ()) -> str:
        """The most confident wrong answers: those with maps one below the other, then a contact sheet."""
        found = worst_mistakes(self._evaluation, _MOST_MISTAKES)
        if not found:
            return "<p>There is none: every answer is right.</p>"
        with_maps = {one.answer: one for one in explained if one.explanations}
        rows = [self._explained(m, with_maps[m.answer]) for m in found if m.answer in with_maps]
        cards = [self._mistake(m, thumbnails) for m in found if m.answer not in with_maps]
        why = f"<p class='facts'>{_MAPS_IN_WORDS}</p>{''.join(rows)}" if rows else ""
        failed = [one for one in explained if one.error is not None]
        why += "".join(
            f'<p class="note">{escaped(display_path(one.answer.path))} could not be explained: '
            f"{escaped(one.error or '')}</p>"
            for one in failed
        )
        return why + (f'<div class="sheet">{"".join(cards)}</div>' if cards else "")

    def _explained(self, mistake: Mistake, explained: ExplainedMistake) -> str:
        """One mistake with the maps of two labels beside each other."""
        answer = mistake.answer
        maps = "".join(
            f'<div><img alt="" loading="lazy" src="{picture_uri(picture, width_px=picture.shape[1])}">'
            f"<p>{self._why(one, answer)}</p></div>"
            for one, picture in zip(explained.explanations, explained.pictures, strict=True)
        )
        return (
            f'<figure class="explained"><figcaption>{self._caption(mistake)}</figcaption>'
            f'<div class="maps">{maps}</div></figure>'
        )

    def _why(self, explanation: Explanation, answer: ClipAnswer) -> str:
        """A label with the score of the clip that is explained, when it is seen and by which pathway."""
        is_true = self._evaluation.labels.index(explanation.label) in answer.truth
        facts = [f"{100 * explanation.score:.0f} % here", f"most at {explanation.peak_s:.2f} s"]
        facts += [
            f"without {escaped(name)} {100 * score:.0f} %"
            for name, score in explanation.score_without.items()
        ]
        kind = "ok" if is_true else "no"
        label = f'<b class="{kind}">{"✓" if is_true else "✗"} {escaped(explanation.label)}</b>'
        return f"{label} {', '.join(facts)}"

    def _mistake(self, mistake: Mistake, thumbnails: Thumbnails | None) -> str:
        answer = mistake.answer
        link = file_link(answer.path, answer.start_s, answer.end_s)
        frame = _picture_of(answer, thumbnails)
        picture = '<div class="none">no picture</div>'
        if frame is not None:
            picture = f'<img alt="" loading="lazy" src="{picture_uri(frame, width_px=_THUMBNAIL_PX)}">'
        return (
            f'<figure><a href="{link}" title="{escaped(display_path(answer.path))}">{picture}</a>'
            f"<figcaption>{self._caption(mistake)}</figcaption></figure>"
        )

    def _caption(self, mistake: Mistake) -> str:
        """What was answered, what is true, and the file."""
        answer = mistake.answer
        link = file_link(answer.path, answer.start_s, answer.end_s)
        score = f"{100 * mistake.score:.0f} %"
        said = f'<b class="no">{self._labels[mistake.label]}</b> {score}'
        if mistake.is_missed:
            said = f'<b class="no">not {self._labels[mistake.label]}</b> {score}'
        truth = self._truth(answer)
        if not self._evaluation.is_multi_label:
            truth += f" ({100 * float(answer.scores[answer.truth[0]]):.0f} %)"
        name = escaped(answer.path.name)
        return f'{said}<br>is <b>{truth}</b><br><a href="{link}">{name}{_span(answer)}</a>'

    def failed(self) -> str:
        """The files that could not be used; nothing if there are none."""
        failed = self._evaluation.failed
        if not failed:
            return ""
        rows = "".join(
            f'<li><a href="{file_link(one.path)}">{escaped(display_path(one.path))}</a>: '
            f"{escaped(one.reason)}</li>"
            for one in failed
        )
        head = "1 file" if len(failed) == 1 else f"{len(failed)} files"
        return (
            f'<section><h2>{head} that failed</h2><p class="facts">They count in no figure.</p>'
            f'<ul class="files">{rows}</ul></section>'
        )

    def provenance(self) -> str:
        """What the result was made from."""
        made = self._evaluation.provenance
        rows = [("model", self._evaluation.model), ("views", self._evaluation.views)]
        if made is not None:
            rows += [("weights, SHA-256", made.weights_sha256)] if made.weights_sha256 else []
            rows += [(name, _as_text(value)) for name, value in made.settings.items() if name != "views"]
            rows += list(made.versions.items())
        cells = "".join(f"<tr><th>{escaped(name)}</th><td>{escaped(value)}</td></tr>" for name, value in rows)
        return f'<div class="scroll"><table class="provenance"><tbody>{cells}</tbody></table></div>'


def _picture_of(answer: ClipAnswer, thumbnails: Thumbnails | None) -> Frame | None:
    if thumbnails is None:
        return None
    try:
        return thumbnails(answer)
    except INPUT_FAILURES:  # it was read before; now the file is gone
        return None


def _file_block(head: str, rows: Sequence[str], total: int) -> str:
    items = "".join(f"<li>{row}</li>" for row in rows)
    more = (
        f"<li class='soft'>… and {total - len(rows)} more, in report.json</li>" if total > len(rows) else ""
    )
    return f'<details><summary>{head}</summary><ul class="files">{items}{more}</ul></details>'


def _span(clip: ClipAnswer | LearnedClip) -> str:
    if clip.start_s is None and clip.end_s is None:
        return ""
    if clip.start_s == clip.end_s:
        return f", {clock(clip.start_s or 0.0)}"
    return f", {clock(clip.start_s or 0.0)} to {'the end' if clip.end_s is None else clock(clip.end_s)}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _bar(share: float | None) -> str:
    if share is None:
        return "–"
    bar = f'<span class="bar"><i style="width:{100 * share:.1f}%"></i></span>'
    return f'{bar}<span class="share">{_percent(share)}</span>'


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
