"""A run over labelled clips, with a classifier that looks at how light a picture is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.shares import Gathered
from tests.support.timelines import ShadeClassifier, grey_film
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.errors import Interrupted, NotAVideo, PartialFailure, UsageError
from twinpath.evaluate.labelled import ScoredClip
from twinpath.jobs.batch import Outcome, run_batch
from twinpath.jobs.evaluate import EvaluateJob, FileAnswers, LabelledRun
from twinpath.recognize.classifier import Classifier
from twinpath.video.resize import ResizedFrames

MODEL = "slowfast_tiny.synthetic"


class ByLight(ShadeClassifier):
    """A film that becomes lighter: "walk" at its start, "run" towards its end."""

    model = MODEL

    def __call__(
        self, clips: Sequence[ResizedFrames], boxes_xyxy_px: None = None
    ) -> list[NDArray[np.float32]]:
        scores = super().__call__(clips)
        return [np.pad(two, ((0, 0), (0, 10))).astype(np.float32) for two in scores]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name in ("a", "b", "c"):
        grey_film(folder / f"{name}.mp4", seconds=4)
    (folder / "bad.mp4").write_bytes(b"no video" * 100)
    return folder


def data_of(films: Path, *names: str, spans: bool = True) -> LabelledData:
    clips = []
    for name in names:
        path = films / f"{name}.mp4"
        if spans:
            clips.append(LabelledClip(path, ("walk",), 0.0, 1.0))
            clips.append(LabelledClip(path, ("Run",), 3.0, 4.0))
        else:
            clips.append(LabelledClip(path, ("walk",)))
    return LabelledData(tuple(clips), ("Run", "walk"), kind="by hand")


class Run:
    """A run to its end, and what it found."""

    def __init__(self, data: LabelledData, classifier: ByLight | None = None, **job: Any) -> None:
        self.classifier = classifier or ByLight()
        self.loaded = 0
        self.outcomes: list[Outcome[FileAnswers]] = []
        self.resumed: list[tuple[int, int]] = []
        self.run = LabelledRun(data, EvaluateJob(model=MODEL, views="1x1", **job))

    def to_its_end(self) -> LabelledRun:
        def load() -> ByLight:
            self.loaded += 1
            return self.classifier

        def on_resumed(done: int, of: int) -> None:
            self.resumed.append((done, of))

        found = self.run.outcomes(cast("Callable[[], Classifier]", load), on_resumed=on_resumed)
        with contextlib.closing(found):  # type: ignore[type-var]  # it is a generator
            run_batch(found, total=len(self.run.videos), on_outcome=self.outcomes.append, rest="again")
        return self.run


def scores_in(folder: Path) -> list[Any]:
    return [json.loads(line)["clips"] for line in (folder / "scores.jsonl").read_text().splitlines()]


def test_the_spans_of_a_file_have_answers_of_their_own(films: Path) -> None:
    run = Run(data_of(films, "a", "b")).to_its_end()
    assert run.evaluation is not None
    assert run.summary is not None
    first, second, *_ = run.evaluation.answers
    assert first.scores[1] < 0.2 < second.scores[1]
    assert (first.truth, second.truth) == ((0,), (1,))  # among the model's labels
    assert (first.start_s, first.end_s) == (0.0, 1.0)
    assert run.summary.clips == 4
    assert len(run.evaluation.labels) == 12
    assert run.written == ()


def test_a_file_that_fails_is_named_and_counted(films: Path, tmp_path: Path) -> None:
    run = Run(data_of(films, "a", "bad"), out=tmp_path)
    with pytest.raises(PartialFailure, match="1 of 2 videos"):
        run.to_its_end()
    assert run.run.evaluation is not None
    (failed,) = run.run.evaluation.failed
    assert failed.path.name == "bad.mp4"
    assert isinstance(run.outcomes[1].error, NotAVideo)
    assert "bad.mp4" in (tmp_path / "report.html").read_text()


def test_a_span_that_fails_is_named_and_the_others_count(films: Path, tmp_path: Path) -> None:
    data = data_of(films, "a")
    data = replace(data, clips=(*data.clips, LabelledClip(films / "a.mp4", ("walk",), 50.0, 51.0)))
    run = Run(data, out=tmp_path)
    run.to_its_end()
    assert run.outcomes[0].error is None
    assert run.run.evaluation is not None
    assert len(run.run.evaluation.answers) == 2
    assert len(run.run.evaluation.failed) == 1
    again = Run(data, out=tmp_path)
    again.to_its_end()
    assert again.loaded == 1  # it is tried again


def test_the_only_file_fails_as_itself(films: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAVideo):
        Run(data_of(films, "bad"), out=tmp_path).to_its_end()
    assert not (tmp_path / "report.html").exists()


def test_a_stopped_run_goes_on_and_gives_the_same(films: Path, tmp_path: Path) -> None:
    data = data_of(films, "a", "b", "c")
    whole = Run(data, out=tmp_path / "whole").to_its_end()

    def stop(call: int) -> None:
        if call == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="1 of 3 videos finished; again"):
        Run(data, ByLight(at_call=stop), out=tmp_path / "stopped").to_its_end()
    rest = Run(data, out=tmp_path / "stopped")
    rest.to_its_end()
    assert rest.resumed == [(1, 3)]
    assert rest.run.evaluation is not None
    assert whole.evaluation is not None
    assert np.array_equal(rest.run.evaluation.scores, whole.evaluation.scores)
    assert scores_in(tmp_path / "stopped") == scores_in(tmp_path / "whole")
    files = [{path.name for path in (tmp_path / name).iterdir()} for name in ("stopped", "whole")]
    assert files[0] == files[1]
    done = Run(data, out=tmp_path / "stopped")
    done.to_its_end()
    assert done.loaded == 0


def test_other_labels_need_no_new_scores_but_other_spans_do(films: Path, tmp_path: Path) -> None:
    data = data_of(films, "a", "b")
    Run(data, out=tmp_path).to_its_end()
    relabelled = replace(data, clips=tuple(replace(clip, labels=("walk",)) for clip in data.clips))
    run = Run(relabelled, out=tmp_path)
    run.to_its_end()
    assert run.loaded == 0
    assert run.run.evaluation is not None
    assert {answer.truth for answer in run.run.evaluation.answers} == {(0,)}
    moved = (replace(data.clips[0], end_s=1.5), *data.clips[1:])
    run = Run(replace(data, clips=moved), out=tmp_path)
    run.to_its_end()
    assert (run.loaded, run.resumed) == (1, [(1, 2)])


def test_scores_of_other_settings_are_refused(films: Path, tmp_path: Path) -> None:
    data = data_of(films, "a", spans=False)
    Run(data, out=tmp_path).to_its_end()
    with pytest.raises(UsageError, match="other settings"):
        Run(data, out=tmp_path, fps=12).to_its_end()
    Run(data, out=tmp_path, fps=12, resume=False).to_its_end()


def test_an_input_is_not_written_over(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").hardlink_to(films / "a.mp4")
    with pytest.raises(UsageError, match="is an input"):
        Run(data_of(films, "a"), out=out).to_its_end()


def test_the_part_for_evaluation_is_taken(films: Path) -> None:
    data = data_of(films, "a", "b", "c", spans=False)
    parts = ("train", "validation", "test")
    data = replace(
        data,
        clips=tuple(replace(c, part=p) for c, p in zip(data.clips, parts, strict=True)),  # type: ignore[arg-type]
    )
    assert [v.path.name for v in Run(data).run.videos] == ["c.mp4"]
    assert "1 of 3 clips are evaluated: those of the part 'test'" in Run(data).run.notes
    assert [v.path.name for v in Run(data, part="train").run.videos] == ["a.mp4"]
    assert len(Run(data, part="all").run.videos) == 3
    with pytest.raises(UsageError, match=r"no clip of the part 'test'.*1 of train"):
        Run(replace(data, clips=data.clips[:1]), part="test")
    with pytest.raises(UsageError, match="part must be"):
        Run(data, part="tset")


def test_classes_that_the_model_lacks_are_an_error_before_anything_is_read(films: Path) -> None:
    with pytest.raises(UsageError, match="lacks 1 of the 1 classes of the data: 'juggle'"):
        Run(LabelledData((LabelledClip(films / "a.mp4", ("juggle",)),), ("juggle",)))


def test_several_views_are_pooled(films: Path) -> None:
    job = EvaluateJob(model=MODEL, views="1x3")
    run = LabelledRun(data_of(films, "a", spans=False), job)
    list(run.outcomes(cast("Callable[[], Classifier]", ByLight)))
    assert run.evaluation is not None
    assert 0.1 < run.evaluation.answers[0].scores[1] < 0.9
    assert run.evaluation.views == "1x3"


class Shares:
    """The runs of several processes, one after the other; the first one gathers last."""

    def __init__(self, data: LabelledData, out: Path, processes: int, **job: Any) -> None:
        gathered = Gathered(processes)
        self.classifiers = [ByLight(batch_clips=1) for _ in range(processes)]
        self.runs = [
            LabelledRun(data, EvaluateJob(model=MODEL, views="1x1", out=out, **job), gathered.share(n))
            for n in range(processes)
        ]

    def outcomes(self, process: int) -> Iterator[Outcome[FileAnswers]]:
        return self.runs[process].outcomes(
            cast("Callable[[], Classifier]", lambda: self.classifiers[process])
        )

    def to_their_end(self) -> LabelledRun:
        for process in reversed(range(len(self.runs))):
            list(self.outcomes(process))
        return self.runs[0]


def test_several_processes_score_each_clip_once_and_give_what_one_gives(films: Path, tmp_path: Path) -> None:
    data = data_of(films, "a", "b", "c", "bad")  # no multiple of three processes
    with pytest.raises(PartialFailure):
        (one := Run(data, out=tmp_path / "one")).to_its_end()
    shares = Shares(data, tmp_path / "three", 3)
    shared = shares.to_their_end()
    assert [c.calls for c in shares.classifiers] == [2, 2, 2]  # a and bad, b, c
    assert one.run.evaluation is not None
    assert shared.evaluation is not None
    assert [a.path for a in shared.evaluation.answers] == [a.path for a in one.run.evaluation.answers]
    assert np.array_equal(shared.evaluation.scores, one.run.evaluation.scores)
    assert [str(f) for f in shared.evaluation.failed] == [str(f) for f in one.run.evaluation.failed]
    assert shared.summary == one.run.summary
    assert [run.evaluation for run in shares.runs[1:]] == [None, None]
    assert {p.name for p in (tmp_path / "three").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}


@pytest.mark.parametrize("then", [1, 2])
def test_what_killed_processes_scored_is_not_scored_again(films: Path, tmp_path: Path, then: int) -> None:
    """By as many processes, or by another number."""
    data, three = data_of(films, "a", "b", "c"), Shares(data_of(films, "a", "b", "c"), tmp_path, 3)
    for process in (1, 2):  # each has scored its file, and is killed before it sends it
        next(three.outcomes(process))
    assert sum(c.calls for c in three.classifiers) == 4
    rest = Shares(data, tmp_path, then)
    whole = rest.to_their_end()
    assert sum(c.calls for c in rest.classifiers) == 2
    assert whole.summary is not None
    assert whole.summary.clips == 6
    assert len(scores_in(tmp_path)) == 3
    assert not list(tmp_path.glob("scores.*.jsonl"))
    again = Shares(data, tmp_path, 1)
    again.to_their_end()
    assert again.classifiers[0].calls == 0
    with pytest.raises(UsageError, match="other settings"):
        Shares(data, tmp_path, 2, fps=12).to_their_end()
    fresh = Shares(data, tmp_path, 2, fps=12, resume=False)
    fresh.to_their_end()
    assert sum(c.calls for c in fresh.classifiers) == 6


def test_a_scored_clip_has_scores_or_an_error() -> None:
    assert ScoredClip(LabelledClip(Path("a"), ()), None, ValueError("x")).warnings == ()
