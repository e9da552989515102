"""Features of clips, as plain data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Feature(NamedTuple):
    """The embedding of one clip: what the last layer of the network is given.

    Attributes:
        start_s, end_s: Where the clip lies, in seconds. The last one of a video may be shorter.
        embedding: (D,) float32.
    """

    start_s: float
    end_s: float
    embedding: NDArray[np.float32]
