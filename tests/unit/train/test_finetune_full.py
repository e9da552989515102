"""A whole network is trained on few clips: it learns them, stops and goes on, and says what it left out."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.square_clips import CLASSES, moving_squares
from twinpath.data.labelled.clip import LabelledClip
from twinpath.errors import ConfigError, InputError, Interrupted, TrainingDiverged, UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.train.finetune.full import FullResult, train_full
from twinpath.train.finetune.full_module import FullModule
from twinpath.train.finetune.full_settings import FullSettings

SPEC = InputSpec(num_frames=8, sampling_rate=2, short_side_px=32, crop_px=32)
QUICK = FullSettings(
    epochs=3,
    batch_size=4,
    frozen_epochs=1,
    validation_views="1x1",
    learning_rate=1e-3,
    erasing=0.2,
    randaugment=5,
)
LONGER = replace(QUICK, epochs=14, patience_epochs=14)


def network() -> VideoNetwork:
    torch.manual_seed(0)
    return architecture("slowfast_tiny").build(num_classes=7, num_frames=8, crop=32, width=8)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledClip]:
    return moving_squares(tmp_path_factory.mktemp("squares"), num_clips=8)


def run(
    clips: list[LabelledClip],
    folder: Path,
    settings: FullSettings = QUICK,
    validation: list[LabelledClip] | None = None,
    **options: Any,
) -> FullResult:
    arguments = {"classes": CLASSES, "is_multi_label": False, "progress": False} | options
    held_out = clips[:2] if validation is None else validation
    return train_full(network(), SPEC, clips, held_out, settings=settings, folder=folder, **arguments)


def stopped(clips: list[LabelledClip], folder: Path, *, epoch: int, error: BaseException) -> None:
    """A run that ends in the midst of an epoch, the first of which is 0."""

    def stop(module: FullModule, batch: object, batch_index: int) -> None:
        if (module.current_epoch, batch_index) == (epoch, 1):
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FullModule, "on_train_batch_start", stop)
        run(clips, folder)


def same(one: FullResult, other: FullResult) -> bool:
    assert one.state_dict.keys() == other.state_dict.keys()
    return all(torch.equal(tensor, other.state_dict[name]) for name, tensor in one.state_dict.items())


@pytest.fixture(scope="module")
def whole(clips: list[LabelledClip], tmp_path_factory: pytest.TempPathFactory) -> FullResult:
    """What a run without interruption gives."""
    return run(clips, tmp_path_factory.mktemp("whole") / "run")


def test_it_learns_eight_clips(clips: list[LabelledClip], tmp_path: Path) -> None:
    settings = replace(
        QUICK,
        epochs=12,
        repeats=3,
        learning_rate=3e-3,
        layer_decay=1.0,
        erasing=0.0,
        randaugment=0,
        flip=False,
    )
    result = run(clips, tmp_path, settings, clips)
    best = result.history[result.epoch]
    assert best.validation_top1 == 1.0
    assert best.validation_loss == min(figures.validation_loss for figures in result.history)
    assert result.failed == ()
    trained = network()
    trained.reset_classifier(2)
    trained.load_state_dict(result.state_dict)
    assert not (tmp_path / "frames").exists()


def test_the_number_of_workers_changes_nothing(
    clips: list[LabelledClip], whole: FullResult, tmp_path: Path
) -> None:
    assert same(whole, run(clips, tmp_path, replace(QUICK, workers=1)))


def test_frames_that_are_not_kept_are_the_same(
    clips: list[LabelledClip], whole: FullResult, tmp_path: Path
) -> None:
    assert same(whole, run(clips, tmp_path, replace(QUICK, cache_bytes=0)))


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_an_interrupted_run_that_goes_on_ends_like_an_uninterrupted_one(
    clips: list[LabelledClip], whole: FullResult, tmp_path: Path, epoch: int
) -> None:
    with pytest.raises(RuntimeError, match="pulled the plug"):
        stopped(clips, tmp_path, epoch=epoch, error=RuntimeError("pulled the plug"))
    resumed = run(clips, tmp_path, resume=True)
    assert same(whole, resumed)
    assert resumed.history == whole.history
    assert same(whole, run(clips, tmp_path, resume=True))  # nothing is left to do


def test_ctrl_c_says_how_to_go_on(clips: list[LabelledClip], whole: FullResult, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match=r"resume=True goes on after .*last\.ckpt"):
        stopped(clips, tmp_path, epoch=1, error=KeyboardInterrupt())
    assert (tmp_path / "best.safetensors").exists()
    assert same(whole, run(clips, tmp_path, resume=True))


def test_a_run_goes_on_with_its_own_settings_and_clips_only(
    clips: list[LabelledClip], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError):
        stopped(clips, tmp_path, epoch=1, error=RuntimeError())
    with pytest.raises(ConfigError, match="another learning_rate, train;"):
        run(clips[:7], tmp_path, replace(QUICK, learning_rate=0.1), clips[:2], resume=True)
    with pytest.raises(ConfigError, match="resume=True"):
        run(clips, tmp_path)


def test_the_last_epoch_counts_without_validation_clips(clips: list[LabelledClip], tmp_path: Path) -> None:
    result = run(clips, tmp_path, replace(QUICK, patience_epochs=1), [])
    assert result.epoch == 2
    assert [figures.validation_loss for figures in result.history] == [None] * 3


def test_it_stops_early_and_keeps_the_best(clips: list[LabelledClip], tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=9, patience_epochs=1, learning_rate=0.3)
    result = run(clips, tmp_path, settings)
    assert len(result.history) == result.epoch + 2 < 9
    resumed = run(clips, tmp_path, settings, resume=True)
    assert same(result, resumed)
    assert resumed.history == result.history


def test_clips_with_several_classes_or_none(clips: list[LabelledClip], tmp_path: Path) -> None:
    several = [replace(clips[0], labels=CLASSES), replace(clips[1], labels=()), *clips[2:]]
    result = run(several, tmp_path, replace(QUICK, mixup=0.2), is_multi_label=True)
    assert result.history[-1].validation_loss < 1.5


def test_broken_files_are_left_out_and_named(clips: list[LabelledClip], tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("no video")
    broken = [LabelledClip(path, CLASSES[:1]) for path in (empty, text)]
    behind = replace(clips[0], start_s=50.0, end_s=52.0)
    result = run([broken[0], *clips, broken[1]], tmp_path / "run", validation=[clips[0], behind])
    assert [clip for clip, _ in result.failed] == [*broken, behind]
    assert "empty.mp4" in str(result.failed[0][1])
    assert same(result, run(clips, tmp_path / "without", validation=[clips[0]]))
    with pytest.raises(InputError, match=r"2 of 5 clips .*empty\.mp4.*text\.mp4"):
        run([*broken, *clips[:3]], tmp_path / "many", validation=[])


def test_a_loss_that_is_no_number_names_step_and_files(clips: list[LabelledClip], tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"step \d+, with the clips .*\.mp4.*learning_rate"):
        run(clips, tmp_path, replace(QUICK, learning_rate=1e30, frozen_epochs=0))
    assert not (tmp_path / "last.ckpt").exists()


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(UsageError, match=r"layer_decay must be 0 to 1, not 1\.5"):
        FullSettings(layer_decay=1.5)
    with pytest.raises(UsageError, match="epochs must be at least 1"):
        FullSettings(epochs=0)


def test_settings_are_chosen_by_data_network_and_machine() -> None:
    few, many = (FullSettings.chosen(n, network(), "cpu") for n in (6, 5000))
    assert few.repeats * 6 >= 48
    assert (many.repeats, many.device) == (1, "cpu")
    assert many.epochs < few.epochs
    large = FullSettings.chosen(100, architecture("x3d_m").build(), "cpu", seed=4)
    assert large.learning_rate < few.learning_rate
    assert large.seed == 4


@pytest.mark.slow
def test_killed_at_ten_random_moments_the_weights_are_the_same(
    clips: list[LabelledClip], tmp_path: Path
) -> None:
    """Each kill comes after some batches of the process and a random part of the time of another."""
    folder, rng = tmp_path / "run", random.Random(4)
    command = [sys.executable, "-m", __name__, str(clips[0].path.parent), str(folder)]
    killed = 0
    while killed < 10:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            batches = len(process.stdout.read(rng.randrange(1, 6)))
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        killed += bool(batches)
    resumed = run(clips, folder, LONGER, resume=True)
    whole = run(clips, tmp_path / "whole", LONGER)
    assert same(whole, resumed)
    assert whole.history == resumed.history


if __name__ == "__main__":
    made = [
        LabelledClip(path, (CLASSES[i % 2],), group=path.name)
        for i, path in enumerate(sorted(Path(sys.argv[1]).glob("*.mp4")))
    ]
    on_batch_end = FullModule.on_train_batch_end

    def count(module: FullModule, *arguments: Any) -> None:
        """A byte for each batch."""
        on_batch_end(module, *arguments)
        os.write(1, b".")

    FullModule.on_train_batch_end = count  # type: ignore[method-assign]
    run(made, Path(sys.argv[2]), LONGER, resume=True)
