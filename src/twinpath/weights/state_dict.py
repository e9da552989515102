"""A weight file's tensors by our names, before it is known which network they are for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from twinpath.errors import DamagedWeights
from twinpath.weights.formats import Format, WeightFile, read_weights
from twinpath.weights.names import Naming, convert_names
from twinpath.weights.pickles import shown_name

logger = logging.getLogger(__name__)

HEAD = "head.projection"  # the layer whose shape depends on the number of classes


@dataclass(frozen=True)
class ConvertedStateDict:
    """The tensors of a weight file with its names converted to ours.

    Attributes:
        path, format, metadata, entry, other_entries, config: See `WeightFile`.
        naming: Whose names the file has.
        tensors: By our names, parts joined. A name that no table knows stays as it is.
        repeated: Names of the file that are converted to a name of ours that another one has already.
        dropped: Names of the file that no network needs: optimizer state, step counts, split statistics.
        prefix: What stood before the network's names in the file and came off.
        beside: Names of the file that are not of the network: a criterion, a metric, an average.
        other_prefixes: Of other whole networks in the file, which were not taken.
        names: All names in the file.
    """

    path: Path
    format: Format
    naming: Naming
    tensors: dict[str, Tensor]
    repeated: tuple[str, ...]
    dropped: tuple[str, ...]
    metadata: dict[str, str]
    prefix: str = ""
    beside: tuple[str, ...] = ()
    other_prefixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    entry: str = ""
    other_entries: tuple[str, ...] = ()
    config: str | None = None

    @property
    def num_classes(self) -> int | None:
        """Rows of the head's weight in the file; None: the file has no head."""
        head = self.tensors.get(f"{HEAD}.weight")
        return head.shape[0] if head is not None and head.ndim else None


def read_state_dict(path: Path | str, *, entry: str | None = None) -> ConvertedStateDict:
    """Read a weight file, detect whose names it has and convert them to ours.

    Where the file holds several weights, a warning says which were taken.

    Args:
        path, entry: See `read_weights`.
    Raises:
        UnknownWeightFormat, DamagedWeights, UnsafeWeights, NotAFile: see `read_weights`.
    """
    file = read_weights(path, entry=entry)
    names = convert_names(file.tensors)
    others = [*(name or "the file itself" for name in file.other_entries), *names.other_prefixes]
    if others:
        taken = file.entry if file.other_entries else names.prefix
        not_taken = ", ".join(map(shown_name, others[:4])) + (
            f" and {len(others) - 4} more" if others[4:] else ""
        )
        logger.warning(
            "%s holds several weights: %s was taken, not %s", file.path, shown_name(taken), not_taken
        )
    tensors = {ours: _joined(file, theirs) for ours, theirs in names.ours.items()}
    return ConvertedStateDict(
        file.path,
        file.format,
        names.naming,
        tensors,
        names.repeated,
        names.dropped,
        file.metadata,
        prefix=names.prefix,
        beside=names.beside,
        other_prefixes=names.other_prefixes,
        names=tuple(file.tensors),
        entry=file.entry,
        other_entries=file.other_entries,
        config=file.config,
    )


def _joined(file: WeightFile, names: tuple[str, ...]) -> Tensor:
    """The tensor of one name, or those of several names one behind the other.

    Raises:
        DamagedWeights: They do not go together.
    """
    parts = [file.tensors[name] for name in names]
    if len(parts) == 1:
        return parts[0]
    if len({(tensor.dtype, tensor.shape[1:]) for tensor in parts}) > 1 or any(not t.ndim for t in parts):
        raise DamagedWeights(
            f"{file.path}: {', '.join(map(shown_name, names))} do not have one type and width"
        )
    return torch.cat(parts)


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
