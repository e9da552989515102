"""Mutants of videos, sound and bad ones: `python -m tests.support.mutants --count 10000 --seed 1`.

Each is probed, read as well as it goes, strictly, and in windows, in a process with limits; see `fuzz`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.support import bad_videos
from tests.support.byte_changes import BLIND, Bytes, Change, with_changes
from tests.support.fuzz import Examine, Outcome, fault_of, main
from twinpath.errors import InputError, TwinpathError, WorkerDied
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.decode import AtTimes, DecodedFrames, EvenSpan
from twinpath.video.isolated.sandbox import ProcessLimits, Sandbox
from twinpath.video.source import Limits

SELECTIONS = [EvenSpan(0.0, 2.0, num_frames=16), EvenSpan(0.9, 0.2, num_frames=4), AtTimes((1.9, 0.5))]
WINDOWS = Windows(ClipSampling(8, 3), every_s=0.3)
LIMITS = Limits(max_pixels=1 << 22, max_frames=5000, max_bytes=1 << 26, max_seconds=5.0)
PROCESS_LIMITS = ProcessLimits(memory_bytes=1 << 29, cpu_s=15.0, wall_s=8.0)
MOST_S = 20.0  # for the four readings of one file, each within its limit on a busy machine


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


def examine(sandbox: Sandbox, path: Path) -> Outcome:
    """Probe the file, read it tolerantly, strictly, and its windows."""
    ends: list[str] = []
    began_s = time.monotonic()
    for attempt in (_probe, _read, _read_strictly, _read_clips):
        pid = sandbox.pid
        finding = None
        try:
            ends.append(attempt(sandbox, path))
        except TwinpathError as error:
            ends.append(type(error).__name__)
            finding = fault_of(error, path, vague=(InputError,))
            if isinstance(error, WorkerDied):
                finding = f"WorkerDied: {error}"
        except Exception as error:  # noqa: BLE001 - what is searched for
            ends.append(type(error).__name__)
            finding = f"{type(error).__name__}: {error}"
        if finding:
            return Outcome(tuple(ends), f"{attempt.__name__[1:]}: {finding}")
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


#: Changes of lengths are twice as likely: they reach deepest.
CHANGES: tuple[Change, ...] = (*BLIND, change_length, change_length)


class Videos:
    """See `fuzz.Part`."""

    name = "videos"
    module = "tests.support.mutants"

    def originals(self, folder: Path) -> list[Bytes]:
        return originals(folder)

    def mutant(self, originals: list[Bytes], *, seed: int, number: int) -> tuple[str, bytes]:
        """One to four changes of one of the files."""
        rng = np.random.default_rng([seed, number])
        data = originals[rng.integers(len(originals))]
        return "mp4", with_changes(rng, data, originals, CHANGES).tobytes()

    @contextlib.contextmanager
    def reader(self) -> Iterator[Examine]:
        with Sandbox(PROCESS_LIMITS) as sandbox:
            yield lambda path: examine(sandbox, path)


PART = Videos()

if __name__ == "__main__":
    sys.exit(main(PART))
