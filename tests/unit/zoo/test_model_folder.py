"""Model folders: what is written is read back; what is damaged or foreign is an error that names the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinpath.errors import DamagedWeights, NotAFile, TwinpathError, UnknownWeightFormat, UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.zoo.model_card import ModelCard, ParityFigure, WeightsSource
from twinpath.zoo.model_folder import is_model_folder, new_model_folder, read_model_folder, write_card

CARD = ModelCard(
    name="three.actions",
    network="slowfast_tiny",
    task="classification",
    dataset="mine",
    labels=("wave", "jump|run", "ölen"),
    input=InputSpec(16, 4, 96, 96, resize_px=(96, 128)),
    precision="fp32",
    weights=WeightsSource("mine.pth", "ab" * 32, "https://example.org/mine.pth", "MIT"),
    versions={"torch": "2.14.1"},
    parity=(ParityFigure("random", 2, None, 96, 96, 1e-7, 2e-6, True),),
    figures={"agreement with fp32": 0.995},
)


def make(folder: Path, card: ModelCard = CARD, content: bytes = b"graph") -> Path:
    with new_model_folder(folder) as temporary:
        (temporary / "model.onnx").write_bytes(content)
        write_card(temporary, card)
    return folder


def changed(folder: Path, change: dict[str, Any]) -> Path:
    file = folder / "model.json"
    values = json.loads(file.read_text("utf-8"))
    for place, value in change.items():
        *parents, key = place.split("/")
        at = values
        for parent in parents:
            at = at[parent]
        if value is None:
            del at[key]
        else:
            at[key] = value
    file.write_text(json.dumps(values), "utf-8")
    return folder


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = read_model_folder(make(tmp_path / "mine"))
    assert folder.name == "mine"
    assert replace(folder.card, files={}) == CARD
    assert folder.checked("model.onnx").read_bytes() == b"graph"
    assert folder.has("model.onnx")
    assert not folder.has("model.xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_json_has_the_tensors_for_other_programs(tmp_path: Path) -> None:
    values = json.loads((make(tmp_path / "mine") / "model.json").read_text("utf-8"))
    assert values["graph"]["inputs"] == [
        {"name": "frames", "dtype": "uint8", "shape": ["N", 16, 96, 96, 3]},
    ]
    assert values["graph"]["outputs"][0] == {"name": "scores", "dtype": "float32", "shape": ["N", 3]}


def test_readme_says_what_people_ask(tmp_path: Path) -> None:
    text = (make(tmp_path / "mine") / "README.md").read_text("utf-8")
    for part in ("# three.actions", "3 classes of mine", "MIT", "2e-06", "N x 16 x 96 x 96 x 3", "96x128"):
        assert part in text


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DamagedWeights), new_model_folder(tmp_path / "mine") as temporary:
        write_card(temporary, CARD)  # without a graph
    assert list(tmp_path.iterdir()) == []


def test_an_older_model_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    make(tmp_path / "mine")
    (tmp_path / "mine" / "extra.txt").write_text("old")
    before = read_model_folder(tmp_path / "mine").sha256
    make(tmp_path / "mine", content=b"another")
    assert read_model_folder(tmp_path / "mine").sha256 != before
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "model.json",
        "model.onnx",
    ]


def test_a_block_that_fails_keeps_the_older_folder(tmp_path: Path) -> None:
    make(tmp_path / "mine")
    with pytest.raises(RuntimeError), new_model_folder(tmp_path / "mine"):
        raise RuntimeError
    assert read_model_folder(tmp_path / "mine").checked("model.onnx").read_bytes() == b"graph"


@pytest.mark.parametrize("what", ["file", "other folder"])
def test_nothing_else_is_replaced(tmp_path: Path, what: str) -> None:
    target = tmp_path / "mine"
    if what == "file":
        target.write_text("x")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match=r"mine .*give another name"), new_model_folder(target):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2 is not known"),
        ({"labels": []}, "labels: there are no classes"),
        ({"labels": "abc"}, "labels: 'abc' is not a list"),
        ({"labels": None}, "'labels' is missing"),
        ({"input/num_frames": 0}, "input.num_frames: 0 is not from 1"),
        ({"input/num_frames": 10**9}, "input.num_frames"),
        ({"input/num_frames": 16.0}, "input.num_frames: it is no whole number"),
        ({"input/crop_px": 97}, "input.short_side_px: 96 is not from 97"),
        ({"input/std": [0.2, 0.2, 0]}, "input.std: it is not positive"),
        ({"input/resize_px": [96]}, "input.resize_px: 1 numbers, not 2"),
        ({"task": "captioning"}, "task: it is not one of classification, detection"),
        ({"precision": ["fp32"]}, "precision: it is not one of"),
        ({"network": 3}, "network: 3 is not text"),
        ({"files": {}}, "files: 0 files"),
        ({"files": []}, "files: .* is not an object"),
        ({"files": {"../x": {"sha256": "00" * 32, "size_bytes": 5}}}, "no name of a file"),
        ({"files/model.onnx/sha256": "00"}, "no SHA-256"),
        ({"files/model.onnx/size_bytes": 1 << 60}, "size_bytes"),
        ({"files/model.onnx/size_bytes": 4}, "model.onnx has 5 bytes, and model.json says 4"),
        ({"files/gone.bin": {"sha256": "00" * 32, "size_bytes": 5}}, "gone.bin is missing"),
        ({"parity": [{}]}, "parity.0.: 'boxes'|parity.0.: '"),
        ({"figures": {"x": []}}, "figures.x"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = changed(make(tmp_path / "mine"), change)
    with pytest.raises(DamagedWeights, match=message) as caught:
        read_model_folder(folder)
    assert "mine" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[[" * 50_000, b'{"format": "other"}'])
def test_json_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    folder = make(tmp_path / "mine")
    (folder / "model.json").write_bytes(content)
    with pytest.raises(DamagedWeights, match=r"model\.json"):
        read_model_folder(folder)


def test_a_file_that_was_changed_is_not_used(tmp_path: Path) -> None:
    folder = make(tmp_path / "mine")
    (folder / "model.onnx").write_bytes(b"grapH")
    with pytest.raises(DamagedWeights, match=r"model\.onnx is not the file"):
        read_model_folder(folder).checked("model.onnx")


def test_a_folder_without_a_graph_is_named(tmp_path: Path) -> None:
    with new_model_folder(tmp_path / "a") as temporary:
        (temporary / "model.bin").write_bytes(b"x")
        with pytest.raises(DamagedWeights, match="no graph and no weights"):
            write_card(temporary, CARD)
        (temporary / "model.onnx").write_bytes(b"x")
        write_card(temporary, CARD)
    with new_model_folder(tmp_path / "b") as temporary:
        (temporary / "model.xml").write_bytes(b"x")
        with pytest.raises(DamagedWeights, match=r"model\.xml without model\.bin"):
            write_card(temporary, CARD)
        (temporary / "model.bin").write_bytes(b"x")
        write_card(temporary, CARD)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("none", NotAFile), ("file", NotAFile), ("empty", UnknownWeightFormat), ("a\0b", NotAFile)],
)
def test_what_is_no_model_folder(tmp_path: Path, name: str, kind: type[TwinpathError]) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(kind):
        read_model_folder(tmp_path / name)


def test_which_names_mean_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "mine")
    make(tmp_path / "slowfast_tiny")
    (tmp_path / "plain").mkdir()
    assert is_model_folder("mine")
    assert is_model_folder("./slowfast_tiny")
    assert is_model_folder("gone/too")
    assert not is_model_folder("slowfast_tiny")
    assert not is_model_folder("plain")
    assert not is_model_folder("slowfast_tini")
