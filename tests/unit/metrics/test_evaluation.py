"""From the answers on clips to the figures of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import InputError
from twinpath.metrics.evaluation import report_values, summarise, worst_mistakes
from twinpath.results.evaluation import ClipAnswer, Evaluation, FailedInput, LearnedClip


def answer(name: str, truth: int | tuple[int, ...], *scores: float, part: str = "test") -> ClipAnswer:
    truth = (truth,) if isinstance(truth, int) else truth
    return ClipAnswer(Path(name), truth, np.asarray(scores, np.float32), part=part)


def three_classes(*answers: ClipAnswer, **more) -> Evaluation:
    return Evaluation(("run", "sit", "wave"), answers, **more)


ANSWERS = (
    answer("a.mp4", 0, 0.8, 0.1, 0.1),
    answer("b.mp4", 0, 0.2, 0.7, 0.1),
    answer("c.mp4", 1, 0.05, 0.9, 0.05),
    answer("d.mp4", 1, 0.95, 0.03, 0.02),
)


def test_the_figures_of_single_label_data() -> None:
    found = summarise(three_classes(*ANSWERS, failed=(FailedInput(Path("x.mp4"), "it is empty"),)))
    assert (found.clips, found.failed) == (4, 1)
    assert found.top1 == 0.5
    assert found.top1_interval is not None
    assert found.top1_interval[0] < 0.5 < found.top1_interval[1]
    assert found.mean_per_class == 0.5
    assert found.confusion == ((1, 1, 0), (1, 1, 0), (0, 0, 0))
    assert [c.support for c in found.by_class] == [2, 2, 0]
    run, _, wave = found.by_class
    assert (run.precision, run.recall, run.answered) == (0.5, 0.5, 2)
    assert (wave.precision, wave.recall, wave.average_precision) == (None, None, None)
    assert sum(b.count for b in found.calibration) == 4


def test_mean_per_class_weights_classes_and_not_clips() -> None:
    found = summarise(three_classes(*[answer(f"{i}.mp4", 0, 1, 0, 0) for i in range(9)], ANSWERS[3]))
    assert found.top1 == pytest.approx(0.9)
    assert found.mean_per_class == pytest.approx(0.5)


@pytest.mark.parametrize(("classes", "is_reported"), [(2, False), (5, False), (6, True)])
def test_top5_is_reported_where_it_says_something(classes: int, is_reported: bool) -> None:
    scores = np.linspace(1, 0, classes, dtype=np.float32)
    labels = tuple(f"class {i}" for i in range(classes))
    evaluation = Evaluation(labels, (ClipAnswer(Path("a.mp4"), (classes - 1,), scores),))
    assert summarise(evaluation).top5 == (0.0 if is_reported else None)


def test_multi_label_data_has_no_accuracy_but_precisions() -> None:
    answers = (
        answer("a.mp4", (0, 1), 0.9, 0.6, 0.1),
        answer("b.mp4", (), 0.2, 0.7, 0.1),
        answer("c.mp4", (2,), 0.1, 0.2, 0.4),
    )
    found = summarise(three_classes(*answers, is_multi_label=True))
    assert (found.top1, found.top1_interval, found.top5, found.confusion) == (None, None, None, None)
    assert found.mean_average_precision == pytest.approx((1 + 0.5 + 1) / 3)
    assert [(c.precision, c.recall) for c in found.by_class] == [(1, 1), (0.5, 1), (None, 0)]
    assert sum(b.count for b in found.calibration) == 9


def test_without_an_answer_there_are_no_figures() -> None:
    with pytest.raises(InputError, match="no clip was evaluated"):
        summarise(three_classes())


def test_the_worst_mistakes_are_the_most_confident_ones() -> None:
    found = worst_mistakes(three_classes(*ANSWERS), 5)
    assert [(m.answer.path.name, m.label) for m in found] == [("d.mp4", 0), ("b.mp4", 1)]
    assert len(worst_mistakes(three_classes(*ANSWERS), 1)) == 1


def test_the_worst_mistakes_of_multi_label_data_are_on_either_side() -> None:
    answers = (
        answer("right.mp4", (0,), 0.6, 0.4, 0.1),
        answer("said.mp4", (0,), 0.9, 0.8, 0.1),
        answer("missed.mp4", (2,), 0.1, 0.2, 0.05),
    )
    found = worst_mistakes(three_classes(*answers, is_multi_label=True), 5)
    assert [(m.answer.path.name, m.label, m.is_missed) for m in found] == [
        ("missed.mp4", 2, True),
        ("said.mp4", 1, False),
    ]


def test_a_report_is_json_with_names_in_place_of_numbers() -> None:
    evaluation = three_classes(*ANSWERS, model="m", learned_from=(LearnedClip(Path("t.mp4"), (2,)),))
    values = json.loads(json.dumps(report_values(evaluation, summarise(evaluation)), allow_nan=False))
    assert values["summary"]["top1"] == 0.5
    assert values["clips"][1]["truth"] == ["run"]
    assert values["clips"][1]["answers"][0] == {"label": "sit", "index": 1, "score": 0.7}
    assert values["learned_from"] == [
        {"path": "t.mp4", "start_s": None, "end_s": None, "part": "train", "truth": ["wave"]}
    ]
