"""docs/troubleshooting.md quotes messages as printed: what fails at once is run, the rest is in the code."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import pytest

from tests.support import bad_videos
from tests.support.commands import TINY, in_process
from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
ROW = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
QUOTES = ROW.findall(PAGE.read_text("utf-8"))

#: Commands that fail at once, with their exit codes; files are those of `folder`.
FAILING: dict[str, tuple[str, int]] = {
    "a missing file": ("classify gone.mp4", 3),
    "an empty file": ("classify empty.mp4", 3),
    "a lost index": ("classify lost_index.mp4", 3),
    "a text": ("classify text.mp4", 3),
    "noise": ("classify random.mp4", 3),
    "a photo": ("classify photo.heic", 3),
    "sound": ("classify audio.mp4", 3),
    "a codec": ("classify unknown_codec.mp4", 3),
    "a playlist": ("classify playlist.mp4", 3),
    "an address": ("classify https://example.org/a.mp4", 2),
    "an empty folder": ("classify nothing", 3),
    "a folder of notes": ("classify notes", 3),
    "a pattern": ("classify 'clips/*.avi'", 3),
    "views": ("classify good.mp4 --views 5x2", 2),
    "an engine": ("classify good.mp4 --engine tensorrt", 2),
    "a model's name": ("classify good.mp4 --model slowfast_50_8x8", 2),
    "a model folder": ("classify good.mp4 --model my-model/", 3),
    "no boxes": ("classify good.mp4 --model slowfast_tiny_det.synthetic", 2),
    "no detector of people": ("detect good.mp4 --model slowfast_tiny_det.synthetic --people yolo", 2),
    "no detection model": ("detect good.mp4", 2),
    "formats": ("timeline good.mp4 --formats pdf", 2),
    "a device in place of a file": ("classify good.mp4 --out /dev/full", 2),
    "a data set": ("labels kinetics", 2),
    "a weight file": ("classify good.mp4 --model slowfast_r50_8x8 --weights gone.pyth", 3),
    "another kind of address": ("stream ftp://x/y", 2),
    "no classes": ("finetune nothing", 3),
    "one class": ("finetune one", 3),
    "a span": ("finetune span.csv", 3),
    "a header": ("finetune header.csv", 3),
    "classes of others": ("evaluate slowfast_tiny.synthetic --data other", 2),
    "a key": ("train recipe.toml", 2),
    "a recipe": ("train slowfast_r50_kinetics", 2),
    "a warm-up": ("train slowfast_r50_8x8_kinetics epochs=3 train=x.csv", 2),
}
OWN_MODEL = ("labels", "train", "evaluate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bad files, one good clip, folders of classes."""
    place = tmp_path_factory.mktemp("troubles")
    for name in ("empty", "lost_index", "text", "random", "heic", "audio_only", "unknown_codec", "playlist"):
        getattr(bad_videos, f"make_{name}")(place)
    write_clip(place / "good.mp4", labelled_scene(TEST_SEED), height_px=48, duration_s=0.5)
    for name in ("nothing", "notes", "one/wave", "other/drinking"):
        (place / name).mkdir(parents=True)
    (place / "notes" / "a.txt").write_text("x")
    for name in ("one/wave/a.mp4", "other/drinking/a.mp4"):
        shutil.copy(place / "good.mp4", place / name)
    (place / "span.csv").write_text("path,label,start_s,end_s\ngood.mp4,wave,4,2\n")
    (place / "header.csv").write_text("file,class\ngood.mp4,wave\n")
    (place / "recipe.toml").write_text('base = "slowfast_tiny"\n[schedule]\nepoch = 3\n')
    return place


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, str]:
    """The last line of each command."""
    lines = {}
    with contextlib.chdir(folder):
        for trouble, (words, code) in FAILING.items():
            arguments = words.replace("'", "").split()
            if arguments[0] not in OWN_MODEL and "--model" not in arguments:
                arguments += TINY
            lines[trouble] = in_process(*arguments, code=code).err.splitlines()[-1]
    return lines


def is_quote_of(quote: str, line: str) -> bool:
    """Whether a quote is what was printed, with values in place of …"""
    message = line.removeprefix("twinpath: ")
    return re.fullmatch(".+".join(map(re.escape, quote.split("…"))), message) is not None


def test_what_is_printed_is_quoted(printed: dict[str, str]) -> None:
    missing = {name: line for name, line in printed.items() if not any(is_quote_of(q, line) for q in QUOTES)}
    assert not missing


def texts() -> str:
    """The source, with texts that go on in the next line joined."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    return re.sub(r"([\"'])\s*\n\s*f?\1", "", source)


def test_what_is_quoted_is_printed_or_in_the_code(printed: dict[str, str]) -> None:
    """Of what is not run, some piece between two values or marks."""
    code, unknown = texts(), []
    for quote in QUOTES:
        if quote.startswith("Killed") or any(is_quote_of(quote, line) for line in printed.values()):
            continue
        pieces = [piece.strip(" .'") for piece in re.split(r"…|[;:,()]", quote)]
        if not any(piece in code for piece in pieces if len(piece) > 9):
            unknown.append(quote)
    assert not unknown
