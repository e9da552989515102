"""Networks stage by stage, and their drawings: totals are those of `models info`, shapes of the papers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.commands import in_process
from twinpath.render.network_svg import network_svg
from twinpath.zoo.facts import facts_of
from twinpath.zoo.network_plan import network_plan

DRAWN = Path(__file__).parents[3] / "docs" / "images"
FAMILIES = (
    "c2d_r50_8x8", "i3d_nln_r50_8x8", "slow_r50_8x8", "fast_r50_8x8", "slowfast_r50_8x8.ptv_k400",
    "slowfast_r50_8x8_det", "csn_r101_32x2", "r2plus1d_18", "x3d_m", "mvit_v1_b_16x4", "mvit_v2_s_16x4",
    "vit_b_16x4", "rev_mvit_b", "s3d",
)  # fmt: skip


def words(svg: str) -> list[str]:
    found = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]
    return [text for text in found if text is not None]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_totals_are_those_of_models_info(name: str) -> None:
    plan, facts = network_plan(name), facts_of(name)
    assert plan.params == sum(stage.params for stage in plan.stages) == facts["params"]
    assert plan.gflops == facts["gflops"]
    texts = words(network_svg(plan))
    assert texts[0] == name
    assert texts[1].startswith(f"{facts['params']:,} parameters, {facts['gflops']:.4g} GFLOPs a clip")
    for stage in plan.stages:
        assert stage.name in texts or stage.place == "lateral"
        assert stage.shape is None or " × ".join(map(str, stage.shape)) in texts or stage.place == "lateral"


def test_a_slowfast_has_pathways_and_laterals_as_in_its_paper() -> None:
    plan = network_plan("slowfast_r50_8x8")
    of = {place: [s for s in plan.stages if s.place == place] for place in ("slow", "fast", "lateral")}
    assert [s.shape for s in of["slow"]][1:] == [
        (256, 8, 64, 64), (512, 8, 32, 32), (1024, 8, 16, 16), (2048, 8, 8, 8)
    ]  # fmt: skip
    assert [s.shape[0] for s in of["fast"] if s.shape] == [8, 32, 64, 128, 256]
    assert {s.shape[1] for s in of["fast"] if s.shape} == {32}
    assert [s.shape[:2] for s in of["lateral"] if s.shape] == [(16, 8), (64, 8), (128, 8), (256, 8)]
    assert [s.what[-1] for s in of["slow"]] == 3 * ["frame by frame"] + 2 * ["over 3 frames"]


@pytest.mark.parametrize("name", ["slowfast_r50_8x8", "x3d_m"])
def test_the_pictures_in_the_documentation_are_current(name: str) -> None:
    command = f"twinpath models info {name} --draw docs/images/{name}.svg"
    assert (DRAWN / f"{name}.svg").read_text("utf-8") == network_svg(network_plan(name)), command


def test_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "drawn.svg"
    done = in_process("models", "info", "slowfast_tiny_det.synthetic", "--draw", folder)
    assert "GFLOPs a clip" in words(folder.read_text("utf-8"))[1]
    assert f"wrote {folder}" in done.err
    no_svg = in_process("models", "info", "slowfast_tiny", "--draw", tmp_path / "drawn.png", code=2)
    assert "ends in .svg" in no_svg.error
