"""A batch over many inputs: outcomes, failures, signals and exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import bad_videos
from twinpath.errors import (
    CorruptVideo,
    InputError,
    Interrupted,
    LimitExceeded,
    NotAVideo,
    PartialFailure,
    Terminated,
    UsageError,
    WeightsError,
)
from twinpath.jobs.batch import (
    Outcome,
    check_single_input,
    each_input,
    error_to_dict,
    input_failure,
    run_batch,
)
from twinpath.video.find import InputVideo
from twinpath.video.source import DEFAULT_LIMITS

VIDEOS = [InputVideo.of(f"clips/{name}.mp4") for name in "abc"]


def work_with(errors: dict[str, BaseException]) -> Callable[[InputVideo], Outcome[str]]:
    """Gives the name of each video; raises for some."""

    def work(video: InputVideo) -> Outcome[str]:
        if video.path.stem in errors:
            raise errors[video.path.stem]
        return Outcome(video, video.path.stem)

    return work


def run(
    errors: dict[str, BaseException], *, count: int = 3, rest: str | None = "go on"
) -> list[Outcome[str]]:
    seen: list[Outcome[str]] = []
    run_batch(each_input(VIDEOS[:count], work_with(errors)), total=count, on_outcome=seen.append, rest=rest)
    return seen


def test_each_input_gives_its_result() -> None:
    assert [outcome.result for outcome in run({})] == ["a", "b", "c"]


def test_one_bad_input_ends_none_of_the_others() -> None:
    seen: list[Outcome[str]] = []
    outcomes = each_input(VIDEOS, work_with({"b": NotAVideo("clips/b.mp4 is not a video")}))
    with pytest.raises(PartialFailure, match=r"^1 of 3 videos could not be used; each is named above$"):
        run_batch(outcomes, total=3, on_outcome=seen.append)
    assert [outcome.result for outcome in seen] == ["a", None, "c"]
    assert isinstance(seen[1].error, NotAVideo)


def test_where_all_fail_it_says_what_became_of_the_output() -> None:
    errors = {name: InputError("broken") for name in "abc"}
    outcomes = each_input(VIDEOS, work_with(errors))
    with pytest.raises(PartialFailure, match=r"^none of 3 videos could be used; f\.npz was not written$"):
        run_batch(outcomes, total=3, on_outcome=lambda _: None, if_none="f.npz was not written")


def test_a_single_input_raises_its_own_error() -> None:
    with pytest.raises(LimitExceeded, match="too large"):
        run({"a": LimitExceeded("clips/a.mp4 is too large")}, count=1)


def test_what_concerns_all_inputs_ends_the_batch() -> None:
    with pytest.raises(WeightsError):
        run({"a": WeightsError("no weights")})


@pytest.mark.parametrize(
    ("stop", "kind", "verb"),
    [(KeyboardInterrupt(), Interrupted, "stopped"), (SystemExit(143), Terminated, "terminated")],
)
def test_a_signal_says_how_much_is_finished(stop: BaseException, kind: type[Exception], verb: str) -> None:
    with pytest.raises(kind, match=f"^{verb} with 2 of 3 videos finished; go on$"):
        run({"c": stop})


def test_a_signal_in_the_middle_of_an_input_reports_its_part() -> None:
    seen: list[Outcome[str]] = []

    def work(video: InputVideo) -> Outcome[str]:
        if video.path.stem == "b":
            return Outcome(video, "part", stopped=KeyboardInterrupt(), stopped_at="at 0:03 of clips/b.mp4")
        return Outcome(video, video.path.stem)

    words = "^stopped at 0:03 of clips/b.mp4, with 1 of 3 videos finished; go on$"
    with pytest.raises(Interrupted, match=words):
        run_batch(each_input(VIDEOS, work), total=3, on_outcome=seen.append, rest="go on")
    assert [outcome.result for outcome in seen] == ["a", "part"]


def test_a_signal_ends_the_batch_though_what_there_was_cannot_be_saved() -> None:
    seen: list[Outcome[str]] = []

    def work(video: InputVideo) -> Outcome[str]:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:  # as a checkpoint does
            try:
                raise OSError(28, "No space left on device")
            except OSError as error:
                raise OSError(28, "free some space", "a.npz") from error

    for count in (1, 3):
        seen.clear()
        with pytest.raises(Interrupted, match=f"^stopped with 0 of {count} videos finished; go on$"):
            run_batch(each_input(VIDEOS[:count], work), total=count, on_outcome=seen.append, rest="go on")
        assert [str(outcome.error) for outcome in seen] == ["[Errno 28] free some space: 'a.npz'"]


def test_a_signal_passes_where_nothing_is_kept() -> None:
    with pytest.raises(KeyboardInterrupt):
        run({"b": KeyboardInterrupt()}, rest=None)


def test_inputs_that_an_earlier_run_finished_count() -> None:
    def work(video: InputVideo) -> Outcome[str]:
        if video.path.stem == "c":
            raise KeyboardInterrupt
        return Outcome(video, "done", was_done=True)

    with pytest.raises(Interrupted, match="2 of 3 videos finished"):
        run_batch(each_input(VIDEOS, work), total=3, on_outcome=lambda _: None, rest="go on")


def test_every_error_names_its_file_once() -> None:
    path = Path("clips/a.mp4")
    assert str(input_failure(InputError("NaN"), path)) == "clips/a.mp4: NaN"
    assert str(input_failure(UsageError("clips/a.mp4 lasts 2 s"), path)) == "clips/a.mp4 lasts 2 s"
    damaged = input_failure(CorruptVideo("damaged", frames_decoded=3), path)
    assert isinstance(damaged, CorruptVideo)
    assert (str(damaged), damaged.frames_decoded) == ("clips/a.mp4: damaged", 3)
    assert (
        str(input_failure(OSError(5, "Input/output error"), path))
        == "[Errno 5] Input/output error: 'clips/a.mp4'"
    )


@pytest.mark.parametrize("error", [MemoryError(), OSError(12, "Cannot allocate memory")])
def test_lack_of_memory_is_a_limit_that_names_the_file(error: Exception) -> None:
    (outcome,) = each_input(VIDEOS[:1], work_with({"a": error}))
    assert isinstance(outcome.error, LimitExceeded)
    assert str(outcome.error).startswith("clips/a.mp4: the memory does not suffice")


def test_an_error_as_plain_values() -> None:
    assert error_to_dict(NotAVideo("no")) == {"error": {"type": "NotAVideo", "message": "no"}}


@pytest.mark.parametrize("isolate", [False, True])
def test_a_single_bad_file_is_found_before_the_work(tmp_path: Path, isolate: bool) -> None:
    bad, good = bad_videos.make_random(tmp_path), bad_videos.make_good(tmp_path)
    videos = [InputVideo.of(bad), InputVideo.of(good)]
    check_single_input(videos, DEFAULT_LIMITS, isolate=isolate)
    check_single_input(videos[1:], DEFAULT_LIMITS, isolate=isolate)
    with pytest.raises(NotAVideo):
        check_single_input(videos[:1], DEFAULT_LIMITS, isolate=isolate)
