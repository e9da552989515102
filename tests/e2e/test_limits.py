"""The table "Limits" of docs/reading.md: what files and callers may ask for, and what it costs them.

Memory is the peak of a process of its own, or its address space is limited; nothing depends on time.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.commands import environment, twinpath
from twinpath import Classifier, Detector
from twinpath.cores import available_cores, decoder_threads
from twinpath.engine.compiled_cache import engines_dir
from twinpath.errors import InputError, LimitExceeded, UsageError
from twinpath.people.base import MAX_PEOPLE
from twinpath.recognize.features import FeatureExtractor
from twinpath.recognize.timeline import score_windows
from twinpath.results.detections import Detections
from twinpath.results.keyframes import PersonBoxes
from twinpath.video.clip_plan import MAX_CLIPS, ClipSampling, Windows
from twinpath.video.clips import open_clips
from twinpath.video.source import Limits, open_video

TINY, TINY_DET = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
MIB = 1 << 20
DOCS = Path(__file__).parents[2] / "docs" / "reading.md"
_tested: set[str] = set()


def row(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks the test of a row, which is named by its first cell."""
    _tested.add(name)
    return lambda test: test


def test_every_row_of_the_table_has_its_test() -> None:
    table = (
        DOCS.read_text().partition("| input | bound | beyond it |\n|---|---|---|\n")[2].partition("\n\n")[0]
    )
    assert {line.split("|")[1].strip() for line in table.splitlines()} == _tested


def write_video(
    path: Path, sizes: list[tuple[int, int]], *, rate: int = 5, times: list[int] | None = None
) -> Path:
    """A video of noise, a frame for each (width, height), as Motion JPEG; times are in milliseconds."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=rate)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, (width, height) in enumerate(sizes):
            small = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)[:height, :width]), format="rgb24"
            ).reformat(format="yuvj420p")
            frame.pts = times[index] if times else index * 1000 // rate
            frame.time_base = Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def usual(folder: Path) -> Path:
    """Two seconds of 64x48."""
    return write_video(folder / "usual.mkv", [(64, 48)] * 10)


@pytest.fixture(scope="module")
def large(folder: Path) -> Path:
    """Four seconds of 2048x2048: a clip of 16 frames takes 201 MB."""
    return write_video(folder / "large.mkv", [(2048, 2048)] * 20)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(TINY)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(TINY_DET)


# Above what a process takes that has the network and has scored a small clip.
MEASURED = """
import resource, sys
from twinpath import Classifier, Detector
from twinpath.recognize.features import FeatureExtractor
from twinpath.recognize.timeline import score_windows
from twinpath.video.source import Limits
what, small, video, max_bytes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
limits = Limits(max_bytes=max_bytes)
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
if what == "detect":
    run = Detector("slowfast_tiny_det.synthetic", limits=limits)
    call = lambda path: run(path, people="whole")
elif what == "features":
    extract = FeatureExtractor("slowfast_tiny.synthetic", limits=limits)
    call = lambda path: list(extract(path))
else:
    run = Classifier("slowfast_tiny.synthetic", limits=limits)
    call = run if what == "classify" else lambda path: score_windows(run, path)
call(small)
before = peak()
call(video)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("what", ["classify", "timeline", "detect", "features"])
@row("a large picture that fits")
def test_memory_of_large_pictures_is_that_of_the_clip(
    what: str, large: Path, usual: Path, classifier: Classifier, detector: Detector
) -> None:
    """Small clips, and a few pictures on their way through the decoder: not the 16 pictures of a clip."""
    max_bytes = 100 * MIB
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, what, str(usual), str(large), str(max_bytes)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < max_bytes + 100 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB there")
@row("a large picture that fits")
def test_memory_of_whole_commands(folder: Path, classifier: Classifier, detector: Detector) -> None:
    """One picture of 8192x8192, and people in 4K with the annotated video."""
    picture = write_video(folder / "picture.mkv", [(8192, 8192)])
    film = write_video(folder / "film.mkv", [(3840, 2160)] * 16)
    commands = (
        (1200, ["classify", picture, "--model", TINY]),
        (1000, ["detect", film, "--model", TINY_DET, "--people", "whole", "--out", folder / "found"]),
    )
    for most_mb, command in commands:
        code = (
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, sys.executable, "-m", "twinpath", *map(str, command)],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(done.stdout) / 1000 < most_mb, command[0]


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("mjpeg", "yuvj420p"),
        ("ffv1", "yuv420p"),
        ("mpeg4", "yuv420p"),
        ("libvpx-vp9", "yuv420p"),
        ("libx264", "yuv420p"),
    ],
)
@row("a picture of many pixels")
def test_pixels(codec: str, pix_fmt: str, folder: Path) -> None:
    """Not "damaged" where the size is in the pictures, which FFmpeg then does not look at."""
    video = folder / "wide.mkv"
    with av.open(str(video), "w") as file:
        stream = file.add_stream(codec, rate=5)
        stream.width, stream.height, stream.pix_fmt = 640, 480, pix_fmt
        for _ in range(2):
            file.mux(stream.encode(av.VideoFrame(640, 480, pix_fmt)))
        file.mux(stream.encode(None))
    open_video(video, limits=Limits(max_pixels=640 * 480)).close()
    with pytest.raises(LimitExceeded, match=r"wide.mkv claims frames of 640x480, more than 307199 pixels"):
        open_video(video, limits=Limits(max_pixels=640 * 480 - 1))


@row("a video of many frames")
def test_frames(usual: Path) -> None:
    windows = Windows(ClipSampling(16, 4), every_s=1.0)
    with open_clips(usual, windows, limits=Limits(max_frames=10)) as clips:
        assert len(list(clips)) == 1
    with pytest.raises(LimitExceeded, match=r"usual.mkv: the part to read has more than 9 frames"):
        open_clips(usual, windows, limits=Limits(max_frames=9))


@row("a clip of large pictures")
def test_bytes_of_clips_in_everything_that_reads(usual: Path) -> None:
    max_bytes = 16 * 96 * 96 * 3 * 4  # one clip as the network takes it
    limits = Limits(max_bytes=max_bytes)
    small = Classifier(TINY, limits=limits)
    for read in (
        lambda: small(usual),
        lambda: score_windows(small, usual),
        lambda: Detector(TINY_DET, limits=limits)(usual, people="whole"),
        lambda: list(FeatureExtractor(TINY, limits=limits)(usual)),
    ):
        with pytest.raises(LimitExceeded, match=r"usual.mkv: \d+ frames of 64x48 are more than \d+ bytes"):
            read()
    (error,) = small.each([usual])
    assert isinstance(error, LimitExceeded)


@pytest.mark.parametrize("size", [(1920, 16), (4096, 8), (8192, 2), (16, 1920), (330, 20)])
@row("pictures much wider than high, or higher than wide, in detection")
def test_a_strip_is_a_limit_and_the_batch_goes_on(
    size: tuple[int, int], folder: Path, usual: Path, detector: Detector, classifier: Classifier
) -> None:
    video = write_video(folder / f"strip{size[0]}x{size[1]}.mkv", [size] * 6)
    with pytest.raises(LimitExceeded, match=rf"strip.*: pictures of {size[0]}x{size[1]} .* at most 16 times"):
        detector(video, people="whole")
    assert classifier(video).predictions  # takes the middle
    if size == (8192, 2):
        arguments = ["--model", TINY_DET, "--people", "whole", "--json", "--out"]
        done = twinpath("detect", video, usual, *arguments, folder / "strips", code=4)
        assert [set(one) & {"error", "tracks"} for one in done.objects] == [{"error"}, {"tracks"}]
        assert done.objects[0]["error"]["type"] == "LimitExceeded"


def test_up_to_the_limit_proportions_are_kept(folder: Path, detector: Detector) -> None:
    found = detector(write_video(folder / "wide16.mkv", [(320, 20)] * 6), people="whole")
    assert (found.width_px, found.height_px) == (320, 20)
    assert found.tracks


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not limit memory")
@row("memory that runs out")
def test_lack_of_memory_fails_one_file(folder: Path, usual: Path, classifier: Classifier) -> None:
    huge = write_video(folder / "huge.mkv", [(6144, 6144)] * 2)
    code = (
        "import resource, sys\n"
        "from twinpath import Classifier\n"
        "classify = Classifier('slowfast_tiny.synthetic')\n"
        "small, video = sys.argv[1:]\n"
        "first = classify(small)\n"
        "size = int(open('/proc/self/status').read().split('VmSize:')[1].split()[0]) * 1024\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (60 << 20),) * 2)\n"
        "error, after = classify.each([video, small])\n"
        "assert after.predictions == first.predictions\n"
        "print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(usual), str(huge)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.match(r"LimitExceeded .*huge.mkv: .* memory than there is", done.stdout)


@row("windows or keyframes of one video")
def test_many_windows(folder: Path) -> None:
    """Eleven hours in 20 frames: each is a window of its own, and there is one for each 0.01 s around it."""
    long = write_video(folder / "long.mkv", [(16, 16)] * 20, times=[i * 2_000_000 for i in range(20)])
    with open_clips(long, Windows(ClipSampling(16, 4), every_s=0.01)) as clips:
        assert 18 * 213 < len(clips) < 19 * 215  # of 2.13 s
    long_clips = ClipSampling(16, 1_000_000)  # of six days
    with pytest.raises(
        LimitExceeded, match=rf"long.mkv: .* there are \d+ windows, more than {MAX_CLIPS}; raise"
    ):
        open_clips(long, Windows(ClipSampling(16, 4000), every_s=0.001))
    with open_clips(long, Windows(long_clips, every_s=0.01)) as clips:
        assert len(clips) == 1


@row("`every_s`")
def test_strides(usual: Path, classifier: Classifier, detector: Detector) -> None:
    for every_s in (1e9, 1e300):
        assert len(score_windows(classifier, usual, every_s=every_s)) == 1
        assert len(detector(usual, people="whole", every_s=every_s).keyframes_s) == 1
    for every_s in (0.0099, 0, -1, float("inf"), float("nan")):
        for call in (
            lambda every_s=every_s: score_windows(classifier, usual, every_s=every_s),
            lambda every_s=every_s: detector(usual, people="whole", every_s=every_s),
        ):
            with pytest.raises(UsageError, match=r"every_s must be at least 0\.01 s"):
                call()


@row("`views`")
def test_views(usual: Path, classifier: Classifier) -> None:
    assert classifier(usual, views="3x100").views == "3x100"
    for views in ("100x3", "3x101", "1x0", "2x1", "1x1000000000"):
        with pytest.raises(UsageError, match="at most 100 clips"):
            classifier(usual, views=views)


@pytest.mark.parametrize("sizes", [[(64, 48)], [(1, 1)] * 3, [(97, 61)] * 3, [(1021, 1019)], [(2, 31)] * 3])
@row("one frame, one pixel, sides that are prime")
def test_odd_sizes(
    sizes: list[tuple[int, int]], folder: Path, classifier: Classifier, detector: Detector
) -> None:
    video = folder / "odd.mkv"
    with av.open(str(video), "w") as file:
        stream = file.add_stream("ffv1", rate=5)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = "bgr0"
        for width, height in sizes:
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
            file.mux(stream.encode(frame.reformat(format="bgr0")))
        file.mux(stream.encode(None))
    for views in ("1x1", "3x4"):
        assert sum(
            one.score for one in classifier(video, views=views, top_k=99).predictions
        ) == pytest.approx(1)
    assert len(score_windows(classifier, video)) == 1
    assert detector(video, people="whole").duration_s > 0


@row("sizes that change midway")
def test_a_size_that_changes_midway(folder: Path, classifier: Classifier) -> None:
    parts = [write_video(folder / f"{size}.mkv", [(size, size)] * 5) for size in (32, 480)]
    joined = folder / "joined.avi"
    with av.open(str(joined), "w") as file:
        stream = file.add_stream("mjpeg", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        for number, part in enumerate(parts):
            with av.open(str(part)) as source:
                for index, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
                    packet.stream = stream
                    packet.pts = packet.dts = number * 5 + index
                    packet.time_base = Fraction(1, 5)
                    file.mux(packet)
    with open_clips(joined, Windows(ClipSampling(10, 6), every_s=2.0)) as clips:
        (clip,) = clips
        assert clip.frames.shape == (10, 32, 32, 3)
        assert any("5 frames" in warning for warning in clips.warnings), clips.warnings


def boxes_file(path: Path, boxes: list[list[float]], size: tuple[int, int] = (64, 48)) -> Path:
    """Boxes in pixels at the first keyframe, as JSON lines."""
    people = [{"time_s": 0.0, "box_xyxy_px": box, "score": 0.5 + i / 10_000} for i, box in enumerate(boxes)]
    line = {"video": "usual.mkv", "width_px": size[0], "height_px": size[1], "boxes": people}
    path.write_text(json.dumps(line) + "\n")
    return path


def ava_file(path: Path, boxes: list[list[float]]) -> Path:
    """Relative boxes at the first keyframe, as AVA's CSV."""
    rows = [f"usual,0,{','.join(f'{side:.4f}' for side in box)},12,{i}" for i, box in enumerate(boxes)]
    path.write_text("\n".join(rows) + "\n")
    return path


@row("people at a keyframe")
def test_a_crowd(folder: Path, usual: Path, detector: Detector) -> None:
    corners = [[i % 40 / 45, i // 40 / 30] for i in range(1000)]
    people = ava_file(folder / "crowd.csv", [[x, y, x + 0.1, y + 0.1] for x, y in corners])
    found = detector(usual, people=people)
    first = [track for track in found.tracks if track.points[0].time_s == 0]
    assert len(first) == MAX_PEOPLE
    assert "the boxes in crowd.csv are more than 300 at 1 of 2 keyframes" in " ".join(found.warnings)


@row("a box without area, turned round, or outside")
@pytest.mark.parametrize(
    "box", [[0.5, 0.5, 0.5, 0.5], [0.6, 0.2, 0.4, 0.9], [0.1, 0.9, 0.3, 0.2], [-0.1, 0.2, 0.5, 1.1]]
)
def test_ill_boxes_in_a_file(box: list[float], folder: Path, usual: Path, detector: Detector) -> None:
    with pytest.raises(InputError, match=r"ill.csv:1: .* is not "):
        detector(usual, people=ava_file(folder / "ill.csv", [box]))


class Finds:
    """A person detector that finds the same in every frame."""

    name, batch_frames = "ill", 2

    def __init__(self, boxes: list[list[float]], scores: list[float] | None = None) -> None:
        given = np.array(boxes, np.float64).reshape(-1, 4)
        self._people = PersonBoxes(given, np.array(scores or [0.9] * len(given)))  # type: ignore[arg-type]

    def __call__(self, frames: object, times_s: list[float]) -> list[PersonBoxes]:
        return [self._people for _ in times_s]


def people_of(found: Detections) -> list[tuple[float, ...]]:
    return [track.points[0].box_xyxy_px for track in found.tracks]


@row("boxes that are no numbers")
def test_ill_boxes_of_a_person_detector(usual: Path, detector: Detector) -> None:
    nan, inf = float("nan"), float("inf")
    good = [8.0, 4.0, 30.0, 40.0]
    ill = [[nan, 0, 9, 9], [20, 20, 20, 20], [30, 5, 10, 40], [100, 0, 140, 30], [-1e300, -inf, -5, -5]]
    assert people_of(detector(usual, people=Finds([*ill, good]))) == [tuple(good)]
    assert people_of(detector(usual, people=Finds([[-inf, 4, 30, 1e300]]))) == [(0.0, 4.0, 30.0, 48.0)]
    assert people_of(detector(usual, people=Finds([good, good], [nan, 0.9]))) == [tuple(good)]
    assert len(detector(usual, people=Finds([good] * 1000)).tracks) == MAX_PEOPLE
    with pytest.raises(UsageError, match=r"ill gave boxes \(1, 4\), 2 scores"):
        detector(usual, people=Finds([good], [0.9, 0.8]))
    with pytest.raises(ValueError, match="boxes must be finite numbers"):
        detector.engine([np.zeros((16, 48, 64, 3), np.uint8)], [np.array([[nan, 0, 9, 9]])])


@row("scores that are NaN or infinite")
def test_scores_that_are_no_numbers(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(TINY)

    class Broken:
        batch_clips = 2

        def __call__(self, clips: list[object], boxes: object = None) -> list[np.ndarray]:
            return [np.full((1, 12), np.nan, np.float32) for _ in clips]

    monkeypatch.setattr(classifier, "_engines", {1: Broken()})
    with pytest.raises(InputError, match="produced NaN or Inf; the checkpoint may be corrupt"):
        classifier(usual)


@row("times that MP4 cannot hold, in an annotated video")
def test_times_beyond_mp4(folder: Path) -> None:
    far = write_video(folder / "far.mkv", [(64, 48)] * 3, times=[0, 200, 2 * 10**15])
    out = folder / "far"
    done = twinpath("detect", far, "--model", TINY_DET, "--people", "whole", "--out", out, code=6)
    assert "far.mkv.detect.mp4 cannot be written as MP4" in done.err
    assert (out / "far.mkv.detect.json").exists()


@row("a compiled network in the cache")
def test_a_forged_network_is_made_anew(usual: Path, empty_home: Path) -> None:
    before = Classifier(TINY)(usual)
    if not before.engine.startswith("openvino"):
        pytest.skip("OpenVINO is not installed")
    (entry,) = engines_dir().glob("*.ov")
    content = entry.read_bytes()
    entry.write_bytes(content.replace(b'"num_classes": 12', b'"num_classes": 13'))
    assert entry.read_bytes() != content
    assert Classifier(TINY)(usual).predictions == before.predictions


@row("threads")
def test_threads_follow_the_environment(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert (available_cores(), decoder_threads()) == (1, 1)
    with open_video(usual) as video:
        assert video.stream.codec_context.thread_count == 1
    engine = Classifier(TINY).describe()
    assert "with 1 threads" in engine or engine.startswith("torch")
