"""`twinpath stream`: what happens now, from a camera, an address or a file played at its own speed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from twinpath.cli.options import (
    CompileOption,
    Debug,
    Device,
    EngineOption,
    ModelOption,
    PrecisionOption,
    ThreadsOption,
    WeightsOption,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twinpath.cli.stream_screens import Screen, Tally
    from twinpath.engine.config import EngineConfig
    from twinpath.models.input_spec import InputSpec
    from twinpath.recognize.live import LiveRecognition, StreamAnswer, WindowResult
    from twinpath.render.live import AnnotatedFile
    from twinpath.render.live_window import LiveWindow
    from twinpath.results.detections import Track
    from twinpath.video.live import LiveFrame, LiveReader, Network, Retry

TICK_S = 0.1  # between two looks at the clock and the counters

# Options that tell what is looked for in a window.
MinScore = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, metavar="P", help="Leave out labels with a lower score.  [default: 0; of people 0.5]"
    ),
]
People = Annotated[
    str,
    typer.Option(
        metavar="WHO", help="With a detection model: who finds people, see `twinpath detect --help`."
    ),
]
Tracker = Annotated[str, typer.Option(metavar="WHO", help="With a detection model: who follows people.")]

# Options that tell how a source is read, and when to give it up.
Realtime = Annotated[
    bool | None,
    typer.Option(
        "--realtime/--no-realtime", help="Play at its own speed, not as fast as it comes.  [default: files]"
    ),
]
MaxRetries = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Give up after so many failed tries.  [default: 8]")
]
RetryFor = Annotated[
    float | None,
    typer.Option(min=0, metavar="S", help="Give up so long after the last picture; inf: never."),
]
Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="S", help="To wait for a server's answer or next data.")
]
RtspTransport = Annotated[
    str, typer.Option("--rtsp-transport", metavar="NAME", help="tcp, or udp, which waits for nothing.")
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Accept any certificate of an rtsps:// or https:// server.")
]


def stream(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A camera (0, /dev/video0), an rtsp:// or http:// URL, a file."
        ),
    ],
    model: ModelOption = None,
    weights: WeightsOption = None,
    every: Annotated[float, typer.Option(metavar="S", help="From one answer to the next, in seconds.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", min=1, metavar="K", help="How many labels to show.")] = 5,
    min_score: MinScore = None,
    people: People = "auto",
    tracker: Tracker = "iou",
    stop_after: Annotated[
        float | None, typer.Option("--for", min=0, metavar="S", help="Stop so long after the first picture.")
    ] = None,
    realtime: Realtime = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="FILE.mp4", help="Write the pictures with the answers on them.")
    ] = None,
    window: Annotated[bool, typer.Option("--window", help="Show the pictures; q closes.")] = False,
    max_retries: MaxRetries = None,
    retry_for: RetryFor = None,
    timeout: Timeout = 10.0,
    transport: RtspTransport = "tcp",
    insecure: Insecure = False,
    device: Device = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    compile: CompileOption = False,
    json: Annotated[
        bool | None,
        typer.Option("--json/--no-json", help="JSON lines.  [default: where stdout is no terminal]"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Tell what happens now, again and again, until the source ends, Ctrl-C or --for.

    Answers are about the newest seconds, as many as the model sees. What comes faster than it can be
    classified is skipped and counted. A source that breaks off is opened again, after ever longer waits.
    """
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import best_cached_or_offered, check_weights_option
    from twinpath.cli.stream_screens import Tally, open_screen
    from twinpath.engine.config import EngineConfig
    from twinpath.recognize.live import check_every
    from twinpath.video.live import LiveReader, parse_source
    from twinpath.zoo.create import resolve

    check_weights_option(model, weights)
    check_every(every)
    config = EngineConfig.parse(engine, device, precision, threads, compile=compile)
    stop = threading.Event()
    reader = LiveReader(
        parse_source(source),
        stop=stop,
        on_status=print_note,
        realtime=realtime,
        retry=_retry(max_retries, retry_for),
        network=_network(timeout, transport, insecure=insecure),
    )
    reader.check()  # a bad file should not wait for a network to load
    views = _views(reader, annotate, display_path=window)
    name = model or best_cached_or_offered().name
    if resolve(name)[0].is_detector:
        watch = _people_watch(name, weights, config, people, tracker, top_k, min_score)
    else:
        watch = _whole_watch(name, weights, config, top_k, min_score)
    print_note(f"{watch.model} on {watch.engine}; reading {reader.source.shown}")
    live = _live(watch, reader, stop, views, every_s=every)
    screen = open_screen(watch.model, reader, live, as_json=json)
    _go(live, views, screen, Tally(reader, views.file), stop_after)


def _network(timeout_s: float, transport: str, *, insecure: bool) -> Network:
    from twinpath.errors import UsageError
    from twinpath.video.live import Network

    if transport not in ("tcp", "udp"):
        raise UsageError(f"--rtsp-transport {transport!r}: give tcp or udp")
    chosen = cast('Literal["tcp", "udp"]', transport)
    return Network(timeout_s=timeout_s, rtsp_transport=chosen, verify=not insecure)


def _retry(max_retries: int | None, retry_for_s: float | None) -> Retry:
    """A limit in seconds alone stands for itself: the number of tries is then free."""
    from twinpath.video.live import Retry

    if retry_for_s is None:
        return Retry() if max_retries is None else Retry(max_retries=max_retries)
    return Retry(max_retries=max_retries, max_s=retry_for_s)


def _views(reader: LiveReader, annotate: Path | None, *, display_path: bool) -> _Views:
    """What shows pictures; found out now whether it can."""
    from twinpath.errors import UsageError
    from twinpath.render.live import AnnotatedFile
    from twinpath.render.live_window import LiveWindow

    views = _Views()
    if annotate is not None:
        if annotate.suffix.lower() != ".mp4":
            raise UsageError(f"--annotate {annotate}: give the name of an MP4 file, something.mp4")
        source = Path(reader.source.address)
        if (
            reader.source.kind == "file"
            and annotate.exists()
            and source.exists()
            and annotate.samefile(source)
        ):
            raise UsageError(
                f"--annotate {annotate} would replace the video that is played; give another name"
            )
        views.file = AnnotatedFile(annotate, reader)
    if display_path:
        views.window = LiveWindow(f"twinpath: {reader.source.shown}")
    return views


@dataclass
class _Views:
    """Where pictures go, beside the model.

    Attributes:
        first_at_s: When the first picture came, on `time.monotonic`.
    """

    file: AnnotatedFile | None = None
    window: LiveWindow | None = None
    first_at_s: float | None = None

    def add(self, frame: LiveFrame) -> None:
        """Called in the reading thread."""
        if self.first_at_s is None:
            self.first_at_s = time.monotonic()
        if self.file is not None:
            self.file.add(frame)
        if self.window is not None:
            self.window.add(frame)

    def answer(self, answer: StreamAnswer) -> None:
        for view in (self.file, self.window):
            if view is not None:
                view.overlay.predictions = answer.predictions
                view.overlay.people = answer.people or ()

    def is_over(self, stop_after_s: float | None) -> bool:
        if self.window is not None and not self.window.is_open:
            return True
        return (
            stop_after_s is not None
            and self.first_at_s is not None
            and time.monotonic() - self.first_at_s >= stop_after_s
        )

    def close(self) -> None:
        """Raises: what finishing the file raises."""
        if self.window is not None:
            self.window.close()
        if self.file is not None:
            self.file.close()


@dataclass(frozen=True)
class _Watch:
    """What looks at windows."""

    model: str
    engine: str
    spec: InputSpec
    look: Callable[[NDArray[np.uint8], float], WindowResult]
    warm_up: Callable[[int, int], None] | None


def _whole_watch(
    name: str, weights: Path | None, config: EngineConfig, top_k: int, min_score: float | None
) -> _Watch:
    """What happens in a window as a whole."""
    from twinpath.cli.console import print_note
    from twinpath.cli.loading import load_classifier
    from twinpath.recognize.live import WindowResult

    classifier = load_classifier(name, weights, config)
    least = min_score or 0.0
    told: set[str] = set()

    def look(clip: NDArray[np.uint8], middle_s: float) -> WindowResult:
        answer = classifier(clip, top_k=top_k)
        for warning in set(answer.warnings) - told:
            told.add(warning)
            print_note(f"warning: {warning}")
        return WindowResult(tuple(p for p in answer.predictions if p.score >= least))

    engine = classifier.engine(1)
    return _Watch(classifier.model, engine.describe(), classifier.spec, look, engine.warm_up)


def _people_watch(
    name: str,
    weights: Path | None,
    config: EngineConfig,
    people: str,
    tracker: str,
    top_k: int,
    min_score: float | None,
) -> _Watch:
    """Who does what. Who looks for people learns the size of the pictures with the first window."""
    from twinpath.cli.loading import load_detector
    from twinpath.people.choose import check_detector, make_tracker
    from twinpath.recognize.detector import MIN_SCORE, LiveDetector
    from twinpath.recognize.live import WindowResult

    check_detector(people, live=True)
    detector = load_detector(name, weights, config)
    following = make_tracker(tracker, every_s=1.0)
    finders: dict[tuple[int, int], LiveDetector] = {}

    def look(clip: NDArray[np.uint8], middle_s: float) -> WindowResult:
        height, width = clip.shape[1:3]
        if (height, width) not in finders:
            finder = detector.finder(people, None, width_px=width, height_px=height, min_score=None)
            least = MIN_SCORE if min_score is None else min_score
            finders[height, width] = LiveDetector(detector, finder, following, min_score=least)
        seen = finders[height, width](clip, middle_s)
        return WindowResult(people=tuple(_with_best(track, top_k) for track in seen))

    return _Watch(detector.model, detector.engine.describe(), detector.spec, look, None)


def _with_best(track: Track, top_k: int) -> Track:
    return replace(track, points=tuple(replace(seen, actions=seen.actions[:top_k]) for seen in track.points))


def _live(
    watch: _Watch, reader: LiveReader, stop: threading.Event, views: _Views, *, every_s: float
) -> LiveRecognition:
    from twinpath.recognize.live import LiveRecognition
    from twinpath.recognize.plan import clip_at
    from twinpath.video.sampling import clip_span_s

    spec = watch.spec
    return LiveRecognition(
        reader,
        watch.look,
        stop=stop,
        select=lambda start_s: clip_at(spec, start_s),
        span_s=clip_span_s(spec.num_frames, spec.sampling_rate),
        every_s=every_s,
        on_frame=views.add,
        warm_up=watch.warm_up,
    )


def _go(
    live: LiveRecognition, views: _Views, screen: Screen, tally: Tally, stop_after_s: float | None
) -> None:
    """Show answers until the source ends or something stops it; then finish the file and sum up."""
    stopped: BaseException | None = None
    try:
        with screen, live:
            for answer in live.answers(tick_s=TICK_S):
                if answer is not None:
                    tally.add(answer)
                    views.answer(answer)
                screen.display_path(answer)
                if views.is_over(stop_after_s):
                    tally.reason = "stopped as asked"
                    break
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - raised again in _tell
        stopped = error
    tally.counters = live.counters
    try:
        views.close()
    except OSError as error:
        stopped = stopped or error
    _tell(screen, tally, stopped)


def _tell(screen: Screen, tally: Tally, stopped: BaseException | None) -> None:
    """Sum up; where something stopped the work, raise that."""
    from twinpath.cli.console import print_note
    from twinpath.errors import Interrupted, Terminated

    if isinstance(stopped, BrokenPipeError):  # nobody reads any more
        raise stopped
    if isinstance(stopped, KeyboardInterrupt):
        tally.reason, stopped = "interrupted", Interrupted(f"stopped; {tally}")
    elif isinstance(stopped, SystemExit):  # SIGTERM
        tally.reason, stopped = "terminated", Terminated(f"terminated; {tally}")
    elif stopped is not None:
        tally.reason = "failed"
        print_note(str(tally))
    else:
        print_note(f"{tally.reason}; {tally}")
    screen.end(tally)
    if stopped is not None:
        raise stopped
