"""Whose names a file has decides how its head computes scores, unless a record or the caller says it."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from twinpath.models.layers.head import HeadConfig
from twinpath.models.network import VideoNetwork
from twinpath.models.registry import architecture
from twinpath.weights.load import load_weights, save_weights
from twinpath.weights.names import resnet, x3d
from twinpath.weights.names.table import NameTable
from twinpath.zoo.convert import convert
from twinpath.zoo.create import create_model, load_network

CONFIG = (
    "DETECTION:\n  ALIGNED: {aligned}\nMODEL:\n  ARCH: slow\n  HEAD_ACT: {act}\n"
    "MULTIGRID:\n  SHORT_CYCLE: {short}\n"
)
DETECTOR, CLASSIFIER = "slowfast_tiny_det", "slowfast_tiny"


def file_of(
    path: Path, name: str, table: NameTable | None, *, config: str | None = None, num_classes: int = 12
) -> Path:
    """Weights of a network under an upstream's names; `table` None: under ours."""
    network = create_model(name, num_classes=num_classes)
    state = {n: t for n, t in network.state_dict().items() if "num_batches" not in n}
    if table is not None:
        theirs = {n: table.to_theirs(n) for n in state}
        state = {theirs[n][0]: t for n, t in state.items()}  # type: ignore[index]
    torch.save({"model_state": state} | ({"cfg": config} if config else {}), path)
    return path


PYSLOWFAST, PYTORCHVIDEO, PYTORCHVIDEO_REGIONS = (
    resnet.PYSLOWFAST[1],
    resnet.PYTORCHVIDEO[3],
    resnet.PYTORCHVIDEO[4],
)
READINGS: list[tuple[str, NameTable | None, HeadConfig, bool | None, str]] = [
    (DETECTOR, PYSLOWFAST, HeadConfig("sigmoid", "scores"), True, "names"),
    (DETECTOR, PYTORCHVIDEO_REGIONS, HeadConfig("sigmoid", "logits"), False, "names"),
    (DETECTOR, None, HeadConfig("sigmoid", "logits"), False, "default"),
    (CLASSIFIER, PYSLOWFAST, HeadConfig("softmax", "scores"), None, "names"),
    (CLASSIFIER, PYTORCHVIDEO, HeadConfig("softmax", "logits"), None, "names"),
    (CLASSIFIER, None, HeadConfig("softmax", "logits"), None, "default"),
]


@pytest.mark.parametrize(("name", "table", "config", "aligned", "decided_by"), READINGS)
def test_a_networks_name_lets_the_file_decide(
    name: str,
    table: NameTable | None,
    config: HeadConfig,
    aligned: bool | None,
    decided_by: str,
    tmp_path: Path,
) -> None:
    path = file_of(tmp_path / "w.pyth", name, table)
    network = create_model(name, num_classes=12)
    report = load_weights(network, path)
    assert (network.head.head_config, network.head.aligned) == (config, aligned)
    assert report.head is not None
    assert (report.head.averaging, report.head.aligned, report.head.decided_by) == (
        config.averaging,
        aligned,
        decided_by,
    )
    assert report.head_of_file is None
    by_command = load_network(name, path)
    assert (by_command.head.head_config, by_command.head.aligned) == (config, aligned)


def test_another_file_decides_again(tmp_path: Path) -> None:
    network = create_model(DETECTOR, num_classes=12)
    load_weights(network, file_of(tmp_path / "a.pyth", DETECTOR, PYSLOWFAST))
    load_weights(network, file_of(tmp_path / "b.pyth", DETECTOR, PYTORCHVIDEO_REGIONS))
    assert network.head.aligned is False


def test_a_record_counts_and_the_difference_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST)
    network = create_model("slowfast_tiny_det.synthetic")
    report = load_weights(network, path)
    assert report.head is not None
    assert report.head_of_file is not None
    assert (network.head.aligned, report.head.decided_by) == (False, "network")
    assert (report.head_of_file.aligned, report.head_of_file.decided_by) == (True, "names")
    with caplog.at_level(logging.WARNING):
        load_network("slowfast_tiny_det.synthetic", path)
    assert "RoIAlign aligned" in caplog.text
    assert "RoIAlign not aligned" in caplog.text


def test_the_caller_counts(tmp_path: Path) -> None:
    path = file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST)
    built = architecture(DETECTOR).build(num_classes=12, aligned=False)
    load_weights(built, path)
    assert built.head.aligned is False
    network = create_model(DETECTOR, num_classes=12)
    network.head.head_config = HeadConfig("softmax", "logits")
    load_weights(network, path)
    assert (network.head.aligned, network.head.head_config.activation) == (False, "softmax")
    load_weights(network, path, head="file")
    assert network.head.aligned is True
    kept = create_model(DETECTOR, num_classes=12)
    load_weights(kept, path, head="network")
    assert kept.head.aligned is False


@pytest.mark.parametrize("aligned", [True, False])
def test_pyslowfasts_own_configuration_counts_more_than_its_names(aligned: bool, tmp_path: Path) -> None:
    config = CONFIG.format(aligned=str(aligned).lower(), act="softmax", short="true")
    network = create_model(DETECTOR, num_classes=12)
    report = load_weights(network, file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST, config=config))
    assert (network.head.aligned, network.head.head_config) == (
        aligned,
        HeadConfig("softmax", "scores", "whole"),
    )
    assert report.head is not None
    assert report.head.decided_by == "file"


@pytest.mark.parametrize(
    "config", ["", "DETECTION:\n", "DETECTION: {ALIGNED: true}", "\0" * 99, "A:\n  B: c\n" * 9999]
)
def test_a_configuration_that_says_nothing(config: str, tmp_path: Path) -> None:
    network = create_model(DETECTOR, num_classes=12)
    load_weights(network, file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST, config=config))
    assert network.head.aligned is True


def test_caffe2_files_average_scores_and_do_not_align(tmp_path: Path) -> None:
    blobs = {
        "conv1_w": torch.ones(3).numpy(),
        "res_conv1_bn_s": torch.ones(3).numpy(),
        "pred_w": torch.ones(3).numpy(),
    }
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": blobs}))
    from twinpath.weights.head_reading import reading_of_file
    from twinpath.weights.state_dict import read_state_dict

    reading = reading_of_file(read_state_dict(tmp_path / "w.pkl"), create_model(DETECTOR))
    assert reading is not None
    assert (reading.averaging, reading.aligned) == ("scores", False)


@pytest.mark.parametrize(
    ("names", "averaging", "pooling"),
    [
        (["blocks.1.res_blocks.0.branch2.conv_b.conv_t.weight"], "scores", "window"),  # R(2+1)D
        (
            [x3d.PYTORCHVIDEO[1].rows[0][1].format(s=2, n=0, leaf="weight")],
            "logits",
            "whole",
        ),  # Efficient-X3D
        (["blocks.1.res_blocks.0.branch2.conv_a.weight"], "logits", "window"),
    ],
)
def test_pytorchvideos_networks_that_differ(
    names: list[str], averaging: str, pooling: str, tmp_path: Path
) -> None:
    from twinpath.weights.head_reading import reading_of_file
    from twinpath.weights.state_dict import read_state_dict

    torch.save({name: torch.ones(3) for name in names}, tmp_path / "w.pyth")
    reading = reading_of_file(read_state_dict(tmp_path / "w.pyth"), create_model(CLASSIFIER))
    assert reading is not None
    assert (reading.averaging, reading.pooling) == (averaging, pooling)


def test_what_a_file_decided_is_saved_and_comes_back(tmp_path: Path) -> None:
    network = create_model(DETECTOR, num_classes=12)
    load_weights(network, file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST))
    save_weights(network, tmp_path / "w.safetensors")
    again = create_model(DETECTOR, num_classes=12)
    report = load_weights(again, tmp_path / "w.safetensors")
    assert (again.head.aligned, again.head.head_config) == (True, network.head.head_config)
    assert report.head is not None
    assert report.head.decided_by == "file"


def test_a_converted_file_keeps_its_way(tmp_path: Path) -> None:
    path = file_of(tmp_path / "w.pyth", CLASSIFIER, PYSLOWFAST)
    done = convert(path, tmp_path / "w.safetensors", model=CLASSIFIER)
    assert "scores averaged" in done.head
    network = create_model(CLASSIFIER, num_classes=12)
    load_weights(network, tmp_path / "w.safetensors")
    assert network.head.head_config == HeadConfig("softmax", "scores")


@pytest.mark.parametrize(
    "text", ["{}", "[]", "3", "{", '{"activation": 3}', "[" * 9999, '{"aligned": "yes"}']
)
def test_a_header_that_says_nonsense(text: str, tmp_path: Path) -> None:
    save_weights(create_model(CLASSIFIER, num_classes=12), tmp_path / "w.safetensors", {"head": text})
    network = create_model(CLASSIFIER, num_classes=12)
    load_weights(network, tmp_path / "w.safetensors")
    assert network.head.head_config == HeadConfig()


def test_a_new_head_is_not_the_files(tmp_path: Path) -> None:
    network = create_model(CLASSIFIER, num_classes=5)
    load_weights(
        network, file_of(tmp_path / "w.pyth", CLASSIFIER, PYSLOWFAST), leave_out=("head.projection",)
    )
    assert network.head.head_config == HeadConfig()


def test_scores_of_boxes_differ_and_an_engine_follows(tmp_path: Path) -> None:
    """What the difference is about: the same file under a network's name and under a record's."""
    from twinpath.engine.config import EngineConfig
    from twinpath.engine.open import open_engine

    path = file_of(tmp_path / "w.pyth", DETECTOR, PYSLOWFAST)
    frames = torch.randint(
        0, 256, (16, 128, 128, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    boxes = torch.tensor([[3.3, 5.1, 60.7, 90.2]]).numpy()
    scores: dict[str, Any] = {}
    for name in (DETECTOR, "slowfast_tiny_det.synthetic"):
        engine = open_engine(name, path, output="boxes", config=EngineConfig("torch", "cpu", "fp32"))
        scores[name] = engine([frames.numpy()], [boxes])[0]
    first, second = scores.values()
    assert abs(first - second).max() > 0
    network = load_network(DETECTOR, path)
    assert isinstance(network, VideoNetwork)
    assert network.head.aligned is True
