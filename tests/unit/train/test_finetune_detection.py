"""The round trip: `detect`, correct by hand, learn three actions of one's own, `detect` with them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import in_process
from twinpath.data.labelled.keyframes import LabelledKeyframes, read_keyframes
from twinpath.data.synthetic import TEST_SEED, people_scene, truth_of, write_clip
from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, PartialFailure, UsageError
from twinpath.formats.detections import read_detections
from twinpath.train.finetune import detection
from twinpath.train.finetune.box_features import BoxFeatures
from twinpath.train.finetune.detection import DetectionFinetuneResult, finetune_detection
from twinpath.zoo.model_folder import read_model_folder

pytest.importorskip("sklearn")

MODEL = "slowfast_tiny_det.synthetic"
SEEDS = (103, 153, 220)  # somebody walks, waves and claps in each, and does something else
HEIGHT_PX = 144
EVERY_S = 0.8
GO, GREET, CLAP = "go along", "grüßen & <wave>", "clap, or so"
OWN = {"walk": GO, "wave": GREET, "clap": CLAP}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos, and of each a file with its true people."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed in SEEDS:
        scene = people_scene(TEST_SEED + seed)
        write_clip(folder / f"{seed}.mp4", scene, height_px=HEIGHT_PX)
        keyframes_s = np.arange(3) * EVERY_S
        truth = truth_of(scene, height_px=HEIGHT_PX, keyframes_s=keyframes_s.tolist())
        (folder / f"{seed}.truth").write_text(json.dumps({"video": f"{seed}.mp4", **truth}))
    return folder


def detect(scenes: Path, seed: int, out: Path, model: str | Path, formats: str) -> Path:
    """The beginning of the names of its files."""
    in_process(
        "detect",
        scenes / f"{seed}.mp4",
        "--model",
        model,
        "--people",
        scenes / f"{seed}.truth",
        "--every",
        str(EVERY_S),
        "--out",
        out,
        "--formats",
        formats,
    )
    return out / f"{seed}.mp4.detect"


def teach(data: LabelledKeyframes, out: Path, **options: Any) -> DetectionFinetuneResult:
    return finetune_detection(
        data, model=MODEL, out=out, strengths=(0.1,), config=EngineConfig(device="cpu"), **options
    )


def true_actions(scenes: Path, seed: int) -> list[str]:
    """What each person does, in order of their tracks; "" is nothing of ours."""
    people = json.loads((scenes / f"{seed}.truth").read_text())["people"]
    return [OWN.get(person["action"], "") for person in people]


def correct(xml: Path, actions: list[str]) -> None:
    """What somebody does in CVAT: other checkboxes in the label, and ticks where they belong."""
    tree = ET.parse(xml)
    (of_label,) = tree.iter("attributes")
    of_label.clear()
    for name in (GO, GREET, CLAP):
        attribute = ET.SubElement(of_label, "attribute")
        for key, text in {"name": name, "mutable": "True", "input_type": "checkbox"}.items():
            ET.SubElement(attribute, key).text = text
    for track in tree.iter("track"):
        for box in track.iter("box"):
            for old in list(box):
                box.remove(old)
            for name in (GO, GREET, CLAP):
                ticked = ET.SubElement(box, "attribute", {"name": name})
                ticked.text = str(name == actions[int(track.get("id", "")) - 1]).lower()
    tree.write(xml, encoding="utf-8", xml_declaration=True)


@pytest.fixture(scope="module")
def data(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> LabelledKeyframes:
    """The people of all scenes, corrected."""
    out = tmp_path_factory.mktemp("detected")
    for seed in SEEDS:
        found = detect(scenes, seed, out, MODEL, "xml")
        correct(found.with_name(f"{found.name}.cvat.xml"), true_actions(scenes, seed))
    return read_keyframes(out, videos=scenes, every_s=EVERY_S)


@pytest.fixture(scope="module")
def taught(data: LabelledKeyframes, tmp_path_factory: pytest.TempPathFactory) -> DetectionFinetuneResult:
    out = tmp_path_factory.mktemp("taught") / "my-actions"
    return teach(data, out)


def test_the_corrected_people(data: LabelledKeyframes) -> None:
    assert data.classes == (CLAP, GO, GREET)
    assert len({keyframe.path for keyframe in data.keyframes}) == len(SEEDS)
    assert data.num_people > 25
    assert not data.targets().any(axis=1).all()  # somebody does nothing of ours


def test_the_model_folder(taught: DetectionFinetuneResult, data: LabelledKeyframes) -> None:
    folder = read_model_folder(taught.folder.path)
    assert folder.card.labels == taught.labels == (CLAP, GO, GREET)
    assert (folder.card.network, folder.card.task, folder.card.dataset) == (MODEL, "detection", data.kind)
    assert taught.frame_map is not None
    assert 0 < taught.frame_map.mean <= 1
    assert taught.held_out == "3 folds by video"
    report = json.loads((folder.path / "report.json").read_text())
    assert report["frame_map"]["mean"] == taught.frame_map.mean
    assert report["frame_map"]["by_class"].keys() == set(taught.labels)
    assert len(report["clips"]) == taught.people == data.num_people
    person = report["clips"][0]
    assert person["path"] == str(data.keyframes[0].path)
    assert person["box_xyxy_px"] == pytest.approx(data.keyframes[0].boxes_xyxy_px[0], abs=0.01)
    page = (folder.path / "report.html").read_text()
    assert "grüßen &amp; &lt;wave&gt;" in page
    assert "data:image/jpeg;base64" in page  # a mistake
    told = in_process("models", "info", folder.path, "--json").object
    assert told["task"] == "detection"
    assert told["figures"]["frame_map"] == round(taught.frame_map.mean, 4)


def test_detect_draws_the_three_actions(
    taught: DetectionFinetuneResult, scenes: Path, tmp_path: Path
) -> None:
    """On scenes that it has learned from, it finds what it was taught."""
    right, people, seen = 0, 0, set()
    for seed in SEEDS:
        formats = "json,mp4,csv,xml" if seed == SEEDS[0] else "json"
        files = detect(scenes, seed, tmp_path, taught.folder.path, formats)
        found = read_detections(files.with_name(f"{files.name}.json"))
        assert found.dataset == "annotated people, 3 files"
        assert not any("synthetic" in warning for warning in found.warnings)
        for track, truth in zip(found.tracks, true_actions(scenes, seed), strict=True):
            for point in track.points:
                names = {action.label for action in point.actions}
                seen |= names
                right += names == ({truth} if truth else set())
                people += 1
    assert seen == {GO, GREET, CLAP}
    assert right > 0.8 * people, (right, people)
    assert files.with_name(f"{SEEDS[0]}.mp4.detect.mp4").stat().st_size > 10_000


def test_the_same_again_computes_nothing(
    data: LabelledKeyframes, taught: DetectionFinetuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other labels, too: what the network sees is kept. And the weights are the same, bit for bit."""

    def fails(*_: Any) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(BoxFeatures, "_embed", fails)
    progress: list[tuple[int, int]] = []
    again = teach(data, tmp_path / "again", progress=lambda *done: progress.append(done))
    assert progress[-1] == (len(data.keyframes),) * 2
    assert again.folder.sha256 == taught.folder.sha256
    all_one = [replace(k, labels=tuple(("a",) * bool(n) for n in k.labels)) for k in data.keyframes]
    renamed = replace(data, keyframes=tuple(all_one), classes=("a",))
    assert teach(renamed, tmp_path / "one").labels == ("a",)


def test_what_cannot_be_taught(data: LabelledKeyframes, tmp_path: Path) -> None:
    idle = replace(
        data, keyframes=tuple(replace(k, labels=(("a",),) * len(k.labels)) for k in data.keyframes)
    )
    with pytest.raises(InputError, match=r"people do the same \(a\); annotate people who do not"):
        finetune_detection(replace(idle, classes=("a",)), model=MODEL, out=tmp_path / "x")
    with pytest.raises(UsageError, match="classifies whole clips"):
        finetune_detection(data, model="slowfast_tiny.synthetic", out=tmp_path / "x")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        finetune_detection(data, model=MODEL, out=tmp_path)


def test_videos_that_fail(data: LabelledKeyframes, tmp_path: Path, scenes: Path) -> None:
    """One of three is named, and the others are used; two are too many."""
    (tmp_path / "153.mp4").write_bytes(b"no video")

    def moved(*seeds: int) -> LabelledKeyframes:
        gone = [scenes / f"{seed}.mp4" for seed in seeds]
        keyframes = [replace(k, path=tmp_path / k.path.name) if k.path in gone else k for k in data.keyframes]
        return replace(data, keyframes=tuple(keyframes))

    result = teach(moved(220), tmp_path / "two")
    assert [one.path for one in result.evaluation.failed] == [tmp_path / "220.mp4"]
    assert result.videos == 2
    with pytest.raises(
        PartialFailure, match=r"2 of 3 videos cannot be used, .*153\.mp4 .* 220\.mp4|220\.mp4"
    ):
        teach(moved(153, 220), tmp_path / "one")


def test_a_rare_action_is_not_found_everywhere() -> None:
    """The fit takes it for as frequent as its absence; 0.5 is where it is best told apart."""
    rng = np.random.default_rng(0)
    targets = rng.random((4000, 1)) < 0.05
    logits = 1.5 * rng.normal(size=(4000, 1)) + 2.25 * (targets - 0.5)
    (shift,) = detection._shifts((1 / (1 + np.exp(-logits))).astype(np.float32), targets)
    assert np.log(0.05 / 0.95) - 0.5 < shift < -0.5
    found = {at: detection._f1(logits + at >= 0, targets) for at in (shift, 0.0, -6.0)}
    assert found[shift] == max(found.values())
