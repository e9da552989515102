"""For all tests: one torch thread a process, since several processes test at once and threads that wait
for a core make all others wait for them. And a cache of their own, empty of weights, in which compiled
networks stay from test to test. Set before anything imports torch; commands inherit it.

Whoever starts the tests in the background of a shell script has them ignore Ctrl-C, and their commands."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import bad_videos
from tests.support.commands import HOME

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TWINPATH_HOME"] = str(HOME)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twinpath's cache folder, empty. No mirror and no proxy stand between a test and its server."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("TWINPATH_HOME", str(home))
    monkeypatch.delenv("TWINPATH_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return home


@pytest.fixture(scope="session")
def good_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s at 25 fps; the brightness of a frame is its number."""
    return bad_videos.make_good(tmp_path_factory.mktemp("good"))


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
