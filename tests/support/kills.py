"""Kills commands at random moments, runs them again, and compares with runs that nobody disturbed.

    make kills N=1000 SEED=1
    python -m tests.support.kills --seed 1 --only 4711      # this one again

Each trial is made from the seed and its number alone: a command, what earlier runs and others left where it
writes, and one to three runs that are ended by a signal, after so many seconds, or at so many changes of
files. Then the same command runs to its end. Found is what must not be: a result that differs from that of a
run without any kill, a temporary file that stays, a file of others that is changed, an error.

Commands run in forks of a process that has imported everything, so that a kill hits work, not imports.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fuzz import Log
from tests.support.slow_mirror import slow_mirror
from twinpath.recognize import checkpoint

SIGNALS = ((signal.SIGKILL, 14), (signal.SIGTERM, 2), (signal.SIGINT, 2), (signal.SIGHUP, 2))
CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"}
MOST_S = 120.0  # of a command, on a busy machine
RECORD = "slowfast_r50_4x16.ptv_k400"  # what the trials download; the file is not the real one
ENOUGH = 20
TINY, TINY_DET = "slowfast_tiny.synthetic", "slowfast_tiny_det.synthetic"
VIDEOS = ("videos",)
BAD = "bad/zz.mp4"
# What others have in the folder: names near ours, and a temporary file of another computer.
OF_OTHERS = {
    "out/notes.txt": b"not ours",
    "out/a.mp4.timeline.notes.csv": b"near",
    "out/.a.mp4.timeline.json.other-host-1-0123abcd.tmp.json": b"of another computer",
    "out/sub/readme": b"below",
}


@dataclass(frozen=True)
class Task:
    """A command in two settings.

    Attributes:
        name: For people.
        words: The command.
        other: The same with other settings of the results.
        restyled: The same with other settings of the files that are made of them; None: there are none.
        target: One of the files that it writes.
        code: With which it ends.
    """

    name: str
    words: tuple[str, ...]
    other: tuple[str, ...]
    target: str
    restyled: tuple[str, ...] | None = None
    code: int = 0


def _tasks() -> tuple[Task, ...]:
    classify = ("classify", *VIDEOS, "--model", TINY, "--out", "out/answers.jsonl", "--views")
    timeline = ("timeline", *VIDEOS, "--model", TINY, "--out", "out", "--every")
    files = ("--formats", "json,csv,xml,mp4,png")
    detect = ("detect", *VIDEOS, "--model", TINY_DET, "--people", "whole", *files, "--out", "out", "--every")
    features = ("features", *VIDEOS, "--model", TINY, "--out", "out/features.npz", "--every")
    evaluate = ("evaluate", TINY, "--data", "labelled", "--out", "out/report", "--views")
    table = (*features[:-3], "--out", "out/features.parquet", "--every")
    return (
        Task("classify", (*classify, "1x2"), (*classify, "1x1"), "out/answers.jsonl"),
        Task("classify with a bad file", (*classify, "1x2", BAD), (*classify, "1x1", BAD),
             "out/answers.jsonl", code=4),
        Task("timeline", (*timeline, "0.5"), (*timeline, "1"), "out/a.mp4.timeline.csv",
             (*timeline, "0.5", "--min-score", "0.9", "--top-k", "2")),
        Task("detect", (*detect, "0.5"), (*detect, "1"), "out/a.mp4.detect.mp4",
             (*detect, "0.5", "--min-score", "0.01", "--smooth", "0")),
        Task("features", (*features, "0.5"), (*features, "1"), "out/features.npz"),
        Task("features with a bad file", (*features, "0.5", BAD), (*features, "1", BAD),
             "out/features.npz", code=4),
        Task("features in Parquet", (*table, "0.5"), (*table, "1"), "out/features.parquet"),
        Task("evaluate", (*evaluate, "1x2"), (*evaluate, "1x1"), "out/report/scores.jsonl"),
        Task("download", ("models", "download", RECORD), (), f"home/weights/{RECORD}.pyth"),
    )  # fmt: skip


TASKS = _tasks()


@dataclass(frozen=True)
class Ending:
    """How a run is ended.

    Attributes:
        signum: By which signal.
        after_s: So long after its start; None: at a change of a file.
        at_change: Of which number.
        delay_s: So long after that change.
        keeps_often: Whether the run keeps its state every few milliseconds, and not every ten seconds.
    """

    signum: int
    after_s: float | None = None
    at_change: int = 0
    delay_s: float = 0.0
    keeps_often: bool = False


class Stage:
    """A folder with videos in which commands run, one at a time; what they write is taken away in between.

    Args:
        folder: Empty; always the same path gives the same results.
        mirror: Address of the server of downloads.
    """

    def __init__(self, folder: Path, mirror: str) -> None:
        self.folder = folder
        self._mirror = mirror
        self._references: dict[Task, tuple[dict[str, bytes], float, int]] = {}
        _make_videos(folder)

    def clear(self) -> None:
        for name in ("out", "home"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def run(self, task: Task, words: Sequence[str], ending: Ending | None = None) -> tuple[int, str]:
        """Run a command in a fork; its exit code, negative for a signal, and what it printed on stderr."""
        log = self.folder / "stderr"
        counts = self.folder / "changes"
        pid = os.fork()
        if pid == 0:
            _command(self.folder, words, ending, log, counts, self._environment(task))
        stop = None
        if ending is not None and ending.after_s is not None:
            stop = threading.Timer(ending.after_s, _kill, (pid, ending.signum))
            stop.start()
        limit = threading.Timer(MOST_S, _kill, (pid, signal.SIGKILL))
        limit.start()
        # Not reaped while a timer may still send to its id.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        for timer in (stop, limit):
            if timer is not None:
                timer.cancel()
                timer.join()
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")

    def reference(self, task: Task) -> tuple[dict[str, bytes], float, int]:
        """What an undisturbed run writes, how long it takes, and how many changes of files it makes."""
        if task not in self._references:
            self.clear()
            began_s = time.monotonic()
            code, stderr = self.run(task, task.words)
            took_s = time.monotonic() - began_s
            assert code == task.code, (code, stderr)
            changes = int((self.folder / "changes").read_text())
            self._references[task] = (self.results(), took_s, changes)
        return self._references[task]

    def results(self) -> dict[str, bytes]:
        """All files that are there, by their paths; without what differs from run to run."""
        return {name: plain(name, content) for name, content in self.files().items()}

    def files(self) -> dict[str, bytes]:
        folders = [self.folder / name for name in ("out", "home")]
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def put(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _environment(self, task: Task) -> dict[str, str]:
        if not task.name.startswith("download"):
            return {}
        return {"TWINPATH_HOME": str(self.folder / "home"), "TWINPATH_MIRROR": self._mirror, "NO_PROXY": "*"}


def _kill(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def _make_videos(folder: Path) -> None:
    from tests.support.timelines import grey_film

    videos = {"videos/a.mp4": 5.0, "videos/b.mkv": 1.5, "videos/sub/c.mp4": 2.0}
    labelled = {"labelled/walk/a.mp4": 2.0, "labelled/walk/b.mkv": 1.5, "labelled/sit_down/c.mp4": 2.5}
    for name, seconds in (videos | labelled).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey_film(path, seconds=seconds)
        os.utime(path, (1.5e9, 1.5e9))
    (folder / "bad").mkdir()
    (folder / BAD).write_bytes(b"no video" * 100)
    os.utime(folder / BAD, (1.5e9, 1.5e9))


def _command(
    folder: Path,
    words: Sequence[str],
    ending: Ending | None,
    log: Path,
    counts: Path,
    environment: dict[str, str],
) -> None:
    """In the fork: run the command, and end."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        stderr = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stderr, 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8") for number in (1, 2))  # noqa: SIM115, PTH123
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if ending is not None and ending.keeps_often:
            checkpoint.CHECKPOINT_EVERY_S, checkpoint.CHECKPOINT_SHARE = 0.005, 1.0
        changes = _count_changes(ending)
        sys.argv = ["twinpath", *words]
        from twinpath.cli import main

        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        counts.write_text(str(changes[0]))
    finally:
        os._exit(code)


def _count_changes(ending: Ending | None) -> list[int]:
    """Count changes of files in this process from now on, and end it at the one that is named."""
    count = [0]
    me = os.getpid()

    def notice(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or os.getpid() != me:
            return
        if event == "open" and not (
            isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            return
        name = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
        if "out" not in name and "home" not in name:
            return
        count[0] += 1
        if ending is not None and ending.after_s is None and count[0] == ending.at_change:
            if ending.delay_s:
                threading.Timer(ending.delay_s, os.kill, (me, ending.signum)).start()
            else:
                os.kill(me, ending.signum)

    sys.addaudithook(notice)
    return count


# What differs from run to run: times that were measured, and when an annotation was made.


def plain(name: str, content: bytes) -> bytes:
    """The content of a file without that; as it is where it is not whole."""
    try:
        return _plain(name, content)
    except (ValueError, KeyError, AttributeError, zipfile.BadZipFile):
        return content


def _plain(name: str, content: bytes) -> bytes:
    if name.endswith(".jsonl"):
        lines = [_without_timing(line) for line in content.splitlines()]
        return b"\n".join(sorted(lines))  # those that failed are tried last in a second run
    if name.endswith(".json"):
        return _without_timing(content)
    if name.endswith(".eaf"):
        return re.sub(rb'DATE="[^"]*"', b"", content)
    if name.endswith(".npz"):
        return _plain_npz(content)
    return content


def _without_timing(text: bytes) -> bytes:
    values = json.loads(text)
    for key in ("timing_s", "date"):
        values.pop(key, None)
    return json.dumps(values).encode()


def _plain_npz(content: bytes) -> bytes:
    """All bytes, but for the times in the facts; so also the order and the packing of the arrays."""
    import numpy as np

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    plain_parts = []
    for name, part in parts:
        if name == "facts.npy":
            part = _without_timing(str(np.load(io.BytesIO(part), allow_pickle=False)).encode())
        plain_parts.append(name.encode() + b"\0" + part)
    return b"\n".join(plain_parts)


# A trial


@dataclass
class Trial:
    """One trial and how it went.

    Attributes:
        task: Which command.
        before: What there was: "nothing", "finished", "other settings", "other files", "others' file".
        endings: Of the runs before the last one.
        ended: With which codes these ended.
        finding: What must not be, or None.
    """

    task: Task
    before: str
    endings: list[Ending]
    ended: list[int] = field(default_factory=list)
    finding: str | None = None

    def describe(self) -> str:
        endings = ", ".join(
            f"{signal.Signals(e.signum).name} "
            + (f"after {e.after_s:.3f} s" if e.after_s is not None else f"at change {e.at_change}")
            + (f" + {1000 * e.delay_s:.1f} ms" if e.delay_s else "")
            + (", which keeps its state often" if e.keeps_often else "")
            for e in self.endings
        )
        return f"{self.task.name}, before: {self.before}; {endings}; ended with {self.ended}"


def attempt(stage: Stage, *, seed: int, number: int) -> Trial:
    """Run one trial."""
    rng = random.Random(f"{seed} {number}")
    task = rng.choice(TASKS)
    states = ["nothing", "nothing", "finished"]
    if task.other:
        states += ["other settings", "others' file"]
    if task.restyled:
        states += ["other files", "other files"]
    before = rng.choice(states)
    wanted, took_s, changes = stage.reference(task)
    if before == "finished":  # then a run is short
        took_s, changes = 0.4 * took_s, max(changes // 6, 4)
    endings = [_ending(rng, took_s, changes) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    trial = Trial(task, before, endings)
    stage.clear()
    stage.put(OF_OTHERS)
    words = list(task.words)
    if before == "finished":
        stage.run(task, task.words)
    elif before == "other settings":
        stage.run(task, task.other)
        words.append("--no-resume")
    elif before == "other files":
        stage.run(task, task.restyled or ())
    elif before == "others' file":
        stage.put({task.target: b'{"this": "is of others"}'})
    try:
        _check(stage, trial, words, wanted, rng)
    except AssertionError as error:
        trial.finding = str(error)
    return trial


def _ending(rng: random.Random, took_s: float, changes: int) -> Ending:
    signum = rng.choices([s for s, _ in SIGNALS], [weight for _, weight in SIGNALS])[0]
    keeps_often = rng.random() < 0.6
    if rng.random() < 0.4:
        return Ending(signum, after_s=rng.uniform(0, 1.1 * took_s), keeps_often=keeps_often)
    delay_s = rng.choice((0.0, 0.0, rng.uniform(0, 0.02)))
    return Ending(signum, None, rng.randint(1, changes), delay_s, keeps_often)


def _check(
    stage: Stage, trial: Trial, words: list[str], wanted: dict[str, bytes], rng: random.Random
) -> None:
    """Kill, run again, compare. Raises: AssertionError: what must not be."""
    task = trial.task
    old = stage.results()
    for ending in trial.endings:
        earlier = stage.results()
        code, stderr = stage.run(task, words, ending)
        trial.ended.append(code)
        _check_ended(code, stderr, ending, task, trial.before)
        _check_whole(stage.results(), earlier, wanted, is_kill=ending.signum == signal.SIGKILL)
        if trial.before == "other settings" and rng.random() < 0.5:
            _go_on(stage, task, old, wanted, words)
    code, stderr = stage.run(task, words)
    if trial.before == "others' file":
        assert code in (2, 3), f"the last run ended with {code}: {stderr[-500:]}"
        assert stage.files()[task.target] == b'{"this": "is of others"}', "a file of others is changed"
        return
    assert code == task.code, f"the last run ended with {code}: {stderr[-500:]}"
    _compare(stage.results(), wanted, task, trial.before)


def _go_on(
    stage: Stage, task: Task, old: dict[str, bytes], wanted: dict[str, bytes], words: list[str]
) -> None:
    """After a run that started over: one that does not goes on with it, or refuses the earlier results."""
    code, stderr = stage.run(task, task.words)
    if code == 2:
        assert "other settings" in stderr, stderr[-500:]
        now = stage.results()
        results = [name for name in old if not name.endswith(".npz")]  # the scores also say what is done
        changed = [name for name in results if now.get(name) not in (old[name], wanted.get(name))]
        assert not changed, f"refused, and {changed[0]} is neither as it was nor as it should be"
    else:
        assert code == task.code, f"going on ended with {code}: {stderr[-500:]}"
        words[:] = task.words


def _check_ended(code: int, stderr: str, ending: Ending, task: Task, before: str) -> None:
    assert "Traceback" not in stderr, stderr[-800:]
    assert "a bug in Twinpath" not in stderr, stderr[-800:]
    allowed = {-ending.signum, 128 + ending.signum, task.code}  # the last: it was done before
    if before == "others' file":
        allowed |= {2, 3}
    assert code in allowed, f"a run ended with {code}: {stderr[-500:]}"


def _check_whole(
    now: dict[str, bytes], old: dict[str, bytes], wanted: dict[str, bytes], *, is_kill: bool
) -> None:
    """After a kill every file is as it was, or as it should be, or is a state of the run."""
    for name, content in now.items():
        known = (old.get(name), wanted.get(name))
        if content in known or not is_kill:
            continue
        is_state = name.endswith((".npz", ".jsonl", ".part", ".version", ".lock")) or ".tmp" in name
        is_state = is_state or Path(name).suffix not in (".json", ".csv", ".mp4", ".xml", ".png", ".html")
        assert is_state, f"after a kill {name} is neither the earlier file nor the later one"


def _compare(now: dict[str, bytes], wanted: dict[str, bytes], task: Task, before: str) -> None:
    others = set(OF_OTHERS)
    for name, content in OF_OTHERS.items():
        assert now.get(name) == content, f"{name}, a file of others, is changed or gone"
    left = sorted(set(now) - set(wanted) - others)
    assert not left, f"left behind: {left}"
    lost = sorted(set(wanted) - set(now))
    assert not lost, f"missing: {lost}"
    differing = [name for name in wanted if now[name] != wanted[name]]
    assert not differing, f"not as without the kill: {differing}{_first_difference(now, wanted, differing)}"


def _first_difference(now: dict[str, bytes], wanted: dict[str, bytes], names: Sequence[str]) -> str:
    a, b = now[names[0]], wanted[names[0]]
    at = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return f"; from byte {at}: {a[max(at - 60, 0) : at + 60]!r} for {b[max(at - 60, 0) : at + 60]!r}"


def _warm_up() -> None:
    """Import what the commands import, and nothing that starts threads."""
    import httpx  # noqa: F401

    import twinpath.cli.app
    import twinpath.cli.batch
    import twinpath.cli.models.fetching
    import twinpath.engine.openvino_engine
    import twinpath.jobs.classify
    import twinpath.jobs.detect
    import twinpath.jobs.evaluate
    import twinpath.jobs.features
    import twinpath.jobs.timeline
    import twinpath.recognize.classifier
    import twinpath.recognize.detector
    import twinpath.recognize.features
    import twinpath.render.annotate
    import twinpath.weights.download

    twinpath.cli.app.make_app()


def run(numbers: Sequence[int], *, seed: int) -> Iterator[tuple[int, Trial]]:
    """The trials of these numbers."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="twinpath-kills-") as folder, slow_mirror() as mirror:
        _warm_up()
        stage = Stage(Path(folder).resolve(), mirror)
        for number in numbers:
            yield number, attempt(stage, seed=seed, number=number)


def main(argv: Sequence[str] | None = None) -> int:
    """What `make kills` runs; 0 where nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.kills", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--count", type=int, default=100, help="how many trials")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="only the trial of this number")
    parser.add_argument("--log", type=Path, help="a file to add counts and finds to")
    wanted = parser.parse_args(argv)
    numbers = range(wanted.first, wanted.first + wanted.count)
    if wanted.only is not None:
        numbers = range(wanted.only, wanted.only + 1)
    return _campaign(numbers, wanted.seed, Log(wanted.log))


def _campaign(numbers: range, seed: int, log: Log) -> int:
    counted: dict[str, Counter[str]] = {"commands": Counter(), "states": Counter(), "ends": Counter()}
    kills = findings = 0
    began_s = time.monotonic()

    def counts() -> str:
        lines = [f"{sum(counted['commands'].values())} trials with {kills} runs that were ended, in "
                 f"{time.monotonic() - began_s:.0f} s, {findings} finds"]  # fmt: skip
        lines += [f"  {what}: {_listed(counter)}" for what, counter in counted.items()]
        return "\n".join(lines)

    log.record(f"begin kills: {len(numbers)} from {numbers.start} of seed {seed}")
    for number, trial in run(numbers, seed=seed):
        counted["commands"][trial.task.name] += 1
        counted["states"][trial.before] += 1
        counted["ends"].update(map(str, trial.ended))
        kills += sum(code not in (0, 2, 3, 4) for code in trial.ended)
        if trial.finding:
            findings += 1
            again = f"{sys.executable} -m tests.support.kills --seed {seed} --only {number}"
            log.write(f"kill {number} of seed {seed}: {trial.finding}\n  {trial.describe()}\n  {again}")
            if findings == ENOUGH:
                break
        if (number + 1 - numbers.start) % 100 == 0:
            log.write(counts())
    log.write(counts())
    return int(findings > 0)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counter.most_common())


if __name__ == "__main__":
    sys.exit(main())
