"""What the embedded model has to see: motion for some actions, posture for others."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath import Classifier
from twinpath.data.synthetic import TEST_SEED, make_scene, render

TIMES_S = np.arange(64) / 30


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier("slowfast_tiny.synthetic")


def clips(action: str, count: int = 5) -> list[np.ndarray]:
    scenes = (make_scene(TEST_SEED + 50_000 + i, action=action, num_people=1) for i in range(count))
    return [render(scene, TIMES_S, height_px=128) for scene in scenes]


@pytest.mark.parametrize(("action", "backwards"), [("sit down", "stand up"), ("stand up", "sit down")])
def test_the_same_frames_in_the_other_order_are_the_other_action(
    classifier: Classifier, action: str, backwards: str
) -> None:
    forward = [classifier(clip).label for clip in clips(action)]
    reversed_ = [classifier(np.ascontiguousarray(clip[::-1])).label for clip in clips(action)]
    assert forward.count(action) >= 4
    assert reversed_.count(backwards) >= 4


@pytest.mark.parametrize("action", ["squat", "bow"])
def test_a_held_posture_is_told_without_motion(classifier: Classifier, action: str) -> None:
    """The deepest moment of the movement, standing still."""
    scene = next(
        scene
        for scene in (make_scene(TEST_SEED + 60_000 + i, action=action, num_people=1) for i in range(200))
        if np.ptp(scene.people[0].world_joints(TIMES_S)[:, 3, 1]) < 0.1  # the head stays where it is
    )
    assert classifier(render(scene, TIMES_S, height_px=128)).label == action
