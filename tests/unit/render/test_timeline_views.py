"""The picture and the page of a timeline."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.timelines import scores_by_hand
from twinpath.recognize.timeline import timeline_of
from twinpath.render.timeline import write_timeline_view
from twinpath.render.timeline_lanes import lanes_of, tick_step_s
from twinpath.results.segments import SegmentRules
from twinpath.results.timeline import Timeline

SHARP = SegmentRules(smooth_s=0.0, merge_s=0.0)
EVIL = '<script>alert("1")</script> & {{data}}'


def timeline(count: int = 60, labels: tuple[str, ...] = ("walk", "run"), **more: object) -> Timeline:
    """The first label in the first half, the second in the second."""
    scores = np.zeros((count, len(labels)))
    scores[: count // 2, 0] = scores[count // 2 :, 1] = 0.9
    return timeline_of(scores_by_hand(scores, labels, **more), SHARP)  # type: ignore[arg-type]


class Page(HTMLParser):
    """What a browser makes of a page: its tags, its text, its script's data."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data = ""
        self._in: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._in.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._in.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._in and self._in[-1] == "script":
            self.data = self.data or data
        elif self._in and self._in[-1] != "style":
            self.text += data


def page_of(given: Timeline, folder: Path) -> Page:
    path = folder / "x.html"
    write_timeline_view(given, path, "html")
    assert [p.name for p in folder.iterdir()] == ["x.html"]
    text = path.read_text("utf-8")
    assert "{{" not in text.replace("{{data}}", "")
    return Page(path)


def test_a_lane_for_each_label_by_its_first_segment() -> None:
    lanes, more = lanes_of(timeline(labels=("late", "early")), max_lanes=9, max_points=100)
    assert ([lane.label for lane in lanes], more) == (["late", "early"], 0)
    assert [len(lane.segments) for lane in lanes] == [1, 1]
    assert (lanes[0].times_s[0], lanes[0].times_s[-1]) == (0.0, 61.0)


def test_the_labels_seen_longest_stay() -> None:
    scores = np.zeros((40, 5))
    for index, length in enumerate((2, 9, 3, 8, 1)):
        scores[8 * index : 8 * index + min(length, 8), index] = 0.9
    lanes, more = lanes_of(
        timeline_of(scores_by_hand(scores, tuple("abcde")), SHARP), max_lanes=3, max_points=100
    )
    assert [lane.label for lane in lanes] == ["b", "c", "d"]
    assert more == 2


def test_a_long_curve_keeps_its_peaks() -> None:
    scores = np.zeros((10_000, 1))
    scores[5_003] = 0.8
    (lane,), _ = lanes_of(timeline_of(scores_by_hand(scores, ("blink",)), SHARP), max_lanes=3, max_points=500)
    assert len(lane.scores) <= 502
    assert lane.scores.max() == pytest.approx(0.8, abs=1e-3)
    assert abs(lane.times_s[lane.scores.argmax()] - 5_004) < 20


def test_the_likeliest_where_nothing_is_seen() -> None:
    given = timeline_of(scores_by_hand([[0.1, 0.05, 0.2, 0.0]], tuple("abcd")), SHARP)
    lanes, _ = lanes_of(given, max_lanes=9, max_points=10)
    assert [lane.label for lane in lanes] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("duration_s", "step_s"), [(0.5, 0.1), (8, 1), (60, 10), (3600, 600), (4 * 3600, 1800)]
)
def test_ticks_are_round(duration_s: float, step_s: float) -> None:
    assert tick_step_s(duration_s, max_ticks=8) == pytest.approx(step_s)


def test_the_page_tells_everything(tmp_path: Path) -> None:
    page = page_of(timeline(complete=False, duration_s=100.0, warnings=("hm, a warning",)), tmp_path)
    for words in ("match.mp4", "net.weights", "hm, a warning", "Unfinished: up to 1:01.0 of 1:40.0"):
        assert words in page.text
    segments = [attrs for tag, attrs in page.tags if tag == "rect" and attrs.get("class") == "segment"]
    assert [s["id"] for s in segments] == ["s0", "s1"]
    assert [float(s["x"] or 0) for s in segments] == pytest.approx([0.0, 3050.0])
    assert [float(s["width"] or 0) for s in segments] == pytest.approx([3050.0, 3050.0])
    assert "run: 0:30.5 to 1:01.0, mean 90 %, peak 90 %" in page.text
    data = json.loads(page.data)
    assert data["duration_s"] == 100.0
    assert len(data["middles_s"]) == len(data["top"]) == 60
    label, score = data["top"][0][0]
    assert (data["labels"][label], score) == ("walk", 900)


def test_the_page_is_on_the_clock_of_a_player(tmp_path: Path) -> None:
    page = page_of(timeline(first_frame_s=39.0), tmp_path)
    assert "1:01.0 long" in page.text
    assert "Its first frame is at 0:39.0 on a player's clock" in page.text
    assert "run: 1:09.5 to 1:40.0" in page.text
    segments = [attrs for tag, attrs in page.tags if tag == "rect" and attrs.get("class") == "segment"]
    assert [float(s["x"] or 0) for s in segments] == pytest.approx([3900.0, 6950.0])
    data = json.loads(page.data)
    assert (data["duration_s"], data["middles_s"][0]) == (100.0, 40.0)


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = page_of(timeline(), tmp_path)
    assert not any({"src", "href", "srcset", "action"} & set(attrs) for _, attrs in page.tags)
    text = (tmp_path / "x.html").read_text("utf-8")
    assert not re.search(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest", text)
    policy = [
        attrs.get("content") or "" for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs
    ]
    assert policy[0].startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in text


def test_a_label_is_text_and_nothing_else(tmp_path: Path) -> None:
    given = timeline(labels=(EVIL, "</script>"), video=f"a/{EVIL.replace('/', '')}\n.mp4", warnings=(EVIL,))
    page = page_of(given, tmp_path)
    assert page.text.count(EVIL) >= 3
    assert sum(tag == "script" for tag, _ in page.tags) == 2  # ours
    assert set(json.loads(page.data)["labels"]) == {EVIL, "</script>"}


def test_a_page_of_little(tmp_path: Path) -> None:
    page = page_of(timeline_of(scores_by_hand([[0.1, 0.2]], ("a", "b")), SHARP), tmp_path)
    assert "No smoothed score reaches 0.3; the highest is b with 0.20 at 0:01.0." in page.text
    nothing = timeline_of(scores_by_hand([], ("a", "b"), duration_s=5.0), SHARP)
    assert json.loads(page_of(nothing, tmp_path).data)["top"] == []


def test_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    write_timeline_view(timeline(), path, "png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width, _ = picture.shape
    assert (width, height) == (1600, 84 + 2 * 52 + 34 + 28)
    colour = picture.max(axis=2) - picture.min(axis=2)
    walk, run = 84 + 12, 84 + 52 + 12  # the middle of the bars of each lane
    left, right = 300, 1300
    assert colour[walk, left] > 100
    assert colour[walk, right] < 20
    assert colour[run, left] < 20
    assert colour[run, right] > 100


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_a_picture_of_any_length(tmp_path: Path, count: int) -> None:
    labels = tuple(f"a label that is much too long for its column, number {n}" for n in range(30))
    scores = np.random.default_rng(0).random((count, 30))
    given = timeline_of(scores_by_hand(scores, labels, duration_s=count + 1.0), SHARP)
    write_timeline_view(given, tmp_path / "x.png", "png")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.width == 1600
        assert picture.height < 1200
