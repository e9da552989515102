"""Features of many videos in one file, with an extractor that reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from twinpath.errors import InputError, NotAVideo, UsageError
from twinpath.formats.features import FeatureTable
from twinpath.jobs.batch import Outcome
from twinpath.jobs.features import FeaturesJob, VideoFeatures, write_features
from twinpath.recognize.features import FeatureExtractor
from twinpath.recognize.inference import VideoScores
from twinpath.results.features import Feature
from twinpath.video.find import find_inputs

MODEL = "slowfast_tiny.synthetic"


class FakeExtractor:
    """As many clips as a file has bytes; fails after the first at "xx", and is stopped at "stop"."""

    model, weights_sha256 = MODEL, None

    def __init__(self) -> None:
        self.read: list[str] = []
        self.meanwhile: Callable[[Path], None] = lambda path: None

    def __call__(
        self, video: Path, *, progress: object = None, on_warning: Callable[[str], None]
    ) -> Iterator[Feature]:
        content = video.read_text()
        self.meanwhile(video)
        if content == "stop":
            raise KeyboardInterrupt
        self.read.append(video.name)
        for k, _ in enumerate(content):
            yield Feature(float(k), k + 1.0, np.full(4, k, dtype=np.float32))
            if content == "xx":
                raise NotAVideo("broken")
        on_warning("odd")

    def each(self, videos: Iterable[Path], on_clip: object = None) -> Iterator[VideoScores]:
        for video in videos:
            scores = VideoScores(cast("Hashable", video))
            try:
                for feature in self(video, on_warning=lambda text: None):
                    scores.spans_s.append((feature.start_s, feature.end_s))
                    scores.scores.append(feature.embedding[None])
            except InputError as error:
                scores.error = error
            yield scores


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, content in (("a.mp4", "aaa"), ("b.mp4", "xx"), ("c.mp4", "c")):
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def extract() -> FakeExtractor:
    return FakeExtractor()


@pytest.fixture(params=[".npz", ".parquet"])
def out(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"f{request.param}"


def run(clips: Path, extract: FakeExtractor, out: Path, **job: Any) -> list[Outcome[VideoFeatures]]:
    extract.read.clear()
    load = cast("Callable[[], FeatureExtractor]", lambda: extract)
    return list(write_features(find_inputs([clips]), FeaturesJob(model=MODEL, out=out, **job), load))


def rows(out: Path) -> dict[str, int]:
    table = FeatureTable.load(out)
    return {Path(video).name: len(table.rows_of(video) or ()) for video in table.videos}


def test_a_failed_video_leaves_nothing_half(clips: Path, extract: FakeExtractor, out: Path) -> None:
    a, b, c = run(clips, extract, out)
    assert (a.result, c.result) == (VideoFeatures(3), VideoFeatures(1))
    assert str(b.error) == f"{clips / 'b.mp4'}: broken"
    assert rows(out) == {"a.mp4": 3, "c.mp4": 1}


def test_a_single_video_has_its_warnings(clips: Path, extract: FakeExtractor, out: Path) -> None:
    (outcome,) = run(clips / "a.mp4", extract, out)
    assert outcome.result == VideoFeatures(3, ("odd",))


def test_a_later_run_adds_what_is_missing(clips: Path, extract: FakeExtractor, out: Path) -> None:
    run(clips, extract, out)
    assert [outcome.was_done for outcome in run(clips, extract, out)] == [True, False, True]
    assert extract.read == ["b.mp4"]
    (clips / "b.mp4").write_text("bb")
    (clips / "a.mp4").write_text("a")
    run(clips, extract, out)
    assert extract.read == ["a.mp4", "b.mp4"]
    assert rows(out) == {"a.mp4": 1, "c.mp4": 1, "b.mp4": 2}
    run(clips, extract, out)
    assert extract.read == []


def test_rows_of_other_videos_stay(clips: Path, extract: FakeExtractor, out: Path) -> None:
    run(clips, extract, out)
    other = clips.parent / "other.mp4"
    other.write_text("oo")
    run(other, extract, out)
    assert rows(out) == {"a.mp4": 3, "c.mp4": 1, "other.mp4": 2}


def test_a_file_that_changes_meanwhile_is_done_anew(clips: Path, extract: FakeExtractor, out: Path) -> None:
    extract.meanwhile = lambda path: path.write_text("longer") if path.name == "a.mp4" else None  # type: ignore[assignment]
    run(clips, extract, out)
    extract.meanwhile = lambda path: None
    run(clips, extract, out)
    assert "a.mp4" in extract.read


def test_two_runs_do_not_write_to_one_file(clips: Path, extract: FakeExtractor, out: Path) -> None:
    other = clips.parent / "other.mp4"
    other.write_text("oo")

    def run_another(path: Path) -> None:
        with pytest.raises(UsageError, match="another run is writing to it"):
            run(other, FakeExtractor(), out)

    extract.meanwhile = run_another
    run(clips, extract, out)
    assert rows(out) == {"a.mp4": 3, "c.mp4": 1}
    extract.meanwhile = lambda path: None
    run(other, extract, out, resume=False)
    assert rows(out) == {"other.mp4": 2}
    assert sorted(path.name for path in out.parent.iterdir()) == ["clips", out.name, "other.mp4"]


@pytest.mark.parametrize("is_first_run", [True, False])
def test_a_stopped_run_keeps_what_is_done(
    clips: Path, extract: FakeExtractor, out: Path, is_first_run: bool
) -> None:
    """In the file itself; where it starts over, beside the old one."""
    if not is_first_run:
        run(clips, extract, out)
    before = out.read_bytes() if out.exists() else b""
    (clips / "c.mp4").write_text("stop")
    with pytest.raises(KeyboardInterrupt):
        run(clips, extract, out, dtype="float16", resume=False)
    state = out if is_first_run else out.with_name(f"f.partial{out.suffix}")
    assert rows(state) == {"a.mp4": 3}
    assert is_first_run or out.read_bytes() == before
    (clips / "c.mp4").write_text("cc")
    run(clips, extract, out, dtype="float16")
    assert extract.read == ["b.mp4", "c.mp4"]
    assert rows(out) == {"a.mp4": 3, "c.mp4": 2}
    assert FeatureTable.load(out).dtype == np.float16
    assert [path.name for path in out.parent.iterdir() if path.is_file()] == [out.name]


def test_other_settings_and_foreign_files_are_refused(clips: Path, extract: FakeExtractor, out: Path) -> None:
    run(clips, extract, out)
    before = out.read_bytes()
    with pytest.raises(
        UsageError, match=r"every_s is 2\.0, before None; give another place, or resume=False"
    ):
        run(clips, extract, out, every_s=2.0)
    assert out.read_bytes() == before
    out.write_bytes(b"by hand")
    for resume in (True, False):
        with pytest.raises(InputError, match="is no valid file of features"):
            run(clips, extract, out, resume=resume)
    assert out.read_bytes() == b"by hand"


def test_nothing_is_written_where_every_video_fails(clips: Path, extract: FakeExtractor, out: Path) -> None:
    for path in clips.iterdir():
        path.write_text("xx")
    assert all(outcome.error for outcome in run(clips, extract, out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("job", "words"), [({"dtype": "int8"}, "dtype must be"), ({"every_s": 0.0}, "every_s must")]
)
def test_what_is_out_of_range(job: dict[str, Any], words: str, out: Path) -> None:
    with pytest.raises(UsageError, match=words):
        FeaturesJob(model=MODEL, out=out, **job)
