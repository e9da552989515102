"""Nobody is contacted: compiling and running a network opens no connection and writes only to the cache."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import twinpath

# A graph is read, and weights are converted from torch.
RUN = (
    "import numpy as np\n"
    "from twinpath.engine.open import open_engine\n"
    "from twinpath.zoo.records import record\n"
    "for weights in None, record('slowfast_tiny.synthetic').embedded_path:\n"
    "    engine = open_engine('slowfast_tiny.synthetic', weights)\n"
    "    engine([np.zeros((16, 96, 96, 3), np.uint8)])\n"
    "print(engine.describe())\n"
)
SETTLE_S = 1.0  # what a process sent last may still be on its way


class ListeningProxy:
    """A proxy that counts connections and answers none."""

    def __init__(self) -> None:
        self.connections: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                first = connection.recv(200)
                if not first:
                    return
                self.connections.append(first)

    def close(self) -> None:
        socket.create_connection(self._socket.getsockname()).close()  # an empty one ends the thread
        self._thread.join()
        self._socket.close()


@pytest.fixture
def proxy() -> Iterator[ListeningProxy]:
    proxy = ListeningProxy()
    yield proxy
    proxy.close()


def test_compiling_and_running_contacts_nobody(proxy: ListeningProxy, tmp_path: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    ci = ("CI", "TF_BUILD", "JENKINS_URL")  # with one of these OpenVINO reports nothing
    env = {name: value for name, value in os.environ.items() if name not in ci}
    env |= {"HOME": str(home), "USERPROFILE": str(home), "TWINPATH_HOME": str(cache)}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        env |= {name: proxy.url, name.upper(): proxy.url}
    env |= {"no_proxy": "", "NO_PROXY": ""}
    for _ in ("a first run, which compiles", "a second one, from the cache"):
        done = subprocess.run(
            [sys.executable, "-c", RUN], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("openvino")
    time.sleep(SETTLE_S)
    assert proxy.connections == []
    assert list(home.rglob("*")) == []
    kept = {path.suffix or path.name for path in cache.rglob("*") if path.is_file()}
    assert kept == {".ov", "key", "known"}


@pytest.mark.parametrize(
    ("library", "module"), [("openvino", "openvino_import"), ("onnxruntime", "onnx_import")]
)
def test_a_library_that_reports_is_imported_in_one_place(library: str, module: str) -> None:
    package = Path(twinpath.__file__).parent
    found = [
        path.name
        for path in package.rglob("*.py")
        if re.search(rf"^\s*(import|from) {library}\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert found == [f"{module}.py"]
