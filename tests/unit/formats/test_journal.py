"""The file of a batch's answers: what is there is not done again, and nothing is lost."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from twinpath.errors import InputError, UsageError
from twinpath.formats.journal import ResultsJournal
from twinpath.results.provenance import FileFacts, Provenance

MODEL = "slowfast_tiny.synthetic"
SETTINGS = {"views": "1x1", "crops": (1, 2)}
ANSWER = {"predictions": [{"label": "wave", "index": 1, "score": 0.9}]}
ERROR = {"error": {"type": "NotAVideo", "message": "it is not a video"}}


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.mp4" for name in "abcd"]
    for path in paths:
        path.write_text(path.name)
    return paths


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "answers.jsonl"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(**settings: object) -> Provenance:
    return Provenance.of(None, model=MODEL, settings={**SETTINGS, **settings})


def fill(out: Path, videos: list[Path], *answers: dict) -> None:
    with ResultsJournal(out, run(), videos) as file:
        for video, answer in zip(videos, answers, strict=False):
            file.add(video, answer, FileFacts.of(video))


def missing(out: Path, videos: list[Path], **settings: object) -> list[Path]:
    with ResultsJournal(out, run(**settings), videos) as file:
        return file.missing


def test_only_the_rest_is_missing(out: Path, videos: list[Path]) -> None:
    a, b, c, d = videos
    fill(out, videos, ANSWER, ERROR, ANSWER)
    assert [line["video"] for line in lines(out)] == [str(a), str(b), str(c)]
    assert missing(out, videos) == [b, d]  # failed, and never done
    c.write_text("another video")
    assert missing(out, videos) == [b, c, d]
    fill(out, [b, c, d], ANSWER, ERROR, ANSWER)
    assert [(line["video"], "error" in line) for line in lines(out)] == [
        (str(a), False),
        (str(b), False),
        (str(c), True),
        (str(d), False),
    ]


def test_answers_of_other_videos_stay(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ANSWER, ERROR, ANSWER)
    before = out.read_bytes()
    assert missing(out, videos[3:]) == videos[3:]
    assert out.read_bytes() == before


def test_a_line_that_was_cut_off_is_done_again(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ANSWER, ANSWER)
    os.truncate(out, out.stat().st_size - 20)
    assert missing(out, videos) == videos[1:]
    assert len(lines(out)) == 1


def test_a_video_that_is_gone_is_missing(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ANSWER, ANSWER)
    videos[0].unlink()
    assert missing(out, videos[:2]) == videos[:1]


def test_answers_to_something_else_are_left_alone(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ANSWER)
    before = out.read_bytes()
    with pytest.raises(UsageError, match=r"results of another run: views is '3x10', before '1x1'; give"):
        missing(out, videos, views="3x10")
    assert out.read_bytes() == before


WHOLE = json.dumps(Provenance(None, MODEL, None, {}).to_dict())
NO_FILE = WHOLE.replace('"source": null', '"source": {"size_bytes": 5}')


@pytest.mark.parametrize(
    "line",
    [
        "my notes",
        '{"video": "a.mp4"}',
        f'{{"video": "a.mp4", "provenance": {NO_FILE}}}',
        f'{{"provenance": {WHOLE}}}',
        f'{{"video": "a.mp4", "provenance": {WHOLE}, "n": {"9" * 5000}}}',
        "[" * 100_000,
        '"text"',
    ],
)
def test_a_file_of_another_kind_is_left_alone(out: Path, videos: list[Path], line: str) -> None:
    fill(out, videos, ANSWER)
    with out.open("a") as file:
        file.write(line + "\n")
    before = out.read_bytes()
    with pytest.raises(
        InputError, match=r"answers\.jsonl:2: not a line of a journal of results; give another file"
    ):
        missing(out, videos)
    assert out.read_bytes() == before


FOREIGN = [
    '{"video": "a.mp4", "tracks": []}',  # one line of JSON, of another program or another command
    '{"images": [], "annotations": [',
    "my notes",
    "\0" * 10,
]


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("is_behind_results", [False, True])
def test_foreign_content_without_a_newline_is_left_alone(
    out: Path, videos: list[Path], content: str, is_behind_results: bool
) -> None:
    fill(out, videos, *[ANSWER] * is_behind_results)
    with out.open("a") as file:
        file.write(content)
    before = out.read_bytes()
    number = 2 if is_behind_results else 1
    with pytest.raises(InputError, match=rf"answers\.jsonl:{number}: not a line of a journal of results"):
        missing(out, videos)
    assert out.read_bytes() == before


def test_a_line_cut_off_anywhere_is_done_again(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ANSWER, ANSWER)
    whole = out.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        out.write_bytes(whole[:length])
        only_lacks_newline = length == len(whole) - 1
        assert missing(out, videos[:2]) == ([] if only_lacks_newline else videos[1:2])
        assert out.read_bytes() == (whole if only_lacks_newline else whole[:first])


@pytest.mark.parametrize("is_replaced", [True, False], ids=["replaced", "removed"])
def test_a_file_replaced_before_it_is_locked_is_opened_again(
    out: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    """Another run rewrites its file, which takes the old one's name, while this one opens it."""
    fill(out, videos, ERROR)
    flock, calls = fcntl.flock, []

    def flock_late(file: object, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            out.rename(out.with_suffix(".old"))
            if is_replaced:
                out.write_bytes(out.with_suffix(".old").read_bytes())
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    fill(out, videos, *[ANSWER] * 3)
    assert len(calls) > 1
    assert [line["video"] for line in lines(out)] == [str(video) for video in videos[:3]]


def test_two_runs_do_not_write_to_one_file(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ERROR)
    with ResultsJournal(out, run(), videos) as file:  # whose beginning made the file anew
        with pytest.raises(UsageError, match="another run is writing to it"):
            missing(out, videos)
        file.add(videos[0], ANSWER, FileFacts.of(videos[0]))
    assert missing(out, videos) == videos[1:]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_is_named(out: Path, videos: list[Path]) -> None:
    def write() -> None:
        with ResultsJournal(out, run(), videos) as file:
            file._file.close()
            file._file = Path("/dev/full").open("ab")  # noqa: SIM115
            file.add(videos[0], ANSWER, None)

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.filename == str(out)
