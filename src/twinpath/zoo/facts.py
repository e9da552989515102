"""Facts of a network or a record, as plain values for JSON and tables. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinpath.models.registry import Architecture
    from twinpath.zoo.model_folder import ModelFolder
    from twinpath.zoo.records import Record

Facts = dict[str, Any]
_SHOWN_LABELS = 20


def facts_of(name: str) -> Facts:
    """All facts of a record, or of a network.

    Raises:
        UnknownModel: No such name; names the nearest one.
    """
    from twinpath.zoo.create import resolve

    architecture, record = resolve(name)
    if record is None or name == architecture.name:
        return _network(architecture)
    return _weights(architecture, record)


def facts_of_folder(folder: ModelFolder) -> Facts:
    """What the record of a model folder says; of many classes the names of the first."""
    from twinpath.zoo.model_card import worst

    card, spec = folder.card, folder.card.input
    scores, logits, same = worst(card.parity) if card.parity else (None, None, None)
    return {
        "name": folder.name,
        "model": card.name,
        "network": card.network,
        "task": card.task,
        "dataset": card.dataset,
        "num_classes": len(card.labels),
        "labels": [*card.labels[:_SHOWN_LABELS], *(["…"] if len(card.labels) > _SHOWN_LABELS else [])],
        "views": card.views,
        "num_frames": spec.num_frames,
        "sampling_rate": spec.sampling_rate,
        "sampling": spec.sampling,
        "short_side_px": spec.short_side_px,
        "resize_px": spec.resize_px,
        "crop_px": spec.crop_px,
        "mean": spec.mean,
        "std": spec.std,
        "precision": card.precision,
        "files": list(card.files),
        "size_bytes": sum(file.size_bytes for file in card.files.values()),
        "sha256": folder.sha256,
        "parity_clips": sorted({figure.clips for figure in card.parity}),
        "parity_scores": scores,
        "parity_logits": logits,
        "parity_same_top1": same,
        "figures": dict(card.figures),
        "weights": card.weights.name or None,
        "weights_sha256": card.weights.sha256 or None,
        "licence": card.weights.licence or None,
        "url": card.weights.url or None,
        "made_by": dict(card.versions),
    }


def _weights(architecture: Architecture, record: Record) -> Facts:
    return {
        "name": record.name,
        "architecture": architecture.name,
        "family": architecture.family,
        "task": architecture.task,
        "upstream": record.upstream,
        "upstream_name": record.upstream_name,
        "dataset": record.dataset,
        "num_classes": record.num_classes,
        "labels": record.label_set,
        **_input(record.name),
        "mean": record.mean,
        "std": record.std,
        **_cost(record.name),
        "published_top1": record.top1,
        "published_top5": record.top5,
        "published_map": record.map,
        "published_views": f"{record.views[0]}x{record.views[1]}",
        "published_gflops_per_view": record.gflops,
        "published_params_m": record.params_m,
        "licence": record.licence,
        "url": record.url or None,
        "cached": where(record),
        "note": record.note or None,
    }


def _network(architecture: Architecture) -> Facts:
    from twinpath.zoo.records import best_record, records

    best = best_record(architecture.name)
    return {
        "name": architecture.name,
        "architecture": architecture.name,
        "family": architecture.family,
        "task": architecture.task,
        **_input(architecture.name),
        **_cost(architecture.name),
        "weights": [r.name for r in records() if r.architecture == architecture.name],
        "best_weights": best.name if best else None,
    }


def _input(name: str) -> Facts:
    from twinpath.zoo.create import input_spec

    spec = input_spec(name)
    return {
        "num_frames": spec.num_frames,
        "sampling_rate": spec.sampling_rate,
        "short_side_px": spec.short_side_px,
        "crop_px": spec.crop_px,
    }


def _cost(name: str) -> Facts:
    """Cost of one view at the size of the input, as this project counts it."""
    from twinpath.zoo.measured import measured

    cost = measured(name)
    return {"gflops": cost.gflops if cost else None, "params": cost.params if cost else None}


def where(record: Record) -> str | None:
    """Path of the weights in this package or in the cache; None: they are not there."""
    from twinpath.weights.fetch import cached_path

    path = record.embedded_path or cached_path(record)
    return str(path) if path.is_file() else None
