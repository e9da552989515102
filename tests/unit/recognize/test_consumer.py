"""What a server's worker, a cluster's actor or a trainer's evaluation needs: the public steps, nothing else.

`Worker` is such a consumer, in 20 lines, without a private name. It must give the answers of `Classifier`.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from twinpath import Classifier
from twinpath.data.synthetic import labelled_scene, write_clip

TINY_MODEL = "slowfast_tiny.synthetic"


class Worker:
    """Answers requests, each a list of untrusted files, with batches that span the files."""

    def __init__(self, model: str) -> None:
        from twinpath.recognize import VideoReader, Views, load_model
        from twinpath.video.source import Limits

        self.model = load_model(model)
        self.reader, self.views = VideoReader(Limits(max_seconds=20), isolate=True), Views(1, 2)

    def __call__(self, paths: list[Path]) -> list[dict[str, Any]]:
        from twinpath.recognize import aggregate_views, infer_videos, top_predictions

        def open_views(path: Path) -> Any:
            return lambda: self.reader.open_views(path, self.model.spec, self.views)

        answers = []
        for video in infer_videos(self.model.engine, [(path, open_views(path)) for path in paths]):
            if video.error is not None:
                answers.append({"error": type(video.error).__name__})
                continue
            pooled = aggregate_views(video.scores, self.model.view_pooling)
            answers.append({"label": top_predictions(pooled, self.model.labels)[0].label})
        return answers


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("consumer")
    paths = [folder / f"{i}.mp4" for i in range(3)]
    for i, path in enumerate(paths):
        write_clip(path, labelled_scene(i))
    paths.insert(1, folder / "broken.mp4")
    paths[1].write_bytes(b"no video")
    return paths


def test_a_consumer_outside_the_package_answers_as_the_classifier_does(files: list[Path]) -> None:
    answers = Worker(TINY_MODEL)(files)
    classify = Classifier(TINY_MODEL)
    wanted = [classify(path, views="1x2").label for path in files if path.name != "broken.mp4"]
    assert [answer.get("label") for answer in answers] == [wanted[0], None, *wanted[1:]]
    assert answers[1] == {"error": "NotAVideo"}


def test_it_uses_no_private_name_and_is_short() -> None:
    source = inspect.getsource(Worker)
    assert not re.search(r"\b_(?!_)\w+", source)
    code = [line for line in source.splitlines()[2:] if line.strip()]
    assert len(code) <= 26, "the consumer must stay short"
