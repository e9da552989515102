"""The page of an evaluation, and the confusion matrix as a picture."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.evaluations import made_up, made_up_multi_label
from twinpath.errors import InputError, NotAFile
from twinpath.metrics.evaluation import summarise, worst_mistakes
from twinpath.render.confusion_png import write_confusion_png
from twinpath.render.evaluation_page import Thumbnails, write_evaluation_page
from twinpath.render.evaluation_report import write_evaluation_report
from twinpath.results.evaluation import ClipAnswer, Evaluation, FailedInput
from twinpath.results.explanation import ExplainedMistake

EVIL = '<script>alert("1")</script> & {{data}} \x1b[31m'
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and the text that is seen."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(text)
        self.close()
        assert not self._in

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._in.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._in and self._in[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.tags if t == tag and all(a.get(k) == v for k, v in attributes.items())]


def page_of(evaluation: Evaluation, folder: Path, thumbnails: Thumbnails | None = None, **more) -> Page:
    path = folder / "report.html"
    write_evaluation_page(evaluation, path, title="T", thumbnails=thumbnails, **more)
    assert [p.name for p in folder.iterdir()] == ["report.html"]
    return Page(path.read_text("utf-8"))


def grey(answer: ClipAnswer) -> np.ndarray:
    return np.full((60, 80, 3), 90, np.uint8)


def test_it_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = page_of(made_up(6), tmp_path, grey)
    assert not page.all("link")
    assert not any("src" in attributes for attributes in page.all("script"))
    assert all(attributes["src"].startswith("data:image/jpeg;base64,") for attributes in page.all("img"))
    assert all(attributes["href"].startswith("file:///") for attributes in page.all("a"))
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|url\(|@import", (tmp_path / "report.html").read_text("utf-8"))


@pytest.mark.parametrize("num_classes", [1, 2, 8, 50])
def test_the_matrix_has_a_row_for_each_class_and_counts_every_clip(tmp_path: Path, num_classes: int) -> None:
    evaluation = made_up(num_classes, clips_each=4)
    page = page_of(evaluation, tmp_path)
    assert len(page.all("th", scope="row")) == len(page.all("th", scope="col")) == num_classes
    titles = [a["title"] for a in page.all("td") if a.get("title")]
    assert sum(int(re.search(r": (\d+) of ", title)[1]) for title in titles) == len(evaluation.answers)


def test_of_many_classes_those_with_most_mistakes_are_in_the_matrix(tmp_path: Path) -> None:
    page = page_of(made_up(90, clips_each=2), tmp_path)
    assert len(page.all("th", scope="row")) == 50
    assert "The 50 of 90 classes with the most mistakes" in page.text


def test_classes_of_the_model_that_the_data_lacks_take_no_room(tmp_path: Path) -> None:
    few = made_up(3, clips_each=3)
    labels = (*few.labels, *(f"other {i}" for i in range(60)))
    answers = [ClipAnswer(a.path, a.truth, np.pad(a.scores, (0, 60))) for a in few.answers]
    page = page_of(Evaluation(labels, tuple(answers)), tmp_path)
    assert len(page.all("th", scope="row")) == 3
    assert "60 more classes neither occur nor were answered" in page.text


def test_the_figures_and_the_parts(tmp_path: Path) -> None:
    evaluation = made_up(8)
    summary = summarise(evaluation)
    page = page_of(evaluation, tmp_path, notes=("these files are near-copies",))
    low, high = summary.top1_interval
    assert f"{100 * summary.top1:.1f} %" in page.text
    assert f"95 % interval {100 * low:.1f} to {100 * high:.1f} %" in page.text
    assert "these files are near-copies" in page.text
    assert all(f"fold {i}: 24 clips, " in page.text for i in range(1, 6))
    assert "train: 1 clip, not evaluated" in page.text
    assert "2 files that failed" in page.text
    assert "no video stream" in page.text
    assert "slowfast_tiny.synthetic" in page.text


def test_a_mistake_is_a_picture_that_leads_to_its_place_in_the_file(tmp_path: Path) -> None:
    evaluation = made_up(8)
    wanted_of: list[Path] = []

    def picture(answer: ClipAnswer) -> np.ndarray:
        wanted_of.append(answer.path)
        if len(wanted_of) == 1:
            raise NotAFile("it is gone")
        return grey(answer)

    page = page_of(evaluation, tmp_path, picture)
    mistakes = worst_mistakes(evaluation, 24)
    assert wanted_of == [mistake.answer.path for mistake in mistakes]
    assert len(page.all("figure")) == len(mistakes)
    assert len(page.all("img")) == len(mistakes) - 1
    assert "no picture" in page.text
    with_span = next(m.answer for m in mistakes if m.answer.start_s is not None)
    wanted = f"{with_span.path.absolute().as_uri()}#t={with_span.start_s:g},{with_span.end_s:g}"
    assert wanted in [a["href"] for a in page.all("a")]


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    answers = (
        ClipAnswer(Path(f"{EVIL}.mp4"), (0,), np.asarray([0.1, 0.9], np.float32), part=EVIL),
        ClipAnswer(Path("a\udcff.mp4"), (1,), np.asarray([0.1, 0.9], np.float32)),
    )
    evaluation = Evaluation(
        (EVIL, "b"), answers, failed=(FailedInput(Path(EVIL), EVIL),), model=EVIL, data=EVIL
    )
    path = tmp_path / "report.html"
    write_evaluation_page(evaluation, path, title=EVIL, notes=(EVIL,))
    text = path.read_text("utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "\x1b" not in text
    assert 'alert("1")</script> & {{data}}' in page.text
    write_confusion_png(evaluation, tmp_path / "c.png", title=EVIL)


def test_everything_right_has_no_mistakes(tmp_path: Path) -> None:
    answers = tuple(ClipAnswer(Path(f"{i}.mp4"), (i,), np.eye(2, dtype=np.float32)[i]) for i in range(2))
    page = page_of(Evaluation(("a", "b"), answers), tmp_path)
    assert "every answer is right" in page.text
    assert not page.all("figure")


def test_multi_label_data_has_precisions_and_no_matrix(tmp_path: Path) -> None:
    page = page_of(made_up_multi_label(), tmp_path, grey)
    assert "mean average precision over the 6 classes that occur" in page.text
    assert not page.all("table", id="matrix")


def test_without_an_answer_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_evaluation_page(Evaluation(("a",), ()), tmp_path / "x.html", title="T")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_classes", [1, 2, 8, 50, 60])
def test_the_picture_grows_with_the_classes(tmp_path: Path, num_classes: int) -> None:
    write_confusion_png(made_up(num_classes, clips_each=2), tmp_path / "c.png", title="Confusions")
    with Image.open(tmp_path / "c.png") as image:
        assert image.width >= 560
        assert image.height > image.width / 3
        assert len(image.convert("RGB").getcolors(1 << 20)) > 10


def test_a_report_is_a_page_json_and_a_picture(tmp_path: Path) -> None:
    written = write_evaluation_report(made_up(4), tmp_path, title="T", notes=("n",))
    assert [path.name for path in written] == ["report.html", "report.json", "confusion.png"]
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["notes"] == ["n"]
    assert len(values["clips"]) == values["summary"]["clips"] == 60
    several = write_evaluation_report(made_up_multi_label(), tmp_path / "multi", title="T")
    assert [path.name for path in several] == ["report.html", "report.json"]


def test_a_mistake_that_could_not_be_explained_says_why(tmp_path: Path) -> None:
    evaluation = made_up(8)
    worst = worst_mistakes(evaluation, 1)[0].answer
    page = page_of(evaluation, tmp_path, grey, explained=[ExplainedMistake(worst, error=f"{EVIL} is gone")])
    assert f"could not be explained: {EVIL[:9]}" in page.text
    assert not page.all("figure", **{"class": "explained"})
    assert len(page.all("img")) == len(worst_mistakes(evaluation, 24))
