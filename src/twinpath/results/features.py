"""What a network sees of a clip, as numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Feature(NamedTuple):
    """What the classifier sees of one clip.

    Attributes:
        start_s, end_s: Where the clip lies, in seconds. The last one of a video may be shorter.
        embedding: (D,) float32.
    """

    start_s: float
    end_s: float
    embedding: NDArray[np.float32]
