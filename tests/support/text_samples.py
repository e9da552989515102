"""Every text and state file that Twinpath reads: a small sound one, and how it is read and used.

What a reader here does is what the commands do with the file: it is not enough that it loads.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.http_server import http_server, respond
from tests.support.published_samples import PUBLISHED
from tests.support.recipe_samples import PYSLOWFAST, RECIPE, read_a_recipe, read_pyslowfast
from twinpath.errors import InputError
from twinpath.formats import ava
from twinpath.formats.ava_label_map import LabelMap, built_in_label_map, read_label_map
from twinpath.formats.detections import DETECTION_KINDS, read_detections, write_detection_file
from twinpath.formats.features import FeatureTable
from twinpath.formats.journal import ResultsJournal, read_journal
from twinpath.formats.keyframes import load_keyframe_scores, save_keyframe_scores
from twinpath.formats.timelines import TIMELINE_KINDS
from twinpath.formats.window_scores import load_window_scores, save_window_scores
from twinpath.people.file_boxes import FileBoxes
from twinpath.results.classification import Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.keyframes import Keyframe, KeyframeScores, PersonBoxes
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.results.segments import SegmentRules
from twinpath.results.window_scores import WindowScores

FACTS = FileFacts(1000, 1.5, "ab" * 32)
RUN = Provenance(None, "net.weights", None, {"views": "1x1", "start_s": 0.0, "top_k": 5}, {"twinpath": "1"})
LABELS = ("stand", "wave ü", "sit")
WEIGHTS = b"weights of a network" * 50
Read = Callable[[Path], None]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        ending: Of the names of such files.
        samples: Makes sound files in a folder.
        read: Reads a file and uses what it holds; raises what the commands would.
        structure: "json", "npz" or "text".
    """

    ending: str
    samples: Callable[[Path], list[bytes]]
    read: Read
    structure: str = "text"


def _texts(*texts: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [text.encode() for text in texts]


def _objects(*values: Any) -> Callable[[Path], list[bytes]]:
    return lambda folder: [json.dumps(value, indent=1).encode() for value in values]


# AVA's files


@cache
def _ava() -> LabelMap:
    return built_in_label_map()


_TRUTH = "".join(f"film{k % 3},{902 + k // 2:04d},0.1,0.2,0.5,0.9,{11 + k},{k}\n" for k in range(8))
_RESULTS = _TRUTH.replace(",0.9,", ",0.9,").replace("film", "-5KQ66BB_")
_MAP = 'item {\n  name: "sit"\n  id: 11\n}\nitem {\n  name: "talk to (e.g., self)" # yes\n  id: 79\n}\n'


def _read_truth(path: Path) -> None:
    ava.read_truth(path, _ava()).by_second()


def _read_results(path: Path) -> None:
    rows = ava.read_results(path, _ava())
    with io.StringIO() as file:
        ava.write_rows(file, ((rows.videos[v], str(s), map(repr, b), a, f"{p:.9g}") for v, s, b, a, p in zip(
            rows.video.tolist(), rows.second.tolist(), rows.boxes_xyxy.tolist(), rows.action_id.tolist(),
            rows.score.tolist(), strict=True)))  # fmt: skip


def _read_people(path: Path) -> None:
    ava.read_people(path, min_score=0.2).by_second()


def _read_frames(path: Path) -> None:
    from twinpath.data.ava.clips import read_frame_list

    read_frame_list(path, "frames")


# Boxes


def _video(folder: Path) -> Path:
    """For boxes that count frames."""
    from tests.support.bad_videos import make_good

    video = folder / "films" / "match.mp4"
    if not video.exists():
        video.parent.mkdir(exist_ok=True)
        make_good(video.parent).rename(video)
    return video


def _read_boxes(path: Path) -> None:
    people = FileBoxes(path, video=_video(path.parent), width_px=640, height_px=360, min_score=0.2)
    frame = np.zeros((36, 64, 3), np.uint8)
    for found in people([frame] * 3, [0.0, 0.9, 902.0]):
        assert np.isfinite(found.boxes_xyxy_px).all()
        assert len(found) == len(found.scores)


_BOX = {"time_s": 0.5, "box_xyxy_px": [10, 20.5, 100, 200], "detection_score": 0.9}
_COCO = {
    "images": [
        {"id": k, "file_name": f"match/{k:06d}.jpg", "time_s": k / 2, "width": 640, "height": 360}
        for k in range(3)
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "ball"}],
    "annotations": [
        {"id": k, "image_id": k, "category_id": 1 + k % 2, "bbox": [1, 2, 30.5, 40], "track_id": 7}
        for k in range(3)
    ],
}  # fmt: skip
_COCO_RESULTS = [
    {"image_id": f"match/{k}", "time_s": k / 4, "bbox": [1, 2, 3, 4], "score": 0.5} for k in range(3)
]
_TRACKS = {"video": "match.mp4", "width_px": 640, "height_px": 360, "keyframes_s": [0.0, 0.5],
           "tracks": [{"track_id": 1, "points": [_BOX, {**_BOX, "time_s": 1.0}]}]}  # fmt: skip
_PEOPLE = {
    "people": [{"track": "a", "boxes": [_BOX]}, {"track": "b", "boxes": [_BOX]}],
    "width": 640,
    "height": 360,
}
_AVA_BOXES = (
    "match,0.5,0.1,0.2,0.5,0.9,12,1\nmatch,0.5,0.2,0.2,0.5,0.9,12,2\nmatch,1.5,0.1,0.2,0.5,0.9,80,1\n"
)
_AVA_SCORED = "match,0902,0.1,0.2,0.5,0.9,,0.99\nother,0902,0.1,0.2,0.5,0.9,,0.5\n"


def _box_lines(folder: Path) -> list[bytes]:
    lines = [_TRACKS, {**_TRACKS, "video": "other.mp4"}, {"video": "bad.mp4", "error": {"type": "x"}}]
    return [b"".join(json.dumps(line).encode() + b"\n" for line in lines)]


# Labelled videos


_LIST = """path,label,start_s,end_s,split,group
films/match.mp4,stand,0,1.5,,one
films/match.mp4,"wave ü|sit",1.5,,,two
films/other.mp4,=sit,,,,
"""


def _read_labelled(path: Path) -> None:
    from twinpath.data.labelled.class_names import similar_labels
    from twinpath.data.labelled.read import read_labelled
    from twinpath.data.labelled.split import groups_across_parts, hold_out, only_in_training
    from twinpath.data.labelled.table import write_label_table

    for folder in (path.parent, path.parent / "films"):
        folder.mkdir(exist_ok=True)
        (folder / "match.mp4").touch()
    path.with_name(path.name.partition(".")[0] + ".mp4").touch()
    data = read_labelled(path, min_classes=1)
    similar_labels(data.classes)
    groups_across_parts(data)
    if set(only_in_training(data)) < set(data.classes):
        hold_out(data, 0.5, seed=0)
    again = path.with_name("again.csv")
    write_label_table([replace(clip, clock="video") for clip in data.clips], again)
    again.unlink()


def _timeline_files(kind: str) -> Callable[[Path], list[bytes]]:
    def make(folder: Path) -> list[bytes]:
        from twinpath.recognize.timeline import timeline_of

        rules = SegmentRules(min_score=0.05, smooth_s=0.0, merge_s=0.0)
        file = io.StringIO()
        TIMELINE_KINDS[kind](timeline_of(_windows(), rules), file, folder)
        return [file.getvalue().encode()]

    return make


# Results


def _detections() -> Detections:
    actions = (Prediction("stand", 11, 0.75), Prediction("talk to (e.g., self)", 78, 0.5))
    points = tuple(TrackPoint(float(t), (1.0, 2.0, 300.0, 200.0), 0.9, actions[: t + 1]) for t in range(2))
    return Detections(
        "films/match.mp4", "net.weights", "ava2.2", "by hand", "eyes", "fingers", 640, 360, 6.0, 1.0,
        (0.0, 1.0), (Track(1, points), Track(2, points[:1])), ("hm",), {"decode": 0.5},
    )  # fmt: skip


def _detection_files(folder: Path) -> list[bytes]:
    write_detection_file(_detections(), folder / "a.json", "json", provenance=replace(RUN, source=FACTS))
    return [(folder / "a.json").read_bytes()]


def _read_detections(path: Path) -> None:
    found = read_detections(path)
    _write_all(found, path.parent / "again")


def _write_all(found: Detections, base: Path) -> None:
    """All files that are made of detections."""
    for kind in DETECTION_KINDS:
        target = base.with_suffix(f".{kind}")
        write_detection_file(found, target, kind, frame_times_s=np.arange(150) / 25)
        target.unlink()


def _windows() -> WindowScores:
    scores = np.linspace(0, 1, 12, dtype=np.float16).reshape(4, 3)
    starts_s = np.arange(4, dtype=np.float64)
    return WindowScores(
        video="films/match.mp4", provenance=replace(RUN, source=FACTS), dataset="test", engine="by hand",
        duration_s=6.0, every_s=1.0, span_s=2.0, labels=LABELS, starts_s=starts_s, ends_s=starts_s + 2,
        scores=scores, windows_expected=5, complete=False, warnings=("hm",),
        settings={"settings": {"min_score": 0.3}, "formats": ["csv", "json"]},
    )  # fmt: skip


def _window_files(folder: Path) -> list[bytes]:
    save_window_scores(_windows(), folder / "w.npz")
    save_window_scores(replace(_windows(), complete=True, windows_expected=4), folder / "v.npz")
    return [(folder / name).read_bytes() for name in ("w.npz", "v.npz")]


def _read_windows(path: Path) -> None:
    from twinpath.jobs.score_files import WrittenFiles
    from twinpath.recognize.timeline import prefixed_warnings, timeline_of

    scores = load_window_scores(path)
    WrittenFiles.of(scores).mark(scores)
    scores.differences(_windows().provenance, 6.0)
    prefixed_warnings(scores)
    for rules in (SegmentRules(), SegmentRules(min_score=0.01, smooth_s=0.0, merge_s=100.0)):
        timeline = timeline_of(scores, rules, top_k=2)
        for write in TIMELINE_KINDS.values():
            write(timeline, io.StringIO(), path.parent)
        timeline.best()
    if not scores.complete and scores.labels == LABELS:
        np.concatenate([scores.scores, np.zeros((1, len(LABELS)), np.float16)])  # the windows that follow
    save_window_scores(scores, path.with_name("again.npz"))


def _keyframes() -> KeyframeScores:
    rng = np.random.default_rng(0)
    frames = []
    for time_s, ids in ((0.0, [1, 2]), (1.0, []), (2.0, [2])):
        boxes = np.sort(rng.uniform(0, 300, (len(ids), 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
        people = PersonBoxes(boxes, rng.random(len(ids), dtype=np.float32), np.asarray(ids, np.int64))
        scores = rng.random((len(ids), len(LABELS)), dtype=np.float32)
        frames.append(Keyframe(time_s, people, np.asarray(ids, np.int64), scores))
    return KeyframeScores(
        video="films/match.mp4", provenance=replace(RUN, source=FACTS), dataset="ava2.2", engine="by hand",
        person_detector="eyes", tracker="fingers", width_px=640, height_px=360, duration_s=6.0, every_s=1.0,
        labels=LABELS, keyframes=tuple(frames), keyframes_expected=6, complete=False, warnings=("hm",),
        timing_s={"decode": 0.25}, settings={"settings": {"min_score": 0.5}, "formats": ["json"]},
    )  # fmt: skip


def _keyframe_files(folder: Path) -> list[bytes]:
    save_keyframe_scores(_keyframes(), folder / "k.npz")
    return [(folder / "k.npz").read_bytes()]


def _read_keyframes(path: Path) -> None:
    from twinpath.jobs.score_files import WrittenFiles
    from twinpath.recognize.detector import detections_of
    from twinpath.recognize.timeline import prefixed_warnings

    scores = load_keyframe_scores(path)
    WrittenFiles.of(scores).mark(scores)
    prefixed_warnings(scores)  # type: ignore[arg-type]
    if scores.provenance.differences(_keyframes().provenance):
        return
    for smooth_s in (0.0, 2.0):
        _write_all(detections_of(scores, min_score=0.01, smooth_s=smooth_s), path.with_name("again"))
    save_keyframe_scores(scores, path.with_name("again.npz"))


def _feature_table() -> FeatureTable:
    table = FeatureTable(replace(RUN, settings={"every_s": None, "dtype": "float32"}))
    for video, count in (("a.mp4", 2), ("b ü.mp4", 1)):
        spans_s = [(float(k), k + 1.5) for k in range(count)]
        table.put(video, spans_s, np.ones((count, 4), np.float32), FACTS)
    return table


def _feature_files(folder: Path) -> list[bytes]:
    _feature_table().write(folder / "f.npz")
    return [(folder / "f.npz").read_bytes()]


def _parquet_files(folder: Path) -> list[bytes]:
    _feature_table().write(folder / "f.parquet")
    return [(folder / "f.parquet").read_bytes()]


def _read_features(path: Path) -> None:
    table = FeatureTable.load(path)
    if table.run.same_run(_feature_table().run):
        table.put("c.mp4", [(0.0, 1.0)], np.ones((1, table.dim or 4), np.float32), FACTS)
        table.write(path.with_name(f"again{path.suffix}"))


def _journal_lines(result: Mapping[str, Any]) -> Callable[[Path], list[bytes]]:
    def make(folder: Path) -> list[bytes]:
        path = folder / "j.jsonl"
        path.unlink(missing_ok=True)
        with ResultsJournal(path, RUN, []) as journal:
            for name in ("a.mp4", "b ü.mp4"):
                journal.add(Path(name), result, FACTS)
            journal.add(Path("c.mp4"), {"error": {"type": "NotAVideo", "message": "c.mp4 is none"}}, FACTS)
        return [path.read_bytes(), path.read_bytes()[:-40]]

    return make


_ANSWER = {
    "video": "a.mp4", "model": "net.weights", "engine": "by hand", "views": "1x1",
    "predictions": [{"label": name, "index": 11, "score": 0.75} for name in ("stand", "sit")],
    "warnings": ["hm"], "timing_s": {"decode": 0.1, "infer": 0.2},
}  # fmt: skip


def _read_answers(path: Path) -> None:
    from twinpath.cli.console import print_predictions
    from twinpath.jobs.classify import _from_line

    read_journal(path)
    with ResultsJournal(path, RUN, [Path("b ü.mp4"), Path("new.mp4")]) as journal:
        journal.add(Path("new.mp4"), _ANSWER, FACTS)
    for line, _ in _lines_of(path):
        if "error" not in line:
            answer = _from_line(line, path)
            json.dumps(answer.to_dict(), allow_nan=False)
            [f"{p.score:.1%} {p.label}" for p in answer.predictions]
            print_predictions(answer.predictions)
    read_journal(path)


def _read_ava_journal(path: Path) -> None:
    from twinpath.evaluate.ava import _scored_of

    with ResultsJournal(path, RUN, [Path("b ü.mp4")]) as journal:
        for line, _ in _lines_of(path):
            if "error" not in line:
                for keyframe in _scored_of(line, journal.path, 60):
                    assert keyframe.scores.shape == (len(keyframe.boxes_xyxy), 60)


def _lines_of(path: Path) -> list[Any]:
    from twinpath.formats.journal import _read

    return list(_read(path)[0])


# Settings


def _read_thresholds(path: Path) -> None:
    from twinpath.recognize.thresholds import parse_thresholds

    parse_thresholds(str(path), LABELS, default=0.5)


# The cache


def _engine_entries(folder: Path) -> list[bytes]:
    from twinpath.engine.compiled_cache import write_entry

    made = []
    with _own_cache(folder) as engines:
        for facts in ({"num_classes": 3, "precision": "f32"}, {"not_convertible": "no reason"}):
            write_entry(engines / "net-1.ov", b"a compiled network" * 20, facts)
            made.append((engines / "net-1.ov").read_bytes())
    return made


class _own_cache:  # noqa: N801 - used as a context manager
    """A cache folder of this process alone, with a key that is always the same, and its engines."""

    def __init__(self, folder: Path) -> None:
        self._home = folder / "home"

    def __enter__(self) -> Path:
        self._before = os.environ.get("TWINPATH_HOME")
        os.environ["TWINPATH_HOME"] = str(self._home)
        engines = self._home / "engines"
        engines.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home.chmod(0o700)
        key = engines / "key"
        key.write_bytes(b"k" * 32)
        key.chmod(0o600)
        return engines

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ["TWINPATH_HOME"]
        else:
            os.environ["TWINPATH_HOME"] = self._before


def _read_entry(path: Path) -> None:
    """An entry is made anew where it is not exactly what was written; nothing else may come of it."""
    from twinpath.engine.compiled_cache import read_entry

    sound = _engine_entries(path.parent)
    content = path.read_bytes()
    with _own_cache(path.parent) as engines:
        copy = engines / "net-1.ov"  # the name belongs to the entry
        copy.write_bytes(content)
        entry = read_entry(copy)
        if entry is not None and content not in sound:
            raise AssertionError(f"a forged entry was taken: {entry.facts}")
        if entry is None and content in sound:
            raise AssertionError("a sound entry was not taken")
        copy.unlink(missing_ok=True)


def _read_version(path: Path) -> None:
    """A download that is resumed: whatever is noted of the version, the file must come whole."""
    from twinpath.retry import RetryPolicy
    from twinpath.weights.fetch import fetch_file

    def serve(to: Any) -> None:
        span, wanted = to.headers.get("Range"), to.headers.get("If-Range")
        if span and wanted == '"one"':
            start = int(span.removeprefix("bytes=").partition("-")[0])
            where = f"bytes {start}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"
            respond(to, 206, body=WEIGHTS[start:], Content_Range=where, ETag='"one"')
        else:
            respond(to, body=WEIGHTS, ETag='"one"')

    os.environ |= {"NO_PROXY": "*"}
    retry = RetryPolicy(max_retries=2, first_wait_s=0.0, jitter=0.0)
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as cache,
        http_server(serve) as server,
    ):
        version = Path(cache) / path.name
        version.write_bytes(path.read_bytes())
        final = version.with_name(version.name.removesuffix(".part.version"))
        final.with_name(final.name + ".part").write_bytes(WEIGHTS[:300])
        url = server.url("/w.bin")
        fetch_file("w", url, final, check=lambda path, where="": None, retry=retry, stall_s=5.0)
        if final.read_bytes() != WEIGHTS:
            raise AssertionError("the downloaded file is not what the server has")


def _read_sidecar(path: Path) -> None:
    """What is remembered of a download."""
    from twinpath.errors import DamagedWeights
    from twinpath.weights.fetch import verify

    file = path.with_name(path.name.removesuffix(".json"))
    file.write_bytes(WEIGHTS)
    try:
        verify(file)
    except DamagedWeights as error:
        raise InputError(f"{path.name}: {error}") from error
    finally:
        file.unlink()


def _sidecars(folder: Path) -> list[bytes]:
    import hashlib

    facts = {
        "url": "https://example.org/w.bin",
        "size": len(WEIGHTS),
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "date": "2026-11-28T04:00:00+00:00",
    }
    return [json.dumps(facts, indent=1).encode()]


def _read_hub(path: Path) -> None:
    """The config.json of a repository; the Hub's own library parses it."""
    from twinpath.zoo.hub import _read as read_config

    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if isinstance(config, dict):
        read_config(config, path.name)


_HUB = {"architecture": "slowfast_tiny", "model": "slowfast_tiny", "num_classes": 7, "num_frames": 16,
        "head_config": {"activation": "softmax", "averaging": "scores"}}  # fmt: skip

_SECONDS = {"seconds": [902, 903], "boxes": [[[0.1, 0.2, 0.5, 0.9]], []], "scores": [[[0.25] * 60], []]}

FORMATS = (
    Format("truth.csv", _texts(_TRUTH, _TRUTH.replace("film1", '"a, b"')), _read_truth),
    Format("results.csv", _texts(_RESULTS), _read_results),
    Format("people.csv", _texts(_AVA_SCORED, _AVA_SCORED.replace(",,", ",")), _read_people),
    Format("exclusions.csv", _texts("film1,0903\nfilm2,0904\n"),
           lambda path: void(ava.read_exclusions(path))),
    Format("map.pbtxt", _texts(_MAP, _MAP.replace("item", "label").replace("id", "label_id")),
           lambda path: void(read_label_map(path))),
    Format("map.csv", _texts("id,name\n11,sit\n12,\"stand, up\"\n", "11,sit\n12,stand\n"),
           lambda path: void(read_label_map(path))),
    Format("frames.txt", _texts("original_vido_id video_id frame_id path labels\n"
           + "".join(f'film 0 {k} film/{k:06d}.jpg ""\n' for k in range(4))), _read_frames),
    *(Format(ending, _texts(*texts), read) for ending, texts, read in PUBLISHED),
    Format("boxes.csv", _texts(_AVA_BOXES, _AVA_SCORED), _read_boxes),
    Format("coco.json", _objects(_COCO, _COCO_RESULTS), _read_boxes, "json"),
    Format("tracks.json", _objects(_TRACKS, _PEOPLE, [_TRACKS]), _read_boxes, "json"),
    Format("tracks.jsonl", _box_lines, _read_boxes, "json"),
    Format("list.csv", _texts(_LIST, _LIST.replace(",", ";")), _read_labelled),
    Format("timeline.json", _timeline_files("json"), _read_labelled, "json"),
    Format("timeline.csv", _timeline_files("csv"), _read_labelled),
    Format("timeline.eaf", _timeline_files("eaf"), _read_labelled),
    Format("detections.json", _detection_files, _read_detections, "json"),
    Format("windows.npz", _window_files, _read_windows, "npz"),
    Format("keyframes.npz", _keyframe_files, _read_keyframes, "npz"),
    Format("features.npz", _feature_files, _read_features, "npz"),
    Format("features.parquet", _parquet_files, _read_features, "bytes"),
    Format("answers.jsonl", _journal_lines(_ANSWER), _read_answers, "json"),
    Format("done.jsonl", _journal_lines(_SECONDS), _read_ava_journal, "json"),
    Format("recipe.toml", _texts(RECIPE), read_a_recipe),
    Format("config.yaml", _texts(PYSLOWFAST), read_pyslowfast),
    Format("thresholds.csv", _texts('label,score\nstand,0.5\n"wave ü",0.25\n'), _read_thresholds),
    Format("net.ov", _engine_entries, _read_entry),
    Format("w.bin.part.version", _texts('"one"'), _read_version),
    Format("w.bin.json", _sidecars, _read_sidecar, "json"),
    Format("config.json", _objects(_HUB), _read_hub, "json"),
)  # fmt: skip


def void(_: object) -> None:
    """Use nothing of what was read."""


def format_of(path: Path) -> Format:
    """By the ending of its name; the longest that fits."""
    fitting = [kind for kind in FORMATS if path.name.endswith(kind.ending)]
    return max(fitting, key=lambda kind: len(kind.ending))
