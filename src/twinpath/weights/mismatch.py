"""The error for a file that does not fit a network: what differs, whose file it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twinpath.errors import WeightsMismatch
from twinpath.weights.pickles import shown_name
from twinpath.weights.state_dict import HEAD, ConvertedStateDict, matching_networks
from twinpath.weights.whose import whose

_SHOWN = 3  # names in the message; the error's attributes have all of them
_HEAD = {f"{HEAD}.weight", f"{HEAD}.bias"}

ShapeMismatches = list[tuple[str, tuple[int, ...], tuple[int, ...]]]


def mismatch(
    converted: ConvertedStateDict, missing: list[str], unexpected: list[str], shape_mismatch: ShapeMismatches
) -> WeightsMismatch:
    """The error. `shape_mismatch`: name, shape in the file, shape in the network."""
    shapes = [f"{name} ({_x(theirs)} in the file, {_x(here)} here)" for name, theirs, here in shape_mismatch]
    counts = [
        f"{len(entries)} {what} ({some(entries)})"
        for what, entries in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("with another shape", shapes),
        )
        if entries
    ]
    step = _next_step(converted, missing, unexpected, shape_mismatch)
    return WeightsMismatch(
        f"{converted.path} does not fit this network: {'; '.join(counts)}{f'; {step}' if step else ''}",
        missing=missing,
        unexpected=unexpected,
        shape_mismatch=shape_mismatch,
    )


def unknown_network(converted: ConvertedStateDict) -> WeightsMismatch:
    """The error for a file of no network here."""
    owner = whose(converted.names)
    step = owner or "give a model to see how it differs from it"
    return WeightsMismatch(
        f"{converted.path} is of no network that Twinpath knows ({len(converted.tensors)} tensors, such as "
        f"{some(list(converted.tensors)[:2])}); {step}",
        missing=[],
        unexpected=list(converted.tensors),
        shape_mismatch=[],
    )


def _next_step(
    converted: ConvertedStateDict,
    missing: Sequence[str],
    unexpected: Sequence[str],
    shape_mismatch: ShapeMismatches,
) -> str:
    """Whose file it is and what to do; empty where nobody knows."""
    others = {name for name, _, _ in shape_mismatch}
    if not unexpected and others | set(missing) <= _HEAD:
        return _about_the_head(converted, missing, shape_mismatch)
    fits = matching_networks(converted.tensors)
    if fits:
        classes = (
            f" with {converted.num_classes} classes" if converted.num_classes else " without its last layer"
        )
        return f"this file looks like {some(fits, ' or ')}{classes}: give that as the model"
    return whose(converted.names) or ""


def _about_the_head(
    converted: ConvertedStateDict, missing: Sequence[str], shape_mismatch: ShapeMismatches
) -> str:
    """All but the last layer fits."""
    beside = [name for name in converted.beside if name.endswith((".weight", ".bias"))]
    if missing:
        held = f" (beside the network it has {some(beside)})" if beside else ""
        return (
            f"the rest fits, but the file has no last layer{held}: it is a backbone. Leave that layer out "
            f"and train it: leave_out=('{HEAD}',)"
        )
    classes, (_, _, here) = converted.num_classes, shape_mismatch[0]
    return (
        f"the rest fits, and its last layer has {classes} classes where the network has {here[0]}: load it "
        f"into a network of {classes} classes, or leave that layer out and train a new one: "
        f"leave_out=('{HEAD}',)"
    )


def some(entries: Iterable[str], between: str = ", ") -> str:
    """The first few, and how many more there are."""
    entries = list(entries)
    first = between.join(shown_name(entry) for entry in entries[:_SHOWN])
    return first + (f"{between}… {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else "")


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "a number"
