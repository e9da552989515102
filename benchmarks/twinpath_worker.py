"""Twinpath's measurements in a process of their own, and the preparation of weights and videos.

    python -m benchmarks.twinpath_worker    # reads calls from stdin, see `worker.py`

Modules are imported where they are used: a process that runs compiled networks must not load torch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from benchmarks.worker import serve

if TYPE_CHECKING:
    from twinpath import Classifier, Detector

REAL_CLIPS = ("archery.mp4", "arm_wrestling.mp4", "basketball.mp4")
MATRIX_SIDE = 2048
BUSY_S = 0.5  # of matrix products for each figure


class TwinpathWorker:
    """The methods that `Worker` calls. Times are in seconds."""

    _classifier: Classifier
    _detector: Detector

    def prepare(self, folder: str, networks: list[list[str]], real_clip: bool) -> dict[str, Any]:
        """Make weights, and a clip of ten seconds unless there are real ones.

        Args:
            folder: Where to write files.
            networks: (record, name of the golden figures) of each network.
            real_clip: Whether real clips may be used.
        Returns:
            "clips": paths; "is_real": whether they are real; "weights": paths by record.
        """
        from tests.support.golden_weights import write_golden_checkpoint
        from tests.support.real_videos import FOLDER

        place = Path(folder)
        clips = [path for name in REAL_CLIPS if real_clip and (path := FOLDER / name).is_file()]
        is_real = bool(clips)
        weights = {}
        for record, golden in networks:
            weights[record] = str(write_golden_checkpoint(golden, place / f"{record}.pyth"))
        if not clips:
            clips = [_synthetic_clip(place / "clip.mp4")]
        return {"clips": [str(path) for path in clips], "is_real": is_real, "weights": weights}

    def repeated(self, clip: str, to: str, times: int) -> str:
        """Write a clip several times in a row, without encoding it again."""
        _repeat(Path(clip), Path(to), times)
        return to

    def larger(
        self,
        clip: str,
        to: str,
        width: int,
        height: int,
        start_s: float = 0.0,
        length_s: float = inf,
        preset: str = "fast",
    ) -> str:
        """Write a clip, or a part of it, in another size."""
        _scale(Path(clip), Path(to), width, height, start_s, length_s, preset)
        return to

    def short_clips(
        self, clips: list[str], to: str, count: int, height: int, length_s: float
    ) -> dict[str, Any]:
        """Fill a folder with short clips: parts of some clips, each part as often as needed.

        Args:
            clips: The clips to cut, of ten seconds.
            to: The folder, which is made.
            count: How many files to write.
            height: Of their frames, in pixels; the proportions stay.
            length_s: Of each.
        Returns:
            "paths": all files; "height", "width": of the first one's frames.
        """
        folder = Path(to)
        folder.mkdir()
        starts_s = [n * length_s for n in range(int(10 // length_s))]
        parts = [(clip, start_s) for start_s in starts_s for clip in clips][:count]
        paths = [folder / f"{number:04}.mp4" for number in range(count)]
        sizes = {clip: self.size(clip) for clip in clips}
        for path, (clip, start_s) in zip(paths, parts, strict=False):
            width = 2 * round(height * sizes[clip][1] / sizes[clip][0] / 2)
            _scale(Path(clip), path, width, height, start_s, length_s, "fast")
        for number in range(len(parts), count):
            shutil.copyfile(paths[number % len(parts)], paths[number])
        height, width = self.size(str(paths[0]))
        return {"paths": [str(path) for path in paths], "height": height, "width": width}

    def picture(self, clip: str, to: str, codec: str, width: int, height: int) -> str:
        """Write a video of one picture, the first frame of a clip in another size.

        Args:
            clip: The clip.
            to: The video.
            codec: "mjpeg" or "png".
            width, height: In pixels.
        """
        _write_picture(Path(clip), Path(to), codec, width, height)
        return to

    def has_gpu(self) -> bool:
        from twinpath.device import has_cuda_gpu

        return has_cuda_gpu()

    def has_hog(self) -> bool:
        """Whether OpenCV is installed in a version with a HOG person detector."""
        try:
            import cv2
        except ModuleNotFoundError:
            return False
        return hasattr(cv2, "HOGDescriptor")

    def has_bf16(self) -> bool:
        """Whether this CPU has bf16 instructions."""
        from twinpath.engine.openvino_engine import capabilities

        return "BF16" in capabilities()

    def open(
        self,
        record: str,
        weights: str | None,
        engine: str = "auto",
        device: str = "cpu",
        precision: str = "auto",
        compile: bool = False,
    ) -> dict[str, Any]:
        """Load a classification model, which the other methods then use.

        Returns:
            "total": seconds; "engine": its description; "giga_flop": of one view, None where it is unknown.
        """
        from twinpath import Classifier
        from twinpath.engine.config import EngineConfig
        from twinpath.zoo.measured import measured

        began_s = time.perf_counter()
        config = EngineConfig.parse(engine, device, precision, None, compile=compile)
        self._classifier = Classifier(record, weights, config=config)
        took_s = time.perf_counter() - began_s
        costs = measured(record)
        return {
            "total": took_s,
            "engine": self._classifier.engine(1).describe(),
            "giga_flop": 2 * costs.gflops if costs else None,
        }

    def open_detector(self, record: str, weights: str | None) -> dict[str, Any]:
        """Load a detection model, which `score_people` and `detect` then use."""
        from twinpath import Detector

        self._detector = Detector(record, weights, "cpu")
        return {"engine": self._detector.engine.describe()}

    def score_people(self, height: int, width: int, people: int) -> dict[str, float]:
        """Score the actions of several people in one clip of a size."""
        spec = self._detector.spec
        frames = np.random.default_rng(0).integers(
            0, 256, (spec.num_frames, height, width, 3), dtype=np.uint8
        )
        lefts = np.linspace(0, 0.7 * width, people)
        boxes = np.stack(
            [lefts, np.full(people, 0.1 * height), lefts + 0.3 * width, np.full(people, height)], 1
        )
        began_s = time.perf_counter()
        self._detector.engine([frames], [boxes])
        return {"total": time.perf_counter() - began_s}

    def detect(self, video: str, people: str, to: str) -> dict[str, float]:
        """From the file to the annotated video. Drawing decodes the video a second time."""
        from twinpath.render.annotate import annotate_video

        began_s = time.perf_counter()
        found = self._detector(video, people=people)
        detected_s = time.perf_counter()
        annotate_video(Path(video), found, Path(to))
        drawn_s = time.perf_counter()
        named = {stage: found.timing_s[stage] for stage in ("people", "actions")}
        rest_s = detected_s - began_s - sum(named.values())
        return {
            "total": drawn_s - began_s,
            **named,
            "waiting for frames": rest_s,
            "draw and encode": drawn_s - detected_s,
        }

    def duration(self, video: str) -> float:
        """The length of a video in seconds."""
        from twinpath.video.probe import probe

        length_s = probe(Path(video)).duration_s
        assert length_s is not None
        return length_s

    def network(self, height: int, width: int, clips: int = 1, by_stage: bool = False) -> dict[str, float]:
        """Run the network on clips of a size, preprocessing included.

        Args:
            height, width: Of the frames, uint8.
            clips: How many clips at once.
            by_stage: Whether to tell in a second run what frames take that are resized already: "network".
        """
        engine = self._classifier.engine(1)
        frames = [self._noise(height, width)] * clips
        began_s = time.perf_counter()
        engine(frames)
        total_s = time.perf_counter() - began_s
        if not by_stage:
            return {"total": total_s}
        resized = [engine.resize.of_clip(clip) for clip in frames]
        began_s = time.perf_counter()
        engine(resized)
        network_s = min(total_s, time.perf_counter() - began_s)
        return {"total": total_s, "resize": total_s - network_s, "network": network_s}

    def clip(self, video: str, views: str = "1x1") -> dict[str, float]:
        """From the file to the classification."""
        began_s = time.perf_counter()
        result = self._classifier(video, views=views)
        total_s = time.perf_counter() - began_s
        decode_s, infer_s = result.timing_s["decode"], result.timing_s["infer"]
        return {"total": total_s, "decode": decode_s, "infer": infer_s}

    def frames_decoded(self, video: str, views: str) -> int:
        """How many frames are decoded for one classification."""
        with _counted_frames() as count:
            self._classifier(video, views=views)
        return count[0]

    def scores(self, video: str) -> list[float]:
        """The scores of all classes for the first clip of a video."""
        frames = self._first_clip(video)
        scores: list[float] = self._classifier.engine(1)([frames])[0][0].tolist()
        return scores

    def decode_clip(self, video: str) -> dict[str, float]:
        """Decode the frames of one clip to RGB."""
        began_s = time.perf_counter()
        self._first_clip(video)
        return {"total": time.perf_counter() - began_s}

    def decode_all(self, video: str) -> dict[str, float]:
        """Decode all frames to RGB."""
        from twinpath.video.decode import FrameStream

        began_s = time.perf_counter()
        with FrameStream(video) as stream:
            for _ in stream:
                pass
        return {"total": time.perf_counter() - began_s}

    def long(self, video: str, every_s: float) -> dict[str, float]:
        """Score windows over a whole video, as `twinpath timeline` does."""
        from twinpath.recognize.timeline import score_windows

        began_s = time.perf_counter()
        windows = score_windows(self._classifier, video, every_s=every_s)
        return {"total": time.perf_counter() - began_s, "windows": len(windows)}

    def long_decode(self, video: str, every_s: float) -> dict[str, float]:
        """Decode and resize the same windows without scoring them."""
        from twinpath.video.clip_plan import Windows

        began = _Stopwatch()
        windows = self._read(video, Windows(self._classifier.spec.clip_sampling, every_s))
        return {**began.stop(), "windows": windows}

    def decode_first_clips(self, videos: list[str]) -> dict[str, float]:
        """Decode and resize the first clip of each video, as `twinpath classify` does, without scoring it."""
        from twinpath.recognize.plan import Views, plan_views

        began, plan = _Stopwatch(), plan_views(Views.parse("1x1"), self._classifier.spec)
        for video in videos:
            self._read(video, plan)
        return began.stop()

    def _read(self, video: str, plan: Any) -> int:
        """How many clips there are, read as the engine takes them."""
        from twinpath.video.clips import open_clips

        with open_clips(video, plan, resize=self._classifier.engine(1).resize) as clips:
            return sum(1 for _ in clips)

    def infer_alone(self, height: int, width: int, clips: int) -> dict[str, float]:
        """Score clips of a size that are decoded and resized already."""
        engine = self._classifier.engine(1)
        frames = [engine.resize.of_clip(self._noise(height, width))] * engine.batch_clips
        began = _Stopwatch()
        for first in range(0, clips, engine.batch_clips):
            engine(frames[: clips - first])
        return began.stop()

    def peak(self, machine: str) -> dict[str, float]:
        """Multiply matrices of 2048 x 2048.

        Args:
            machine: Library and precision, for example "torch fp32".
        Returns:
            "total": GFLOP/s.
        """
        product = self._products[machine]
        product()
        count, began_s = 0, time.perf_counter()
        while (took_s := time.perf_counter() - began_s) < BUSY_S:
            product()
            count += 1
        return {"total": count * 2 * MATRIX_SIDE**3 / took_s / 1e9}

    def copy(self, mib: int) -> dict[str, float]:
        """Copy memory, on all cores.

        Args:
            mib: How much is read and written.
        Returns:
            "total": GB/s, read and written, of the fastest of many copies: threads that wait for a core that
                is busy elsewhere would hide what memory allows.
        """
        import torch

        source = torch.rand(mib * 2**20 // 8)
        target = torch.empty_like(source)
        target.copy_(source)
        times_s, began_s = [], time.perf_counter()
        while (copy_began_s := time.perf_counter()) - began_s < BUSY_S or not times_s:
            target.copy_(source)
            times_s.append(time.perf_counter() - copy_began_s)
        return {"total": 2 * source.nbytes / min(times_s) / 1e9}

    def layers(self, record: str) -> list[tuple[float, float, bool]]:
        """See `limits.layers_of`."""
        from benchmarks.limits import layers_of

        return layers_of(record)

    def size(self, video: str) -> list[int]:
        """Height and width of a video in pixels."""
        from twinpath.video.probe import probe

        info = probe(Path(video))
        return [info.height, info.width]

    @cached_property
    def _products(self) -> dict[str, Any]:
        import torch

        a = np.random.default_rng(0).standard_normal((MATRIX_SIDE, MATRIX_SIDE), dtype=np.float32)
        a_fp32 = torch.from_numpy(a)
        a_bf16 = a_fp32.bfloat16()
        return {
            "numpy fp32": lambda: a @ a,
            "torch fp32": lambda: a_fp32 @ a_fp32,
            "torch bf16": lambda: a_bf16 @ a_bf16,
            "openvino bf16": _openvino_product(a, "bf16"),
            "openvino fp32": _openvino_product(a, "f32"),
        }

    def _noise(self, height: int, width: int) -> np.ndarray:
        shape = (self._classifier.spec.num_frames, height, width, 3)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def _first_clip(self, video: str) -> np.ndarray:
        from twinpath.video.decode import read_frames

        return read_frames(video, [self._classifier.spec.clip_sampling.at(0.0)]).clip()


class _Stopwatch:
    """Measures the time from its creation on."""

    def __init__(self) -> None:
        self._began_s, self._began_core_s = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, float]:
        """ "total": seconds; "core_s": seconds that this process took of all cores together."""
        return {
            "total": time.perf_counter() - self._began_s,
            "core_s": time.process_time() - self._began_core_s,
        }


def _openvino_product(a: np.ndarray, precision: str) -> Any:
    from twinpath.engine.openvino_import import ov

    op = ov.opset13

    given = op.parameter(list(a.shape), np.float32)
    network = ov.Model([op.matmul(given, op.constant(a), False, False)], [given])
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(network, "CPU", hints).create_infer_request()
    return lambda: request.infer([a])


@contextmanager
def _counted_frames() -> Iterator[list[int]]:
    """Count the frames that are decoded: each is charged to a `Budget`."""
    from twinpath.video.source import Budget

    count = [0]
    spend = Budget.spend

    def counted(self: Budget, frames: int) -> None:
        count[0] += frames
        spend(self, frames)

    with mock.patch.object(Budget, "spend", counted):
        yield count


def _synthetic_clip(path: Path) -> Path:
    """Write ten seconds of 320x240 at 30 fps, like the clips of Kinetics."""
    from twinpath.data.synthetic import make_scene, write_clip

    scene = next(s for s in map(make_scene, range(100)) if abs(s.aspect - 4 / 3) < 0.01)
    write_clip(path, scene, height_px=240, duration_s=10)
    return path


def _repeat(source: Path, target: Path, times: int) -> None:
    import av

    with av.open(str(source)) as original, av.open(str(target), "w") as copies:
        video = original.streams.video[0]
        copy = copies.add_stream_from_template(video)
        assert video.duration is not None
        for number in range(times):
            original.seek(0)
            for packet in original.demux(video):
                if packet.dts is None or packet.pts is None:  # the end
                    continue
                packet.pts += number * video.duration
                packet.dts += number * video.duration
                packet.stream = copy
                copies.mux(packet)


def _scale(
    source: Path, target: Path, width: int, height: int, start_s: float, length_s: float, preset: str
) -> None:
    import av

    from twinpath.video.writer import VideoWriter

    with av.open(str(source)) as original:
        video = original.streams.video[0]
        rate = video.average_rate or 30
        with VideoWriter(target, width=width, height=height, fps=rate, preset=preset) as writer:
            for frame in original.decode(video):
                if (frame.time or 0.0) >= start_s + length_s:
                    break
                if (frame.time or 0.0) >= start_s:
                    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
                    writer.write(np.asarray(picture, dtype=np.uint8))


def _write_picture(source: Path, target: Path, codec: str, width: int, height: int) -> None:
    import av

    pixels = {"mjpeg": "yuvj420p", "png": "rgb24"}[codec]
    with av.open(str(source)) as original:
        frame = next(original.decode(video=0)).reformat(width=width, height=height, format=pixels)
    with av.open(str(target), "w") as film:
        stream = film.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        frame.pts = None
        film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


if __name__ == "__main__":
    serve(TwinpathWorker())
