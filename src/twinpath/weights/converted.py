"""A weight file read, with our names, before it is known which network it is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from twinpath.weights.formats import Format, read_weights
from twinpath.weights.names import Naming, translate

HEAD = "head.projection"  # what depends on the number of classes


@dataclass(frozen=True)
class ConvertedStateDict:
    """What is in a weight file, by our names.

    Attributes:
        path, format, metadata: See `WeightFile`.
        naming: Whose names the file has.
        tensors: By our names, parts joined; a name that no table knows stands for itself.
        repeated: Names of the file that claim a place already taken.
        dropped: Names of the file that no network needs: optimizer state, step counts, split statistics.
    """

    path: Path
    format: Format
    naming: Naming
    tensors: dict[str, Tensor]
    repeated: tuple[str, ...]
    dropped: tuple[str, ...]
    metadata: dict[str, str]

    @property
    def num_classes(self) -> int | None:
        """Of the head in the file; None: it has no head."""
        head = self.tensors.get(f"{HEAD}.weight")
        return None if head is None else head.shape[0]


def read_converted(path: Path | str) -> ConvertedStateDict:
    """Read a weight file, find out whose names it has and give ours.

    Raises:
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    file = read_weights(path)
    names = translate(file.tensors)
    tensors = {
        ours: file.tensors[theirs[0]] if len(theirs) == 1 else torch.cat([file.tensors[n] for n in theirs])
        for ours, theirs in names.ours.items()
    }
    return ConvertedStateDict(
        file.path, file.format, names.naming, tensors, names.repeated, names.dropped, file.metadata
    )


def matching_networks(tensors: dict[str, Tensor]) -> list[str]:
    """Networks that have exactly these names and shapes, whatever their number of classes.

    A network's name where it is as registered; a record's name where only its own variant of the network is.
    Networks that differ in what has no parameters (frames, strides, pooling) come together.

    Args:
        tensors: By our names, as the file has them.
    """
    from twinpath.models.measure import fingerprint, fingerprints  # only where a file is a surprise

    found = fingerprint(tensors)
    return [name for name, known in fingerprints().items() if known == found]
