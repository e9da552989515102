"""Features of clips, as plain data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Feature(NamedTuple):
    """The embedding of one clip: the input of the network's last layer.

    Attributes:
        start_s, end_s: Start and end of the clip in seconds. The last clip of a video may be shorter.
        embedding: (D,) float32.
    """

    start_s: float
    end_s: float
    embedding: NDArray[np.float32]
