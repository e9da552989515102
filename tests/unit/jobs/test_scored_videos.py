"""What is kept of each video, resumed, written anew or refused: with scores that cost nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from twinpath.atomic import atomic_path
from twinpath.errors import InputError, LimitExceeded, UsageError
from twinpath.jobs.batch import Outcome, Progress
from twinpath.jobs.score_files import ScoresFormat
from twinpath.jobs.scored_videos import ScoredVideos, ScoringSteps, VideoResult
from twinpath.recognize.read import source_provenance
from twinpath.results.provenance import Provenance
from twinpath.video.find import InputVideo

WINDOWS = 5


@dataclass(frozen=True)
class FakeScores:
    video: str
    provenance: Provenance
    windows: tuple[int, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    duration_s: float = float(WINDOWS)

    @property
    def complete(self) -> bool:
        return len(self.windows) == WINDOWS

    @property
    def done_s(self) -> float:
        return float(len(self.windows))

    def with_settings(self, settings: dict[str, Any]) -> FakeScores:
        return replace(self, settings=settings)

    def __len__(self) -> int:
        return len(self.windows)


def load(path: Path) -> FakeScores:
    try:
        values = json.loads(path.read_bytes())
        provenance = Provenance.from_dict(values.pop("provenance"))
    except ValueError as error:
        raise InputError(f"{path} is damaged") from error
    windows = tuple(values.pop("windows"))
    return FakeScores(provenance=provenance, windows=windows, **values)


def save(scores: FakeScores, path: Path) -> None:
    values = {**asdict(scores), "provenance": scores.provenance.to_dict()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values))


@dataclass(frozen=True)
class FakeResult:
    text: str
    warnings: tuple[str, ...] = ()


@dataclass
class Steps(ScoringSteps[FakeScores, FakeResult]):
    """Scores are the numbers of windows; files hold these and a threshold."""

    kind = "fake"
    endings = {"json": "json", "csv": "ava.csv"}  # noqa: RUF012
    writes_part = True
    scores_format = ScoresFormat("scores.npz", load, save)
    every_s: float = 1.0
    threshold: float = 0.5
    formats: tuple[str, ...] = ("json", "csv")
    keeps_part: bool = True
    stop_at: int | None = None  # a window
    stop_with: BaseException = field(default_factory=KeyboardInterrupt)
    stop_writing: str | None = None  # a format
    scored: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:  # type: ignore[override]
        return {"threshold": self.threshold}

    def provenance(self, video: Path) -> Provenance:
        return source_provenance(video, model="m", settings={"every_s": self.every_s})

    def score(
        self,
        video: Path,
        resume_from: FakeScores | None,
        on_checkpoint: Callable[[FakeScores], None] | None,
        progress: Progress | None,
    ) -> FakeScores:
        scores = FakeScores(str(video), self.provenance(video), resume_from.windows if resume_from else ())
        for window in range(len(scores), WINDOWS):
            if window == self.stop_at:
                if on_checkpoint is not None and len(scores):
                    on_checkpoint(scores)
                raise self.stop_with
            scores = replace(scores, windows=(*scores.windows, window))
            self.scored.append(window)
        return scores

    def result(self, scores: FakeScores) -> FakeResult:
        return FakeResult(f"{list(scores.windows)} from {self.threshold}", ("5 frames lost",))

    def write(
        self, video: Path, result: FakeResult, scores: FakeScores, files: Mapping[str, Path]
    ) -> Sequence[str]:
        for name, path in files.items():
            if name == self.stop_writing:
                raise KeyboardInterrupt
            with atomic_path(path) as temporary:
                temporary.write_text(result.text)
            self.written.append(name)
        return ["6 frames lost", "no sound"]


@pytest.fixture
def video(tmp_path: Path) -> InputVideo:
    path = tmp_path / "a" / "match.mp4"
    path.parent.mkdir()
    path.write_bytes(b"video")
    return InputVideo.of(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(
    video: InputVideo, out: Path, steps: Steps, *, resume: bool = True
) -> Outcome[VideoResult[FakeResult]]:
    (outcome,) = ScoredVideos([video], steps, out, resume=resume).outcomes()
    return outcome


def contents(out: Path) -> dict[str, str]:
    """The files that are no scores."""
    return {path.name.removeprefix("match.mp4.fake."): path.read_text() for path in files(out, "json", "csv")}


def files(out: Path, *endings: str) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file() and path.name.endswith(endings))


def test_a_video_is_scored_and_its_files_are_written(video: InputVideo, out: Path) -> None:
    outcome = run(video, out, Steps())
    assert outcome.result is not None
    assert not outcome.was_done
    assert outcome.result.scored == WINDOWS
    assert outcome.result.warnings == ("5 frames lost", "no sound")
    names = {
        "json": "match.mp4.fake.json",
        "csv": "match.mp4.fake.ava.csv",
        "scores": "match.mp4.fake.scores.npz",
    }
    assert {name: path.name for name, path in outcome.result.files.items()} == names
    assert sorted(path.name for path in out.iterdir()) == sorted(names.values())


def test_what_is_done_is_left_as_it_is(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    corrected = out / "match.mp4.fake.ava.csv"
    corrected.write_text("by hand")
    again = Steps()
    assert not ScoredVideos([video], again, out).needs_model
    outcome = run(video, out, again)
    assert (outcome.was_done, again.scored, again.written) == (True, [], [])
    assert corrected.read_text() == "by hand"


def test_other_thresholds_need_no_new_scores(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    strict = Steps(threshold=0.9)
    assert not ScoredVideos([video], strict, out).needs_model
    assert not run(video, out, strict).was_done
    assert (strict.scored, strict.written) == ([], ["json", "csv"])
    assert all(text.endswith("0.9") for text in contents(out).values())


def test_a_missing_file_is_written_and_others_are_not(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    (out / "match.mp4.fake.json").unlink()
    again = Steps()
    run(video, out, again)
    assert again.written == ["json"]


def test_files_of_other_settings_are_not_taken_for_current_ones(video: InputVideo, out: Path) -> None:
    """Of two formats one is written anew; then both are wanted."""
    run(video, out, Steps())
    run(video, out, Steps(threshold=0.9, formats=("json",)))
    both = Steps(threshold=0.9)
    run(video, out, both)
    assert both.written == ["csv"]
    assert all(text.endswith("0.9") for text in contents(out).values())


def test_two_runs_do_not_write_the_files_of_one_video(video: InputVideo, out: Path) -> None:
    errors = []

    @dataclass
    class Meanwhile(Steps):
        def write(self, *arguments: Any) -> Sequence[str]:
            errors.append(run(video, out, Steps(threshold=0.7)).error)
            return super().write(*arguments)

    assert run(video, out, Meanwhile()).error is None
    (error,) = errors
    assert isinstance(error, UsageError)
    assert "another run is writing to it" in str(error)
    assert run(video, out, Steps()).was_done
    assert not list(out.rglob(".*"))


def test_a_run_that_is_killed_between_two_files_is_not_called_done(
    video: InputVideo, out: Path
) -> None:  # S4
    run(video, out, Steps())
    with pytest.raises(KeyboardInterrupt):
        run(video, out, Steps(threshold=0.9, stop_writing="csv"))
    assert {name: text[-3:] for name, text in contents(out).items()} == {"json": "0.9", "ava.csv": "0.5"}
    for threshold in (0.9, 0.5):  # whichever comes next, both files are of it
        again = Steps(threshold=threshold)
        assert not run(video, out, again).was_done
        assert all(text.endswith(str(threshold)) for text in contents(out).values())


def test_a_stopped_run_is_resumed(video: InputVideo, out: Path) -> None:
    outcome = run(video, out, Steps(stop_at=3))
    assert isinstance(outcome.stopped, KeyboardInterrupt)
    assert outcome.stopped_at == f"at 0:03.0 of 0:05.0 of {video.path}"
    assert set(contents(out).values()) == {"[0, 1, 2] from 0.5"}
    assert [path.name for path in files(out, ".npz")] == ["match.mp4.fake.partial.npz"]
    rest = Steps()
    assert run(video, out, rest).result.scored == 2  # type: ignore[union-attr]
    assert rest.scored == [3, 4]
    assert set(contents(out).values()) == {"[0, 1, 2, 3, 4] from 0.5"}
    assert [path.name for path in files(out, ".npz")] == ["match.mp4.fake.scores.npz"]


def test_a_stopped_run_stops_though_the_disk_is_full(video: InputVideo, out: Path) -> None:
    @dataclass
    class Full(Steps):
        def write(self, *arguments: Any) -> Sequence[str]:
            raise OSError(28, "No space left on device", "match.mp4.fake.json")

    outcome = run(video, out, Full(stop_at=2))
    assert isinstance(outcome.stopped, KeyboardInterrupt)
    assert isinstance(outcome.error, OSError)
    assert len(files(out, "partial.npz")) == 1


def test_a_complete_result_survives_a_second_run_that_is_stopped(video: InputVideo, out: Path) -> None:  # S8
    run(video, out, Steps())
    before = contents(out)
    outcome = run(video, out, Steps(threshold=0.9, stop_at=3), resume=False)
    assert outcome.stopped is not None
    assert contents(out) == before
    assert [path.name for path in files(out, ".npz")] == [
        "match.mp4.fake.partial.npz",
        "match.mp4.fake.scores.npz",
    ]
    assert run(video, out, Steps()).was_done, "the first result is still complete"
    assert not files(out, "partial.npz"), "what is complete needs no part of the same"


def test_what_a_killed_run_left_of_writing_goes_also_of_files_that_are_not_written_now(
    video: InputVideo, out: Path
) -> None:
    run(video, out, Steps())
    dead = subprocess.Popen(["true"])
    dead.wait()
    with atomic_path(out / "match.mp4.fake.partial.npz") as temporary:
        ours = re.sub(r"-\d+-", f"-{dead.pid}-", temporary.name, count=1)
        alive = temporary.name
        temporary.write_bytes(b"")
        (out / ours).write_bytes(b"half")
        (out / ours.replace("match.mp4.fake.partial", "notes")).write_bytes(b"somebody else's")
        assert run(video, out, Steps()).was_done
        left = {path.name for path in out.iterdir() if path.name.startswith(".")}
        assert left == {alive, ours.replace("match.mp4.fake.partial", "notes")}


def test_a_second_run_of_other_settings_is_resumed_and_then_replaces_the_first(
    video: InputVideo, out: Path
) -> None:
    run(video, out, Steps())
    run(video, out, Steps(every_s=2.0, stop_at=3), resume=False)
    assert run(video, out, Steps()).was_done
    rest = Steps(every_s=2.0)
    run(video, out, rest)
    assert rest.scored == [3, 4]
    with pytest.raises(UsageError, match=r"every_s is 1\.0, before 2\.0"):
        run(video, out, Steps())


@pytest.mark.parametrize("stop_at", [None, 3])
def test_results_of_other_settings_are_refused_before_the_work(
    video: InputVideo, out: Path, stop_at: int | None
) -> None:
    run(video, out, Steps(stop_at=stop_at))
    before = {path: path.read_bytes() for path in files(out, "")}
    words = r"results of other settings: every_s is 2\.0, before 1\.0; give another place, or resume=False to"
    with pytest.raises(UsageError, match=words):
        ScoredVideos([video], Steps(every_s=2.0), out)
    assert {path: path.read_bytes() for path in files(out, "")} == before
    assert run(video, out, Steps(every_s=2.0), resume=False).result is not None


def test_a_changed_video_is_done_anew(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    video.path.write_bytes(b"another video")
    anew = Steps()
    assert ScoredVideos([video], anew, out).needs_model
    run(video, out, anew)
    assert anew.scored == [0, 1, 2, 3, 4]
    os.utime(video.path, (1, 1))
    again = Steps(stop_at=3)
    run(video, out, again)
    assert set(contents(out).values()) == {"[0, 1, 2, 3, 4] from 0.5"}, "what was complete stays until then"


def test_a_moved_video_is_known_again(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    moved = video.path.parent.parent / "match.mp4"
    video.path.rename(moved)
    assert run(InputVideo.of(moved), out, Steps()).was_done


def test_the_results_of_another_video_of_that_name_are_refused(
    video: InputVideo, out: Path, tmp_path: Path
) -> None:
    other = tmp_path / "b" / "match.mp4"
    other.parent.mkdir()
    other.write_bytes(b"another")
    run(video, out, Steps(stop_at=3))
    before = contents(out)
    for resume in (True, False):
        with pytest.raises(
            UsageError, match=r"holds the results of another video, .*a/match\.mp4; give another"
        ):
            run(InputVideo.of(other), out, Steps(), resume=resume)
    assert contents(out) == before


def test_the_same_relative_name_in_another_folder_is_another_video(
    video: InputVideo, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "b" / "match.mp4"
    other.parent.mkdir()
    other.write_bytes(b"another")
    monkeypatch.chdir(video.path.parent)
    run(InputVideo.of("match.mp4"), out, Steps())
    monkeypatch.chdir(other.parent)
    with pytest.raises(UsageError, match="results of another video"):
        run(InputVideo.of("match.mp4"), out, Steps())


@pytest.mark.parametrize("name", ["json", "ava.csv", "scores.npz", "partial.npz"])
@pytest.mark.parametrize("resume", [True, False])
def test_a_file_that_is_no_result_is_not_written_over(
    video: InputVideo, out: Path, name: str, resume: bool
) -> None:
    out.mkdir()
    foreign = out / f"match.mp4.fake.{name}"
    foreign.write_text("by hand")
    if name.endswith("npz"):
        if resume:
            with pytest.raises(InputError, match="is damaged"):
                raise run(video, out, Steps()).error or AssertionError
    else:
        with pytest.raises(UsageError, match=r"match\.mp4\.fake\.\S+ is there, and no scores beside it"):
            run(video, out, Steps(), resume=resume)
    assert foreign.read_text() == "by hand"


def test_damaged_scores_are_an_error_until_the_run_starts_over(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    (out / "match.mp4.fake.scores.npz").write_text("{")
    outcome = run(video, out, Steps())
    assert isinstance(outcome.error, InputError)
    assert run(video, out, Steps(), resume=False).result is not None


def test_an_input_is_not_written_over(video: InputVideo, out: Path) -> None:
    out.mkdir()
    boxes = out / "match.mp4.fake.json"
    boxes.write_text("{}")
    with pytest.raises(UsageError, match="is an input of this run"):
        ScoredVideos([video], Steps(), out, inputs=[boxes])


def test_a_missing_video_fails_in_its_turn_and_needs_no_model(video: InputVideo, out: Path) -> None:
    run(video, out, Steps())
    missing = InputVideo.of(out / "none.mp4")
    videos = ScoredVideos([video, missing], Steps(), out)
    assert not videos.needs_model
    done, failed = videos.outcomes()
    assert done.was_done
    assert "none.mp4 does not exist" in str(failed.error)


def test_what_a_failed_video_left_is_kept_only_where_more_may_come(video: InputVideo, out: Path) -> None:
    limit = LimitExceeded("longer than 1 s")
    assert run(video, out, Steps(stop_at=3, stop_with=limit)).error is limit
    assert [path.name for path in files(out, "")] == ["match.mp4.fake.partial.npz"]
    run(video, out, Steps(stop_at=4, stop_with=InputError("damaged")))
    assert files(out, "") == []


def test_before_the_first_window_nothing_is_kept(video: InputVideo, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(video, out, Steps(stop_at=0))
    assert not out.exists()
