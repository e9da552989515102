"""The file of a batch's answers: what is there is not done again, and nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from twinpath.errors import InputError, UsageError
from twinpath.formats.journal import ResultsJournal

ASKED = {"model": "slowfast_tiny.synthetic", "views": "1x1"}
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


def fill(out: Path, videos: list[Path], *answers: dict) -> None:
    with ResultsJournal(out, ASKED, videos) as file:
        for video, answer in zip(videos, answers, strict=False):
            file.add(video, answer)


def missing(out: Path, videos: list[Path], **asked: object) -> list[Path]:
    with ResultsJournal(out, {**ASKED, **asked}, videos) as file:
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
    with pytest.raises(UsageError, match=r"answers with views '1x1', and now it is '3x10'"):
        missing(out, videos, views="3x10")
    assert out.read_bytes() == before


@pytest.mark.parametrize("line", ["my notes", '{"video": "a.mp4"}', "[" * 100_000, '"text"'])
def test_a_file_of_another_kind_is_left_alone(out: Path, videos: list[Path], line: str) -> None:
    fill(out, videos, ANSWER)
    with out.open("a") as file:
        file.write(line + "\n")
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"answers\.jsonl:2: `twinpath classify --out` did not write this"):
        missing(out, videos)
    assert out.read_bytes() == before


def test_two_runs_do_not_write_to_one_file(out: Path, videos: list[Path]) -> None:
    fill(out, videos, ERROR)
    with ResultsJournal(out, ASKED, videos) as file:  # whose beginning made the file anew
        with pytest.raises(UsageError, match="another run is writing to it"):
            missing(out, videos)
        file.add(videos[0], ANSWER)
    assert missing(out, videos) == videos[1:]
