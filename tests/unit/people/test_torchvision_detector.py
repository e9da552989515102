"""torchvision's detectors: weights by our own download, read without running anything in them.

The networks are random, and of a small relative: what they find means nothing, that it is found is the test.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.detector_checks import check_on_strange_pictures, check_people
from tests.support.http_server import http_server, whole
from twinpath.errors import DamagedWeights, DownloadFailed, UnsafeWeights, UsageError, WeightsMismatch
from twinpath.people.torchvision_detector import FASTER_RCNN, RETINANET, Published, TorchvisionDetector
from twinpath.retry import RetryPolicy
from twinpath.weights.fetch import cached_path

detection: Any = pytest.importorskip("torchvision.models.detection")

QUICK = RetryPolicy(max_retries=1, first_wait_s=0.01)
SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def weight_file() -> bytes:
    """A weight file as torchvision publishes them, of a random network that sees people everywhere."""
    torch.manual_seed(0)
    network = getattr(detection, SMALL)(weights=None, weights_backbone=None)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias[1] += 4
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


def published(weights: bytes, url: str = "http://127.0.0.1:9/models") -> Published:
    """As a record of torchvision: the file's name ends with the start of its hash."""
    name = f"small_coco-{hashlib.sha256(weights).hexdigest()[:8]}.pth"
    return replace(FASTER_RCNN, builder=SMALL, url=f"{url}/{name}")


@pytest.fixture(scope="module")
def home_with_weights(weight_file: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache where the file was put by hand."""
    home = tmp_path_factory.mktemp("home")
    (home / "weights").mkdir()
    (home / "weights" / published(weight_file).file_name).write_bytes(weight_file)
    return home


@pytest.fixture(scope="module")
def detector(weight_file: bytes, home_with_weights: Path) -> TorchvisionDetector:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINPATH_HOME", str(home_with_weights))
        return TorchvisionDetector(published(weight_file), device="cpu", min_score=0.05)


@pytest.fixture
def served(weight_file: bytes) -> Iterator[str]:
    """The file on a server of this machine."""

    with http_server(whole(weight_file, "application/octet-stream")) as server:
        yield server.url("/models")


def test_finds_people_of_the_given_score_only(detector: TorchvisionDetector) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (90, 120, 3), dtype=np.uint8), np.zeros((60, 40, 3), np.uint8)]
    answers = detector(pictures, [0.0, 1.0])
    for people, picture in zip(answers, pictures, strict=True):
        check_people(people, picture)
        assert (people.scores >= np.float32(0.05)).all()
    assert sum(map(len, answers)) > 0


def test_strange_pictures(detector: TorchvisionDetector) -> None:
    check_on_strange_pictures(detector)


def test_a_download(weight_file: bytes, served: str, empty_home: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    record = published(weight_file, served)
    TorchvisionDetector(record, device="cpu", progress=lambda done, of: seen.append((done, of)), retry=QUICK)
    assert seen[-1] == (len(weight_file), len(weight_file))
    assert cached_path(record).read_bytes() == weight_file
    assert cached_path(record).parent == empty_home / "weights"


def test_a_download_of_other_bytes_is_not_kept(weight_file: bytes, served: str, empty_home: Path) -> None:
    record = replace(published(weight_file), url=f"{served}/small_coco-00000000.pth")
    with pytest.raises(DownloadFailed, match="its SHA-256 begins with") as caught:
        TorchvisionDetector(record, device="cpu", retry=QUICK)
    assert not cached_path(record).exists()
    assert str(cached_path(record)) in str(caught.value)
    assert record.url in str(caught.value)


def test_no_network_says_what_to_fetch_and_where_to_put_it(weight_file: bytes, empty_home: Path) -> None:
    record = published(weight_file)
    with pytest.raises(DownloadFailed) as caught:
        TorchvisionDetector(record, device="cpu", retry=QUICK)
    assert record.url in str(caught.value)
    assert str(cached_path(record)) in str(caught.value)
    assert "\n" not in str(caught.value)


def put(record: Published, content: object) -> Published:
    """A file in the cache, by hand; under the name that its hash asks for."""
    file = io.BytesIO()
    torch.save(content, file)
    data = file.getvalue()
    record = replace(record, url=f"http://127.0.0.1:9/x-{hashlib.sha256(data).hexdigest()[:8]}.pth")
    cached_path(record).parent.mkdir(exist_ok=True)
    cached_path(record).write_bytes(data)
    return record


def test_a_file_of_another_hash_by_hand(weight_file: bytes, empty_home: Path) -> None:
    record = replace(published(weight_file), url="http://127.0.0.1:9/x-00000000.pth")
    cached_path(record).parent.mkdir()
    cached_path(record).write_bytes(weight_file)
    with pytest.raises(DamagedWeights, match="not the file that torchvision published"):
        TorchvisionDetector(record, device="cpu")


def test_weights_of_another_network(weight_file: bytes, empty_home: Path) -> None:
    tensors = torch.load(io.BytesIO(weight_file), weights_only=True)
    del tensors["rpn.head.cls_logits.weight"]
    tensors["extra"] = torch.zeros(1)
    tensors["roi_heads.box_predictor.cls_score.bias"] = torch.zeros(7)
    with pytest.raises(WeightsMismatch, match="1 names are missing, 1 unexpected and 1 of another") as caught:
        TorchvisionDetector(put(published(weight_file), tensors), device="cpu")
    assert caught.value.missing == ["rpn.head.cls_logits.weight"]
    assert caught.value.unexpected == ["extra"]
    assert caught.value.shape_mismatch == [("roi_heads.box_predictor.cls_score.bias", (7,), (91,))]


def test_a_pickle_that_runs_code_is_refused(weight_file: bytes, empty_home: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return exec, ("raise SystemExit('it ran')",)

    with pytest.raises(UnsafeWeights):
        TorchvisionDetector(put(published(weight_file), {"a": Evil()}), device="cpu")


def test_no_such_device(weight_file: bytes) -> None:
    with pytest.raises(UsageError, match="device 'gpu'"):
        TorchvisionDetector(published(weight_file), device="gpu")


@pytest.mark.parametrize(
    ("record", "enum"),
    [(FASTER_RCNN, "FasterRCNN_ResNet50_FPN_V2_Weights"), (RETINANET, "RetinaNet_ResNet50_FPN_V2_Weights")],
)
def test_records_agree_with_torchvision(record: Published, enum: str) -> None:
    assert record.url == getattr(detection, enum).COCO_V1.url
    assert getattr(detection, enum).COCO_V1.meta["categories"][1] == "person"


@pytest.mark.slow
@pytest.mark.parametrize("record", [FASTER_RCNN, RETINANET], ids=["fasterrcnn", "retinanet"])
def test_the_published_networks_take_a_whole_file(record: Published, empty_home: Path) -> None:
    network = getattr(detection, record.builder)(weights=None, weights_backbone=None)
    detector = TorchvisionDetector(put(record, network.state_dict()), device="cpu", min_score=0.0)
    picture = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    (people,) = detector([picture], [0.0])
    check_people(people, picture)
