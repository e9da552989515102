"""What wrappers put before the names of a network, and what training puts beside them.

`DistributedDataParallel`, `torch.compile`, Lightning modules and people's own classes keep a network in an
attribute: `module._orig_mod.model.backbone.blocks.0…`. The beginning that leaves most known names comes off,
whatever it is called. What is not under it (a criterion, a metric, an average) is not of the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# Components that wrappers insert anywhere in a name.
_INSERTED = frozenset(
    ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_original_module")
)
# What training keeps beside a network, by the first component of its names.
_BESIDE = re.compile(
    r"(criterion|loss|losses|loss_\w+|\w+_loss|metrics?|\w+_metrics?|acc(uracy)?\d*|\w+_acc(uracy)?\d*|confmat|auroc"
    r"|ema|\w+_ema|ema_\w+|teacher|n_averaged|mixup|augment\w*|transforms?|normali[sz]e|mean|std|pixel_mean"
    r"|pixel_std|class_weights?|logit_scale|initted|step|decay|num_updates|optimizer|scheduler)(\.|$)",
    re.IGNORECASE,
)
_AVERAGE = re.compile(r"(^|[_./])(ema|averaged?|swa)([_./]|$)|ema[_./]|[a-z]ema([./]|$)", re.IGNORECASE)
_MAX_DEPTH = 12
_MOST_TRIED = 24
_SHARE = 4  # a beginning is tried where a quarter of the names have it


def strip_inserted(name: str) -> str:
    """The name without what wrappers insert anywhere, and without `module` before others."""
    if "_" not in name and "module" not in name:
        return name
    parts = name.split(".")
    return ".".join(
        p for i, p in enumerate(parts) if p not in _INSERTED and (p != "module" or i == len(parts) - 1)
    )


def is_beside(name: str) -> bool:
    """Whether training keeps it beside a network, to judge by its name."""
    return bool(_BESIDE.match(name))


def find_prefixes(names: Sequence[str]) -> list[str]:
    """The beginnings, up to a dot, under which a network of ours lies, the best first.

    Args:
        names: Without what wrappers insert.
    Returns:
        ("",) where the names have no such beginning. Several, where the names are of several networks, whole
        or nearly: averages (EMA) come first, then the order of the file.
    """
    counts = {"": known_names(names)}
    for prefix in _prefixes(names):
        under = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        known = known_names(under)
        if 2 * known >= len(under):
            counts[prefix] = known
    most = max(counts.values())
    if counts[""] == most:
        return [""]
    good = [prefix for prefix, known in counts.items() if prefix and 10 * known >= 9 * most]
    # One inside another is the same network: the one that leaves more known names counts.
    apart = [p for p in good if not any(q != p and _nested(p, q) and counts[q] > counts[p] for q in good)]
    return sorted(apart, key=lambda prefix: (not is_average(prefix), -counts[prefix]))


def _nested(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def is_average(name: str) -> bool:
    """Whether a key or a beginning of names says that it is a running average of weights."""
    return bool(_AVERAGE.search(name))


def count_known(names: Iterable[str]) -> int:
    """How many of the names are of a network here, under any prefix."""
    stripped = [strip_inserted(name) for name in names]
    prefix = find_prefixes(stripped)[0]
    return known_names([name.removeprefix(prefix) for name in stripped if name.startswith(prefix)])


def _prefixes(names: Sequence[str]) -> list[str]:
    """Beginnings that many of the names share, short ones first."""
    found: list[str] = []
    level = [("", list(names))]
    for _ in range(_MAX_DEPTH):
        deeper = []
        for prefix, under in level:
            firsts = Counter(
                name[len(prefix) :].partition(".")[0] for name in under if "." in name[len(prefix) :]
            )
            for first, count in firsts.items():
                if count * _SHARE >= len(names):
                    longer = f"{prefix}{first}."
                    deeper.append((longer, [name for name in under if name.startswith(longer)]))
        found += [prefix for prefix, _ in deeper]
        level = deeper
    return found[:_MOST_TRIED]


def known_names(names: Sequence[str]) -> int:
    """How many of the names one table knows: that which knows most."""
    from twinpath.weights.names import TABLES
    from twinpath.weights.names.caffe2 import CAFFE2

    return max(max(table.known(names), table.known_ours(names)) for table in (*TABLES, CAFFE2))
