"""Classifications of many videos, with a classifier that reads nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from twinpath.errors import InputError, NotAVideo, UsageError
from twinpath.jobs.batch import Outcome, run_batch
from twinpath.jobs.classify import ClassifyJob, classify_videos
from twinpath.recognize.classifier import Classifier
from twinpath.results.classification import Classification, Prediction
from twinpath.video.find import InputVideo, find_inputs

MODEL = "slowfast_tiny.synthetic"


class FakeClassifier:
    """Answers with the size of a file; fails at an empty one, and is stopped at one that says so."""

    model, weights_sha256 = MODEL, None

    def __init__(self) -> None:
        self.read: list[str] = []
        self.meanwhile: Callable[[Path], object] = lambda path: None

    def __call__(self, video: Path, *, top_k: int, progress: object = None, **_: Any) -> Classification:
        content = video.read_text()
        self.meanwhile(video)
        if content == "stop":
            raise KeyboardInterrupt
        self.read.append(video.name)
        if not content:
            raise NotAVideo("empty")
        predictions = tuple(Prediction(str(k), k, 1.0) for k in range(top_k))
        return Classification(str(video), MODEL, "fake", "1x1", predictions, (), {"decode": 0, "infer": 0})

    def each(self, videos: Iterable[Path], **arguments: Any) -> Iterator[Classification | Exception]:
        for video in videos:
            try:
                yield self(video, **arguments)
            except InputError as error:
                yield error


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, content in (("a.mp4", "a"), ("b.mp4", ""), ("c.mp4", "c")):
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def classifier() -> FakeClassifier:
    return FakeClassifier()


def run(
    clips: Path,
    classifier: FakeClassifier,
    *,
    on_resumed: Callable[[int, int], None] | None = None,
    **job: Any,
) -> list[Outcome[Classification]]:
    classifier.read.clear()
    load = cast("Callable[[], Classifier]", lambda: classifier)
    wanted = ClassifyJob(model=MODEL, **job)
    return list(classify_videos(find_inputs([clips]), wanted, load, on_resumed=on_resumed))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_video_gives_an_answer_or_an_error(clips: Path, classifier: FakeClassifier) -> None:
    a, b, c = run(clips, classifier, top_k=2)
    assert a.result is not None
    assert c.result is not None
    assert [len(answer.predictions) for answer in (a.result, c.result)] == [2, 2]
    assert str(b.error) == f"{clips / 'b.mp4'}: empty"


def test_a_later_run_does_what_is_missing_and_gives_all(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out, resumed = tmp_path / "a.jsonl", []
    first = run(clips, classifier, out=out)
    assert [("error" in line) for line in lines(out)] == [False, True, False]
    (clips / "b.mp4").write_text("b")
    again = run(clips, classifier, out=out, on_resumed=lambda *counts: resumed.append(counts))
    assert classifier.read == ["b.mp4"]
    assert resumed == [(2, 3)]
    assert [outcome.was_done for outcome in again] == [True, False, True]
    assert [again[0].result, again[2].result] == [first[0].result, first[2].result]


@pytest.mark.parametrize("names", [("a.mp4", "c.mp4"), ("a.mp4",)])
def test_a_file_that_changes_meanwhile_is_done_anew(
    clips: Path, classifier: FakeClassifier, tmp_path: Path, names: tuple[str, ...]
) -> None:
    for path in clips.iterdir():
        if path.name not in names:
            path.unlink()
    out = tmp_path / "answers.jsonl"
    classifier.meanwhile = lambda path: path.write_text("longer") if path.name == "a.mp4" else None
    run(clips, classifier, out=out)
    classifier.meanwhile = lambda path: None
    run(clips, classifier, out=out)
    assert classifier.read == ["a.mp4"]
    run(clips, classifier, out=out)
    assert classifier.read == []


def test_two_runs_do_not_write_to_one_file(clips: Path, classifier: FakeClassifier, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    run(clips, classifier, out=out)

    def start_over(path: Path) -> None:
        with pytest.raises(UsageError, match="another run is writing to it"):
            run(clips, FakeClassifier(), out=out, resume=False)

    classifier.meanwhile = start_over
    run(clips, classifier, out=out, resume=False)  # beside the old file, which the other run leaves alone
    assert [Path(line["video"]).name for line in lines(out)] == ["a.mp4", "b.mp4", "c.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "clips"]


def test_nothing_is_loaded_where_all_is_done(clips: Path, classifier: FakeClassifier, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    (clips / "b.mp4").write_text("b")
    run(clips, classifier, out=out)

    def load() -> Classifier:
        raise AssertionError("loaded")

    outcomes = classify_videos(find_inputs([clips]), ClassifyJob(model=MODEL, out=out), load)
    assert all(outcome.was_done for outcome in outcomes)


def test_other_settings_are_refused_and_may_start_over(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    run(clips, classifier, out=out)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=r"top_k is 2, before 5; give another place, or resume=False"):
        run(clips, classifier, out=out, top_k=2)
    assert out.read_bytes() == before
    run(clips, classifier, out=out, top_k=2, resume=False)
    assert [len(line["predictions"]) for line in lines(out) if "error" not in line] == [2, 2]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.jsonl"]


def test_a_run_that_starts_over_and_is_stopped_is_resumed_beside_the_old_file(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    run(clips, classifier, out=out)
    before = out.read_bytes()
    (clips / "c.mp4").write_text("stop")
    with pytest.raises(KeyboardInterrupt):
        run(clips, classifier, out=out, top_k=2, resume=False)
    assert out.read_bytes() == before
    (clips / "c.mp4").write_text("c")
    run(clips, classifier, out=out, top_k=2)
    assert classifier.read == ["b.mp4", "c.mp4"]
    assert len(lines(out)) == 3
    assert not (tmp_path / "a.partial.jsonl").exists()


@pytest.mark.parametrize(("of", "stays"), [({}, False), ({"top_k": 2}, True)], ids=["same", "other settings"])
def test_what_a_run_that_starts_over_left_goes_where_the_results_are_complete(
    clips: Path, classifier: FakeClassifier, tmp_path: Path, of: dict[str, Any], stays: bool
) -> None:
    """Else it would lie there for ever."""
    out, partial = tmp_path / "a.jsonl", tmp_path / "a.partial.jsonl"
    run(clips, classifier, out=out)
    run(clips, classifier, out=partial, **of)
    run(clips, classifier, out=out)
    assert partial.exists() is stays


def test_a_file_of_others_that_is_called_as_a_part_stays(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out, partial = tmp_path / "a.jsonl", tmp_path / "a.partial.jsonl"
    run(clips, classifier, out=out)
    partial.write_text("mine")
    run(clips, classifier, out=out)
    assert partial.read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": []},
        {"predictions": [{"label": 3, "index": 1, "score": 0.5}]},
        {"predictions": [{"label": "a", "index": 1, "score": float("nan")}]},
        {"warnings": "hm"},
        {"timing_s": {"decode": "long"}},
        {"video": None},
    ],
)
def test_an_answer_of_other_kinds_of_values_is_an_error(
    clips: Path, classifier: FakeClassifier, tmp_path: Path, change: dict[str, Any]
) -> None:
    out = tmp_path / "a.jsonl"
    run(clips, classifier, out=out)
    first, *rest = lines(out)
    out.write_text("".join(json.dumps(line) + "\n" for line in ({**first, **change}, *rest)))
    with pytest.raises(InputError, match=r"a\.jsonl"):
        run(clips, classifier, out=out)


def test_where_every_video_fails_the_old_file_stays(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    run(clips, classifier, out=out)
    before = out.read_bytes()
    for path in clips.iterdir():
        path.write_text("")
    run(clips, classifier, out=out, resume=False)
    assert out.read_bytes() == before


def test_a_journal_of_something_else_is_an_error(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    run(clips, classifier, out=out)
    first, *rest = lines(out)
    del first["predictions"]
    out.write_text("".join(json.dumps(line) + "\n" for line in (first, *rest)))
    with pytest.raises(InputError, match="is no classification"):
        run(clips, classifier, out=out)


def test_an_answer_is_in_the_file_before_it_is_given(
    clips: Path, classifier: FakeClassifier, tmp_path: Path
) -> None:
    out = tmp_path / "a.jsonl"
    (clips / "c.mp4").write_text("stop")
    seen: list[int] = []
    load = cast("Callable[[], Classifier]", lambda: classifier)
    outcomes = classify_videos(find_inputs([clips]), ClassifyJob(model=MODEL, out=out), load)
    with pytest.raises(KeyboardInterrupt):
        run_batch(outcomes, total=3, on_outcome=lambda _: seen.append(len(lines(out))))
    assert seen == [1, 2]


def test_another_model_than_the_job_names_is_refused(clips: Path, classifier: FakeClassifier) -> None:
    classifier.model = "another"
    with pytest.raises(UsageError, match="what was loaded is another"):
        run(clips, classifier)
    missing = InputVideo.of(clips / "none.mp4")
    assert missing.name.name == "none.mp4"
