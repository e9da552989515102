"""Changed weight files are loaded whole or refused by our errors, and the fuzzer sees what is neither."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHED = """
import sys
from tests.support import weight_mutants as w
w.CPU_S = 3
real, calls = w.load_weights, []

def load(model, path):
    number = int(path.stem.rpartition("-")[2])
    if number == 1:
        raise ValueError("not typed")
    if number == 2:
        kept = bytearray(1) * (5 << 26)  # more than MEMORY_BYTES, and quickly made
    if number == 3:
        while True:
            pass
    if number == 4:
        raise w.WeightsError(f"{path.name}: vague")
    return real(model, path)

w._warm_up = lambda *_: None
w.load_weights = load
sys.exit(w.main(["--count", "12", "--seed", "3", "--keep", sys.argv[1]]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def test_some_mutants(tmp_path: Path) -> None:
    done = run("-m", "tests.support.weight_mutants", "--count", "80", "--seed", "2", "--keep", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "80 mutants of weights" in done.stdout
    assert " 0 findings" in done.stdout
    assert not list(tmp_path.iterdir())


def test_what_must_not_be_is_found_and_kept(tmp_path: Path) -> None:
    done = run("-c", PATCHED, str(tmp_path))
    assert done.returncode == 1, done.stderr
    for words in (
        "ValueError: not typed",
        "mutant 2 of seed 3: took",
        "mutant 3 of seed 3: the process ended",
    ):
        assert words in done.stdout
    assert "vague" in done.stdout
    assert "--seed 3 --only 3" in done.stdout
    assert len(list(tmp_path.iterdir())) == 4
