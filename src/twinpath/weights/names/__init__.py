"""Parameter names of the upstreams converted to ours. Whose names a file has is detected from the names.

One file for each family, one table for each upstream of it; see `table.py` for their format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from twinpath.weights.names import mvit, resnet, resnet18, reversible, s3d, x3d
from twinpath.weights.names.caffe2 import CAFFE2
from twinpath.weights.names.table import NameTable, Naming, ParameterSlot

__all__ = ["TABLES", "ConvertedNames", "NameTable", "Naming", "ParameterSlot", "convert_names"]

# Of tables that know equally many names the first is taken.
TABLES: tuple[NameTable, ...] = (
    *resnet.PYTORCHVIDEO,
    *resnet.PYSLOWFAST,
    *x3d.PYTORCHVIDEO,
    *x3d.PYSLOWFAST,
    *mvit.PYTORCHVIDEO,
    *mvit.PYSLOWFAST,
    *mvit.TORCHVISION,
    *reversible.PYSLOWFAST,
    *resnet18.TORCHVISION,
    *s3d.TORCHVISION,
)

_WRAPPERS = ("module.", "model.")


@dataclass(frozen=True)
class ConvertedNames:
    """The names of a file converted to ours.

    Attributes:
        naming: Whose names they were.
        ours: For each of our names the file's names, several where our array is theirs joined along the first
            dimension. A name that no table knows stays as it is.
        incomplete: Our names of which the file lacks a part, and the parts that it has.
        repeated: Names of the file that are converted to a name of ours that another one has already.
        dropped: Names that no network needs: optimizer state, step counts, split statistics.
    """

    naming: Naming
    ours: dict[str, tuple[str, ...]]
    incomplete: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def convert_names(names: Iterable[str]) -> ConvertedNames:
    """Detect whose names these are and convert them to ours.

    Prefixes of wrappers (`model.`, `module.`) are removed where every name has them.

    Args:
        names: All names in the file; the family is detected from them, too.
    """
    names = list(names)
    bare = dict(zip(names, _without_wrappers(names), strict=True))
    kept = {name: short for name, short in bare.items() if not short.endswith("num_batches_tracked")}
    naming: Naming | None = None
    if 2 * CAFFE2.known(kept.values()) > len(kept):
        naming = "caffe2"
        kept = {name: _from_caffe2(short) for name, short in kept.items() if not CAFFE2.is_dropped(short)}
    table = table_of(kept.values())
    if table is None:
        places = {name: ParameterSlot(short) for name, short in kept.items()}
    else:
        kept = {name: short for name, short in kept.items() if not table.is_dropped(short)}
        places = {name: table.to_ours(short) or ParameterSlot(short) for name, short in kept.items()}
    naming = naming or (table.naming if table else "twinpath")
    dropped = tuple(name for name in names if name not in kept)
    return _gathered(naming, places, dropped)


def table_of(names: Iterable[str]) -> NameTable | None:
    """The table that knows most of these names; None where ours fit as well, or nothing does."""
    names = list(names)
    best = max(TABLES, key=lambda table: table.known(names))
    ours = max(table.known_ours(names) for table in TABLES)
    return best if best.known(names) > ours else None


def _from_caffe2(name: str) -> str:
    """PySlowFast's name of a blob; an unknown one stays as it is."""
    place = CAFFE2.to_ours(name)
    return place.ours if place else name


def _without_wrappers(names: list[str]) -> list[str]:
    for prefix in _WRAPPERS:
        if names and all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    return names


def _gathered(naming: Naming, places: dict[str, ParameterSlot], dropped: tuple[str, ...]) -> ConvertedNames:
    """Put the parts of each of our names in order."""
    parts: dict[str, dict[int, str]] = {}
    repeated = []
    for name, place in places.items():
        found = parts.setdefault(place.ours, {})
        if place.part in found:
            repeated.append(name)
        found.setdefault(place.part, name)
    expected = {place.ours: place.parts for place in places.values()}
    in_order = {ours: tuple(found[i] for i in sorted(found)) for ours, found in parts.items()}
    return ConvertedNames(
        naming,
        {ours: theirs for ours, theirs in in_order.items() if len(theirs) == expected[ours]},
        {ours: theirs for ours, theirs in in_order.items() if len(theirs) != expected[ours]},
        tuple(repeated),
        dropped,
    )
