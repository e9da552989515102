"""A split of AVA with its results file: several processes, kills between videos, and going on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.shares import Gathered
from twinpath.data.ava import frame_folders
from twinpath.engine.base import Engine
from twinpath.errors import Interrupted, UsageError
from twinpath.evaluate.ava import AvaRun, people_to_score
from twinpath.formats.ava import read_truth
from twinpath.formats.ava_label_map import LabelMap
from twinpath.jobs.ava import AvaJob, evaluate_ava

LABELS = LabelMap({1: "walk", 3: "jump"}, frozenset(range(1, 13)))
NAMES = ("a", "b", "c", "lost", "d")


class ByLight:
    """Scores a box by how light its picture is, and where the box begins; counts what it is given.

    Args:
        stop_at: The clip of this light stops the run.
    """

    name, num_classes, batch_clips = "by light", 12, 2

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.lights = stop_at, list[int]()

    def __call__(
        self, clips: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        for clip in clips:
            if clip[0, 0, 0, 0] == self.stop_at:
                raise KeyboardInterrupt
            self.lights.append(int(clip[0, 0, 0, 0]))
        return [
            (np.arange(12) / 13 * clip.mean() / 255 + each[:, :1] / 1000).astype(np.float32)
            for clip, each in zip(clips, boxes, strict=True)
        ]


def draw(folder: Path, light: int) -> None:
    folder.mkdir(parents=True)
    for i in range(40):
        Image.new("RGB", (40, 20), (light,) * 3).save(folder / f"{i}.png")


@pytest.fixture
def job(tmp_path: Path) -> AvaJob:
    """Four videos of one light each, with three people at two seconds, and a fifth that is not there."""
    rows = []
    for number, name in enumerate(NAMES):
        rows += [f"{name},0900,0.1,0.2,0.5,0.6,1,0", f"{name},0900,0.5,0.2,1.0,0.6,3,1"]
        rows += [f"{name},0901,0.{number + 1},0.2,0.8,0.6,3,0"]
        if name != "lost":
            draw(tmp_path / "frames" / name, 20 * number)
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    return AvaJob(
        model="slowfast_tiny_det.synthetic",
        people=people_to_score(read_truth(tmp_path / "truth.csv", LABELS)),
        sources=frame_folders(tmp_path / "frames"),
        label_map=LABELS,
        out=tmp_path / "out" / "results.csv",
    )


def changed(job: AvaJob, **values: Any) -> AvaJob:
    return AvaJob(**{**vars(job), **values})


class Shares:
    """The runs of several processes, one after the other; the first one gathers last."""

    def __init__(self, job: AvaJob, processes: int) -> None:
        self.job, self.gathered = job, Gathered(processes)
        self.engines = [ByLight() for _ in range(processes)]

    def run(self, process: int) -> AvaRun:
        engine = cast("Engine", self.engines[process])
        return evaluate_ava(self.job, lambda: engine, share=self.gathered.share(process))

    def to_their_end(self) -> AvaRun:
        return [self.run(process) for process in reversed(range(len(self.engines)))][-1]

    @property
    def lights(self) -> list[list[int]]:
        return [engine.lights for engine in self.engines]


def files(job: AvaJob) -> dict[str, bytes]:
    assert job.out is not None
    return {path.name: path.read_bytes() for path in sorted(job.out.parent.iterdir())}


def test_several_processes_score_each_video_once_and_write_what_one_writes(
    job: AvaJob, tmp_path: Path
) -> None:
    one, three = Shares(job, 1), Shares(changed(job, out=tmp_path / "three" / "results.csv"), 3)
    alone, shared = one.to_their_end(), three.to_their_end()
    assert one.lights == [[0, 0, 20, 20, 40, 40, 80, 80]]
    assert three.lights == [[0, 0], [20, 20, 80, 80], [40, 40]]
    assert files(three.job)["results.csv"] == files(job)["results.csv"]
    assert (shared.keyframes, shared.people) == (alone.keyframes, alone.people) == (8, 12)
    assert [str(f) for f in shared.failures] == [str(f) for f in alone.failures]
    assert len(shared.failures) == 1
    assert list(files(three.job)) == list(files(job)) == ["results.csv", "results.csv.done.jsonl"]
    draw(tmp_path / "frames" / "lost", 60)  # it turns up again
    found = changed(three.job, sources=frame_folders(tmp_path / "frames"))
    again = Shares(found, 1)
    again.to_their_end()
    assert again.lights == [[60, 60]]
    assert list(files(found)) == ["results.csv"]
    with pytest.raises(UsageError, match="is complete already"):
        Shares(found, 2).to_their_end()


@pytest.mark.parametrize("then", [1, 2, 3])
def test_what_killed_processes_scored_is_not_scored_again(job: AvaJob, then: int) -> None:
    """By as many processes, or by another number; where it is kept, complete scores are taken, too."""
    job = changed(job, people={k: v for k, v in job.people.items() if k != "lost"}, keep_journal=True)
    killed = Shares(job, 2)  # a and c, b and d
    killed.engines[1].stop_at = 80
    with pytest.raises(Interrupted, match="1 of 2 videos finished"):
        killed.run(1)
    killed.engines[0].stop_at = 40
    with pytest.raises(Interrupted, match="1 of 2 videos finished"):
        killed.run(0)
    rest = Shares(job, then)
    whole = rest.to_their_end()
    assert sorted(light for lights in rest.lights for light in lights) == [40, 40, 80, 80]
    assert (whole.keyframes, whole.failures) == (8, ())
    before = files(job)
    assert list(before) == ["results.csv", "results.csv.done.jsonl"]
    assert before["results.csv.done.jsonl"].count(b"\n") == 4
    again = Shares(job, 2)
    again.to_their_end()
    assert again.lights == [[], []]
    assert files(job) == before
    other = changed(job, label_map=LabelMap({1: "walk"}, LABELS.known))
    with pytest.raises(UsageError, match="other settings"):
        Shares(other, 1).to_their_end()
    fresh = Shares(changed(other, resume=False), 2)
    fresh.to_their_end()
    assert sum(map(len, fresh.lights)) == 8


def test_a_run_that_starts_over_takes_nothing_that_others_left(job: AvaJob) -> None:
    killed = Shares(job, 3)
    killed.run(2)
    assert "results.csv.done.2.jsonl" in files(job)
    fresh = Shares(changed(job, resume=False), 1)
    fresh.to_their_end()
    assert len(fresh.lights[0]) == 8
    assert list(files(job)) == ["results.csv", "results.csv.done.jsonl"]
