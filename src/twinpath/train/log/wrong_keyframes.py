"""Which key frames of an evaluation in training have the worst answers, and how they are drawn. No torch.

Source: PySlowFast, visualization/tensorboard_vis.py, for what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.boxes import iou_matrix
from twinpath.escapes import shown
from twinpath.metrics.ava import IOU
from twinpath.metrics.evaluation import worst_mistakes
from twinpath.render.keyframe_picture import keyframe_pair, shown_people
from twinpath.results.evaluation import ClipAnswer, Evaluation

if TYPE_CHECKING:
    from twinpath.train.loop.keyframes import ScoredKeyframes

KeyframeScores = Mapping[int, NDArray[np.float32]]  # (people, C) by number, as in `ScoredKeyframes`
_BEST = 3  # actions of a person that are shown


@dataclass(frozen=True, eq=False)
class WrongKeyframe:
    """A key frame with a wrong answer. Boxes are relative.

    Attributes:
        number: Of the key frame.
        place: Which it is, for people.
        mistake: The answer that is wrong.
        true_xyxy: (T, 4) people who are there.
        true_actions: Of each.
        boxes_xyxy: (P, 4) people who were scored.
        best: Of each the best actions with their scores.
    """

    number: int
    place: str
    mistake: str
    true_xyxy: NDArray[np.float64]
    true_actions: tuple[tuple[str, ...], ...]
    boxes_xyxy: NDArray[np.float32]
    best: tuple[tuple[tuple[str, float], ...], ...]

    def picture(self, frame: NDArray[np.uint8]) -> Image.Image:
        """The people who are there beside those who were scored, on the (H, W, 3) key frame."""
        sides = np.array([frame.shape[1], frame.shape[0]] * 2)
        true = shown_people(self.true_xyxy * sides, [[(a, None) for a in each] for each in self.true_actions])
        scored = shown_people(self.boxes_xyxy * sides, self.best)
        return keyframe_pair(frame, (true, f"true: {self.place}"), (scored, f"scored; {self.mistake}"))


def wrong_keyframes(
    keyframes: ScoredKeyframes, scores: KeyframeScores, *, only: Set[str] = frozenset(), most: int
) -> list[WrongKeyframe]:
    """The key frames with the answers that are furthest from the truth, the worst first.

    A scored box has the actions of the true box that it overlaps most, if by half; else none.

    Args:
        keyframes: What was evaluated.
        scores: Of its people.
        only: Of people who do one of these actions; empty: of all.
        most: How many.
    """
    ids = keyframes.label_map.ids
    names, columns = tuple(keyframes.label_map.names[i] for i in ids), np.asarray(ids) - 1
    people, each = _true_people(keyframes), keyframes.keyframes()
    number_of: dict[int, int] = {}
    answers = []
    for number, found in scores.items():
        keyframe = each[number]
        true = people.get((keyframe.video, keyframe.second), {})
        nearest = _nearest(keyframe.boxes_xyxy, true)
        for actions, row in zip(nearest, found[:, columns], strict=True):
            if not only or only & {names[i] for i in actions}:
                answers.append(ClipAnswer(Path(keyframe.video), actions, row))
                number_of[id(answers[-1])] = number
    evaluation = Evaluation(names, tuple(answers), is_multi_label=True)
    worst: dict[int, WrongKeyframe] = {}
    for mistake in worst_mistakes(evaluation, len(answers)):
        number = number_of[id(mistake.answer)]
        if len(worst) < most and number not in worst:
            keyframe = each[number]
            what = "missed" if mistake.is_missed else "wrong"
            true = people.get((keyframe.video, keyframe.second), {})
            worst[number] = WrongKeyframe(
                number,
                f"{shown(keyframe.video)} at {keyframe.second} s",
                f"{what}: {names[mistake.label]} ({mistake.score:.0%})",
                np.asarray(list(true)).reshape(-1, 4),
                tuple(tuple(names[i] for i in sorted(actions)) for actions in true.values()),
                keyframe.boxes_xyxy,
                tuple(_best(row, names) for row in scores[number][:, columns]),
            )
    return list(worst.values())


_People = dict[tuple[float, ...], set[int]]  # actions of a box, as indices of the label map's ids


def _true_people(keyframes: ScoredKeyframes) -> dict[tuple[str, int], _People]:
    """Who does what at each second."""
    index = {action_id: i for i, action_id in enumerate(keyframes.label_map.ids)}
    truth = keyframes.truth
    people: dict[tuple[str, int], _People] = {}
    columns = (truth.video, truth.second, truth.boxes_xyxy, truth.action_id)
    for video, second, box, action in zip(*(column.tolist() for column in columns), strict=True):
        actions = people.setdefault((truth.videos[video], second), {}).setdefault(tuple(box), set())
        if action in index:
            actions.add(index[action])
    return people


def _nearest(boxes_xyxy: NDArray[np.float32], true: _People) -> list[tuple[int, ...]]:
    """The actions of the true box below each of (P, 4) boxes."""
    if not true:
        return [()] * len(boxes_xyxy)
    actions = [tuple(sorted(of_box)) for of_box in true.values()]
    overlap = iou_matrix(boxes_xyxy, np.asarray(list(true)))
    return [
        actions[i] if row[i] >= IOU else () for i, row in zip(overlap.argmax(axis=1), overlap, strict=True)
    ]


def _best(scores: NDArray[np.float32], names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-scores, kind="stable")[:_BEST]
    return tuple((names[i], float(scores[i])) for i in order)
