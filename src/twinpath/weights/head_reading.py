"""How the head of a network computes scores from a file's weights, where upstreams differ.

PySlowFast activates at every position and averages the scores; PyTorchVideo and torchvision average the
logits, except R(2+1)D. PySlowFast's region head aligns RoIAlign, unless its configuration or a Caffe2 file
says otherwise; PyTorchVideo's does not. The same weights read the other way give scores that are off by some
per cent. So the file decides, by what it says or by whose names it has, where the network was built without
saying how.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from torch import nn

from twinpath.models.layers.head import Activation, Averaging, Head, HeadConfig, HeadPooling

if TYPE_CHECKING:
    from twinpath.weights.state_dict import ConvertedStateDict

HeadSource = Literal["network", "file", "names", "default"]

METADATA_KEY = "head"  # in the header of our safetensors files
_SECTION = re.compile(r"([A-Z_]+):\s*$")
_SETTING = re.compile(r"  ([A-Z_]+): *(\S+)\s*$")


@dataclass(frozen=True)
class HeadReading:
    """How a head computes scores.

    Attributes:
        activation, averaging, pooling: See `HeadConfig`.
        aligned: Of RoIAlign; None: the network does not score boxes.
        decided_by: "network": it was built so, by a record or by arguments; "file": its metadata or
            PySlowFast's configuration in it; "names": whose parameter names it has; "default": nothing says.
    """

    activation: Activation
    averaging: Averaging
    pooling: HeadPooling
    aligned: bool | None
    decided_by: HeadSource

    def describe(self) -> str:
        """In words, for people."""
        parts = [f"{'scores' if self.averaging == 'scores' else 'logits'} averaged over positions"]
        if self.aligned is not None:
            parts = [f"RoIAlign {'aligned' if self.aligned else 'not aligned'}"]
        if self.pooling == "whole":
            parts.append("whole maps pooled")
        return ", ".join([*parts, self.activation])

    def same_scores(self, other: HeadReading) -> bool:
        """Whether another reading gives the same scores."""
        return replace(self, decided_by=other.decided_by) == other


def reading_of_network(network: nn.Module) -> HeadReading | None:
    """How a network's head computes scores now; None: it has no such head."""
    head = getattr(network, "head", None)
    if not isinstance(head, Head):
        return None
    config = head.head_config
    return HeadReading(
        config.activation,
        config.averaging,
        config.pooling,
        head.aligned,
        "default" if head.follows_file else "network",
    )


def reading_of_file(converted: ConvertedStateDict, network: nn.Module) -> HeadReading | None:
    """How a file wants the head to compute scores, in this network; None: it has no such head."""
    now = reading_of_network(network)
    if now is None:
        return None
    is_detector = now.aligned is not None
    stated = _stated(converted.metadata)
    if stated is not None:
        return replace(stated, aligned=stated.aligned if is_detector else None)
    if converted.naming == "twinpath":
        return replace(now, decided_by="default")
    by_names = _by_names(converted, now)
    if not is_detector:
        by_names = replace(by_names, aligned=None)
    return _by_config(by_names, converted.config) if converted.naming == "pyslowfast" else by_names


def apply_reading(reading: HeadReading, network: nn.Module) -> None:
    """Let a network's head compute scores this way."""
    head = network.head
    assert isinstance(head, Head)
    head.read_as(HeadConfig(reading.activation, reading.averaging, reading.pooling), aligned=reading.aligned)


def metadata_of(reading: HeadReading) -> dict[str, str]:
    """Text for the header of a safetensors file, from which `reading_of_file` has the same."""
    facts = {key: getattr(reading, key) for key in ("activation", "averaging", "pooling", "aligned")}
    return {METADATA_KEY: json.dumps(facts)}


def _by_names(converted: ConvertedStateDict, now: HeadReading) -> HeadReading:
    naming = converted.naming
    averaging: Averaging = "logits"
    pooling: HeadPooling = "window"
    if naming in ("pyslowfast", "caffe2"):
        averaging = "scores"
    elif naming == "torchvision":
        pooling = now.pooling  # each of its networks has its own
    elif any(".conv_b.temporal." in name for name in converted.tensors):
        averaging = "scores"  # R(2+1)D of PyTorchVideo has its softmax inside the head
    elif any(".kernel.conv." in name for name in converted.names):
        pooling = "whole"  # Efficient-X3D
    return HeadReading(now.activation, averaging, pooling, naming == "pyslowfast", "names")


def _by_config(reading: HeadReading, config: str | None) -> HeadReading:
    """What PySlowFast's own configuration in its checkpoint says, where it has one."""
    settings = _settings(config or "")
    if not settings:
        return reading
    activation = settings.get("MODEL.HEAD_ACT", "").strip("'\"")
    if activation in get_args(Activation):
        reading = replace(reading, activation=cast(Activation, activation), decided_by="file")
    short_cycle = settings.get("MULTIGRID.SHORT_CYCLE")
    if short_cycle in ("true", "false"):
        pooling: HeadPooling = "whole" if short_cycle == "true" else "window"
        reading = replace(reading, pooling=pooling, decided_by="file")
    aligned = settings.get("DETECTION.ALIGNED")
    if aligned in ("true", "false") and reading.aligned is not None:
        reading = replace(reading, aligned=aligned == "true", decided_by="file")
    return reading


def _settings(config: str) -> dict[str, str]:
    """ "SECTION.KEY" to value, of a configuration's text. Only what is written on one line."""
    found, section = {}, ""
    for line in config[: 1 << 20].splitlines():
        if title := _SECTION.match(line):
            section = title[1]
        elif setting := _SETTING.match(line):
            found[f"{section}.{setting[1]}"] = setting[2]
    return found


def _stated(metadata: Mapping[str, str]) -> HeadReading | None:
    """What the header of one of our files says; None: nothing that can be read."""
    try:
        facts: Any = json.loads(metadata.get(METADATA_KEY, "null"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("aligned"), (bool, type(None))):
        return None
    allowed = {"activation": Activation, "averaging": Averaging, "pooling": HeadPooling}
    if any(facts.get(key) not in get_args(values) for key, values in allowed.items()):
        return None
    return HeadReading(facts["activation"], facts["averaging"], facts["pooling"], facts["aligned"], "file")
