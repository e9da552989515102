"""torch.hub, with PyTorchVideo's names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from twinpath.zoo.create import resolve
from twinpath.zoo.records import records

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hubconf(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict[str, object] = {"__file__": str(ROOT / "hubconf.py"), "__name__": "hubconf"}
    exec(compile((ROOT / "hubconf.py").read_text(), "hubconf.py", "exec"), names)
    return names


def test_a_model_by_pytorchvideos_name() -> None:
    """In a process of its own, which knows the package only through the repository."""
    code = (
        "import sys, torch\n"
        f"sys.path = [p for p in sys.path if not p.startswith({str(ROOT / 'src')!r})]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
        f"model = torch.hub.load({str(ROOT)!r}, 'slowfast_r50', source='local')\n"
        "print(type(model).__name__, model.get_classifier().out_features)\n"
        f"load = lambda name, **o: torch.hub.load({str(ROOT)!r}, 'create_model', name, source='local', **o)\n"
        "model = load('slowfast_tiny', num_classes=3)\n"
        "print(model(torch.zeros(1, 3, 16, 64, 64)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["SlowFast 400", "torch.Size([1, 3])"]


def test_every_alias_is_the_record_of_that_upstream_name(hubconf: dict[str, object]) -> None:
    aliases = hubconf["_PYTORCHVIDEO"]
    assert isinstance(aliases, dict)
    upstream_names = {r.upstream_name: r.name for r in records() if r.upstream == "pytorchvideo"}
    for alias, name in aliases.items():
        resolve(name)
        assert callable(hubconf[alias])
        if alias != "mvit_base_16":
            assert upstream_names[alias] == name


def test_what_torch_hub_lists_are_models(hubconf: dict[str, object]) -> None:
    entries = {name for name, value in hubconf.items() if callable(value) and not name.startswith("_")}
    aliases = hubconf["_PYTORCHVIDEO"]
    assert isinstance(aliases, dict)
    assert entries == {*aliases, "create_model"}
    assert len(entries) == 20
    slow = hubconf["slow_r50"]
    assert callable(slow)
    assert "slow_r50_8x8.ptv_k400" in (slow.__doc__ or "")
    with torch.device("meta"):
        assert slow(num_classes=7).get_classifier().out_features == 7
