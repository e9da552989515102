"""The graphs inside this package compute what the weights beside them compute in torch."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.write_embedded_models import embedded_records
from twinpath.engine.config import EngineConfig
from twinpath.engine.export import check_parity, loaded
from twinpath.engine.open import open_engine
from twinpath.engine.parity import TOLERANCES
from twinpath.models.exportable import ExportedNetwork
from twinpath.zoo.model_folder import read_model_folder
from twinpath.zoo.records import Record


@pytest.mark.parametrize("record", embedded_records(), ids=lambda record: record.name)
def test_the_graph_is_that_of_the_weights(record: Record) -> None:
    assert record.embedded_folder is not None
    folder = read_model_folder(record.embedded_folder)
    for name in folder.card.files:
        folder.checked(name)
    card, network = loaded(record.name)
    assert (folder.card.labels, folder.card.input) == (card.labels, card.input)
    assert folder.card.weights.sha256 == card.weights.sha256, "run: python -m scripts.write_embedded_models"
    module = ExportedNetwork(network, card.input)
    check_parity(module, record.embedded_folder, "onnx", tolerance=TOLERANCES["fp32"])


def test_the_engine_answers_as_torch() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (16, 120, 160, 3), dtype=np.uint8)
    for output in ("scores", "embed"):
        engines = [
            open_engine("slowfast_tiny.synthetic", output=output, config=EngineConfig(name, "cpu", "fp32"))  # type: ignore[arg-type]
            for name in ("torch", "openvino")
        ]
        wanted, found = (engine([clip])[0] for engine in engines)
        assert found == pytest.approx(wanted, abs=1e-4)
