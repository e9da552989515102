"""Parameter names of the upstreams converted to ours. Whose names a file has is detected from the names.

One file for each family, one table for each upstream of it; see `table.py` for their format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from twinpath.weights.names import mvit, resnet, resnet18, reversible, s3d, x3d
from twinpath.weights.names.caffe2 import CAFFE2
from twinpath.weights.names.table import NameTable, Naming, ParameterSlot
from twinpath.weights.names.wrappers import find_prefixes, is_beside, strip_inserted

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
        prefix: What stood before the network's names and came off.
        beside: Names that are not under the prefix, or that training keeps beside a network: a criterion, a
            metric, an average.
        other_prefixes: Of other whole networks in the file, which were not taken.
    """

    naming: Naming
    ours: dict[str, tuple[str, ...]]
    incomplete: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    prefix: str = ""
    beside: tuple[str, ...] = ()
    other_prefixes: tuple[str, ...] = ()


def convert_names(names: Iterable[str]) -> ConvertedNames:
    """Detect whose names these are and convert them to ours.

    Prefixes of wrappers are removed, in any nesting and by any name: see `wrappers.py`.

    Args:
        names: All names in the file; the family is detected from them, too.
    """
    names = list(names)
    prefix, *others = find_prefixes([strip_inserted(name) for name in names])
    bare, beside = _of_network(names, prefix)
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
    dropped = tuple(name for name in bare if name not in kept)
    found = _gathered(naming, places, dropped)
    return replace(found, prefix=prefix, beside=beside, other_prefixes=tuple(others))


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


def _of_network(names: list[str], prefix: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names of the file with the network's names for them, and the names that are not of the network."""
    stripped = {name: strip_inserted(name) for name in names}
    under = {name: short.removeprefix(prefix) for name, short in stripped.items() if short.startswith(prefix)}
    of_network, beside = dict(under), []
    known = _knowing(list(under.values()))
    for name, short in under.items():
        if is_beside(short) and not known(short):
            del of_network[name]
    taken = set(of_network.values())
    for name, short in stripped.items():
        if name in of_network:
            continue
        # The head may lie a level above: `backbone.blocks.0…` beside `head.projection.weight`.
        above = [short.removeprefix(p) for p in _parents(prefix) if short.startswith(p) and name not in under]
        found = next((s for s in above if s not in taken and s.endswith(_LEAVES) and known(s)), None)
        if found is None:
            beside.append(name)
        else:
            of_network[name] = found
            taken.add(found)
    return {name: of_network[name] for name in names if name in of_network}, tuple(beside)


_LEAVES = (".weight", ".bias", ".running_mean", ".running_var")


def _parents(prefix: str) -> list[str]:
    """The levels above a prefix, the nearest first."""
    parts = prefix.split(".")[:-1]
    return [".".join(parts[:n]) + "." if n else "" for n in range(len(parts) - 1, -1, -1)] if parts else []


def _knowing(names: list[str]) -> Callable[[str], bool]:
    """Whether the table of these names knows another one; where ours fit as well, whether ours do."""
    if 2 * CAFFE2.known(names) > len(names):
        return CAFFE2.knows
    table = table_of(names)
    if table is not None:
        return table.knows
    ours = max(TABLES, key=lambda table: table.known_ours(names))
    return lambda name: ours.known_ours([name]) == 1


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
