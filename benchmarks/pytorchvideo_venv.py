"""A virtual environment for PyTorchVideo, outside this repository.

It shares torch, PyAV and other packages with the environment that runs this, through a .pth file. The rest,
about 30 MB, is installed. It lies inside the environment that runs this (`FOLDER`) and is made once.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from benchmarks.processes import ROOT

FOLDER = Path(sys.prefix) / "pytorchvideo"
PACKAGES = ("pytorchvideo==0.1.5", "fvcore", "iopath", "torchvision")


class PyTorchVideoMissing(Exception):
    """PyTorchVideo cannot be installed. The message holds the last line that pip printed."""


_IMPORTS = "import pytorchvideo.models.hub, pytorchvideo.data.encoded_video"


def make(folder: Path = FOLDER) -> Path:
    """Make the environment, unless it is there and works.

    Args:
        folder: Where; what is there and does not work is replaced.
    Returns:
        The path of its Python.
    Raises:
        PyTorchVideoMissing: pip failed, or what it installed cannot be imported.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if python.exists():
        with contextlib.suppress(PyTorchVideoMissing):
            _output([python, "-c", _IMPORTS])
            return python
    venv.create(folder, with_pip=True, clear=True)
    own = _output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    (Path(own.strip()) / "running_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    quiet = ["--quiet", "--disable-pip-version-check"]
    _output([python, "-m", "pip", "install", *quiet, "-c", ROOT / "constraints.txt", *PACKAGES])
    _output([python, "-c", _IMPORTS])
    return python


def _output(command: list[str | Path]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise PyTorchVideoMissing(f"PyTorchVideo cannot be installed: {last[0]}")
    return done.stdout
