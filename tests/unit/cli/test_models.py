"""`twinpath models list` and `info`, as people read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from twinpath.cli import console
from twinpath.cli.console import Column, print_table
from twinpath.cli.models import download, info, list_
from twinpath.errors import DamagedWeights, UnknownModel, UnknownWeightFormat, UsageError
from twinpath.zoo.records import record, records


def listed(capsys: pytest.CaptureFixture[str], **options: Any) -> list[dict[str, Any]]:
    list_(**options, json=True)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_info_is_a_list_of_facts(capsys: pytest.CaptureFixture[str]) -> None:
    info("slow_r50_8x8.ptv_k400")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["params"] == "32,454,096"
    assert facts["mean"] == "0.45 0.45 0.45"
    assert facts["published_map"] == "-"
    assert facts["published_top1"] == "74.58"
    assert facts["upstream_name"] == "slow_r50"


def test_info_of_a_network_names_its_weights(capsys: pytest.CaptureFixture[str]) -> None:
    info("slow_r50_8x8")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["best_weights"] == "slow_r50_8x8.psf_k400"
    assert facts["weights"].split() == [r.name for r in records("slow_r50_8x8.*")]
    info("fast_r50_8x8")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (facts["best_weights"], facts["weights"]) == ("-", "-")


def test_info_of_a_model_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = record("slowfast_tiny_det.synthetic").embedded_folder
    assert embedded is not None
    shutil.copytree(embedded, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    info("mine")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (facts["name"], facts["model"]) == ("mine", "slowfast_tiny_det.synthetic")
    assert (facts["task"], facts["num_classes"], facts["precision"]) == ("detection", "12", "fp16")
    assert facts["files"] == "model.onnx weights.safetensors"
    assert (facts["parity_clips"], facts["parity_same_top1"]) == ("1 2 5", "yes")
    assert float(facts["parity_scores"]) < 1e-2
    assert facts["made_by"].startswith("twinpath ")
    info("./mine", json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["sha256"] == facts["sha256"]
    assert shown["weights_sha256"] == facts["weights_sha256"]
    (tmp_path / "mine" / "model.onnx").unlink()
    with pytest.raises(DamagedWeights, match=r"model\.onnx is missing"):
        info("mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownWeightFormat, match=r"empty is no model folder: it holds no model\.json"):
        info("empty")


@pytest.mark.parametrize(
    ("options", "key", "values"),
    [
        ({"family": "x3d"}, "family", {"x3d"}),
        ({"dataset": "charades"}, "dataset", {"charades"}),
        ({"dataset": "ava"}, "dataset", {"ava2.1", "ava2.2"}),
        ({"dataset": "ava2.1"}, "dataset", {"ava2.1"}),
        ({"upstream": "torchvision"}, "upstream", {"torchvision"}),
        ({"task": "detection"}, "task", {"detection"}),
        ({"pattern": "*_nln_*"}, "name", {"i3d_nln_r50_8x8.psf_k400"}),
        ({"pattern": "r2plus1d", "upstream": "pytorchvideo"}, "name", {"r2plus1d_r50_16x4.ptv_k400"}),
    ],
)
def test_filters(
    capsys: pytest.CaptureFixture[str], options: dict[str, str], key: str, values: set[str]
) -> None:
    assert {facts[key] for facts in listed(capsys, **options)} == values


def test_what_is_cheap_enough(capsys: pytest.CaptureFixture[str]) -> None:
    names = {facts["name"] for facts in listed(capsys, max_gflops=1.0)}
    assert {"x3d_xs.ptv_k400", "slowfast_tiny.synthetic"} <= names
    assert "x3d_m.ptv_k400" not in names


@pytest.mark.parametrize("key", ["gflops", "params"])
def test_least_first(capsys: pytest.CaptureFixture[str], key: str) -> None:
    figures = [facts[key] for facts in listed(capsys, pattern="slow*", sort=key)]
    assert figures == sorted(figures)
    assert len(figures) > 10


def test_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Top-1, then mAP: the two do not compare."""
    rows = listed(capsys, pattern="slowfast_r50*", sort="accuracy")
    top1 = [facts["published_top1"] for facts in rows if facts["published_top1"] is not None]
    average = [facts["published_map"] for facts in rows[len(top1) :]]
    assert top1 == sorted(top1, reverse=True)
    assert average == sorted(average, reverse=True)
    assert None not in average


def test_networks(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {facts["name"]: facts for facts in listed(capsys, pattern="slow_r50*", architectures=True)}
    assert rows["slow_r50_16x8"]["weights"] == []
    assert rows["slow_r50_8x8"]["best_weights"] == "slow_r50_8x8.psf_k400"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"family": "x3e"}, "did you mean x3d"),
        ({"dataset": "kinetics"}, "did you mean kinetics"),
        ({"upstream": "pytorch"}, "did you mean pytorchvideo"),
        ({"task": "detect"}, "did you mean detection"),
        ({"sort": "gflop"}, "did you mean gflops"),
        ({"architectures": True, "dataset": "ava", "cached": True}, "--dataset and --cached choose weights"),
    ],
)
def test_wrong_options_name_the_nearest(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        list_(**options)


def test_nothing_left() -> None:
    with pytest.raises(UnknownModel, match=r"no weights like 'x3d' with these options; .* shows all"):
        list_("x3d", task="detection")


def test_downloading_all_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import sys

    import click
    import typer

    import twinpath.zoo.create

    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    questions: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        questions.append(question)
        raise click.Abort

    monkeypatch.setattr(typer, "confirm", confirm)
    with pytest.raises(click.Abort):
        download(everything=True)
    published = [rec for rec in records() if rec.embedded_path is None]
    assert questions[0].startswith(f"Download {len(published)} files of at least ")
    fetched: list[str] = []

    def fetch(rec: object, *, progress: object) -> Path:
        fetched.append(rec.name)  # type: ignore[attr-defined]
        path = record("slowfast_tiny.synthetic").embedded_path
        assert path is not None
        return path

    monkeypatch.setattr(twinpath.zoo.create, "weights_path", fetch)
    download(everything=True, yes=True)
    assert fetched == [r.name for r in records()]
    assert len(capsys.readouterr().out.splitlines()) == len(fetched)


# the table


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int) -> list[str]:
    from rich.console import Console

    monkeypatch.setattr(console, "stdout_console", lambda: Console(width=width, highlight=False))
    print_table(
        [
            Column("name", ["a long name", "b"]),
            Column("first to go", ["x", "y"], dispensable=2),
            Column("figure", ["1.0", "10.0"], dispensable=1, right=True),
            Column("last", ["[yes]", "no"]),
        ]
    )
    return capsys.readouterr().out.splitlines()


def test_a_table_has_as_many_columns_as_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(monkeypatch, capsys, 40) == [
        "name         first to go  figure  last",
        "a long name  x               1.0  [yes]",
        "b            y              10.0  no",
    ]
    assert shown(monkeypatch, capsys, 39) == shown(monkeypatch, capsys, 40)
    assert shown(monkeypatch, capsys, 38)[0] == "name         figure  last"
    for width in (25, 10):  # too narrow for what must be there: the terminal breaks the line, nothing is cut
        assert shown(monkeypatch, capsys, width)[1].startswith("a long name  ")
