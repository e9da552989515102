"""From a name to a network with its weights. Importing this imports no torch; building does."""

from __future__ import annotations

import difflib
import fnmatch
import logging
from typing import TYPE_CHECKING, Any

from twinpath.errors import DamagedWeights, UnknownModel, UsageError
from twinpath.models.registry import ARCHITECTURES, Architecture
from twinpath.zoo.records import InputSpec, Record, best_record, record, records

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from twinpath.weights.fetch import Progress

logger = logging.getLogger(__name__)

_HEAD = "head.projection"


def create_model(
    name: str, *, pretrained: bool = False, num_classes: int | None = None, progress: Progress | None = None
) -> nn.Module:
    """Build a network by name, with new weights or published ones.

    Args:
        name: A network ("slowfast_r50_8x8") or a record ("slowfast_r50_8x8.ptv_k400"). A record's name
            gives the network as the record uses it: its classes, activation and averaging.
        pretrained: Load the record's weights; a network's name alone means its best record. They come
            from this package or the cache, or are downloaded into the cache.
        num_classes: Logits, where not the record's. With `pretrained` the head is then left out of the
            load, keeps its new weights, and a warning is logged.
        progress: Told the bytes done and the bytes expected while downloading.
    Returns:
        The network on the CPU, in training mode as any new torch module; call `.eval()` before use.
    Raises:
        UnknownModel: No such name, or no published weights for it; says the nearest name.
        UsageError: `num_classes` is not positive.
        DownloadFailed, DamagedWeights, UnsafeWeights, WeightsMismatch: see `twinpath.weights`.
    """
    architecture, rec = resolve(name)
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"a network needs at least one class, not num_classes={num_classes}")
    if rec is None or (name == architecture.name and not pretrained):
        if pretrained:
            raise UnknownModel(f"no weights are published for {name}; create it with pretrained=False")
        return architecture.build(**_given(num_classes=num_classes))
    model = architecture.build(**_options(rec, num_classes))
    if pretrained:
        _load(model, rec, num_classes, progress)
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Every name that `create_model` accepts, networks and records, sorted.

    Args:
        pattern: Shell pattern, for example "slowfast_*.psf_*".
    """
    names = [*ARCHITECTURES, *(r.name for r in records())]
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


def resolve(name: str) -> tuple[Architecture, Record | None]:
    """The network and the record that a name stands for; None where a network has no published weights.

    Raises:
        UnknownModel: No such name; says the nearest one.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name], best_record(name)
    names = list_models()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownModel(f"no model is called {name!r}{hint} (`twinpath models list` shows all)")
    rec = record(name)
    return ARCHITECTURES[rec.architecture], rec


def input_spec(name: str) -> InputSpec:
    """What the preprocessing needs for a network or a record; imports no torch.

    A network without published weights is given its training crop, out of frames 8/7 as large.

    Raises:
        UnknownModel: No such name; says the nearest one.
    """
    architecture, rec = resolve(name)
    if rec is not None:
        return rec.input_spec
    crop = architecture.train_crop
    return InputSpec(architecture.num_frames, architecture.sampling_rate, crop * 8 // 7, crop)


def weights_path(rec: Record, *, progress: Progress | None = None) -> Path:
    """The record's weight file on this machine, downloaded if it is not there yet.

    Raises:
        DownloadFailed: Not there and cannot be fetched; says where to put it by hand.
        DamagedWeights: There, but not the bytes that were remembered.
    """
    from twinpath.weights.fetch import fetch

    embedded = rec.embedded_path
    if embedded is None:
        return fetch(rec, progress=progress)
    if not embedded.is_file():
        raise DamagedWeights(f"{embedded} is missing from this installation; install twinpath again")
    return embedded


def _options(rec: Record, num_classes: int | None) -> dict[str, Any]:
    from twinpath.models.layers.head import Readout

    return {
        "num_classes": rec.num_classes if num_classes is None else num_classes,
        "readout": Readout(rec.activation, rec.averaging, rec.pooling),
        **rec.options,
    }


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _load(model: nn.Module, rec: Record, num_classes: int | None, progress: Progress | None) -> None:
    from twinpath.weights.load import load_weights

    new_head = num_classes is not None and num_classes != rec.num_classes
    path = weights_path(rec, progress=progress)
    load_weights(model, path, leave_out=(_HEAD,) if new_head else ())
    if new_head:
        logger.warning(
            "%s: %s.weight and .bias were left out, the file has %d classes and you asked for %s; train it",
            rec.name,
            _HEAD,
            rec.num_classes,
            num_classes,
        )
