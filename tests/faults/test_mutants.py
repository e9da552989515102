"""Changed files of every container end in a result or in an error of ours; `make fuzz` tries more of them."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import mutants
from twinpath.video.isolated import worker as worker_module


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("part", range(2))
def test_mutants_give_only_typed_errors(tmp_path, part):
    """600 of seed 1; what fails is kept, and the message says how to try it again."""
    keep = Path(mutants.__file__).parents[2] / "build" / "mutants"
    before_bytes = resident_bytes()
    ends = set()
    findings = []
    for number, outcome in mutants.run(range(300 * part, 300 * (part + 1)), seed=1, keep=keep):
        ends.update(outcome.ends)
        if outcome.finding:
            findings.append(mutants.describe(number, outcome, seed=1, keep=keep))
    assert not findings, "\n".join(findings)
    assert {"sound", "damaged", "CorruptVideo", "NotAVideo", "LimitExceeded"} <= ends  # it reaches everything
    assert resident_bytes() - before_bytes < 200 << 20


def test_a_mutant_is_made_from_its_seed_and_number_alone(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    made = []
    for folder in folders:
        folder.mkdir()
        files = mutants.originals(folder)
        made.append([mutants.mutant(files, seed=1, number=number) for number in (3, 4711)])
    assert made[0] == made[1]
    assert made[0][0] != made[0][1]


@pytest.mark.parametrize("deed", ["os.abort()", "raise KeyError(path)", "raise TwinpathError('what?')"])
def test_what_must_not_be_is_found_and_kept(tmp_path, monkeypatch, deed):
    evil = f"""
import os
from twinpath.errors import TwinpathError
from twinpath.video.isolated import child
def read_frames(path, *arguments, **options):
    {deed}
child.read_frames = read_frames
"""
    start = worker_module.START.replace("main(*json", evil + "main(*json")
    monkeypatch.setattr(worker_module, "START", start)
    monkeypatch.setattr(mutants, "originals", lambda folder: [np.frombuffer(good, dtype=np.uint8)])
    monkeypatch.setattr(mutants, "CHANGES", (lambda rng, data, other: data,))
    good = mutants.bad_videos.make_good(tmp_path).read_bytes()
    ((number, outcome),) = mutants.run(range(5, 6), seed=9, keep=tmp_path / "kept")
    assert outcome.finding
    text = mutants.describe(number, outcome, seed=9, keep=tmp_path / "kept")
    assert "--seed 9 --only 5" in text
    assert (tmp_path / "kept" / "mutant-9-5.mp4").read_bytes() == good


def test_the_program_counts_and_tries_a_single_file(tmp_path, monkeypatch, capsys):
    """What `make fuzz` runs."""
    monkeypatch.setattr(sys, "argv", ["mutants", "--count", "3", "--keep", str(tmp_path)])
    assert mutants.main() == 0
    assert re.match(r"3 mutants in \d+ s, 0 findings\nfour readings of each: \w+", capsys.readouterr().out)
    good = mutants.bad_videos.make_good(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mutants", "--file", str(good)])
    assert mutants.main() == 0
    assert capsys.readouterr().out == "sound, sound, sound, sound\n\n"
