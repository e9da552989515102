"""A weight file's tensors by our names, before it is known which network they are for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from twinpath.weights.formats import Format, read_weights
from twinpath.weights.names import Naming, convert_names

HEAD = "head.projection"  # the layer whose shape depends on the number of classes


@dataclass(frozen=True)
class ConvertedStateDict:
    """The tensors of a weight file with its names converted to ours.

    Attributes:
        path, format, metadata: See `WeightFile`.
        naming: Whose names the file has.
        tensors: By our names, parts joined. A name that no table knows stays as it is.
        repeated: Names of the file that are converted to a name of ours that another one has already.
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
        """Rows of the head's weight in the file; None: the file has no head."""
        head = self.tensors.get(f"{HEAD}.weight")
        return None if head is None else head.shape[0]


def read_state_dict(path: Path | str) -> ConvertedStateDict:
    """Read a weight file, detect whose names it has and convert them to ours.

    Raises:
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    file = read_weights(path)
    names = convert_names(file.tensors)
    tensors = {
        ours: file.tensors[theirs[0]] if len(theirs) == 1 else torch.cat([file.tensors[n] for n in theirs])
        for ours, theirs in names.ours.items()
    }
    return ConvertedStateDict(
        file.path, file.format, names.naming, tensors, names.repeated, names.dropped, file.metadata
    )


def matching_networks(tensors: dict[str, Tensor]) -> list[str]:
    """Names of networks that have exactly these names and shapes, whatever their number of classes.

    A record's name stands for a variant of a network that only this record has. Networks that differ only in
    what has no parameters (frames, strides, pooling) are all there.

    Args:
        tensors: By our names, as the file has them.
    """
    from twinpath.models.measure import fingerprint, fingerprints  # only where a file is a surprise

    found = fingerprint(tensors)
    return [name for name, known in fingerprints().items() if known == found]
