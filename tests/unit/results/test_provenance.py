"""Provenance: what decides a result, compared in one way."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinpath.results.provenance import FileFacts, Provenance


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"12345")
    os.utime(path, (1.5, 1.5))
    return path


@pytest.fixture
def made(video: Path) -> Provenance:
    return Provenance.of(video, model="net.weights", settings={"every_s": 1.0, "crops": (1, 2)})


def test_it_holds_the_facts_of_the_file_and_plain_settings(made: Provenance) -> None:
    assert made.source == FileFacts(5, 1.5)
    assert made.settings == {"every_s": 1.0, "crops": [1, 2]}
    assert {"twinpath", "av"} <= made.versions.keys()


def test_it_survives_json(made: Provenance) -> None:
    again = Provenance.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    assert again.versions == made.versions
    assert again.differences(made) == []


def test_a_file_that_is_gone_has_no_facts(made: Provenance, video: Path) -> None:
    assert made.is_of(video)
    os.utime(video, (2, 2))
    assert not made.is_of(video)
    video.unlink()
    assert not made.is_of(video)
    assert made.for_file(video).source is None
    assert not made.for_file(video).is_of(video)
    assert made.for_file("a\0b").source is None
    with pytest.raises(OSError, match=r"a\.mp4"):
        Provenance.of(video, model="m", settings={})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": FileFacts(6000, 1.5)}, "the video has 6,000 bytes, before 5"),
        ({"source": FileFacts(5, 2.0)}, "the video was changed since"),
        ({"source": None}, "the video file could be accessed only once"),
        ({"model": "other"}, "the model is other, before net.weights"),
        ({"weights_sha256": "ab"}, "the weight file is another one"),
        ({"settings": {"every_s": 2, "crops": [1, 2]}}, "every_s is 2, before 1.0"),
        ({"settings": {"crops": [1, 2]}}, "every_s is not set, before 1.0"),
        ({"settings": {"every_s": 1, "crops": [1, 2], "views": "1x3"}}, "views is '1x3', before not set"),
    ],
)
def test_a_difference_is_told_in_words(made: Provenance, change: dict[str, Any], words: str) -> None:
    other = replace(made, **change)
    assert made.differences(other) == [words]
    assert made != other
    assert made.same_run(other) is ("source" in change)


def test_versions_are_not_compared(made: Provenance) -> None:
    assert made.differences(replace(made, versions={"twinpath": "0.0.1"})) == []
    assert made == replace(made, versions={})


def test_a_long_setting_is_shortened(made: Provenance) -> None:
    (line,) = made.differences(replace(made, settings={**made.settings, "every_s": list(range(1000))}))
    assert len(line) < 100


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"source": None, "model": "m"},
        {"source": None, "model": 3, "settings": {}},
        {"source": {"size_bytes": 5}, "model": "m", "settings": {}},
        {"source": {"size_bytes": True, "modified_s": 1.0}, "model": "m", "settings": {}},
        {"source": 7, "model": "m", "settings": {}},
        {"source": None, "model": "m", "settings": [], "weights_sha256": None},
    ],
)
def test_something_else_is_an_error(values: Any) -> None:
    with pytest.raises(ValueError, match="the provenance"):
        Provenance.from_dict(values)
