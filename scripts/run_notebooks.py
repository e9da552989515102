"""Run the notebooks of examples/notebooks in place: every cell, its output stored.

    python -m scripts.run_notebooks [NOTEBOOK ...]    # `make notebooks` runs all

Each runs in a temporary folder with a kernel of its own, on one thread, so that its figures compare. What is
stored has no times, paths or versions of the machine, so another run changes little.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from twinpath.atomic import atomic_path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
CELL_TIMEOUT_S = 600
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_TRANSPORT = {} if sys.platform == "win32" else {"transport": "ipc"}  # through files of this user, not ports
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class NotebookFailed(Exception):
    """A cell raised; the message has the cell and the error."""


def notebooks() -> list[Path]:
    """All of them, in order."""
    return sorted(FOLDER.glob("*.ipynb"))


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook, whose form is checked."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def run_notebook(notebook: NotebookNode, folder: Path, *, name: str) -> None:
    """Run every cell, as in `folder`; outputs are stored in the notebook.

    Raises:
        NotebookFailed: A cell raised, took too long or ended its kernel.
    """
    with tempfile.TemporaryDirectory() as settings:  # and nothing of the user's own Jupyter
        home = dict.fromkeys(("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"), settings)
        environment = {**os.environ, **home, "OMP_NUM_THREADS": "1"}
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            kernel_name=KERNEL["name"],
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            coalesce_streams=True,
            config=Config(KernelManager={"connection_file": f"{settings}/kernel.json", **_TRANSPORT}),
        )
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise NotebookFailed(f"{name}: {_COLOURS.sub('', str(error)).strip()}") from error


def normalise(notebook: NotebookNode) -> None:
    """Leave out what depends on the machine or the moment: metadata, and what went to stderr."""
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = NotebookNode(tags=cell.metadata.tags) if "tags" in cell.metadata else NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "metadata" in output:
                    output.metadata = NotebookNode()


def run_in_place(path: Path) -> float:
    """Run a notebook in a temporary folder and store it; returns its seconds. Raises as `run_notebook`."""
    notebook = read_notebook(path)
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run_notebook(notebook, Path(folder), name=path.name)
    normalise(notebook)
    with atomic_path(path) as temporary:
        nbformat.write(notebook, temporary)
    return time.perf_counter() - began_s


def main() -> None:
    """Run all, or those that are named; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="files; all where none is named")
    for path in parser.parse_args().notebooks or notebooks():
        try:
            print(f"{path.name} {run_in_place(path):.0f} s", flush=True)
        except NotebookFailed as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
