"""Explanations: where, when, which pathway; whether they are so; and what is written."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.commands import in_process, twinpath
from tests.support.narrow_networks import CROP, MAX_FRAMES, narrow, small
from twinpath.data.synthetic import ACTIONS
from twinpath.data.synthetic.clips import TEST_SEED, labelled_scene, people_scene, truth_of, write_clip
from twinpath.errors import UsageError
from twinpath.explain.explainer import Explainer
from twinpath.explain.faithfulness import faithfulness
from twinpath.explain.when import Losses, over_frames
from twinpath.explain.where import WHOLE, class_maps
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.results.explanation import Explanation, PersonAt

TINY = "slowfast_tiny.synthetic"
FAMILIES = (
    "c2d_r50_8x8", "slow_nln_r50_4x16", "slowfast_r50_8x8", "x3d_s", "mvit_v1_b_16x4", "mvit_v2_s_16x4",
    "vit_b_16x4", "rev_mvit_b", "r2plus1d_18", "mc3_18", "s3d",
)  # fmt: skip


def written(folder: Path, *, label: str, count: int = 1) -> list[tuple[int, Path]]:
    """Seeds and videos of drawn clips of a label."""
    first = TEST_SEED + (ACTIONS.index(label) - TEST_SEED) % len(ACTIONS)
    seeds = [first + len(ACTIONS) * i for i in range(count)]
    paths = [folder / f"{seed}.mp4" for seed in seeds]
    for seed, path in zip(seeds, paths, strict=True):
        if not path.exists():
            write_clip(path, labelled_scene(seed), height_px=128)
    return list(zip(seeds, paths, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def explain() -> Explainer:
    return Explainer(TINY)


def in_box(found: Explanation, seed: int) -> tuple[float, float]:
    """Share of the map's energy in the boxes of the person who acts, and of the pixels."""
    times_s = found.times_s.tolist()
    truth = truth_of(labelled_scene(seed), height_px=128, keyframes_s=times_s)
    boxes = [box for person in truth["people"] if person["action"] == found.label for box in person["boxes"]]
    top, left, height, width = found.crop
    inside = np.zeros(found.maps[WHOLE].shape, dtype=bool)
    side = inside.shape[1]
    for box in boxes:
        frame = int(np.argmin(np.abs(found.times_s - box["time_s"])))
        x1, y1, x2, y2 = box["box_xyxy_px"]
        x1, x2 = (round((x / truth["width_px"] - left) / width * side) for x in (x1, x2))
        y1, y2 = (round((y / 128 - top) / height * side) for y in (y1, y2))
        inside[frame, max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = True
    energy = found.maps[WHOLE].astype(np.float64) ** 2
    return float(energy[inside].sum() / energy.sum()), float(inside.mean())


def test_the_map_marks_the_person_who_acts(explain: Explainer, folder: Path) -> None:
    shares = []
    for label in ("wave", "kick", "squat", "sit down", "throw", "walk"):
        for seed, path in written(folder, label=label):
            found = explain(path, is_measured=False)
            assert found.best_label == label
            shares.append(in_box(found, seed))
    energy, area = np.mean(shares, axis=0)
    assert area < 0.25
    assert energy > 0.7


def test_the_curve_of_time_has_its_peak_where_the_person_moves(explain: Explainer, folder: Path) -> None:
    for label in ("sit down", "stand up"):
        for seed, path in written(folder, label=label, count=2):
            found = explain(path, is_measured=False)
            truth = truth_of(labelled_scene(seed), height_px=128, keyframes_s=found.times_s.tolist())
            person = next(p for p in truth["people"] if p["action"] == label)
            tops = np.array([box["box_xyxy_px"][1] for box in person["boxes"]])
            halfway = int(np.argmin(np.abs(tops - (tops.max() + tops.min()) / 2)))
            assert abs(int(np.argmax(found.losses)) - halfway) <= 2


def test_a_direction_reacts_to_reversed_time(explain: Explainer, folder: Path) -> None:
    ((_, path),) = written(folder, label="sit down")
    clip = explain.clip(path)
    up, down = (explain.labels.index(label) for label in ("stand up", "sit down"))
    forward, backward = (explain.scores(c)[0] for c in (clip, clip.flip(2)))
    assert forward[down] > 0.5 > backward[down]
    assert backward[up] > 0.5 > forward[up]


def test_faithfulness_beats_a_random_map_and_names_what_does_not(explain: Explainer, folder: Path) -> None:
    ((_, path),) = written(folder, label="throw")
    found = explain(path)
    assert found.faithfulness is not None
    assert found.faithfulness.beats_random
    assert found.warnings == ()
    assert set(found.maps) == {"whole", "slow", "fast"}
    assert found.score_without["fast"] < found.score
    other = explain(path, label="wave")
    assert other.label == "wave"
    assert other.best_label == found.label
    assert np.corrcoef(other.maps[WHOLE].ravel(), found.maps[WHOLE].ravel())[0, 1] < 0.9


def test_a_person_of_many(tmp_path: Path) -> None:
    scene = people_scene(TEST_SEED + 5)
    path = tmp_path / "people.mp4"
    write_clip(path, scene, height_px=160)
    truth = truth_of(scene, height_px=160, keyframes_s=[1.2])
    person = next(p for p in truth["people"] if p["action"] == truth["label"])
    x1, y1, x2, y2 = person["boxes"][0]["box_xyxy_px"]
    explain = Explainer("slowfast_tiny_det.synthetic")
    found = explain(path, person=PersonAt(1.2, (x1, y1, x2, y2)), is_measured=False)
    assert found.best_label == truth["label"]
    width = found.maps[WHOLE].shape[2]
    energy = found.maps[WHOLE].astype(np.float64).sum(axis=0) ** 2
    across = np.arange(width) / width * truth["width_px"]
    near = (across > x1 - (x2 - x1)) & (across < x2 + (x2 - x1))
    assert energy[:, near].sum() > 0.7 * energy.sum()
    with pytest.raises(UsageError, match="name a time and a box"):
        explain(path)


def network_of(name: str) -> VideoNetwork:
    network = small(name, num_classes=3, **narrow(name)).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a new last layer answers almost nothing
        shape = network.head.projection.weight.shape
        network.head.projection.weight.copy_(torch.randn(shape, generator=generator))
    return network


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_maps_that_beat_a_random_one(name: str) -> None:
    network = network_of(name)
    frames = min(architecture(name).num_frames, MAX_FRAMES)
    clip = 0.2 * torch.randn(1, 3, frames, CROP, CROP, generator=torch.Generator().manual_seed(0))
    clip[:, :, :, 16:36, 20:40] += 2  # something to find

    def logits(clips: Tensor) -> Tensor:
        with torch.no_grad():
            return network(clips)[:, 0]

    # What speaks for the class where the clip does, and against it where it does not.
    sign = 1.0 if float(logits(clip)[0]) > float(logits(torch.zeros_like(clip))[0]) else -1.0
    maps = class_maps(network, clip, lambda clips: sign * network(clips)[0, 0])
    whole = maps[WHOLE]
    assert whole.shape == (frames, CROP, CROP)
    assert whole.min() >= 0
    assert whole.max() == pytest.approx(1)
    found = faithfulness(whole, clip, lambda clips: sign * logits(clips))
    assert found.deletion < found.random_deletion
    assert not network.training
    assert torch.equal(network(clip), network(clip))  # no hook is left
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_other_weights_give_another_map(explain: Explainer, folder: Path) -> None:
    ((_, path),) = written(folder, label="kick")
    clip = explain.clip(path)
    trained = explain(path, is_measured=False).maps[WHOLE]
    network = architecture("slowfast_tiny").build().eval()
    index = explain.labels.index("kick")
    drawn_anew = class_maps(network, clip, lambda clips: network(clips)[0, index])[WHOLE]
    assert np.corrcoef(trained.ravel(), drawn_anew.ravel())[0, 1] < 0.5


def test_between_windows_losses_are_linear() -> None:
    losses = Losses(np.array([0.5, 2.5]), np.array([[1.0], [3.0]]))
    assert over_frames(losses, 4).tolist() == [[1.0], [1.5], [2.5], [3.0]]


def test_the_command(folder: Path, tmp_path: Path) -> None:
    ((_, path),) = written(folder, label="throw")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 99)
    command = ("explain", path, broken, "--model", TINY, "--out", tmp_path / "out", "--json")
    done = twinpath(*command, code=4)
    assert "broken.mp4" in done.err
    found = done.objects[0]
    assert found["label"] == "throw"
    files = {Path(name).suffix: tmp_path / "out" / name for name in found["files"].values()}
    assert sorted(files) == [".json", ".mp4", ".png"]
    with Image.open(files[".png"]) as sheet:
        assert sheet.size[0] > 1000
    with av.open(str(files[".mp4"])) as container:
        assert sum(1 for _ in container.decode(video=0)) > 40
    written_at = files[".png"].stat().st_mtime_ns
    assert twinpath(*command, code=4).objects[0]["label"] == "throw"
    assert files[".png"].stat().st_mtime_ns == written_at
    error = in_process("explain", path, "--model", TINY, "--label", "thro", code=2).error
    assert "did you mean throw" in error
