"""The oldest versions that may be installed: older ones have known holes, or lack what is used."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def requirements(python_version: str) -> list[Requirement]:
    """Those of the core and of every extra for a version of Python."""
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    found = [Requirement(line) for line in lines]
    return [r for r in found if not r.marker or r.marker.evaluate({"python_version": python_version})]


@pytest.mark.parametrize(
    ("name", "too_old", "good"),
    [
        ("lightning", "2.6.5", "2.6.6"),  # runs code from checkpoints
        ("torch", "2.9.1", "2.10.0"),  # CVE-2026-24747
        ("pillow", "12.1.0", "12.1.1"),  # CVE-2026-25990
        ("transformers", "5.2.0", "5.3.0"),  # CVE-2026-4372
        ("filelock", "3.15.0", "4.2.11"),
        ("tomli-w", "1.0.0", "1.2.0"),
    ],
)
def test_no_version_with_a_known_hole_is_installed(name: str, too_old: str, good: str) -> None:
    for python_version in ("3.11", "3.12", "3.14"):
        (found,) = [r for r in requirements(python_version) if r.name == name]
        assert too_old not in found.specifier
        assert good in found.specifier


@pytest.mark.parametrize(
    ("python_version", "too_old", "good"),
    [("3.11", "18.0.0", "18.1.0"), ("3.12", "18.1.0", "18.1.1"), ("3.12", "18.1.0", "19.0.2")],
)
def test_pyav_reads_no_freed_memory_where_a_newer_one_exists(
    python_version: str, too_old: str, good: str
) -> None:
    (found,) = [r for r in requirements(python_version) if r.name == "av"]
    assert too_old not in found.specifier
    assert good in found.specifier
    assert "20.0.0" not in found.specifier


def test_the_extra_all_has_every_feature() -> None:
    (everything,) = [Requirement(line) for line in EXTRAS["all"]]
    services = {"trackio", "wandb"}  # for who has chosen one
    assert everything.extras == set(EXTRAS) - {"all", "dev"} - services
    assert any("all" in Requirement(line).extras for line in EXTRAS["dev"])


def test_the_tested_versions_are_allowed_ones() -> None:
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    for python_version in ("3.11", "3.12"):
        environment = {"python_version": python_version}
        pinned = {r.name.lower(): r for r in pins if not r.marker or r.marker.evaluate(environment)}
        for required in requirements(python_version):
            if required.name != "twinpath" and required.name in pinned:
                (pin,) = pinned[required.name].specifier
                assert pin.version in required.specifier, required
