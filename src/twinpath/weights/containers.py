"""Find the weights in a checkpoint: which of its entries, in any nesting, holds the tensors of the network.

Where a file holds the weights of the last step and their running average (EMA), the average is taken: it is
what its authors evaluate and publish. `entry` of `read_weights` chooses the other one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from twinpath.errors import DamagedWeights, UnknownWeightFormat, UnsafeWeights
from twinpath.suggest import did_you_mean
from twinpath.weights.names.wrappers import count_known, is_average
from twinpath.weights.pickled_arrays import PickledArray
from twinpath.weights.pickles import UnknownObject, shown_name
from twinpath.weights.torch_files import StoredTensor

Leaf = StoredTensor | PickledArray

MAX_TENSORS = 20_000  # the largest network here has 1,200
_MAX_DEPTH = 8
_MAX_ENTRIES = 100_000

# What beside the weights holds tensors: of optimizers, of the loop, of the random generators.
_BESIDE = re.compile(
    r"(optim|sched|scaler|rng|random|loops?$|callbacks$|hyper_?param|hparams|args$|arguments$|config$|cfg$|meta$"
    r"|amp$|history|log|param_groups|datapipe|sampler|metrics?$|loss)",
    re.IGNORECASE,
)
# Known wrappers, the most telling first.
_WRAPPERS = (
    "model_state",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "backbone",
    "encoder",
)
_EXTRA_STATE = "_extra_state"  # of modules that keep other things in their state dict


@dataclass(frozen=True)
class FoundWeights:
    """The entry of a checkpoint that holds the weights.

    Attributes:
        entry: Its keys, joined by "/"; empty: the file itself.
        leaves: Its tensors by name.
        others: Further entries that hold weights.
        config: PySlowFast's configuration, as text; None: there is none.
    """

    entry: str
    leaves: dict[str, Leaf]
    others: tuple[str, ...]
    config: str | None


def find_weights(content: Any, *, where: str, entry: str | None = None) -> FoundWeights:
    """Choose the entry of a checkpoint that holds the weights.

    Args:
        content: Of a torch file.
        where: Name of the file in errors.
        entry: The keys of the wanted entry, joined by "/". None: chosen.
    Raises:
        UnknownWeightFormat: None holds tensors by name, or several do and nothing says which is meant.
        DamagedWeights: The wanted entry holds other things than tensors.
    """
    found = dict(_state_dicts(content))
    for leaves in found.values():
        check_count(len(leaves), where=where)
    if entry is not None:
        if entry not in found:
            hint = did_you_mean(entry, found)
            raise UnknownWeightFormat(
                f"{where} has no weights at entry={shown_name(entry)!r}{hint}; it has {_some(found)}"
            )
        chosen = entry
    elif not found:
        raise UnknownWeightFormat(f"{where} {_what_it_is(content)}")
    else:
        chosen = _chosen(found, where)
    config = content.get("cfg") if isinstance(content, Mapping) else None
    return FoundWeights(
        chosen,
        _leaves(found[chosen]),
        tuple(name for name in found if name != chosen),
        config if isinstance(config, str) else None,
    )


def check_count(tensors: int, *, where: str) -> None:
    """Raises: UnsafeWeights: More tensors than any network has; to tell their names apart would take long."""
    if tensors > MAX_TENSORS:
        raise UnsafeWeights(f"{where} was refused: it holds {tensors:,} tensors, more than {MAX_TENSORS:,}")


def check_claims(leaves: Mapping[str, Leaf], *, size_bytes: int, where: str) -> None:
    """Refuse tensors whose values would take far more memory than the file has, and those that are not plain.

    Args:
        leaves: As described in the file.
        size_bytes: Of the file.
        where: Name of the file in errors.
    Raises:
        UnsafeWeights: They claim too much.
        UnknownWeightFormat: One is sparse, quantised, complex or without values; says what to do.
    """
    claimed = 0
    for name, leaf in leaves.items():
        if isinstance(leaf, PickledArray):
            if leaf.array is None:
                raise UnknownWeightFormat(f"{where}: {shown_name(name)} is no array of numbers")
            claimed += leaf.array.nbytes
            continue
        problem = leaf.problem
        if problem is None and leaf.dtype is not None and leaf.dtype.is_complex:
            problem = "holds complex numbers"
        if problem is not None:
            raise UnknownWeightFormat(
                f"{where}: {shown_name(name)} {problem}; save the weights as plain floating-point tensors"
            )
        claimed += leaf.claimed_bytes
    most = CLAIM_FREE_BYTES + CLAIM_MAX_RATIO * size_bytes
    if claimed > most:
        raise UnsafeWeights(
            f"{where} was refused: its tensors claim {claimed:,} bytes, in a file of {size_bytes:,} bytes"
        )


CLAIM_FREE_BYTES = 1 << 24
CLAIM_MAX_RATIO = 4  # tensors may share their values; expanded ones repeat them


def _state_dicts(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dict in the content that is a state dict, with its keys; each dict once."""
    seen: set[int] = set()
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), content)])
    for _ in range(_MAX_ENTRIES):
        if not waiting:
            return
        path, value = waiting.popleft()
        if not isinstance(value, _NESTED) or id(value) in seen or len(path) > _MAX_DEPTH:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping) and _is_state_dict(value):
            yield "/".join(path), value
            continue
        waiting += [
            ((*path, key), inner)
            for key, inner in _entries(value)
            if isinstance(inner, _NESTED) and not _BESIDE.match(key)
        ]


_NESTED = (Mapping, list, tuple)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """What a dict, a list or a tuple holds, by name or number."""
    if isinstance(value, Mapping):
        return ((key, inner) for key, inner in value.items() if isinstance(key, str))
    return ((str(number), inner) for number, inner in enumerate(value))


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    """Tensors by name, and nothing else but what state dicts have beside them, and plain values."""
    if any(isinstance(v, _LEAVES) for v in value.values()):
        value = {key: v for key, v in value.items() if not isinstance(v, _PLAIN)}
    named = {key: v for key, v in value.items() if not (isinstance(key, str) and key.endswith(_EXTRA_STATE))}
    return bool(named) and all(isinstance(k, str) and isinstance(v, _LEAVES) for k, v in named.items())


_LEAVES = (StoredTensor, PickledArray)
_PLAIN = (str, int, float, type(None))  # an epoch or a name that somebody has put among the tensors


def _leaves(value: Mapping[str, Any]) -> dict[str, Leaf]:
    return {name: leaf for name, leaf in value.items() if isinstance(leaf, _LEAVES)}


def _chosen(found: Mapping[str, Mapping[str, Any]], where: str) -> str:
    """Most names that a network of ours has; then averages, then well-known wrappers.

    Raises:
        UnknownWeightFormat: Several are as good.
    """
    if len(found) == 1:
        return next(iter(found))
    known = {entry: count_known(leaves) for entry, leaves in found.items()}
    most = max(known.values())
    good = [entry for entry, count in known.items() if 10 * count >= 9 * most]
    ranked = sorted(good, key=_rank)
    if len(ranked) > 1 and _rank(ranked[0]) == _rank(ranked[1]):
        raise UnknownWeightFormat(
            f"{where} holds several weights and nothing says which are meant: {_some(ranked)}; "
            f"choose with entry={shown_name(ranked[0])!r} when loading or converting"
        )
    return ranked[0]


def _rank(entry: str) -> tuple[int, ...]:
    keys = entry.split("/")
    average = is_average(entry)
    wrapper = next((_WRAPPERS.index(key) for key in keys if key in _WRAPPERS), len(_WRAPPERS))
    return (0 if average else 1, wrapper, len(keys))


def _what_it_is(content: Any) -> str:
    """Why there are no weights in it, and what to do."""
    if isinstance(content, StoredTensor):
        return "holds one tensor, not tensors by name; save the network's state_dict()"
    if isinstance(content, UnknownObject):
        return "holds an object, not tensors by name; save its state_dict()"
    if not isinstance(content, Mapping):
        return f"holds a {type(content).__name__}, not tensors by name; save the network's state_dict()"
    inner: Any = content
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping) and any(
            isinstance(v, _LEAVES) for v in content[wrapper].values()
        ):
            inner = content[wrapper]
            break
    if any(not isinstance(key, str) and isinstance(value, _LEAVES) for key, value in inner.items()):
        return "holds tensors by number or bytes, not by name; save the network's state_dict()"
    others = [shown_name(key) for key, value in inner.items() if not isinstance(value, _LEAVES)]
    held = f"{', '.join(others[:3])} and no tensors for them" if others else "nothing"
    tail = "; save the network's state_dict() alone" if others else ""
    return f"is a torch file, but not of weights: it holds {held}{tail}"


def _some(entries: Any) -> str:
    names = [shown_name(entry) or "the file itself" for entry in entries]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "none"


def check_values(tensors: Mapping[str, torch.Tensor], *, where: str) -> None:
    """Refuse values that no network can have; names the first tensor that has one.

    Raises:
        DamagedWeights: NaN, infinity, or beyond what float32 holds.
        UnknownWeightFormat: Complex numbers.
    """
    for name, tensor in tensors.items():
        if tensor.is_complex():
            raise UnknownWeightFormat(
                f"{where}: {shown_name(name)} holds complex numbers; no network here has these"
            )
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        small = tensor if tensor.element_size() > 1 else tensor.to(torch.float32)  # float8 has no order
        low, high = torch.aminmax(small)  # NaN if any value is; makes no copy
        largest = (
            max(abs(low.item()), abs(high.item())) if torch.isfinite(low) and torch.isfinite(high) else None
        )
        if largest is None or largest > torch.finfo(torch.float32).max:
            raise DamagedWeights(
                f"{where}: {shown_name(name)} holds values that are not finite (NaN or infinity)"
            )
