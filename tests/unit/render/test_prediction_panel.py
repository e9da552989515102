"""The panel with predictions: on the frame, legible, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.render.prediction_panel import PredictionPanel
from twinpath.results.classification import Prediction

PREDICTIONS = (Prediction("stand up", 10, 0.9), Prediction("sit down", 9, 0.08), Prediction("jump", 2, 0.02))


@pytest.mark.parametrize("size_px", [(384, 512), (96, 96), (40, 30), (1080, 1920)])
def test_the_panel_covers_a_corner_only_and_leaves_the_frame_given_alone(size_px: tuple[int, int]) -> None:
    frame = np.full((*size_px, 3), 200, np.uint8)
    drawn = PredictionPanel(PREDICTIONS, size_px, title="truth: stand up").draw(frame)
    assert (frame == 200).all()
    changed = (drawn != frame).any(axis=-1)
    assert changed[0, 0]
    if min(size_px) >= 200:
        assert not changed[size_px[0] // 2 :].any()
        assert drawn[changed].max() > 230  # white letters


def test_the_longest_bar_belongs_to_the_best_prediction() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    drawn = PredictionPanel(PREDICTIONS, (480, 640)).draw(frame).astype(int)
    teal = (drawn[..., 1] > 100) & (drawn[..., 0] < 60)
    assert teal.any(axis=1)[:30].sum() > 15
    assert not teal[60:].any()
