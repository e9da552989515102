"""From a name to a network with its weights. Importing this imports no torch; building does."""

from __future__ import annotations

import fnmatch
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from twinpath.errors import DamagedWeights, UnknownModel, UsageError
from twinpath.extras import check_torch
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import ARCHITECTURES, Architecture
from twinpath.suggest import did_you_mean
from twinpath.weights.hashes import file_sha256
from twinpath.zoo.records import Record, best_record, record, record_names, records

if TYPE_CHECKING:
    import os

    from twinpath.models.network import VideoNetwork
    from twinpath.weights.callbacks import HashOf, Progress
    from twinpath.weights.load import LoadReport

logger = logging.getLogger(__name__)


def create_model(
    name: str,
    *,
    pretrained: bool | str = False,
    num_classes: int | None = None,
    in_frames: int | None = None,
    progress: Progress | None = None,
) -> VideoNetwork:
    """Build a network by name, with new weights or published ones.

    Args:
        name: A network ("slowfast_r50_8x8") or a record ("slowfast_r50_8x8.ptv_k400"). A record's name
            gives the network as the record uses it: its classes, activation and averaging.
        pretrained: True: load the record's weights; a network's name alone means its best record. They come
            from this package or the cache, or are downloaded into the cache. Or the name of another record
            to start from: of the same network, or of an image network, whose kernels are inflated
            ("resnet50.psf_in1k" for C2D, I3D and Slow).
        num_classes: Logits, where not the record's. Where the weights have another number, the head is left
            out of the load, keeps its new weights, and a warning is logged.
        in_frames: T of the clips it is for, where not the network's own; `input_spec` goes on telling that
            one. With `pretrained` a transformer's tables of positions in time are interpolated.
        progress: Told the bytes done and the bytes expected while downloading.
    Returns:
        The network on the CPU, in training mode as any new torch module; call `.eval()` before use.
    Raises:
        UnknownModel: No such name, or no published weights for it; says the nearest name.
        UsageError: `num_classes` or `in_frames` is not positive, or the network cannot take so many frames.
        DownloadFailed, DamagedWeights, UnsafeWeights, WeightsMismatch: see `twinpath.weights`.
        MissingExtra: torch is not installed.
    """
    check_torch("create_model")
    architecture, rec = resolve(name)
    if num_classes is not None and num_classes < 1:
        raise UsageError(f"num_classes must be at least 1, not {num_classes}")
    if pretrained is True and rec is None:
        raise UnknownModel(f"no weights are published for {name}; create it with pretrained=False")
    is_plain = rec is None or (name == architecture.name and pretrained is not True)
    options = _given(num_classes=num_classes) if is_plain else _options(cast(Record, rec), num_classes)
    model = _build(architecture, options, in_frames)
    if pretrained:
        donor = record(pretrained) if isinstance(pretrained, str) else cast(Record, rec)
        resize = in_frames is not None and in_frames != architecture.num_frames
        _load(model, donor, progress, resize_positions=resize, inflate=isinstance(pretrained, str))
    return model


def load_network(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    *,
    leave_out: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> VideoNetwork:
    """A network to be used as it is, with its record's weights or those of a file.

    Args:
        name: A network or a record; a network alone means its best record.
        weights: A weight file in place of the record's. With a record's name, the record says how the head
            computes scores; with a network's, the file does: see `load_weights`.
        leave_out: See `load_weights`.
        progress: Told the bytes done and the bytes expected while downloading.
    Raises:
        UsageError: No weights are published for it and no file is given.
        UnknownModel: No such name; says the nearest name.
        DownloadFailed, DamagedWeights, UnsafeWeights, WeightsMismatch: see `twinpath.weights`.
        MissingExtra: torch is not installed.
    """
    check_torch("a network that is loaded")
    _, rec = resolve(name)
    if rec is None and weights is None:
        raise UsageError(f"no weights are published for {name}; give a weight file")
    from twinpath.weights.load import load_weights

    network = create_model(rec.name if rec else name)
    if weights is None:
        load_weights(network, weights_path(cast(Record, rec), progress=progress), leave_out=leave_out)
        return network
    head: Literal["file"] | None = None if rec is not None and name == rec.name else "file"
    report = load_weights(network, Path(weights), leave_out=leave_out, head=head)
    _log_reading(report, name)
    return network


def _log_reading(report: LoadReport, name: str) -> None:
    """Say how the head computes scores, and warn where the file would have it in another way."""
    if report.head is None:
        return
    if report.head_of_file is None:
        logger.info("%s: %s (decided by: %s)", report.path, report.head.describe(), report.head.decided_by)
        return
    logger.warning(
        "%s has names of %s, whose heads have: %s. The record %s was named and counts: %s. A network's name "
        "alone lets the file decide",
        report.path,
        report.naming,
        report.head_of_file.describe(),
        name,
        report.head.describe(),
    )


def list_models(pattern: str = "*") -> list[str]:
    """Every name that `create_model` accepts, networks and records, sorted.

    Args:
        pattern: Shell pattern, for example "slowfast_*.psf_*".
    """
    names = [*ARCHITECTURES, *(r.name for r in records())]
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


def is_known(name: str) -> bool:
    """Whether a name is that of a network or a record."""
    return name in ARCHITECTURES or name in record_names()


def resolve(name: str) -> tuple[Architecture, Record | None]:
    """The network and the record that a name stands for; None where a network has no published weights.

    Raises:
        UnknownModel: No such name; says the nearest one.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name], best_record(name)
    names = list_models()
    if name not in names:
        hint = did_you_mean(name, names)
        raise UnknownModel(f"no model is called {name!r}{hint} (list_models() names all)")
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


def weights_path(rec: Record, *, progress: Progress | None = None, sha256: HashOf = file_sha256) -> Path:
    """The record's weight file on this machine, downloaded if it is not there yet.

    Args:
        rec: The record.
        progress: Told the bytes done and the bytes expected while downloading.
        sha256: See `fetch`.
    Raises:
        DownloadFailed: Not there and cannot be fetched; says where to put it by hand.
        DamagedWeights: There, but not the bytes that were remembered.
    """
    from twinpath.weights.fetch import fetch

    embedded = rec.embedded_path
    if embedded is None:
        return fetch(rec, progress=progress, sha256=sha256)
    if not embedded.is_file():
        raise DamagedWeights(f"{embedded} is missing from this installation; install twinpath again")
    return embedded


def _options(rec: Record, num_classes: int | None) -> dict[str, Any]:
    from twinpath.models.layers.head import HeadConfig

    return {
        "num_classes": rec.num_classes if num_classes is None else num_classes,
        "head_config": HeadConfig(rec.activation, rec.averaging, rec.pooling),
        **rec.options,
    }


def _build(architecture: Architecture, options: dict[str, Any], in_frames: int | None) -> VideoNetwork:
    """Raises: UsageError: the network cannot take clips of so many frames."""
    if in_frames is None:
        return architecture.build(**options)
    name, multiple, least = architecture.name, architecture.frame_multiple, architecture.min_frames
    if in_frames < 1 or in_frames % multiple:
        frames = f"a multiple of {multiple} frames" if multiple > 1 else "at least one frame"
        raise UsageError(f"{name} takes {frames}, not in_frames={in_frames}")
    if in_frames < least:
        raise UsageError(f"{name} takes more frames than in_frames={in_frames}, at least {least}")
    if architecture.is_image and in_frames > 1:
        raise UsageError(f"{name} is made for images, one frame each, not for in_frames={in_frames}")
    try:
        return architecture.build(**options, num_frames=in_frames)
    except ValueError as error:
        raise UsageError(f"{name} cannot be made for in_frames={in_frames}: {error}") from error


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _load(
    model: VideoNetwork, rec: Record, progress: Progress | None, *, resize_positions: bool, inflate: bool
) -> None:
    from twinpath.models.layers.head import HeadConfig
    from twinpath.weights.load import load_weights
    from twinpath.weights.state_dict import HEAD

    num_classes = model.get_classifier().out_features
    new_head = num_classes != rec.num_classes
    path = weights_path(rec, progress=progress)
    load_weights(
        model,
        path,
        leave_out=(HEAD,) if new_head else (),
        resize_positions=resize_positions,
        inflate=inflate,
        head="network",
    )
    if model.head.follows_file and not new_head:  # built by a network's name: the donor's record says how
        config = HeadConfig(rec.activation, rec.averaging, rec.pooling)
        model.head.read_as(config, aligned=rec.options.get("aligned", model.head.aligned))
    if new_head:
        logger.warning(
            "%s: %s.weight and .bias were left out, the file has %d classes and the network %d; train it",
            rec.name,
            HEAD,
            rec.num_classes,
            num_classes,
        )
