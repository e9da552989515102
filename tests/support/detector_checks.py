"""What a caller may rely on, of any detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinpath.people.base import PersonDetector
from twinpath.results.keyframes import PersonBoxes


def check_people(people: PersonBoxes, picture: NDArray[np.uint8]) -> None:
    """Boxes inside the picture, with an area, best first."""
    boxes, scores = people.boxes_xyxy_px, people.scores
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (len(people), 4)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= [picture.shape[1], picture.shape[0]] * 2).all()
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def check_on_strange_pictures(detector: PersonDetector) -> None:
    """Pictures of any size, one colour or noise, read-only or a view, bring no error."""
    rng = np.random.default_rng(0)
    grey = [np.full((height, width, 3), 127, np.uint8) for height, width in ((2, 2), (1, 300), (241, 37))]
    noise = rng.integers(0, 256, (130, 75, 3), dtype=np.uint8)
    noise.flags.writeable = False
    pictures = [*grey, noise, noise[::-1, ::2]]
    for picture in pictures:
        (people,) = detector([picture], [0.0])
        check_people(people, picture)
    together = detector(pictures, [float(i) for i in range(len(pictures))])
    for people, picture in zip(together, pictures, strict=True):
        check_people(people, picture)
    assert detector([], []) == []
