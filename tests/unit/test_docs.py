"""The documentation: generated pages are current, fields are those of the code, links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from scripts import site_pages, write_api_reference, write_errors, write_man_page, write_schemas
from tests.support.evaluations import made_up
from tests.support.timelines import scores_by_hand
from twinpath.cli.app import make_app
from twinpath.data.labelled.check import CheckedClip, CheckedVideo, DataCheck, Unusable
from twinpath.data.labelled.clip import LabelledClip, LabelledData
from twinpath.evaluate.synthetic_clips import summarise
from twinpath.evaluate.verify import Verification
from twinpath.metrics.evaluation import report_values
from twinpath.metrics.evaluation import summarise as summarise_evaluation
from twinpath.recognize.frame_ring import Counters
from twinpath.recognize.live import StreamAnswer
from twinpath.recognize.timeline import timeline_of
from twinpath.results.classification import Classification, Prediction
from twinpath.results.detections import Detections, Track, TrackPoint
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.results.segments import SegmentRules
from twinpath.zoo.facts import facts_of

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    ROOT / "tests" / "golden" / "README.md",
    *(path for folder in ("docs", "benchmarks") for path in (ROOT / folder).rglob("*.md")),
]
WRITTEN = [page for page in PAGES if page.parent.name != "api"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
WAVE = Prediction("wave", 1, 0.9)
CLASSIFICATION = Classification("v", "m", "e", "1x1", (WAVE,), (), {})


def test_the_api_reference_is_current() -> None:
    there = {path.name: path.read_text("utf-8") for path in write_api_reference.API.glob("*.md")}
    written = write_api_reference.pages()
    assert [name for name, text in written.items() if there.get(name) != text] == [], "run `make docs`"
    assert there.keys() == written.keys()


@pytest.mark.parametrize("written", [write_schemas, write_errors, write_man_page], ids=lambda m: m.PAGE.name)
def test_a_page_made_from_the_code_is_current(written: ModuleType) -> None:
    assert written.PAGE.read_text("utf-8") == written.page(), "run `make docs`"


def test_the_page_of_errors_has_every_class_and_the_tree_its_exit_codes() -> None:
    from twinpath import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    page = write_errors.page()
    drawn = dict(re.findall(r"(\w+) +(\d+)", errors.__doc__ or ""))
    for error in classes:
        code = "" if error is errors.Stopped else str(error.exit_code)
        assert re.search(rf"`{error.__name__}` \| {code} \| \S", page)
        assert drawn.get(error.__name__, str(error.exit_code)) == str(error.exit_code)
        assert error.__name__ in (errors.__doc__ or "")


def timeline() -> dict[str, Any]:
    scores = np.repeat([[0.9, 0.1]], 8, axis=0)
    return timeline_of(scores_by_hand(scores, ("wave", "jump")), SegmentRules()).to_dict()


def detections() -> dict[str, Any]:
    track = Track(1, (TrackPoint(0.0, (0, 0, 10, 10), 0.9, (WAVE,)),))
    numbers = {"width_px": 20, "height_px": 20, "duration_s": 1.0, "every_s": 1.0, "keyframes_s": (0.0,)}
    words = dict.fromkeys(("video", "model", "dataset", "engine", "person_detector", "tracker"), "x")
    return Detections(**words, **numbers, tracks=(track,), warnings=(), timing_s={}).to_dict()  # type: ignore[arg-type]


def stream_answer() -> dict[str, Any]:
    return StreamAnswer(0.0, 2.0, datetime.now(UTC), (WAVE,), None, 0.1, Counters()).to_dict()


def data_check() -> DataCheck:
    names = [Path("a.mp4"), Path("b.mp4"), Path("c.mp4")]
    clips = tuple(LabelledClip(path, ("wave",)) for path in names)
    facts = ("h264", "mov", 9, "sha256", ())
    videos = tuple(
        CheckedVideo(path, 1.0, 64, 48, 25.0, *facts, (CheckedClip(number, 0.0, 1.0),))
        for number, path in enumerate(names[:2])
    )
    return DataCheck(LabelledData(clips, ("wave",)), videos, (Unusable(names[2], "c.mp4 is gone", 1),))


def evaluation_report() -> dict[str, Any]:
    evaluation = made_up(2)
    return report_values(evaluation, summarise_evaluation(evaluation))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("provenance", Provenance(FileFacts(1, 1.0), "m", None, {}).to_dict),
        ("file", lambda: Provenance(FileFacts(1, 1.0), "m", None, {}).to_dict()["source"]),
        ("classification", CLASSIFICATION.to_dict),
        ("prediction", lambda: CLASSIFICATION.to_dict()["predictions"][0]),
        ("timeline", timeline),
        ("settings", lambda: timeline()["settings"]),
        ("segment", lambda: timeline()["segments"][0]),
        ("window", lambda: timeline()["windows"][0]),
        ("detections", detections),
        ("track", lambda: detections()["tracks"][0]),
        ("track_point", lambda: detections()["tracks"][0]["points"][0]),
        ("stream", stream_answer),
        ("data_check", lambda: data_check().to_dict()),
        ("checked_video", lambda: data_check().to_dict()["videos"][0]),
        ("unusable", lambda: data_check().to_dict()["unusable"][0]),
        ("checked_class", lambda: data_check().to_dict()["classes"][0]),
        ("copies", lambda: data_check().to_dict()["copies"][0]),
        ("evaluation_clips", lambda: summarise([("wave", "jump")]).to_dict()),
        ("confusion", lambda: summarise([("wave", "jump")]).to_dict()["confusions"][0]),
        ("evaluation_labelled", lambda: evaluation_report()["summary"]),
        ("class_figures", lambda: evaluation_report()["summary"]["by_class"][0]),
        ("calibration_bin", lambda: evaluation_report()["summary"]["calibration"][0]),
        ("evaluation_report", lambda: evaluation_report()),
        ("models_weights", lambda: facts_of("x3d_s.ptv_k400")),
        ("models_networks", lambda: facts_of("x3d_s")),
        ("verification", Verification("m", "w", None, None, ()).to_dict),
    ],
)  # fmt: skip
def test_the_fields_of_a_schema_are_those_of_the_code(name: str, made: Callable[[], dict[str, Any]]) -> None:
    assert made().keys() == write_schemas.keys(name)


def test_the_schemas_of_commands_are_what_they_print() -> None:
    labels = CliRunner().invoke(make_app(), ["labels", "kinetics400", "--json"]).stdout.splitlines()
    assert json.loads(labels[0]).keys() == write_schemas.keys("labels")
    facts = json.loads(CliRunner().invoke(make_app(), ["doctor", "--json"]).stdout)
    assert {name for name in facts if not name.startswith("extra: ")} <= write_schemas.keys("doctor")


def test_the_picture_of_the_layers_is_what_is_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    enforced = [re.findall(r"twinpath\.(\w+)", layer) for layer in contracts[0]["layers"]]
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    (picture,) = re.findall(r"^## Layers\n.*?^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert [sorted(line.split()) for line in picture.splitlines()] == [sorted(names) for names in enforced]


def test_every_extra_has_a_row() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "install.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(extras)


def commands_in(page: Path) -> list[list[str]]:
    """The words of every `twinpath …` within text; those in blocks are run: tests/e2e/test_doc_blocks.py."""
    found = re.findall(r"`(?:\.venv/bin/)?twinpath ([^`]+)`", page.read_text("utf-8"))
    return [shlex.split(command.replace("\n", " ")) for command in found]


def options_of(command: Any) -> set[str]:
    return {"--help", *(name for part in command.params for name in (*part.opts, *part.secondary_opts))}


def all_options(command: Any) -> set[str]:
    """Of a command and those below it."""
    below = getattr(command, "commands", {}).values()
    return options_of(command).union(*(all_options(each) for each in below))


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    missing = []
    for words in commands_in(page):
        command: Any = get_command(make_app())
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        options = options_of(command)
        names = [word.partition("=")[0] for word in words if word.startswith("--")]
        missing += [(command.name, name) for name in names if name not in options]
        if hasattr(command, "commands") and words and not words[0].startswith("-"):
            missing.append((command.name, words[0]))
    if page.parent.name != "benchmarks":  # which have options of their own
        named = re.findall(r"`(--[a-z-]+)[^`]*`", page.read_text("utf-8"))
        missing += [("", name) for name in set(named) - all_options(get_command(make_app()))]
    assert missing == []


def headings(page: Path) -> set[str]:
    """The anchors of a page."""
    lines = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = []
    for link in LINK.findall(page.read_text("utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            missing.append(link)
    assert missing == []


def test_links_lead_to_where_a_page_is_in_the_site() -> None:
    """And become a path in words where it is not there."""
    turned = site_pages.turned
    assert turned("[a](docs/api/data.md#b), ![c](docs/images/demo.png)", "index.md") == (
        "[a](api/data.md#b), ![c](images/demo.png)"
    )
    assert turned("[x](../README.md) [y](api/data.md#z) [w](#v)", "data.md") == (
        "[x](index.md) [y](api/data.md#z) [w](#v)"
    )
    assert turned("[speed](../../benchmarks/README.md)", "api/data.md") == "[speed](../benchmarks.md)"
    assert turned("[zoo/hub.py](../src/twinpath/zoo/hub.py)", "python.md") == "`src/twinpath/zoo/hub.py`"
    assert turned("[a page](../examples/browser/index.html)", "export.md") == (
        "a page (`examples/browser/index.html`)"
    )
    assert turned("[d](https://a.b/c.md)", "data.md") == "[d](https://a.b/c.md)"
