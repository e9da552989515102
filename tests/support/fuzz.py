"""What the fuzzers have in common: which mutants, in how many processes, what is counted and what is kept.

    make fuzz N=10000 SEED=1                                          # all parts
    python -m tests.support.text_mutants --count 2000 --seed 1        # one of them

A part makes each mutant from the seed and its number alone, and reads it with the code that people's files
meet. Allowed is a result that holds together, or one of our errors, of one line that names the file. Anything
else is a find: another exception, a crash, more time or memory than there is. Its file is kept, and the
command that tries it again is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import resource
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from twinpath.errors import TwinpathError

Examine = Callable[[Path], "Outcome"]
KEEP = Path("build/mutants")
ENOUGH = 20  # finds; then something is wrong that shows in every file
CHUNK = 100  # mutants that a process takes at once
MOST_MESSAGE = 1000  # characters


@dataclass(frozen=True)
class Outcome:
    """How reading one mutant ended.

    Attributes:
        ends: What each reading gave: "sound", "damaged" or the name of an error.
        finding: What must not be, or None.
    """

    ends: tuple[str, ...]
    finding: str | None = None


class Part(Protocol):
    """One kind of files.

    Attributes:
        name: For people, and the beginning of the names of files.
        module: Where it is, as PART.
    """

    name: str
    module: str

    def originals(self, folder: Path) -> Any:
        """Make the files that are changed, the same each time; `folder` is empty, and stays."""

    def mutant(self, originals: Any, *, seed: int, number: int) -> tuple[str, bytes]:
        """How the name of its file ends, and its bytes."""

    def reader(self) -> contextlib.AbstractContextManager[Examine]:
        """Reads files, in a process with limits."""


def judge(attempt: Callable[[], str], path: Path, *, vague: Iterable[type[TwinpathError]] = ()) -> Outcome:
    """How one reading ended.

    Args:
        attempt: Reads; returns "sound" or "damaged".
        path: The file.
        vague: Errors that say too little here.
    """
    try:
        return Outcome((attempt(),))
    except TwinpathError as error:
        name = type(error).__name__
        return Outcome((name,), fault_of(error, path, vague=vague))
    except Exception as error:  # noqa: BLE001 - what is searched for
        *_, last = traceback.extract_tb(error.__traceback__)
        name = type(error).__name__
        return Outcome((name,), f"{name}: {error} ({Path(last.filename).name}:{last.lineno})"[:MOST_MESSAGE])


def fault_of(error: TwinpathError, path: Path, *, vague: Iterable[type[TwinpathError]] = ()) -> str | None:
    """What is wrong with one of our errors as the answer to a bad file; None: nothing."""
    message, name = str(error), type(error).__name__
    if type(error) in (TwinpathError, *vague):
        return f"{name} is too vague: {message}"[:MOST_MESSAGE]
    if path.name not in message:
        return f"{name} does not name the file: {message}"[:MOST_MESSAGE]
    if not message.isprintable():
        return f"{name} is not one line of plain text: {message!r}"[:MOST_MESSAGE]
    if len(message) > MOST_MESSAGE:
        return f"{name} has {len(message)} characters: {message[:100]} …"
    return None


@dataclass(frozen=True, kw_only=True)
class ReaderLimits:
    """Of the process of a `limited_reader`.

    Attributes:
        memory_bytes: Address space beyond what it has when it begins.
        cpu_s: Processor time for one file.
        wall_s: Time for one file, on a busy machine.
    """

    memory_bytes: int
    cpu_s: int
    wall_s: float


@contextlib.contextmanager
def limited_reader(module: str, limits: ReaderLimits) -> Iterator[Examine]:
    """A process that reads one file after the other; where it ends, there is another one for the next file.

    Args:
        module: Has `examine(path) -> Outcome`; and `warm_up()`, which imports what that needs.
        limits: What a file may take.
    """
    process = _LimitedProcess(module, limits)
    try:
        yield process.examine
    finally:
        process.end()


class _LimitedProcess:
    def __init__(self, module: str, limits: ReaderLimits) -> None:
        self._module, self._limits = module, limits
        self._process: Any = None
        self._ours: Connection

    def examine(self, path: Path) -> Outcome:
        if self._process is None:
            self._start()
        self._ours.send(path)
        if not self._ours.poll(self._limits.wall_s):
            self.end()
            return Outcome(("hangs",), f"takes longer than {self._limits.wall_s:g} s")
        try:
            outcome: Outcome = self._ours.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._process = None
            if code == -signal.SIGXCPU:
                return Outcome(("hangs",), f"takes more than {self._limits.cpu_s} s of processor time")
            return Outcome(("died",), f"the process that reads it died with {code}")
        return outcome

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(self._module, theirs, self._limits), daemon=True)
        self._process.start()
        theirs.close()
        self._ours.recv()  # it is ready

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(module: str, connection: Connection, limits: ReaderLimits) -> None:
    """Read the files whose paths come, until the connection ends."""
    part = importlib.import_module(module)
    part.warm_up()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most_bytes = pages * resource.getpagesize() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send("ready")
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            path = connection.recv()
            used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            resource.setrlimit(resource.RLIMIT_CPU, (int(used_s) + limits.cpu_s + 1, resource.RLIM_INFINITY))
            connection.send(part.examine(path))


def run(part: Part, numbers: Iterable[int], *, seed: int, keep: Path) -> Iterator[tuple[int, Outcome]]:
    """Make, examine and forget the mutants of these numbers; keep those with a find, in `keep`."""
    with (
        tempfile.TemporaryDirectory(prefix="twinpath-mutants-") as temporary,
        part.reader() as examine,
    ):
        folder = Path(temporary)
        (folder / "originals").mkdir()
        originals = part.originals(folder / "originals")
        for number in numbers:
            ending, content = part.mutant(originals, seed=seed, number=number)
            path = folder / f"{part.name}-{seed}-{number}.{ending}"
            path.write_bytes(content)
            outcome = examine(path)
            if outcome.finding:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(content)
            path.unlink()
            yield number, outcome


class _Chunks:
    """The work of one process of several: it makes the originals once."""

    def __init__(self, part: Part, seed: int, keep: Path) -> None:
        self._numbers: list[int] = []
        self._outcomes = run(part, self._next(), seed=seed, keep=keep)

    def _next(self) -> Iterator[int]:
        while True:
            yield self._numbers.pop(0)

    def of(self, numbers: Sequence[int]) -> list[tuple[int, Outcome]]:
        self._numbers += numbers
        return [next(self._outcomes) for _ in numbers]


_chunks: _Chunks | None = None  # of this process


def _begin(module: str, seed: int, keep: Path) -> None:
    global _chunks
    _chunks = _Chunks(importlib.import_module(module).PART, seed, keep)


def _work(numbers: Sequence[int]) -> list[tuple[int, Outcome]]:
    assert _chunks is not None
    return _chunks.of(numbers)


def run_in_processes(
    part: Part, numbers: Sequence[int], *, seed: int, keep: Path, processes: int
) -> Iterator[tuple[int, Outcome]]:
    """As `run`, in several processes; in order."""
    if processes == 1:
        yield from run(part, numbers, seed=seed, keep=keep)
        return
    chunks = [numbers[first : first + CHUNK] for first in range(0, len(numbers), CHUNK)]
    with ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(part.module, seed, keep),
    ) as pool:
        try:
            for outcomes in pool.map(_work, chunks):
                yield from outcomes
        finally:
            pool.shutdown(cancel_futures=True)


def describe(part: Part, number: int, outcome: Outcome, *, seed: int, keep: Path) -> str:
    """A find, and how to see it again."""
    again = shlex.join([sys.executable, "-m", part.module])
    kept = sorted(keep.glob(f"{part.name}-{seed}-{number}.*"))
    return "\n".join(
        (
            f"{part.name} {number} of seed {seed}: {outcome.finding}",
            f"  {again} --seed {seed} --only {number}",
            *(f"  {again} --file {shlex.quote(str(file))}" for file in kept),
        )
    )


class _Log:
    """Lines for people on stdout, and in a file that is only added to."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.note(text)

    def note(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}\n")


def main(part: Part, argv: Sequence[str] | None = None) -> int:
    """What `python -m` runs; 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog=f"python -m {part.module}", description=f"Mutants of {part.name}.")
    parser.add_argument("--count", type=int, default=1000, help="how many mutants")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="only the mutant of this number")
    parser.add_argument("--file", type=Path, help="a file, in place of mutants")
    parser.add_argument("--keep", type=Path, default=KEEP, help="where finds are kept")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--log", type=Path, help="a file to add counts and finds to")
    wanted = parser.parse_args(argv)
    if wanted.count < 1 or wanted.processes < 1:
        parser.error("--count and --processes: one at least")
    if wanted.file:
        with part.reader() as examine:
            outcome = examine(wanted.file)
        print(", ".join(outcome.ends), outcome.finding or "", sep="\n")
        return int(outcome.finding is not None)
    numbers = range(wanted.first, wanted.first + wanted.count)
    if wanted.only is not None:
        numbers = range(wanted.only, wanted.only + 1)
    return _campaign(part, numbers, wanted)


def _campaign(part: Part, numbers: range, wanted: argparse.Namespace) -> int:
    from twinpath.cli.progress import BatchBar

    log = _Log(wanted.log)
    log.note(f"begin {part.name}: {len(numbers)} from {numbers.start} of seed {wanted.seed}")
    ends: Counter[str] = Counter()
    done = findings = 0
    began_s = time.monotonic()
    outcomes = run_in_processes(
        part, numbers, seed=wanted.seed, keep=wanted.keep, processes=min(wanted.processes, len(numbers))
    )

    def counts() -> str:
        return (
            f"{done} mutants of {part.name} in {time.monotonic() - began_s:.0f} s, {findings} finds\n"
            f"  readings: {', '.join(f'{end} {count}' for end, count in ends.most_common())}"
        )

    for number, outcome in BatchBar(part.name, total=len(numbers)).over(outcomes):
        done += 1
        ends.update(outcome.ends)
        if outcome.finding:
            findings += 1
            log.say(describe(part, number, outcome, seed=wanted.seed, keep=wanted.keep))
            if findings == ENOUGH:
                outcomes.close()
                break
        if done % 1000 == 0:
            log.note(counts())
    log.say(counts())
    return int(findings > 0)
