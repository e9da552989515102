"""`twinpath models info`, as people read it."""

from __future__ import annotations

import pytest

from twinpath.cli.models import info


def test_info_is_a_list_of_facts(capsys: pytest.CaptureFixture[str]) -> None:
    info("slow_r50_8x8.ptv_k400")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["params"] == "32,454,096"
    assert facts["mean"] == "0.45 0.45 0.45"
    assert facts["published_map"] == "-"
    assert facts["published_top1"] == "74.58"


def test_info_of_a_network_names_its_best_weights(capsys: pytest.CaptureFixture[str]) -> None:
    info("slow_r50_8x8")
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert facts["best_weights"] == "slow_r50_8x8.psf_k400"
