"""A virtual environment for PyTorchVideo, outside this repository.

It shares torch, PyAV and other packages with the environment that runs this, through a .pth file. The rest,
about 30 MB, is installed.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from benchmarks.processes import ROOT

PACKAGES = ("pytorchvideo==0.1.5", "fvcore", "iopath", "torchvision")


class PyTorchVideoMissing(Exception):
    """PyTorchVideo cannot be installed. The message holds the last line that pip printed."""


def make(folder: Path) -> Path:
    """Make the environment.

    Args:
        folder: Where; it must not exist.
    Returns:
        The path of its Python.
    Raises:
        PyTorchVideoMissing: pip failed, or what it installed cannot be imported.
    """
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    own = _output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    (Path(own.strip()) / "running_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    quiet = ["--quiet", "--disable-pip-version-check"]
    _output([python, "-m", "pip", "install", *quiet, "-c", ROOT / "constraints.txt", *PACKAGES])
    _output([python, "-c", "import pytorchvideo.models.hub, pytorchvideo.data.encoded_video"])
    return python


def _output(command: list[str | Path]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise PyTorchVideoMissing(f"PyTorchVideo cannot be installed: {last[0]}")
    return done.stdout
