"""The newest window of a live source: which pictures, when, and what is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from twinpath.errors import LimitExceeded, NoFrames, UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.frame_ring import FrameRing, Window
from twinpath.recognize.live import LiveRecognition, StreamAnswer
from twinpath.recognize.live_models import WindowResult
from twinpath.results.classification import Prediction
from twinpath.video.live import LiveFrame, LiveReader, parse_source
from twinpath.video.resize import Picture, ResizedFrames
from twinpath.video.selection import AtTimes, EvenSpan
from twinpath.video.writer import VideoWriter

FPS = 25
SPAN_S = 0.64  # 16 frames
T = 4


def even(start_s: float) -> EvenSpan:
    return EvenSpan(start_s, SPAN_S, T)


def frame(number: int, *, segment: int = 1, time_s: float | None = None, size: int = 16) -> LiveFrame:
    """A grey picture whose brightness is its number; due when the test began plus its time."""
    time_s = number / FPS if time_s is None else time_s
    picture = VideoFrame.from_ndarray(np.full((size, size, 3), number % 256, dtype=np.uint8), format="rgb24")
    return LiveFrame(picture, time_s, time_s, segment)


def ring(*, every_s: float = 0.2, max_bytes: int = 1 << 20) -> FrameRing:
    return FrameRing(even, span_s=SPAN_S, every_s=every_s, max_bytes=max_bytes)


def next_of(held: FrameRing) -> Window | None:
    """The window that is due now, without waiting."""
    held.close()
    return held.next_window(stop=threading.Event())


def numbers(window: Window) -> list[int]:
    return [int(picture.to_ndarray()[0, 0, 0]) for picture in window.frames]


def check_sum(held: FrameRing) -> None:
    counters = held.counters
    assert counters.frames_read == (
        counters.frames_used + counters.frames_dropped + counters.frames_waiting
    ), counters


def test_a_window_has_the_pictures_that_a_file_would_give() -> None:
    held = ring()
    for number in range(41):
        held.add(frame(number))
    window = next_of(held)
    assert window is not None
    times_s = np.arange(41) / FPS
    assert (window.start_s, window.end_s) == pytest.approx((25 / FPS, 41 / FPS))
    assert numbers(window) == even(25 / FPS).pick(times_s).tolist() == [25, 30, 35, 40]
    assert window.due_s == pytest.approx(40 / FPS)


def test_the_first_window_is_due_when_it_is_full_and_then_one_every_so_often() -> None:
    held = ring(every_s=0.2)
    due = []
    stop = threading.Event()
    for number in range(31):
        held.add(frame(number))
        before = held.counters.frames_used
        if held._due() > held._last_taken:
            assert held.next_window(stop=stop) is not None
            due.append(number)
            assert held.counters.frames_used > before
    assert due == [15, 20, 25, 30]
    assert held.counters.windows_skipped == 0
    check_sum(held)


def test_a_window_that_is_in_time_is_the_one_of_a_file_at_any_frame_rate() -> None:
    """At 29.97 frames a second a span is no whole number of frames."""
    times_s = np.arange(200) * 1001 / 30000
    held = ring(every_s=0.5)
    stop = threading.Event()
    starts_s = []
    for number, time_s in enumerate(times_s.tolist()):
        held.add(frame(number, time_s=time_s))
        if held._due() > held._last_taken:
            window = held.next_window(stop=stop)
            assert window is not None
            assert numbers(window) == even(window.start_s).pick(times_s).tolist()
            assert window.end_s - window.start_s == pytest.approx(SPAN_S)
            starts_s.append(window.start_s)
    assert starts_s == pytest.approx([0.5 * number for number in range(13)])


def test_windows_that_are_missed_are_counted_and_the_newest_is_given() -> None:
    held = ring(every_s=0.2)
    stop = threading.Event()
    for number in range(16):
        held.add(frame(number))
    assert held.next_window(stop=stop) is not None
    for number in range(16, 75):  # windows were due at 20, 25 … 70, and the one at 70 is given, at 74
        held.add(frame(number))
    window = held.next_window(stop=stop)
    assert window is not None
    assert numbers(window)[-1] == 74
    counters = held.counters
    assert counters.windows_skipped == 10
    assert counters.frames_read == 75
    assert counters.frames_used == 16 + 16
    assert counters.frames_dropped + counters.frames_waiting == 75 - 32
    assert counters.frames_waiting <= 1
    check_sum(held)


def test_a_pause_of_the_source_is_no_skipped_window() -> None:
    """The windows behind it hold the frames behind it, and lie where these are."""
    held = ring(every_s=0.2)
    stop = threading.Event()
    times_s = [*(n / FPS for n in range(31)), *(20 + n / FPS for n in range(31))]
    windows = []
    for number, time_s in enumerate(times_s):
        held.add(frame(number, time_s=time_s))
        if held._due() > held._last_taken:
            window = held.next_window(stop=stop)
            assert window is not None
            windows.append(window)
            assert window.end_s <= time_s + 1 / FPS + 1e-6
            assert window.end_s - window.start_s == pytest.approx(SPAN_S)
    assert held.counters.windows_skipped == 0
    behind = [window for window in windows if window.end_s > 20]
    assert windows[3].end_s < 2 < behind[0].end_s
    assert all(number >= 31 for window in behind for number in numbers(window))
    assert [window.start_s for window in behind[-4:]] == pytest.approx([20.0, 20.2, 20.4, 20.6], abs=0.05)
    check_sum(held)


def test_a_source_that_ends_early_gives_one_window_of_what_there_is() -> None:
    held = ring()
    for number in range(3):
        held.add(frame(number))
    held.close()
    stop = threading.Event()
    window = held.next_window(stop=stop)
    assert window is not None
    assert numbers(window) == [0, 0, 1, 2]
    assert (window.start_s, window.end_s) == pytest.approx((0, 3 / FPS))
    held.answered()
    assert held.next_window(stop=stop) is None


def test_a_model_that_takes_frames_at_even_times_repeats_the_last_picture_of_a_short_source() -> None:
    ring = FrameRing(
        lambda start_s: AtTimes(tuple(start_s + 0.16 * i for i in range(T))),
        span_s=SPAN_S,
        every_s=1,
        max_bytes=1 << 20,
    )
    for number in range(6):
        ring.add(frame(number))
    window = next_of(ring)
    assert window is not None
    assert numbers(window) == [0, 4, 5, 5]


def test_no_window_has_pictures_from_both_sides_of_an_interruption() -> None:
    held = ring(every_s=0.04)
    stop = threading.Event()
    for number in range(100):
        after = number >= 40
        held.add(frame(number, segment=2 if after else 1, time_s=number / FPS + after * 0.1))
        if held._due() > held._last_taken:
            window = held.next_window(stop=stop)
            assert window is not None
            sides = {number >= 40 for number in numbers(window)}
            assert sides == {after}
            assert window.segment == 1 + after
            assert after is False or number >= 40 + 15
    assert held.counters.windows_skipped == 0
    check_sum(held)


def test_what_does_not_fit_is_held_at_a_coarser_rate() -> None:
    size_bytes = sum(plane.buffer_size for plane in frame(0, size=32).av_frame.planes)
    held = ring(max_bytes=8 * size_bytes)
    for number in range(200):
        held.add(frame(number, size=32))
        assert len(held._buffer) <= 8 + 1
    window = next_of(held)
    assert window is not None
    assert window.end_s - window.start_s == pytest.approx(SPAN_S)
    assert len(set(numbers(window))) == T
    assert held.counters.frames_dropped >= 100
    check_sum(held)


def test_a_picture_that_fills_the_memory() -> None:
    with pytest.raises(LimitExceeded, match="frames of 32x32 take"):
        ring(max_bytes=2000).add(frame(0, size=32))


def test_any_number_of_tiny_pictures_is_bounded() -> None:
    held = ring()
    for number in range(20_000):
        held.add(frame(0, time_s=number / 100_000))
    assert len(held._buffer) < 4100
    check_sum(held)


def test_waiting_ends_when_asked() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert ring().next_window(stop=stop) is None


@pytest.fixture(scope="module")
def ramp_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "grey.mp4"
    with VideoWriter(path, width=32, height=32, fps=FPS) as writer:
        for number in range(4 * FPS):
            writer.write(np.full((32, 32, 3), 2 * number, dtype=np.uint8))
    return path


def brightness(clip: ResizedFrames, middle: Picture, middle_s: float) -> WindowResult:
    assert (clip.pixels.shape, middle.shape[2]) == ((T, 1, 16, 16, 3), 3)
    return WindowResult((Prediction("grey", 0, float(clip.pixels[-1].mean()) / 255),))


class Model:
    """A `LiveModel` of a function, by default `brightness`; remembers for which sizes it was warmed up."""

    name = "grey"
    spec = InputSpec(T, SPAN_S * 30 / T, 16, 16)  # type: ignore[arg-type]
    resize = spec.resize()

    def __init__(self, predict: Callable[[ResizedFrames, Picture, float], WindowResult] = brightness) -> None:
        self.predict = predict
        self.sizes_px: list[tuple[int, int]] = []

    def warm_up(self, height: int, width: int) -> None:
        self.sizes_px.append((height, width))

    def describe(self) -> str:
        return "by eye"


def answers_of(
    frames: Iterator[LiveFrame] | LiveReader, model: Model | None = None, **options: object
) -> list[StreamAnswer]:
    chosen = {"stop": threading.Event(), "every_s": 0.2, **options}
    with LiveRecognition(frames, model or Model(), **chosen) as live:  # type: ignore[arg-type]
        return [answer for answer in live.answers(tick_s=0.02) if answer is not None]


def test_latest_wins_where_the_model_is_slow(ramp_video: Path) -> None:
    stop = threading.Event()

    def slow(clip: ResizedFrames, middle: Picture, middle_s: float) -> WindowResult:
        time.sleep(0.5)
        return brightness(clip, middle, middle_s)

    reader = LiveReader(parse_source(str(ramp_video)), stop=stop, on_status=print)
    answers = answers_of(reader, Model(slow), stop=stop)
    assert 3 <= len(answers) <= 8
    latencies_s = [answer.latency_s for answer in answers]
    assert max(latencies_s) < 1.5, "an answer is about the newest pictures, not about a queue"
    assert min(latencies_s) >= 0.5
    last = answers[-1].counters
    assert last.windows == len(answers)
    assert last.windows_skipped >= 8
    assert last.windows + last.windows_skipped == pytest.approx((4 - SPAN_S) / 0.2 + 1, abs=1.1)
    assert last.frames_dropped == 0, "a window is longer than the model takes"
    for answer in answers:  # the brightness tells which picture the model saw last
        seen_s = answer.predictions[0].score * 255 / 2 / FPS
        assert seen_s == pytest.approx(answer.end_s, abs=0.15)
        counters = answer.counters
        assert (
            counters.frames_read == counters.frames_used + counters.frames_dropped + counters.frames_waiting
        )


def test_a_fast_model_skips_nothing(ramp_video: Path) -> None:
    stop = threading.Event()
    answers = answers_of(
        LiveReader(parse_source(str(ramp_video)), stop=stop, on_status=print), stop=stop, every_s=0.5
    )
    assert answers[-1].counters.windows_skipped == 0
    assert len(answers) == 7
    assert np.diff([answer.end_s for answer in answers]) == pytest.approx(0.5, abs=0.3)
    values = answers[0].to_dict()
    assert values["predictions"][0]["label"] == "grey"
    assert values["utc"].endswith("Z")
    assert 16 <= values["frames_read"] <= 20


def test_what_goes_wrong_while_reading_is_told_after_the_answers() -> None:
    def broken() -> Iterator[LiveFrame]:
        yield from (frame(number) for number in range(20))
        raise NoFrames("no more")

    seen: list[StreamAnswer | None] = []
    live = LiveRecognition(broken(), Model(), stop=threading.Event())
    with live, pytest.raises(NoFrames, match="no more"):
        seen.extend(live.answers())  # keeps those that came before the error
    assert len([answer for answer in seen if answer is not None]) == 1
    counters = live.counters
    assert (counters.frames_read, counters.frames_waiting) == (20, 0)
    assert counters.frames_used + counters.frames_dropped == 20


def test_what_goes_wrong_while_classifying_is_told() -> None:
    def broken(clip: ResizedFrames, middle: Picture, middle_s: float) -> WindowResult:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        answers_of(iter([frame(number) for number in range(20)]), Model(broken))


def test_leaving_ends_both_threads(ramp_video: Path) -> None:
    stop = threading.Event()
    reader = LiveReader(parse_source(str(ramp_video)), stop=stop, on_status=print)
    before = threading.active_count()
    with LiveRecognition(reader, Model(), stop=stop) as live:
        assert next(live.answers()) is None
    assert stop.is_set()
    assert threading.active_count() == before


def test_the_model_is_warmed_up_while_the_first_window_fills(ramp_video: Path) -> None:
    model = Model()
    answers_of(iter([frame(number) for number in range(20)]), model)
    assert model.sizes_px == [(16, 16)]


def test_nobody_who_takes_the_answers_makes_a_queue() -> None:
    made = []
    ended = threading.Event()

    def count(clip: ResizedFrames, middle: Picture, middle_s: float) -> WindowResult:
        made.append(1)
        return brightness(clip, middle, middle_s)

    def paced() -> Iterator[LiveFrame]:
        for number in range(100):
            time.sleep(0.005)
            yield frame(number)
        ended.set()

    with LiveRecognition(paced(), Model(count), stop=threading.Event(), every_s=0.04) as live:
        assert ended.wait(timeout=30)
        answers = [answer for answer in live.answers() if answer is not None]
    assert len(made) == len(answers) <= 4
    assert answers[-1].counters.windows_skipped > 50


@pytest.mark.parametrize("every_s", [0, -1, float("inf"), float("nan")])
def test_a_distance_that_makes_no_sense(every_s: float) -> None:
    with pytest.raises(UsageError, match="every_s must be at least"):
        LiveRecognition(iter(()), Model(), stop=threading.Event(), every_s=every_s)
