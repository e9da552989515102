"""Changed files of every kind end in a result or in an error of ours; `make fuzz` tries more of them."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support import fuzz, mutants, text_mutants, text_samples
from tests.support.fuzz import Outcome
from twinpath.errors import InputError, NotAFile, TwinpathError
from twinpath.video.isolated import worker as worker_module

KEEP = Path(fuzz.__file__).parents[2] / fuzz.KEEP


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def ends_of(part, numbers):
    """How the mutants of seed 1 with these numbers end; what fails is kept, and told how to try it again."""
    ends = set()
    findings = []
    for number, outcome in fuzz.run(part, numbers, seed=1, keep=KEEP):
        ends.update(outcome.ends)
        if outcome.finding:
            findings.append(fuzz.describe(part, number, outcome, seed=1, keep=KEEP))
    assert not findings, "\n".join(findings)
    return ends


@pytest.mark.parametrize("half", range(2))
def test_mutants_of_videos_give_only_typed_errors(half):
    before_bytes = resident_bytes()
    ends = ends_of(mutants.PART, range(300 * half, 300 * (half + 1)))
    assert {"sound", "damaged", "CorruptVideo", "NotAVideo", "LimitExceeded"} <= ends  # it reaches everything
    assert resident_bytes() - before_bytes < 200 << 20


@pytest.mark.parametrize("number", range(2))
def test_mutants_of_texts_give_only_typed_errors(number):
    ends = ends_of(text_mutants.PART, range(400 * number, 400 * (number + 1)))
    assert {"sound", "InputError", "ConfigError"} <= ends


@pytest.mark.parametrize("kind", text_samples.FORMATS, ids=lambda kind: kind.ending)
def test_the_sound_texts_are_read(tmp_path, kind):
    """Else their mutants would show nothing."""
    for number, content in enumerate(kind.samples(tmp_path)):
        path = tmp_path / f"{number}.{kind.ending}"
        path.write_bytes(content)
        assert fuzz.judge(lambda: str(kind.read(path)), path) == Outcome(("None",))  # noqa: B023


@pytest.mark.parametrize("part", [mutants.PART, text_mutants.PART], ids=lambda part: part.name)
def test_a_mutant_is_made_from_its_seed_and_number_alone(tmp_path, part):
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        files = part.originals(folder)
        made.append([part.mutant(files, seed=1, number=number) for number in (3, 4711)])
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
    keep = tmp_path / "kept"
    ((number, outcome),) = fuzz.run(mutants.PART, range(5, 6), seed=9, keep=keep)
    assert outcome.finding
    text = fuzz.describe(mutants.PART, number, outcome, seed=9, keep=keep)
    assert "--seed 9 --only 5" in text
    assert f"--file {keep / 'videos-9-5.mp4'}" in text
    assert (keep / "videos-9-5.mp4").read_bytes() == good


class Raw(InputError):
    """Without the escapes that our errors make."""

    def __init__(self, message):
        super().__init__()
        self.args = (message,)


@pytest.mark.parametrize(
    ("error", "finding"),
    [
        (NotAFile("there is no a.csv; check the name"), None),
        (TwinpathError("a.csv: what?"), "TwinpathError is too vague: a.csv: what?"),
        (InputError("not a table"), "InputError does not name the file: not a table"),
        (Raw("a.csv:\nno"), r"Raw is not one line of plain text: 'a.csv:\nno'"),
        (Raw("a.csv: \x1b[2J"), r"Raw is not one line of plain text: 'a.csv: \x1b[2J'"),
        (InputError("a.csv" + "9" * 5000), f"InputError has 5005 characters: a.csv{'9' * 95} …"),
    ],
)
def test_which_of_our_errors_are_finds(error, finding):
    assert fuzz.fault_of(error, Path("folder/a.csv")) == finding


def test_any_other_exception_is_a_find_that_says_where():
    def read():
        return {}["missing"]

    assert re.fullmatch(
        r"KeyError: 'missing' \(test_mutants.py:\d+\)", fuzz.judge(read, Path("a.csv")).finding
    )


def examine(path):
    """What the process of `limited_reader` does below."""
    deed = path.read_text()
    if deed == "loop":
        while True:
            pass
    if deed == "abort":
        os.abort()
    return fuzz.judge(lambda: str(len(bytearray(int(deed)))), path)


def warm_up():
    pass


def test_a_limited_reader_outlives_what_it_reads(tmp_path):
    limits = fuzz.ReaderLimits(memory_bytes=64 << 20, cpu_s=1, wall_s=60)
    path = tmp_path / "deed"
    with fuzz.limited_reader(__name__, limits) as read:
        outcomes = []
        for deed in ("7", "500000000", "loop", "abort", "8"):
            path.write_text(deed)
            outcomes.append(read(path))
    assert outcomes[0] == Outcome(("7",))
    assert outcomes[1].finding.startswith("MemoryError:")
    assert outcomes[2].finding == "takes more than 1 s of processor time"
    assert outcomes[3].finding == "the process that reads it died with -6"
    assert outcomes[4] == Outcome(("8",))


def test_the_program_counts_logs_and_tries_a_single_file(tmp_path, capsys, monkeypatch):
    """What `make fuzz` runs."""
    monkeypatch.setattr(fuzz, "CHUNK", 2)
    log = tmp_path / "log"
    many = ["--count", "3", "--processes", "2", "--keep", str(tmp_path), "--log", str(log)]
    assert fuzz.main(mutants.PART, many) == 0
    printed = capsys.readouterr().out
    assert re.match(r"3 mutants of videos in \d+ s, 0 finds\n  readings: \w+", printed)
    assert "begin videos: 3 from 0 of seed 1" in log.read_text()
    assert printed.splitlines()[0] in log.read_text()
    good = mutants.bad_videos.make_good(tmp_path)
    assert fuzz.main(mutants.PART, ["--file", str(good)]) == 0
    assert capsys.readouterr().out == "sound, sound, sound, sound\n\n"
