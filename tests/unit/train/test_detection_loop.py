"""A detection network is trained by a recipe on key frames in AVA's formats: it learns, is measured, stops
and goes on, and says what it left out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.commands import in_process
from tests.support.drawn_ava import FPS, SECONDS, DrawnAva, drawn_ava
from tests.support.narrow_networks import narrow
from twinpath.data.ava import read_exclusions, read_label_map, read_people, read_results, read_truth
from twinpath.data.synthetic import ACTIONS
from twinpath.engine.base import Engine
from twinpath.engine.open import open_engine
from twinpath.errors import ConfigError, InputError, Interrupted
from twinpath.evaluate.ava import people_to_score
from twinpath.formats.detections import read_detections
from twinpath.metrics.ava import ava_frame_map
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.render.people import colour_of
from twinpath.train import ava_protocol
from twinpath.train.ava_protocol import MeasuredKeyframes
from twinpath.train.clips.batch import ClipBatch, collate
from twinpath.train.clips.keyframes import KeyframeClips
from twinpath.train.log.first_batches import first_batches
from twinpath.train.log.wrong_keyframes import wrong_keyframes
from twinpath.train.loop import loop as loop_module
from twinpath.train.loop.detection import DetectionObjective
from twinpath.train.loop.figures import EpochResult, StepFigures
from twinpath.train.loop.keyframes import read_recipe_keyframes, read_test_keyframes
from twinpath.train.loop.network import recipe_network
from twinpath.train.loop.train import read_training, recipe_schedule, train_clips, training_data
from twinpath.train.machine import Machine
from twinpath.train.recipe import Recipe, recipe_of
from twinpath.train.sections import ModelSection
from twinpath.weights.formats import read_weights
from twinpath.weights.load import save_weights
from twinpath.zoo.create import create_model
from twinpath.zoo.model_folder import WEIGHTS, ModelFolder, read_model_folder

SIDE_PX = 48
SETTINGS: dict[str, Any] = {
    "model": {
        "network": "slowfast_tiny_det",
        "start_from": "slowfast_tiny_det.synthetic",
        "roi_aligned": True,
    },
    "clip": {"frames": 8, "sampling_rate": 4, "short_side_px": [52, 60], "crop_px": SIDE_PX},
    "optimizer": {"name": "adamw", "weight_decay": 0.01},
    "schedule": {"epochs": 3, "base_learning_rate": 2e-3, "warmup_epochs": 0.5},
    "loss": {"kind": "binary"},
    "evaluation": {"every_epochs": 3, "crop_px": 64, "at_end": False},
    "run": {"batch_size": 4, "workers": 0},
}


@pytest.fixture(scope="module")
def ava(tmp_path_factory: pytest.TempPathFactory) -> DrawnAva:
    return drawn_ava(tmp_path_factory.mktemp("ava") / "data", train=4, validation=2)


def recipe(ava: DrawnAva, *overrides: str, data: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    """Of its frames, by lists."""
    values = {
        "kind": "ava",
        "train": [ava("train.csv")],
        "validation": [ava("val.csv")],
        "videos": ava("frames"),
        "frames_per_second": FPS,
        "labels": ava("labels.pbtxt"),
        "boxes_train": [ava("train_truth.csv")],
        "predicted_boxes_train": [ava("train_people.csv")],
        "boxes_test": ava("val_truth.csv"),
        "predicted_boxes_test": [ava("val_people.csv")],
        "excluded": ava("excluded.csv"),
        **(data or {}),
    }
    return recipe_of({**SETTINGS, "name": "films", "data": values, **sections}, overrides, origin="test")


class Trained(NamedTuple):
    """A run to its end, and what it reported."""

    folder: Path
    recipe: Recipe
    model: ModelFolder
    results: list[EpochResult]
    measured: MeasuredKeyframes


@pytest.fixture(scope="module")
def trained(ava: DrawnAva, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """With pictures of its last evaluation, and the published protocol at its end."""
    settings = recipe(ava, "evaluation.at_end=true", "log.loggers=['files']", "log.most_clips=2")
    folder = tmp_path_factory.mktemp("trained") / "run"
    results: list[EpochResult] = []
    measured: list[Any] = []
    model = train_clips(settings, folder, on_epoch=results.append, on_evaluation=measured.append)
    assert model is not None
    return Trained(folder, settings, model, results, *measured)


def test_it_learns_is_measured_as_in_a_test_and_detects(
    ava: DrawnAva, trained: Trained, tmp_path: Path
) -> None:
    results, card = trained.results, trained.model.card
    assert results[-1].train_loss < 0.8 * results[0].train_loss
    assert [bool(result.figures) for result in results] == [False, False, True]
    assert (card.task, card.dataset, card.min_person_score) == ("detection", "ava", 0.9)
    assert card.labels == ("action 1", *ACTIONS)
    assert (card.input.short_side_px, card.input.num_frames, card.input.sampling_rate) == (64, 8, 4)
    found = results[-1].figures["frame_map"]
    assert card.figures["validation_frame_map"] == pytest.approx(found, abs=1e-4)
    assert found == pytest.approx(trained.measured.score.mean, abs=0.03)  # pictures are rounded in training
    _check_detections(ava, trained.model, tmp_path / "out")


def test_all_key_frames_are_measured_at_the_end(ava: DrawnAva, trained: Trained) -> None:
    """The card has the figures, and AVA's results file gives them, too."""
    labels = read_label_map(ava("labels.pbtxt"))
    rows = read_results(trained.folder / "evaluation" / "results.csv", labels)
    truth, excluded = read_truth(ava("val_truth.csv"), labels), read_exclusions(ava("excluded.csv"))
    score = ava_frame_map(truth, rows, labels, excluded=excluded).mean
    people = people_to_score(truth, read_people(ava("val_people.csv"), min_score=0.9), excluded=excluded)
    keyframes = [boxes for seconds in people.values() for boxes in seconds.values()]
    assert {k: v for k, v in trained.model.card.figures.items() if k.startswith("test_")} == {
        "test_frame_map": round(score, 4),
        "test_keyframes": float(len(keyframes)),
        "test_people": float(sum(map(len, keyframes))),
        "test_failed": 0.0,
    }
    printed = in_process("evaluate", trained.folder, "--device", "cpu", "--json").object
    assert printed["map"] == pytest.approx(trained.measured.score.mean)
    assert (printed["keyframes"], printed["model"]) == (3, "films")
    error = in_process("evaluate", trained.folder, "--explain", code=2).error
    assert error.startswith("twinpath: --explain is for clips")


def test_the_worst_answers_are_pictures_in_the_log(ava: DrawnAva, trained: Trained) -> None:
    pictures = sorted((trained.folder / "pictures" / "wrong_clips").iterdir())
    assert [path.name for path in pictures] == ["1.png", "2.png"]
    keyframes = read_recipe_keyframes(trained.recipe).validation
    assert keyframes is not None
    truth = keyframes.truth
    rows = zip(truth.second.tolist(), truth.boxes_xyxy.tolist(), truth.action_id.tolist(), strict=True)
    doing = {(second, *np.float32(box).tolist()): action - 1 for second, box, action in rows}
    scores = {}
    for number, keyframe in enumerate(keyframes.keyframes()):
        scores[number] = np.zeros((len(keyframe.boxes_xyxy), 13), np.float32)
        for row, box in zip(scores[number], keyframe.boxes_xyxy, strict=True):
            row[doing.get((keyframe.second, *box.tolist()), [])] = 1.0
    assert wrong_keyframes(keyframes, scores, most=3) == []
    jump = ACTIONS.index("jump") + 1
    scores[2][-1, jump] = 0.8  # of nobody
    (wrong,) = wrong_keyframes(keyframes, scores, most=3)
    assert (wrong.number, wrong.mistake) == (2, "wrong: jump (80%)")
    assert wrong.best[-1][0] == ("jump", pytest.approx(0.8))
    assert len(wrong.true_xyxy) == len(wrong.boxes_xyxy) - 1
    assert wrong_keyframes(keyframes, scores, only={"wave"}, most=3) == []


def test_the_first_batches_show_the_people_that_crops_leave(ava: DrawnAva) -> None:
    settings = recipe(ava)
    data = training_data(settings, read_training(settings), recipe_schedule(settings))
    boxes = [data.part_of_batch(0, step, 4).boxes for step in range(2)]
    shown = list(first_batches(settings))
    assert len(shown) == len(boxes)
    for batch, of_batch in zip(shown, boxes, strict=True):
        for number, row in enumerate(batch.rows):
            people = of_batch[of_batch[:, 0] == number, 1:]
            assert row.keyframe is not None
            assert row.text.count(": ") == len(people)
            assert ("nobody" in row.text) == (len(people) == 0)
            scale = row.keyframe.shape[0] / SIDE_PX
            for i, (x1, y1, _, y2) in enumerate((people * scale).round().int().tolist(), start=1):
                border = row.keyframe[y1:y2, max(x1 - 1, 0) : x1 + 3]
                assert (border == colour_of(i)).all(axis=2).any()


def test_an_evaluation_that_was_killed_goes_on_without_scoring_again(
    ava: DrawnAva, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    shutil.rmtree(folder / "evaluation")
    engines: list[Counting] = []

    def opened(*arguments: Any, **options: Any) -> Counting:
        engines.append(Counting(open_engine(*arguments, **options), stops_at=None if engines else 2))
        return engines[-1]

    monkeypatch.setattr(ava_protocol, "open_engine", opened)
    with pytest.raises(Interrupted, match="1 of 2 videos finished"):
        train_clips(trained.recipe, folder, resume=True)
    again = train_clips(trained.recipe, folder, resume=True)
    assert [engine.clips for engine in engines] == [2, 1]  # the last second of the last film is excluded
    assert again is not None
    assert again.card.figures == trained.model.card.figures
    name = "evaluation/results.csv"
    assert (folder / name).read_bytes() == (trained.folder / name).read_bytes()


class Counting:
    """An engine that counts its clips.

    Args:
        engine: Scores them.
        stops_at: After so many it is stopped; None: never.
    """

    def __init__(self, engine: Engine, *, stops_at: int | None) -> None:
        self._engine, self._stops_at, self.clips = engine, stops_at, 0
        self.num_classes, self.batch_clips = engine.num_classes, 2

    def __call__(self, clips: Sequence[Any], boxes: Sequence[Any]) -> list[NDArray[np.float32]]:
        if self.clips == self._stops_at:
            raise KeyboardInterrupt
        self.clips += len(clips)
        return self._engine(clips, boxes)

    def describe(self) -> str:
        return self._engine.describe()


def test_in_a_test_people_of_missing_videos_are_missed(ava: DrawnAva, tmp_path: Path) -> None:
    """In training they are left out; without true boxes there is no test."""
    videos = Path(shutil.copytree(ava.folder / "videos", tmp_path / "videos"))
    (videos / f"{ava.validation[0]}_902.mp4").unlink()
    here = {"train": [], "validation": [], "videos": str(videos)}
    settings = recipe(ava, data=here)
    during, tested = read_recipe_keyframes(settings).validation, read_test_keyframes(settings)
    assert during is not None
    assert {name: list(seconds) for name, seconds in tested.people.items()} == {
        ava.validation[0]: list(SECONDS), ava.validation[1]: [SECONDS[0]],
    }  # fmt: skip
    assert list(during.people) == [ava.validation[1]]
    with pytest.raises(ConfigError, match=r"data\.boxes_test: films names no true boxes"):
        read_test_keyframes(recipe(ava, "data.boxes_test=''"))


def _check_detections(ava: DrawnAva, model: ModelFolder, out: Path) -> None:
    """People of a video are given, and the network says what they do."""
    video = next((ava.folder / "videos").iterdir())
    people = {"track": 1, "boxes": [{"time_s": 1.0, "box_xyxy_px": [10, 10, 40, 60]}]}
    size = {"width_px": 96, "height_px": 72}
    (out / "people").mkdir(parents=True)
    boxes = out / "people" / "boxes.json"
    boxes.write_text(json.dumps({"video": video.name, **size, "people": [people]}))
    in_process(
        "detect", video, "--model", model.path, "--people", boxes, "--out", out, "--formats", "json",
        "--min-score", "0",
    )  # fmt: skip
    (track,) = read_detections(out / f"{video.name}.detect.json").tracks
    actions = {action.label for point in track.points for action in point.actions}
    assert actions <= set(model.card.labels)
    assert actions


class Stop(Exception):
    """In the midst of a run."""


def test_a_run_that_stopped_anywhere_ends_with_the_same_weights(
    ava: DrawnAva, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sub-batch norms, precise statistics, an average, changes of colours, and the short cycle."""
    sections = {
        "batch_norm": {"kind": "sub", "splits": 2, "precise_batches": 1},
        "optimizer": {"name": "sgd", "ema_decay": 0.9, "clip_norm": 1.0},
        "augmentation": {"brightness": 0.4, "pca_lighting": 0.1, "erasing": 0.25},
        "multigrid": {"short_cycle": True, "short_factors": [0.75, 1.0], "epoch_factor": 1.0},
        "run": {"batch_size": 2, "workers": 0},
    }
    settings = recipe(ava, "schedule.epochs=2", "schedule.base_learning_rate=0.01", **sections)
    losses: dict[int, float] = {}

    def on_step(figures: StepFigures) -> None:
        assert losses.setdefault(figures.total, figures.loss) == figures.loss

    def stopping(figures: StepFigures) -> None:
        on_step(figures)
        if figures.total == max(losses) - 1:
            raise Stop

    train_clips(settings, tmp_path / "whole", on_step=on_step)
    assert len(losses) == 6  # four small clips, and twice two
    monkeypatch.setattr(loop_module, "_CHECKPOINT_S", 0.0)
    with pytest.raises(Stop):
        train_clips(settings, tmp_path / "stopped", on_step=stopping)
    train_clips(settings, tmp_path / "stopped", resume=True, on_step=on_step)
    ours, theirs = (read_weights(tmp_path / run / "films" / WEIGHTS).tensors for run in ("whole", "stopped"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_videos_are_read_too_and_a_broken_one_is_named_once(
    ava: DrawnAva, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = Path(shutil.copytree(ava.folder / "videos", tmp_path / "videos"))
    (videos / f"{ava.train[0]}_902.mp4").write_text("no video")
    (videos / f"{ava.validation[0]}_902.mp4").unlink()
    data = {"train": [], "validation": [], "videos": str(videos)}
    once = ("schedule.epochs=1", "schedule.warmup_epochs=0", "model.frozen=['slow.stem']")
    settings = recipe(ava, *once, data=data)
    results: list[EpochResult] = []
    made = train_clips(settings, tmp_path / "run", on_epoch=results.append)
    assert made is not None
    first = create_model("slowfast_tiny_det.synthetic", pretrained=True).state_dict()
    last = read_weights(made.path / WEIGHTS).tensors
    stays = {name for name in last if name in first and torch.equal(last[name], first[name])}
    assert stays == {name for name in last if name.startswith("slow.stem.")}
    lines = [record.message for record in caplog.records]
    assert len([line for line in lines if f"{ava.train[0]}_902.mp4" in line]) == 1
    assert len([line for line in lines if f"left out: 1, first {ava.validation[0]}" in line]) == 1
    assert results[0].broken == len(SECONDS)
    assert 0 <= results[0].figures["frame_map"] <= 1
    for path in videos.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot be read, more than a third; .*film"):
        train_clips(settings, tmp_path / "none")


def test_clips_without_boxes_have_no_loss_and_a_gradient() -> None:
    network = create_model("slowfast_tiny_det", num_classes=3)
    clips = torch.randn(2, 3, 8, 48, 48)
    batch = KeyframeClips(_no_clips(), torch.zeros(0, 5), torch.zeros(0, 2))
    objective, rng = DetectionObjective(), np.random.default_rng(0)
    nothing = objective.loss(network, clips, batch, rng)
    nothing.backward()
    assert nothing.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in network.parameters())
    # Of the third clip, which the splits of batch norms left out, nobody counts.
    network.eval()
    boxes = torch.tensor([[0.0, 4, 4, 30, 40], [1, 0, 0, 20, 20], [2, 0, 0, 9, 9]])
    targets = torch.tensor([[1.0, 0], [0, 0], [0, 1]])
    loss = objective.loss(network, clips, KeyframeClips(_no_clips(), boxes, targets), rng)
    scores = network.scores(clips, boxes[:2])
    truth = torch.tensor([[1.0, 0, 0], [0, 0, 0]])
    assert torch.allclose(loss, torch.nn.functional.binary_cross_entropy(scores, truth), atol=1e-5)


def _no_clips() -> ClipBatch:
    return collate([])


def test_a_network_for_clips_is_the_beginning_of_one_for_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last layer is new, boxes are aligned as the recipe has it, and what is frozen does not learn."""
    for name in ("slow_r50_4x16", "slow_r50_4x16_det"):
        network = architecture(name)
        small = replace(network, options={**network.options, **narrow(name)})
        monkeypatch.setitem(ARCHITECTURES, name, small)
    donor = create_model("slow_r50_4x16", num_classes=400)
    save_weights(donor, tmp_path / "donor.safetensors")
    model = ModelSection(
        network="slow_r50_4x16_det",
        start_from=str(tmp_path / "donor.safetensors"),
        roi_aligned=True,
        frozen=("pathway.stem",),
    )
    made = recipe_network(model, num_classes=13, num_frames=4, is_multi_label=True, seed=0)
    ours, theirs = made.state_dict(), donor.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if not name.startswith("head."))
    assert made.get_classifier().out_features == 13
    assert made.head.aligned is True
    assert made.head.head_config.activation == "sigmoid"
    assert not any(p.requires_grad for p in made.get_submodule("pathway.stem").parameters())


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (("augmentation.rand_augment=m7-n4",), r"augmentation\.rand_augment: it does nothing for data\.kind"),
        (("model.num_classes=5",), r"model\.num_classes: 5, and the label map has 13 actions"),
        (("data.boxes_train=[]",), r"data\.boxes_train: name the files of true boxes"),
        (("data.train=[]", "data.videos=''"), r"data\.videos: name the folder of videos or of frames"),
        (("evaluation.keyframes_every=7",), r"data\.boxes_test: no true box .* seconds that 7 divides"),
        (("data.least_box_score=1.0",), r"data\.predicted_boxes_test: no box with a score of 1 or more"),
    ],
)
def test_what_cannot_be_trained_is_said_before_it_begins(
    ava: DrawnAva, tmp_path: Path, overrides: tuple[str, ...], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        train_clips(recipe(ava, *overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch(ava: DrawnAva, tmp_path: Path) -> None:
    """Although one of them may have no boxes in a batch of one clip; and the published protocol is of all."""
    same = ("model.dropout=0", "optimizer.name=sgd", "clip_norm=1", "base_learning_rate=1e-3", "batch_size=2")
    crop = ("clip.crop_px=24", "clip.short_side_px=[52,60]")  # small crops often hold nobody
    frozen = {"batch_norm": {"frozen": True}}
    often = ("schedule.epochs=2", "evaluation.every_epochs=2", "evaluation.at_end=true")
    settings = recipe(ava, *same, *crop, *often, **frozen)
    one, two = (_lines(settings, tmp_path / str(n), devices=n) for n in (1, 2))
    assert len(one["loss"]) == len(two["loss"]) == 8
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-3)
    np.testing.assert_allclose(two["frame_map"], one["frame_map"], atol=1e-3)
    cards = [read_model_folder(tmp_path / str(n) / "films").card.figures for n in (1, 2)]
    assert cards[1] == pytest.approx(cards[0], abs=1e-3)
    assert (cards[1]["test_keyframes"], cards[1]["test_failed"]) == (3, 0)
    files = sorted(path.name for path in (tmp_path / "2" / "evaluation").iterdir())
    assert files == ["results.csv", "results.csv.done.jsonl"]


def _lines(settings: Recipe, run: Path, *, devices: int) -> dict[str, list[float]]:
    file = run.with_suffix(".json")
    file.write_text(settings.model_dump_json(exclude_none=True))
    command = [sys.executable, "-m", __name__, str(file), str(run), str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, list[float]] = {"loss": [], "frame_map": []}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found[name].append(float(value))
    return found


if __name__ == "__main__":
    train_clips(
        recipe_of(json.loads(Path(sys.argv[1]).read_text()), origin="test"),
        Path(sys.argv[2]),
        machine=Machine("cpu", int(sys.argv[3])),
        on_step=lambda step: print("loss", repr(step.loss), flush=True),
        on_epoch=lambda r: [print("frame_map", v, flush=True) for v in r.figures.values()] and None,
    )
