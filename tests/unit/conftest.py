"""Weights of small random networks."""

from pathlib import Path

import pytest


def _save_random(name: str, path: Path, *, gain: float = 1.0) -> Path:
    import torch

    from twinpath.models.registry import architecture
    from twinpath.weights.load import save_weights

    torch.manual_seed(0)
    network = architecture(name).build()
    network.get_parameter("head.projection.weight").data *= gain
    save_weights(network, path)
    return path


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of slowfast_tiny."""
    return _save_random("slowfast_tiny", tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="session")
def tiny_detector_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of slowfast_tiny_det; its scores lie all over 0 to 1."""
    path = tmp_path_factory.mktemp("weights") / "random-det.safetensors"
    return _save_random("slowfast_tiny_det", path, gain=30)
