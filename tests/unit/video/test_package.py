"""The package's own description."""

from __future__ import annotations

from pathlib import Path

import pytest

import twinpath.video
import twinpath.video.isolated


@pytest.mark.parametrize("package", [twinpath.video, twinpath.video.isolated])
def test_every_module_is_described(package: object) -> None:
    folder = Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    described = str(package.__doc__)
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    assert [
        name for name in sorted(modules) if f" {name}" not in described and f"\n{name}" not in described
    ] == []
    words = described.replace("/", "/ ").split()
    assert [word for word in words if word.endswith(".py") and word not in modules] == []
