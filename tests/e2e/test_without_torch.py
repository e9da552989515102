"""The tests of tests/core, where torch and what needs it cannot be found."""

from __future__ import annotations

from pathlib import Path

from tests.support.core_only import python_without_torch

ROOT = Path(__file__).parents[2]


def test_the_core_works_without_torch() -> None:
    found = "import importlib.util as u; print([n for n in ('torch', 'torchvision', 'av') if u.find_spec(n)])"
    assert python_without_torch("-c", found, cwd=ROOT).stdout.strip() == "['av']"
    done = python_without_torch(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/core", cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
