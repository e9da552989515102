"""Mutants of texts, results and states: `python -m tests.support.text_mutants --count 20000 --seed 1`.

Of all in `text_samples`. Each is read, and what it holds is used, in a process with limits; see `fuzz`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.support import text_samples
from tests.support.byte_changes import BLIND, with_changes
from tests.support.fuzz import Examine, Outcome, ReaderLimits, judge, limited_reader, main
from tests.support.text_changes import (
    TextChange,
    change_encoding,
    change_json,
    change_lines,
    change_npz,
    change_words,
)
from tests.support.text_samples import FORMATS, Format, format_of

LIMITS = ReaderLimits(memory_bytes=256 << 20, cpu_s=5, wall_s=60.0)
MOST_BYTES = 8 << 20  # of a mutant
CHANGES: dict[str, tuple[TextChange, ...]] = {  # of a structure; those that are named twice are as likely
    "json": (change_json, change_json, change_json, change_words, change_lines),
    "npz": (change_npz,),
    "text": (change_words, change_words, change_lines),
    "bytes": (),
}

Originals = list[tuple[Format, list[bytes]]]


def mutant(originals: Originals, *, seed: int, number: int) -> tuple[str, bytes]:
    """A change or two of what a file holds, or of its bytes, or both; its encoding at times."""
    rng = np.random.default_rng([seed, number])
    kind, samples = originals[int(rng.integers(len(originals)))]
    data, other = (samples[int(rng.integers(len(samples)))] for _ in range(2))
    chance = rng.random()
    fitting = CHANGES[kind.structure]
    if fitting and chance < 0.8:
        for _ in range(1 if kind.structure == "npz" else int(rng.integers(1, 3))):
            data = fitting[int(rng.integers(len(fitting)))](rng, data, other)
    if data and (chance > 0.7 or not fitting):
        files = [np.frombuffer(sample, dtype=np.uint8) for sample in samples]
        data = with_changes(rng, np.frombuffer(data, dtype=np.uint8), files, BLIND).tobytes()
    if kind.structure in ("json", "text") and rng.random() < 0.1:
        data = change_encoding(rng, data, other)
    return kind.ending, data[:MOST_BYTES]


def warm_up() -> None:
    """Import all that the readers import, by reading each sound file."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    with tempfile.TemporaryDirectory(prefix="twinpath-mutants-") as temporary:
        folder = Path(temporary)
        for kind in FORMATS:
            for content in kind.samples(folder):
                path = folder / f"sound.{kind.ending}"
                path.write_bytes(content)
                kind.read(path)


def examine(path: Path) -> Outcome:
    """Read a file in this process."""

    def read() -> str:
        format_of(path).read(path)
        return "sound"

    before = set(path.parent.iterdir()) - {path}
    try:
        return judge(read, path)
    finally:
        for left in set(path.parent.iterdir()) - before - {path}:
            if left.is_file():
                left.unlink()


class Texts:
    """See `fuzz.Part`."""

    name = "texts"
    module = "tests.support.text_mutants"

    def originals(self, folder: Path) -> Originals:
        return [(kind, kind.samples(folder)) for kind in text_samples.FORMATS]

    def mutant(self, originals: Originals, *, seed: int, number: int) -> tuple[str, bytes]:
        return mutant(originals, seed=seed, number=number)

    def reader(self) -> contextlib.AbstractContextManager[Examine]:
        return _reader()


@contextlib.contextmanager
def _reader() -> Iterator[Examine]:
    with limited_reader(Texts.module, LIMITS) as read:
        yield read


PART = Texts()

if __name__ == "__main__":
    sys.exit(main(PART))
