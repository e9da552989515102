"""The notebooks of examples/notebooks: each runs, and what is stored of it can be read by others.

One that trains for a minute is a slow test.
Golden weights stand for the published ones, as in tests/parity/test_tutorial_pipeline.py.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from scripts.run_notebooks import NotebookFailed, normalise, notebooks, read_notebook, run_notebook
from tests.support.golden_weights import GOLDEN, write_golden_checkpoint
from tests.support.real_videos import real_video
from twinpath.labels import labels

ALL = notebooks()
MAX_BYTES = 400_000
OF_A_MACHINE = re.compile(r"/(?:home|root|tmp|work|Users|usr|opt)/|[A-Z]:\\\\|\x1b\[")
each = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: NotebookNode) -> list[str]:
    """What a cell put out, without messages to stderr."""
    return [output.output_type for output in cell.outputs if output.get("name") != "stderr"]


def with_tag(notebook: NotebookNode, tag: str) -> NotebookNode:
    (cell,) = (cell for cell in notebook.cells if tag in cell.metadata.get("tags", ()))
    return cell


def test_there_are_nine() -> None:
    assert [path.stem[0] for path in ALL] == list("123456789")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * ("multigrid" in path.stem)) for path in ALL],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    stored, notebook = read_notebook(path), read_notebook(path)
    run_notebook(notebook, tmp_path, name=path.name)
    assert [kinds(cell) for cell in code_cells(notebook)] == [kinds(cell) for cell in code_cells(stored)]


@each
def test_what_is_stored_is_whole_small_and_of_no_machine(path: Path) -> None:
    notebook = read_notebook(path)
    assert path.stat().st_size < MAX_BYTES
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert OF_A_MACHINE.findall(json.dumps([*notebook.cells, notebook.metadata], ensure_ascii=False)) == []
    normal = deepcopy(notebook)
    normalise(normal)
    assert normal == notebook


@each
def test_a_notebook_links_to_what_there_is(path: Path) -> None:
    text = "\n".join(cell.source for cell in read_notebook(path).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_failure_names_the_cell_and_the_error(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("one = 1\none / 0")])
    with pytest.raises(NotebookFailed, match=r"(?s)^wrong\.ipynb: .*one / 0.*ZeroDivisionError"):
        run_notebook(notebook, tmp_path, name="wrong.ipynb")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "model", "reference"),
    [
        ("1_slowfast", "slowfast_r50_8x8.ptv_k400", "ptv_slowfast_r50"),
        ("2_3d_resnets", "slow_r50_8x8.ptv_k400", "ptv_slow_r50"),
        ("3_x3d", "x3d_s.ptv_k400", "ptv_x3d_s"),
    ],
)
def test_golden_weights_give_the_tutorials_top_5(
    stem: str, model: str, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "ONEDNN_MAX_CPU_ISA", "AVX2"
    )  # no bf16, in which labels with like scores change places
    video = real_video("archery.mp4")
    weights = write_golden_checkpoint(reference, tmp_path / "golden.pyth")
    (notebook,) = (read_notebook(path) for path in ALL if path.stem == stem)
    with_tag(notebook, "parameters").source = f"MODEL, WEIGHTS, VIDEO = {[model, str(weights), str(video)]!r}"
    run_notebook(notebook, tmp_path, name=stem)
    (printed,) = with_tag(notebook, "answer").outputs
    figures = json.loads((GOLDEN / "rules" / "tutorial_pipeline.json").read_text())
    (top5,) = (f["top5"] for f in figures if (f["model"], f["video"]) == (reference, video.name))
    names = labels("kinetics400")
    assert [line.split("%  ")[1] for line in printed.text.splitlines()] == [names[index] for index in top5]
