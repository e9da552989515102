"""A video's windows scored, kept, gone on from; and the files of other programs."""

from __future__ import annotations

import csv
import io
import json
import math
import signal
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support import bad_videos, clock_videos
from tests.support.timelines import ShadeClassifier, grey_film, read_srt, read_vtt, scores_by_hand
from twinpath.errors import InputError, UsageError
from twinpath.formats.timelines import cues, write_timeline_file
from twinpath.formats.window_scores import load_window_scores, save_window_scores
from twinpath.recognize import checkpoint
from twinpath.recognize.classifier import Classifier
from twinpath.recognize.timeline import read_labels, score_windows, timeline_of
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.results.segments import SegmentRules
from twinpath.results.window_scores import WindowScores
from twinpath.video.clips import ClipReader

EVERY_S = 0.2


def score(video: Path, shade: ShadeClassifier | None = None, **options: Any) -> WindowScores:
    options = {"every_s": EVERY_S, **options}
    return score_windows(cast(Classifier, shade or ShadeClassifier()), video, **options)


def interrupt_at(call: int) -> Callable[[int], None]:
    def at_call(number: int) -> None:
        if number == call:
            signal.raise_signal(signal.SIGINT)

    return at_call


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s, dark to light."""
    return grey_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[ClipReader]:
    """Every stream that is opened."""
    opened: list[ClipReader] = []

    def watched(*arguments: Any, isolate: bool, **options: Any) -> ClipReader:
        assert not isolate
        opened.append(ClipReader(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr("twinpath.recognize.read.open_clips", watched)
    return opened


def test_windows_all_over_a_video(film: Path, streams: list[ClipReader]) -> None:
    told: list[tuple[int, int]] = []
    found = score(film, progress=lambda done, total: told.append((done, total)))
    assert found.complete
    assert found.done_s == pytest.approx(8.0)
    assert found.starts_s.tolist() == pytest.approx(np.arange(37) * EVERY_S)
    assert found.ends_s[-1] == pytest.approx(8.0)
    assert found.scores.dtype == np.float16
    assert found.scores.shape == (37, 2)
    assert (np.diff(found.scores[:, 1].astype(float)) > 0).all()  # ever lighter
    assert told == [(n, 37) for n in (0, *range(2, 37, 2), 37)]
    assert 190 <= streams[0]._source.budget.frames <= 200  # each frame once, if any window wants it
    assert found.warnings == ()


def test_the_thread_is_over_when_the_work_is(film: Path) -> None:
    score(film)
    with pytest.raises(KeyboardInterrupt):
        score(film, ShadeClassifier(at_call=interrupt_at(3)))
    assert [t.name for t in threading.enumerate() if t.name == "twinpath-prefetch"] == []


@pytest.mark.parametrize("container", [None, "mpegts", "avi"])
@pytest.mark.parametrize("call", [2, 15])
def test_going_on_gives_what_one_run_gives(
    tmp_path: Path, streams: list[ClipReader], container: str | None, call: int
) -> None:
    video = grey_film(tmp_path / "film.video", container=container or "mp4")
    whole = score(video)
    kept: list[WindowScores] = []
    with pytest.raises(KeyboardInterrupt):
        score(video, ShadeClassifier(at_call=interrupt_at(call)), on_checkpoint=kept.append)
    (part,) = kept
    assert not part.complete
    assert len(part) == 2 * (call - 1)
    assert part.done_s == part.ends_s[-1]
    place = tmp_path / "film.scores.npz"
    save_window_scores(part, place)

    told: list[tuple[int, int]] = []
    rest = score(
        video, resume_from=load_window_scores(place), progress=lambda done, total: told.append((done, total))
    )
    assert rest.complete
    assert np.array_equal(rest.starts_s, whole.starts_s)
    assert np.array_equal(rest.scores, whole.scores)
    assert rest.warnings == whole.warnings
    assert told[0] == (len(part), len(whole))
    assert told[-1] == (len(whole), len(whole))
    if call == 15 and container != "avi":  # from the keyframe before 5.6 s; in AVI B-frames may need more
        assert streams[-1]._source.budget.frames <= 200 - 5.6 * 25 + 12


def test_going_on_where_all_windows_are_done(film: Path) -> None:
    whole = score(film)
    again = score(film, resume_from=replace(whole, complete=False))
    assert again.complete
    assert np.array_equal(again.scores, whole.scores)


def test_scores_are_kept_while_the_work_goes_on(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SHARE", math.inf)
    kept: list[WindowScores] = []
    whole = score(film, ShadeClassifier(batch_clips=8), on_checkpoint=kept.append)
    assert [len(part) for part in kept] == [8, 16, 24, 32, 37]
    assert not any(part.complete for part in kept)
    assert np.array_equal(kept[1].scores, whole.scores[:16])


def test_nothing_is_kept_before_the_first_window(film: Path) -> None:
    kept: list[WindowScores] = []
    with pytest.raises(KeyboardInterrupt):
        score(film, ShadeClassifier(at_call=interrupt_at(1)), on_checkpoint=kept.append)
    assert kept == []


def of(part: WindowScores, provenance: Provenance) -> WindowScores:
    return replace(part, provenance=provenance, complete=False)


def test_only_scores_of_the_same_kind_are_gone_on_from(film: Path) -> None:
    part = score(film)
    made, source = part.provenance, FileFacts.of(film)
    others: dict[str, WindowScores] = {
        f"has {source.size_bytes:,} bytes, before 5": of(
            part, replace(made, source=replace(source, size_bytes=5))
        ),
        "was changed since": of(part, replace(made, source=replace(source, modified_s=5.0))),
        "lasts 8.0 s, before 70.0 s": replace(part, duration_s=70.0),
        "is shade.test, before slow": of(part, replace(made, model="slow")),
        "weight file is another": of(part, replace(made, weights_sha256="ab")),
        "every_s is 0.2, before 0.3": of(part, replace(made, settings={"every_s": 0.3})),
    }
    for words, other in others.items():
        with pytest.raises(UsageError) as error:
            score(film, resume_from=other)
        assert words in str(error.value)
        assert "start over" in str(error.value)


def test_a_damaged_video_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    video = bad_videos.make_truncated(tmp_path)
    found = score(video)
    assert found.complete
    assert len(found) > 0
    assert "damaged or incomplete" in found.warnings[0]


def test_warnings_of_a_part_say_which(tmp_path: Path) -> None:
    video = bad_videos.make_lost_head(tmp_path)
    kept: list[WindowScores] = []
    with pytest.raises(KeyboardInterrupt):
        score(video, ShadeClassifier(at_call=interrupt_at(2)), every_s=0.1, on_checkpoint=kept.append)
    assert any("do not decode" in warning for warning in kept[0].warnings)
    rest = score(video, every_s=0.1, resume_from=kept[0])
    assert any(w.startswith("in the first ") and "do not decode" in w for w in rest.warnings)


def test_scores_that_are_no_numbers(film: Path) -> None:
    class Broken(ShadeClassifier):
        def __call__(self, clips: Any, boxes: None = None) -> Any:
            return [scores * np.nan for scores in super().__call__(clips)]

    with pytest.raises(InputError, match="produced NaN or Inf"):
        score(film, Broken())


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan"), float("inf"), 0.001])
def test_a_distance_that_makes_no_sense(film: Path, every_s: float) -> None:
    with pytest.raises(UsageError, match=r"every_s must be at least 0\.01 s"):
        score(film, every_s=every_s)


def test_scores_survive_their_file(tmp_path: Path) -> None:
    given = scores_by_hand([[0.1, 0.9], [0.2, 0.8]], ("a ü", "b"), warnings=("hm",), complete=False)
    place = tmp_path / "new folder" / "x.scores.npz"
    save_window_scores(given.with_settings({"top_k": 3}), place)
    found = load_window_scores(place)
    assert (found.labels, found.warnings) == (given.labels, given.warnings)
    assert (found.provenance, found.duration_s) == (given.provenance, given.duration_s)
    assert (found.complete, found.settings, found.done_s) == (False, {"top_k": 3}, 3.0)
    assert np.array_equal(found.scores, given.scores)
    assert np.abs(found.scores.astype(float) - [[0.1, 0.9], [0.2, 0.8]]).max() < 0.0003
    assert [path.name for path in place.parent.iterdir()] == ["x.scores.npz"]


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "other", "pickle"])
def test_a_file_that_holds_no_scores(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "x.scores.npz"
    save_window_scores(scores_by_hand([[0.1]], ("a",)), place)
    data = place.read_bytes()
    if damage == "other":
        np.savez(place, scores=np.zeros(3))
    elif damage == "pickle":
        np.savez(place, facts=np.array([{}], dtype=object))
    else:
        place.write_bytes({"empty": b"", "text": b"hello" * 9, "cut": data[: len(data) // 2]}[damage])
    with pytest.raises(InputError, match=r"x\.scores\.npz is no valid file of window scores"):
        load_window_scores(place)


def test_labels_that_a_user_wrote() -> None:
    known = ("walk", "sit down", "lift, then drop", "lift")
    assert read_labels("walk,sit down", known, model="m") == ("walk", "sit down")
    assert read_labels(" lift, then drop , lift,lift", known, model="m") == ("lift, then drop", "lift")
    with pytest.raises(UsageError, match="has no label 'walc'; did you mean walk"):
        read_labels("walc", known, model="m")
    with pytest.raises(UsageError, match="has no label"):
        timeline_of(scores_by_hand([[0.5]], ("a",)), SegmentRules(labels=("b",)))
    with pytest.raises(UsageError, match="top_k must be at least 1, not 0"):
        timeline_of(scores_by_hand([[0.5]], ("a",)), top_k=0)


def test_what_a_window_shows() -> None:
    found = timeline_of(scores_by_hand([[0.1, 0.6, 0.3]], ("a", "b", "c")), top_k=2)
    assert [(p.label, p.index, p.score) for p in found.top_of(0)] == [("b", 1, 0.6001), ("c", 2, 0.3)]
    only = timeline_of(scores_by_hand([[0.1, 0.6, 0.3]], ("a", "b", "c")), SegmentRules(labels=("c", "a")))
    assert [p.label for p in only.top_of(0)] == ["c", "a"]
    assert only.best() == (1.0, only.top_of(0)[0])
    assert [s.label for s in only.segments] == ["c"]


# --- files

SCORES = [[0.9, 0.0], [0.9, 0.0], [0.9, 0.8], [0.0, 0.8], [0.0, 0.8], [0.0, 0.0], [0.0, 0.0], [0.9, 0.0]]
LABELS = ("walk & <talk>", "run --> away")
SHARP = SegmentRules(smooth_s=0.0, merge_s=0.0)


def written(
    kind: str, folder: Path, *, labels: tuple[str, ...] = LABELS, scores: Any = SCORES, **more: Any
) -> str:
    path = folder / f"x.{kind}"
    write_timeline_file(timeline_of(scores_by_hand(scores, labels, **more), SHARP), path, kind)
    assert [p.name for p in folder.iterdir()] == [path.name]
    return path.read_bytes().decode("utf-8")


def test_json(tmp_path: Path) -> None:
    text = written("json", tmp_path, complete=False, duration_s=60.0, video="a\udcff\n.mp4")
    values = json.loads(text)
    found = timeline_of(
        scores_by_hand(SCORES, LABELS, complete=False, duration_s=60.0, video="a\udcff\n.mp4"), SHARP
    )
    assert values == found.to_dict()
    assert (values["complete"], values["done_s"], values["duration_s"]) == (False, 9.0, 60.0)
    assert values["settings"]["min_score"] == 0.3
    assert values["segments"][0] == {
        "start_s": 0.0, "end_s": 3.5, "label": LABELS[0], "index": 0,
        "mean_score": 0.8999, "peak_score": 0.8999, "peak_s": 1.0,
    }  # fmt: skip
    assert values["windows"][3] == {
        "start_s": 3.0,
        "end_s": 5.0,
        "top": [{"label": LABELS[1], "score": 0.7998}, {"label": LABELS[0], "score": 0.0}],
    }
    assert len(text.splitlines()) == len(json.dumps({**values, "windows": 0}, indent=2).splitlines()) + 9


def test_csv(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", tmp_path, labels=('say "a, b"', "ü")))))
    assert [(r["start_s"], r["end_s"], r["length_s"], r["label"]) for r in rows] == [
        ("0.0", "3.5", "3.5", 'say "a, b"'),
        ("2.5", "5.5", "3.0", "ü"),
        ("7.5", "9.0", "1.5", 'say "a, b"'),
    ]


def test_subtitles(tmp_path: Path) -> None:
    (tmp_path / "srt").mkdir()
    (tmp_path / "vtt").mkdir()
    srt = read_srt(written("srt", tmp_path / "srt"))
    vtt = read_vtt(written("vtt", tmp_path / "vtt"))
    assert srt == [
        (0, 2500, ["walk & <talk> 90 %"]),
        (2500, 3500, ["walk & <talk> 90 %", "run → away 80 %"]),
        (3500, 5500, ["run → away 80 %"]),
        (7500, 9000, ["walk & <talk> 90 %"]),
    ]
    assert vtt == srt


def test_files_for_players_are_on_the_clock_of_a_player(tmp_path: Path) -> None:
    """The sound begins 2.5 s before the pictures: a player shows the first one at 0:02.5."""
    for kind in ("json", "csv", "srt", "vtt", "eaf"):
        (tmp_path / kind).mkdir()
    text = {
        kind: written(kind, tmp_path / kind, first_frame_s=2.5)
        for kind in ("json", "csv", "srt", "vtt", "eaf")
    }
    assert [cue[:2] for cue in read_srt(text["srt"])] == [
        (2500, 5000), (5000, 6000), (6000, 8000), (10_000, 11_500)
    ]  # fmt: skip
    assert read_vtt(text["vtt"]) == read_srt(text["srt"])
    slots = [int(slot.get("TIME_VALUE", "")) for slot in ET.fromstring(text["eaf"]).iter("TIME_SLOT")]
    assert slots == [2500, 5000, 6000, 8000, 10_000, 11_500]
    values = json.loads(text["json"])
    assert (values["first_frame_s"], values["duration_s"]) == (2.5, 9.0)
    assert values["segments"][0]["start_s"] == values["windows"][0]["start_s"] == 0
    rows = list(csv.DictReader(io.StringIO(text["csv"])))
    assert [(r["start_s"], r["player_start_s"], r["player_end_s"]) for r in rows] == [
        ("0.0", "2.5", "6.0"), ("2.5", "5.0", "8.0"), ("7.5", "10.0", "11.5")
    ]  # fmt: skip


def test_scores_know_the_clock_of_a_player(tmp_path: Path) -> None:
    video = clock_videos.with_sound(bad_videos.make_good(tmp_path), tmp_path / "a.mp4", lead_s=Fraction(3, 2))
    scores = score(video)
    assert scores.first_frame_s == pytest.approx(1.5, abs=0.03)
    assert (float(scores.starts_s[0]), scores.duration_s) == (0.0, pytest.approx(2.0, abs=0.01))
    save_window_scores(scores, tmp_path / "x.npz")
    assert load_window_scores(tmp_path / "x.npz").first_frame_s == scores.first_frame_s


def test_subtitles_of_many_segments_are_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    scores = np.repeat(rng.random((60, 8)) * 0.9, 3, axis=0)
    found = timeline_of(scores_by_hand(scores, tuple("abcdefgh")), SHARP)
    text = written("srt", tmp_path, labels=tuple("abcdefgh"), scores=scores)
    shown = read_srt(text)
    assert len(shown) == len(list(cues(found.segments))) > 20
    for segment in found.segments:
        own = [c for c in shown if any(line.startswith(segment.label) for line in c[2])]
        inside = [
            c for c in own if c[0] >= round(1000 * segment.start_s) and c[1] <= round(1000 * segment.end_s)
        ]
        assert sum(c[1] - c[0] for c in inside) == round(1000 * segment.length_s)


@pytest.mark.parametrize("kind", ["json", "csv", "srt", "vtt", "eaf"])
def test_nothing_seen_is_a_valid_file_too(tmp_path: Path, kind: str) -> None:
    for number, scores in enumerate(([], [[0.1, 0.1]])):
        folder = tmp_path / str(number)
        folder.mkdir()
        text = written(kind, folder, scores=scores)
        if kind == "json":
            assert json.loads(text)["segments"] == []
            assert len(json.loads(text)["windows"]) == len(scores)
        elif kind == "eaf":
            assert [t.get("TIER_ID") for t in ET.fromstring(text).iter("TIER")] == ["activity"]
        elif kind == "srt":
            assert read_srt(text) == []
        elif kind == "vtt":
            assert read_vtt(text) == []


# What EAFv3.0.xsd asks of the elements that we write: attributes that must be there, and that may be.
EAF = {
    "ANNOTATION_DOCUMENT": ({"DATE", "AUTHOR", "VERSION"}, {"FORMAT"}),
    "HEADER": (set(), {"MEDIA_FILE", "TIME_UNITS"}),
    "MEDIA_DESCRIPTOR": ({"MEDIA_URL", "MIME_TYPE"}, {"RELATIVE_MEDIA_URL"}),
    "PROPERTY": (set(), {"NAME"}),
    "TIME_ORDER": (set(), set()),
    "TIME_SLOT": ({"TIME_SLOT_ID"}, {"TIME_VALUE"}),
    "TIER": ({"TIER_ID", "LINGUISTIC_TYPE_REF"}, {"ANNOTATOR"}),
    "ANNOTATION": (set(), set()),
    "ALIGNABLE_ANNOTATION": ({"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"}, set()),
    "ANNOTATION_VALUE": (set(), set()),
    "LINGUISTIC_TYPE": ({"LINGUISTIC_TYPE_ID"}, {"TIME_ALIGNABLE", "GRAPHIC_REFERENCES"}),
}


def test_elan(tmp_path: Path) -> None:
    video = "/videos/a b & ü\x01.mkv"
    document = ET.fromstring(written("eaf", tmp_path, video=video))
    for element in document.iter():
        must, may = EAF[element.tag]
        names = {name for name in element.attrib if not name.startswith("{")}
        assert must <= names <= must | may
    parts = [child.tag for child in document]
    assert parts == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE"]
    media = document.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    assert media.get("MEDIA_URL") == "file:///videos/a b & ü?.mkv"
    assert media.get("MIME_TYPE") == "video/x-matroska"
    times = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "")) for s in document.iter("TIME_SLOT")}
    assert list(times.values()) == sorted(times.values())
    assert len(times) == 6
    types = {t.get("LINGUISTIC_TYPE_ID") for t in document.iter("LINGUISTIC_TYPE")}
    tiers: dict[str, list[tuple[int, int]]] = {}
    ids = []
    for tier in document.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        spans = tiers.setdefault(tier.get("TIER_ID", ""), [])
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            ids.append(annotation.get("ANNOTATION_ID"))
            span = times[annotation.get("TIME_SLOT_REF1")], times[annotation.get("TIME_SLOT_REF2")]
            assert span[0] < span[1]
            assert not spans or spans[-1][1] <= span[0]
            spans.append(span)
            assert annotation.findtext("ANNOTATION_VALUE") == tier.get("TIER_ID")
    assert tiers == {LABELS[0]: [(0, 3500), (7500, 9000)], LABELS[1]: [(2500, 5500)]}
    assert len(set(ids)) == 3
