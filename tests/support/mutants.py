"""Changes bytes of videos, sound and bad ones, and sees how reading them ends: `make fuzz N=10000 SEED=1`.

Each mutant is made from the seed and its number alone. It is probed, read tolerantly and read strictly, in a
process with limits. Allowed is a result that holds together, or one of our errors. Anything else is a find:
another exception, a crash, more time or memory than there is. Its file is kept, and the command that tries it
again is printed:

    python -m tests.support.mutants --seed 1 --only 4711      # this mutant, made anew
    python -m tests.support.mutants --file FILE               # a file that was kept
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support import bad_videos
from twinpath.errors import InputError, TwinpathError, WorkerDied
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.decode import AtTimes, DecodedFrames, EvenSpan
from twinpath.video.isolated.sandbox import ProcessLimits, Sandbox
from twinpath.video.source import Limits

SELECTIONS = [EvenSpan(0.0, 2.0, num_frames=16), EvenSpan(0.9, 0.2, num_frames=4), AtTimes((1.9, 0.5))]
WINDOWS = Windows(ClipSampling(8, 3), every_s=0.3)
LIMITS = Limits(max_pixels=1 << 22, max_frames=5000, max_bytes=1 << 26, max_seconds=5.0)
PROCESS_LIMITS = ProcessLimits(memory_bytes=1 << 29, cpu_s=15.0, wall_s=8.0)
ENOUGH = 20  # findings; then something is wrong that shows in every file
MOST_S = 20.0  # for the four readings of one file, each within its limit on a busy machine

Bytes = np.ndarray  # (N,) uint8
Change = Callable[[np.random.Generator, Bytes, Bytes], Bytes]  # of a file, with a second one to take from


def originals(folder: Path) -> list[Bytes]:
    """Files of every container that Twinpath opens, and most of the bad ones. The same bytes each time."""
    short = range(20)
    faststart = {"movflags": "+faststart"}
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    vp9 = {"deadline": "realtime", "cpu-used": "8"}
    hevc = {"preset": "ultrafast", "x265-params": "log-level=none"}
    files = [
        bad_videos.encode(folder / "a.mp4", numbers=short),
        bad_videos.encode(folder / "b.mp4", numbers=short, container_options=faststart),
        bad_videos.encode(folder / "c.mp4", numbers=short, container_options=fragments),
        bad_videos.encode(folder / "d.mov", numbers=short, codec="mpeg4", codec_options={"bf": "2"}),
        bad_videos.encode(folder / "e.mp4", numbers=short, codec="libx265", codec_options=hevc),
        bad_videos.encode(folder / "f.mkv", numbers=short),
        bad_videos.encode(folder / "g.webm", numbers=short, codec="libvpx-vp9", codec_options=vp9),
        bad_videos.encode(folder / "h.webm", numbers=short, codec="libvpx", codec_options=vp9),
        bad_videos.encode(folder / "i.avi", numbers=short, codec="mpeg4", codec_options={}),
        bad_videos.encode(folder / "j.ts", numbers=short),
        bad_videos.encode(folder / "k.gif", numbers=short, codec="gif", pixels="rgb8", codec_options={}),
        bad_videos.encode(folder / "l.h264", numbers=short, container="h264"),
        bad_videos.encode(folder / "m.hevc", numbers=short, codec="libx265", codec_options=hevc),
    ]
    for name in FAULTS:
        of_one = folder / name
        of_one.mkdir()
        files.append(getattr(bad_videos, name)(of_one))
    return [np.frombuffer(file.read_bytes(), dtype=np.uint8) for file in files]


FAULTS = (
    "make_headless_fragments",
    "make_lost_index",
    "make_truncated",
    "make_flipped_bytes",
    "make_zeroed_tail",
    "make_lost_head",
    "make_unknown_codec",
    "make_audio_only",
    "make_variable_rate",
    "make_huge_gaps",
    "make_cut_without_reencoding",
    "make_rotated",
    "make_odd_size",
    "make_unknown_colours",
    "make_two_pixels",
    "make_mjpeg_avi",
    "make_b_frames_avi",
    "make_interlaced",
    "make_open_gop_ts",
    "make_joined_ts",
    "make_gif_bomb",
    "make_jpeg_bomb",
)


# Ways to change a file. Each takes and returns all of its bytes.


def flip_bits(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    changed = data.copy()
    where = rng.integers(0, len(data), rng.integers(1, 33))
    changed[where] ^= np.left_shift(1, rng.integers(0, 8, len(where))).astype(np.uint8)
    return changed


def overwrite(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    """A run of zeros, ones or noise."""
    changed = data.copy()
    start, stop = _range(rng, data, most=256)
    changed[start:stop] = rng.choice([0, 0xFF]) if rng.random() < 0.5 else rng.integers(0, 256, stop - start)
    return changed


def truncate(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    return data[: rng.integers(1, len(data) + 1)]


def remove(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    start, stop = _range(rng, data, most=len(data) // 2 + 1)
    return np.concatenate([data[:start], data[stop:]])


def repeat(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    start, stop = _range(rng, data, most=4096)
    return np.concatenate([data[:stop], data[start:]])


def splice(rng: np.random.Generator, data: Bytes, other: Bytes) -> Bytes:
    """A piece of another file, in place of one of this."""
    start, stop = _range(rng, data, most=4096)
    first, last = _range(rng, other, most=4096)
    return np.concatenate([data[:start], other[first:last], data[stop:]])


def swap_chunks(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    size = int(rng.choice([4, 8, 16, 188, 512]))
    if len(data) < 2 * size:
        return data
    changed = data.copy()
    first, second = (rng.integers(0, len(data) // size, 2) * size).tolist()
    changed[first : first + size] = data[second : second + size]
    changed[second : second + size] = data[first : first + size]
    return changed


_LENGTHS = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TAGS = (
    *(b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf"),
    *(b"stbl", b"stsd", b"avc1", b"avcC", b"hvc1", b"hvcC", b"stts", b"ctts", b"stsc", b"stsz", b"stco"),
    *(b"stss", b"mdat", b"moof", b"traf", b"tfhd", b"trun"),
    *(b"RIFF", b"hdrl", b"avih", b"strl", b"strh", b"strf", b"movi", b"idx1", b"00dc"),
)
_MATROSKA = (  # EBML, Segment, SeekHead, Info, Tracks, a track and what is in it; clusters, blocks, Cues
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66"),
    *(b"\x16\x54\xae\x6b", b"\xae", b"\xe0", b"\x63\xa2"),
    *(b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3", b"\xa0", b"\x1c\x53\xbb\x6b"),
)


def change_length(rng: np.random.Generator, data: Bytes, _: Bytes) -> Bytes:
    """A length or a count beside the tag of a box, a chunk or an element; else any four bytes."""
    changed = data.copy()
    at = _after_tag(rng, data.tobytes())
    old = int.from_bytes(data[at : at + 4].tobytes(), "big")
    new = int(rng.choice(_LENGTHS)) if rng.random() < 0.6 else old + int(rng.integers(-16, 17))
    size = int(rng.choice([1, 2, 4], p=[0.1, 0.1, 0.8]))
    order = "big" if rng.random() < 0.7 else "little"
    field = np.frombuffer((new % (1 << (8 * size))).to_bytes(size, order), dtype=np.uint8)
    changed[at : at + size] = field[: len(changed) - at]
    return changed


def _after_tag(rng: np.random.Generator, data: bytes) -> int:
    tags = _MATROSKA if data.startswith(_MATROSKA[0]) else _TAGS
    tag = tags[rng.integers(len(tags))]
    found = data.find(tag, int(rng.integers(len(data))))
    found = data.find(tag) if found < 0 else found
    if found < 0:
        return int(rng.integers(len(data)))
    offset = rng.choice([-4, 4, 8, 12, 16, 20]) if tags is _TAGS else len(tag)
    return int(min(max(found + offset, 0), len(data) - 1))


def _range(rng: np.random.Generator, data: Bytes, *, most: int) -> tuple[int, int]:
    size = int(rng.integers(1, min(most, len(data)) + 1))
    start = int(rng.integers(0, len(data) - size + 1))
    return start, start + size


CHANGES: tuple[Change, ...] = (
    flip_bits,
    overwrite,
    truncate,
    remove,
    repeat,
    splice,
    swap_chunks,
    change_length,
    change_length,  # twice as likely: it reaches deepest
)


def mutant(files: list[Bytes], *, seed: int, number: int) -> bytes:
    """One to four changes of one of the files."""
    rng = np.random.default_rng([seed, number])
    data = files[rng.integers(len(files))]
    for change in rng.choice(len(CHANGES), rng.integers(1, 5)):
        data = CHANGES[change](rng, data, files[rng.integers(len(files))])
        if not len(data):
            break
    return data.tobytes()


@dataclass(frozen=True)
class Outcome:
    """How reading one mutant ended.

    Attributes:
        ends: What each of the four readings gave: "sound", "damaged" or the name of an error.
        finding: What must not be, or None.
    """

    ends: tuple[str, ...]
    finding: str | None


def examine(sandbox: Sandbox, path: Path) -> Outcome:
    """Probe the file, read it tolerantly and read it strictly."""
    ends: list[str] = []
    began_s = time.monotonic()
    for attempt in (_probe, _read, _read_strictly, _read_clips):
        pid = sandbox.pid
        try:
            ends.append(attempt(sandbox, path))
        except TwinpathError as error:
            ends.append(type(error).__name__)
            if type(error) in (TwinpathError, InputError) or isinstance(error, WorkerDied):
                return Outcome(tuple(ends), f"{attempt.__name__[1:]}: {type(error).__name__}: {error}")
            if "\n" in str(error) or path.name not in str(error):
                return Outcome(tuple(ends), f"a message that is not one line with the name: {error}")
        except Exception as error:  # noqa: BLE001 - what is searched for
            return Outcome(tuple(ends), f"{attempt.__name__[1:]}: {type(error).__name__}: {error}")
        if pid is not None and sandbox.pid is None:
            ends[-1] += ", ended"
    taken_s = time.monotonic() - began_s
    return Outcome(tuple(ends), f"took {taken_s:.0f} s" if taken_s > MOST_S else None)


def _probe(sandbox: Sandbox, path: Path) -> str:
    info = sandbox.probe(path, limits=LIMITS)
    assert info.width >= 1, info
    assert info.height >= 1, info
    return "damaged" if info.warnings else "sound"


def _read(sandbox: Sandbox, path: Path) -> str:
    decoded = sandbox.read_frames(path, SELECTIONS, limits=LIMITS)
    _check(decoded)
    return "damaged" if decoded.warnings else "sound"


def _read_strictly(sandbox: Sandbox, path: Path) -> str:
    _check(sandbox.read_frames(path, SELECTIONS, limits=LIMITS, strict=True))
    return "sound"


def _read_clips(sandbox: Sandbox, path: Path) -> str:
    with sandbox.open_clips(path, WINDOWS, limits=LIMITS) as clips:
        numbers = []
        for clip in clips:
            assert len(clip.frames) == len(clip.times_s) == 8
            assert np.isfinite(clip.times_s).all(), clip.times_s
            assert clip.frames[:, ::2, ::2].max() >= 0
            numbers.append(clip.number)
        assert sorted(set(numbers)) == numbers
        assert all("\n" not in warning for warning in clips.warnings)
        return "damaged" if clips.warnings else "sound"


def _check(decoded: DecodedFrames) -> None:
    assert [len(decoded.clip(i)) for i in range(3)] == [16, 4, 2]
    assert len(decoded.frames) == len(decoded.times_s) <= decoded.frames_decoded
    assert np.isfinite(decoded.times_s).all(), decoded.times_s
    assert (np.diff(decoded.times_s) >= 0).all(), decoded.times_s
    assert decoded.frames[:, ::2, ::2].max() >= 0  # all of it is there to be read
    assert all("\n" not in warning for warning in decoded.warnings)


def run(numbers: range, *, seed: int, keep: Path) -> Iterator[tuple[int, Outcome]]:
    """Make, examine and forget the mutants of these numbers; keep those with a finding, in `keep`."""
    with (
        tempfile.TemporaryDirectory(prefix="twinpath-mutants-") as temporary,
        Sandbox(PROCESS_LIMITS) as sandbox,
    ):
        folder = Path(temporary)
        files = originals(folder)
        for number in numbers:
            path = folder / f"mutant-{seed}-{number}.mp4"
            path.write_bytes(mutant(files, seed=seed, number=number))
            outcome = examine(sandbox, path)
            if outcome.finding:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / path.name).write_bytes(path.read_bytes())
            path.unlink()
            yield number, outcome


def describe(number: int, outcome: Outcome, *, seed: int, keep: Path) -> str:
    """A finding, and how to see it again."""
    again = shlex.join([sys.executable, "-m", "tests.support.mutants"])
    file = keep / f"mutant-{seed}-{number}.mp4"
    return (
        f"mutant {number} of seed {seed}: {outcome.finding}\n"
        f"  {again} --seed {seed} --only {number}\n"
        f"  {again} --file {shlex.quote(str(file))}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="only the mutant of this number")
    parser.add_argument("--file", type=Path, help="a file, in place of mutants")
    parser.add_argument("--keep", type=Path, default=Path("build/mutants"), help="where findings are kept")
    wanted = parser.parse_args()
    if wanted.count < 1:
        parser.error("--count: one mutant at least")
    if wanted.file:
        with Sandbox(PROCESS_LIMITS) as sandbox:
            outcome = examine(sandbox, wanted.file)
        print(", ".join(outcome.ends), outcome.finding or "", sep="\n")
        return int(outcome.finding is not None)
    from twinpath.cli.progress import BatchBar

    numbers = range(wanted.count) if wanted.only is None else range(wanted.only, wanted.only + 1)
    ends: Counter[str] = Counter()
    findings = 0
    began_s = time.monotonic()
    outcomes = run(numbers, seed=wanted.seed, keep=wanted.keep)
    for number, outcome in BatchBar("mutants", total=len(numbers)).over(outcomes):
        ends.update(outcome.ends)
        if outcome.finding:
            findings += 1
            print(describe(number, outcome, seed=wanted.seed, keep=wanted.keep), flush=True)
            if findings == ENOUGH:
                break
    print(f"{number + 1 - numbers.start} mutants in {time.monotonic() - began_s:.0f} s, {findings} findings")
    print("four readings of each: " + ", ".join(f"{end} {count}" for end, count in ends.most_common()))
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
