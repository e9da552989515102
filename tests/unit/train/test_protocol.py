"""Networks are measured by the published protocol: the clips, views and figures of each data set, and the
same by several processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.support.bad_videos import encode
from tests.support.square_clips import moving_squares
from twinpath.engine.config import EngineConfig
from twinpath.errors import ConfigError
from twinpath.jobs.evaluate import LabelledRun
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.classifier import Classifier
from twinpath.recognize.plan import Views, plan_views
from twinpath.recognize.read import VideoReader
from twinpath.train.loop.network import recipe_network
from twinpath.train.loop.result import result_spec, write_result
from twinpath.train.loop.train import train_clips
from twinpath.train.protocol import protocol_data, protocol_job
from twinpath.train.recipe import Recipe, read_recipe, recipe_of
from twinpath.video.clip_plan import Selections
from twinpath.video.probe import VideoInfo
from twinpath.video.resize import ResizedFrames
from twinpath.zoo.model_folder import ModelFolder, read_model_folder

BASE: dict[str, Any] = {
    "name": "x",
    "model": {"network": "slowfast_tiny", "zero_init_last_norm": False},
    "clip": {"frames": 8, "sampling_rate": 1, "short_side_px": [36, 44], "crop_px": 32},
    "schedule": {"epochs": 1, "base_learning_rate": 1e-3},
    "evaluation": {"crop_px": 32, "clips": 2, "crops": 3},
    "run": {"batch_size": 4, "workers": 0},
}
SHADES = ("dark", "light")


def recipe(data: dict[str, Any], **sections: Any) -> Recipe:
    values = {
        key: {**value, **sections.get(key, {})} for key, value in BASE.items() if isinstance(value, dict)
    }
    return recipe_of({**sections, **values, "name": "x", "data": data}, origin="test")


class ByLight:
    """A classifier that scores a crop by how light it is, and counts what it is given."""

    def __init__(self, model: ModelFolder) -> None:
        self.model, self.weights_sha256, self.spec = model.name, model.sha256, model.card.input
        self.labels, self.reader = model.card.labels, VideoReader(fps=30)
        self.batch_clips, self.crops = 2, list[int]()

    def engine(self, num_crops: int = 1) -> ByLight:
        return self

    def __call__(
        self, clips: Sequence[ResizedFrames], boxes_xyxy_px: None = None
    ) -> list[NDArray[np.float32]]:
        found = []
        for clip in clips:
            light = clip.pixels.mean(axis=(0, 2, 3, 4)).astype(np.float32) / 255
            self.crops.append(len(light))
            scores = np.zeros((len(light), len(self.labels)), np.float32)
            scores[:, 0], scores[:, 1] = 1 - light, light
            found.append(scores)
        return found


def film(path: Path, shade: int) -> Path:
    def paint(picture: NDArray[np.uint8]) -> None:
        picture[:] = shade

    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, numbers=range(24), paint=paint)


def frames(folder: Path, shade: int, *, tail: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(24):
        Image.new("RGB", (48, 40), (shade if number < 15 else tail,) * 3).save(
            folder / f"{folder.name}-{number:06d}.jpg"
        )
    return folder


def kinetics(root: Path) -> dict[str, Any]:
    films = [film(root / f"{name}.mp4", shade) for name, shade in (("a", 20), ("b", 230), ("c", 40))]
    (root / "test.csv").write_text("".join(f"{path.name} {i % 2}\n" for i, path in enumerate(films)))
    return {"kind": "kinetics", "videos": str(root), "test": [str(root / "test.csv")]}


def ucf101(root: Path) -> dict[str, Any]:
    for name, shade in (("dark/v_dark_g01_c01.mp4", 20), ("light/v_light_g01_c01.mp4", 230)):
        film(root / name, shade)
    (root / "classInd.txt").write_text("1 dark\n2 light\n")
    (root / "testlist01.txt").write_text("dark/v_dark_g01_c01.mp4\nlight/v_light_g01_c01.mp4\n")
    return {"kind": "ucf101", "videos": str(root), "validation": [str(root / "testlist01.txt")]}


def hmdb51(root: Path) -> dict[str, Any]:
    for name, shade in (("dark", 20), ("light", 230)):
        film(root / name / "one.mp4", shade)
        (root / f"{name}_test_split1.txt").write_text("one.mp4 2\n")
    return {"kind": "hmdb51", "videos": str(root), "test": [str(root / "*_test_split1.txt")]}


def something(root: Path) -> dict[str, Any]:
    rows = []
    for number, (name, shade) in enumerate((("dark", 20), ("light", 230))):
        film(root / f"{number}.mp4", shade).rename(root / f"{number}.webm")
        rows.append({"id": str(number), "template": name})
    (root / "labels.json").write_text(json.dumps({"dark": "0", "light": "1"}))
    (root / "val.json").write_text(json.dumps(rows))
    return {"kind": "something", "videos": str(root), "validation": [str(root / "val.json")]}


def charades(root: Path) -> dict[str, Any]:
    """A film that is light at its end has both labels."""
    rows = ["original_vido_id video_id frame_id path labels"]
    for number, (shade, tail, labels) in enumerate(((20, 230, "0,1"), (20, 20, "0"))):
        frames(root / f"v{number}", shade, tail=tail)
        rows += [f'v{number} {number} {k} v{number}/v{number}-{k:06d}.jpg "{labels}"' for k in range(24)]
    (root / "val.csv").write_text("\n".join(rows) + "\n")
    return {
        "kind": "charades",
        "multi_label": True,
        "videos": str(root),
        "validation": [str(root / "val.csv")],
    }


def imagenet(root: Path) -> dict[str, Any]:
    for name, shade in (("dark", 20), ("light", 230)):
        (root / "val" / name).mkdir(parents=True)
        Image.new("RGB", (60, 40), (shade,) * 3).save(root / "val" / name / "a.JPEG")
    return {"kind": "imagenet", "validation": [str(root / "val")]}


@pytest.mark.parametrize("make", [kinetics, ucf101, hmdb51, something, charades, imagenet])
def test_each_published_format(make: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    is_image, is_charades = make is imagenet, make is charades
    sections: dict[str, Any] = {"loss": {"kind": "binary"}} if is_charades else {}
    if is_charades:
        sections["evaluation"] = {"clips": 10, "combine": "max"}
    if is_image:
        sections |= {"model": {"network": "resnet50"}, "evaluation": {"clips": 1, "crops": 1}}
        sections["clip"] = {"frames": 1}
    of = recipe(make(root), **sections)
    num_classes = 157 if is_charades else 2
    small = recipe_network(of.model.model_copy(update={"network": "slowfast_tiny"}), num_classes=num_classes,
                           num_frames=8, is_multi_label=is_charades, seed=0)  # fmt: skip
    labels = (*SHADES, *(f"class {i}" for i in range(2, num_classes)))
    model = write_result(tmp_path / "x", of, small, labels, [], num_frames=1 if is_image else 8)
    data = protocol_data(of, labels)
    run = LabelledRun(data, protocol_job(of, str(model.path)))
    classifier = ByLight(model)
    outcomes = list(run.outcomes(cast("Callable[[], Classifier]", lambda: classifier)))
    assert [o.error for o in outcomes] == [None] * len(data.clips)
    assert classifier.crops == [of.evaluation.crops] * of.evaluation.clips * len(data.clips)
    assert run.summary is not None
    assert run.evaluation is not None
    if is_charades:  # its lightest view counts, and the other film has none
        assert run.summary.top1 is None
        both, dark = (answer.scores for answer in run.evaluation.answers)
        assert both[1] > 0.85 > 0.2 > dark[1]
        assert run.summary.mean_average_precision == pytest.approx(1.0)
    else:
        assert (run.summary.clips, run.summary.top1) == (len(data.clips), 1.0)
    assert model.card.input.sampling == {something: "segments", charades: "strided"}.get(make, "clip")  # type: ignore[call-overload]


def test_the_views_of_charades_reach_the_end() -> None:
    """Golden figures by hand of get_seq_frames of datasets/charades.py: 100 frames, 8 x 4, 3 views."""
    of = recipe({"kind": "charades", "multi_label": True, "validation": ["v"]}, loss={"kind": "binary"},
                clip={"sampling_rate": 4})  # fmt: skip
    info = VideoInfo.__new__(VideoInfo)
    object.__setattr__(info, "duration_s", 100 / 30)
    object.__setattr__(info, "average_fps", 30.0)
    spec = result_spec(of, 8)

    def starts(num_views: int) -> list[int]:
        plan = plan_views(Views(1, num_views), spec, info=info)
        assert isinstance(plan, Selections)
        return [round(selection.times_s[0] * 30) for selection in plan.selections]  # type: ignore[union-attr]

    assert starts(3) == [0, 36, 71]  # round(35.5 * view), to the even one
    assert starts(1) == [35]


def test_a_network_that_learned_from_bgr_is_kept_as_one_for_rgb(tmp_path: Path) -> None:
    of = recipe({"kind": "something", "validation": ["v"]}, clip={"bgr": True})
    network = recipe_network(of.model, num_classes=2, num_frames=8, is_multi_label=False, seed=0).eval()
    clips = torch.rand(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.scores(clips.flip(1))
        write_result(tmp_path / "x", of, network, SHADES, [], num_frames=8)
        torch.testing.assert_close(network.scores(clips), expected)


def test_a_recipe_without_test_clips_is_refused() -> None:
    for name in ("slowfast_r50_8x8_kinetics", "slowfast_r50_8x8_ava", "slowfast_tiny"):
        with pytest.raises(ConfigError, match=r"data\.test and data\.validation"):
            protocol_data(read_recipe(name), ())


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of one epoch with five test clips, measured by its protocol."""
    root = tmp_path_factory.mktemp("run")
    made = moving_squares(root / "squares", num_clips=9)
    for part, clips in (("train", made[:4]), ("test", made[4:])):
        rows = [f"{clip.path.name} {i % 2}" for i, clip in enumerate(clips)]
        (root / f"{part}.csv").write_text("\n".join(rows) + "\n")
    lists = {part: [str(root / f"{part}.csv")] for part in ("train", "test")}
    of = recipe({"kind": "kinetics", "videos": str(root / "squares"), **lists})
    seen: list[LabelledRun] = []
    done: list[tuple[int, int]] = []
    model = train_clips(of, root / "run", on_evaluation=seen.append, on_file=lambda i, n: done.append((i, n)))
    assert model is not None
    (measured,) = seen
    assert measured.summary is not None
    assert done[-1] == (5, 5)
    assert model.card.figures["test_clips"] == 5
    assert model.card.figures["test_views"] == "3 crops of 2 clips, mean"
    assert model.card.figures["test_top1"] == measured.summary.top1
    return root / "run"


def evaluate(run: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "twinpath", "evaluate", str(run), "--device", "cpu", *options],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_several_processes_give_what_one_gives(run_folder: Path, tmp_path: Path) -> None:
    """Five clips for two processes; a resumed command has nothing to do, and the card keeps its figures."""
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    alone = {p.name: p.read_bytes() for p in (run / "evaluation").iterdir() if p.suffix == ".parquet"}
    figures = read_model_folder(run / "x").card.figures
    shutil.rmtree(run / "evaluation")
    printed = evaluate(run, "--devices", "2", "--json")
    assert json.loads(printed)["clips"] == 5
    found = {p.name: p.read_bytes() for p in (run / "evaluation").iterdir()}
    assert {name: found[name] for name in alone} == alone
    assert [name for name in found if name.startswith("scores")] == ["scores.jsonl"]
    assert read_model_folder(run / "x").card.figures == figures
    lines = [json.loads(line)["video"] for line in found["scores.jsonl"].decode().splitlines()]
    assert sorted(Path(line).name for line in lines) == [f"{n:03}.mp4" for n in range(4, 9)]


def test_another_protocol_of_the_same_run(run_folder: Path) -> None:
    classifier = Classifier(str(run_folder / "x"), config=EngineConfig(device="cpu"))
    of = read_recipe(
        str(run_folder / "recipe.toml"), ["evaluation.clips=1", "evaluation.crops=1", "combine=max"]
    )
    run = LabelledRun(protocol_data(of, classifier.labels), protocol_job(of, str(run_folder / "x")))
    list(run.outcomes(lambda: classifier))
    assert run.evaluation is not None
    for answer in run.evaluation.answers:
        expected = classifier(answer.path, views="1x1", top_k=1)
        assert expected.predictions[0].index == answer.best


def test_a_model_takes_clips_as_its_recipe_says() -> None:
    spec: InputSpec = result_spec(read_recipe("resnet50_imagenet"), 1)
    assert (spec.crop_px, spec.short_side_px) == (256, 293)
    spec = result_spec(read_recipe("slowfast_r50_16x8_charades"), 64)
    assert (spec.sampling, spec.short_side_px, spec.offset_views) == ("strided", 256, True)
