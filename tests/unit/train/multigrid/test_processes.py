"""Two processes learn what one learns from the doubled batch, through all shapes and kinds of batch norms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.multigrid_processes import trained

ROOT = Path(__file__).parents[4]


@pytest.mark.slow  # PyTorch is imported twice more
def test_two_processes_are_one_with_the_doubled_batch(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.multigrid_processes", str(tmp_path)]
    running = [subprocess.Popen([*command, str(process), "2"], cwd=ROOT) for process in range(2)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the three of them have few cores
    try:
        alone, kinds_alone = trained(0, 1)
        assert [process.wait(timeout=120) for process in running] == [0, 0]
    finally:
        torch.set_num_threads(threads)
        for process in running:
            process.kill()
            process.wait()
    both = [torch.load(tmp_path / f"{process}.pt", weights_only=True) for process in range(2)]
    assert kinds_alone[0] == both[0]["kinds"][0] == "sub"
    assert (kinds_alone[-1], both[0]["kinds"][-1]) == ("batch", "sync")
    for name, tensor in alone.items():
        for state in (both[0]["state"], both[1]["state"]):
            assert torch.allclose(state[name], tensor, rtol=1e-6, atol=1e-9), name
