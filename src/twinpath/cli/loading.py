"""Gets a model ready for a command: the one asked for, or the best one there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from twinpath.engine.config import EngineConfig
    from twinpath.recognize.classifier import Classifier
    from twinpath.recognize.detector import Detector
    from twinpath.zoo.records import Record

OFFERED = "slowfast_r50_8x8.ptv_k400"  # the download to offer: good, and runs on a CPU in seconds


def load_classifier(
    model: str, weights: Path | None, config: EngineConfig, *, isolate: bool = False
) -> Classifier:
    """Load a model, telling on a terminal what takes its time."""
    from twinpath.cli.console import print_note, progress_bar
    from twinpath.recognize.classifier import Classifier

    on_status = print_note if sys.stderr.isatty() else None
    if on_status:
        on_status(f"loading {model} …")
    with progress_bar(f"downloading {model}") as progress:
        return Classifier(
            model, weights, config=config, isolate=isolate, progress=progress, on_status=on_status
        )


def load_detector(model: str, weights: Path | None, config: EngineConfig) -> Detector:
    """Load a detection model, telling on a terminal what takes its time."""
    from twinpath.cli.console import print_note, progress_bar
    from twinpath.recognize.detector import Detector

    with progress_bar(f"downloading {model}") as progress:
        on_status = print_note if sys.stderr.isatty() else None
        return Detector(model, weights, config=config, progress=progress, on_status=on_status)


def full_name(model: str | None) -> str:
    """The best model where none is named; with its weights, which may be others tomorrow."""
    from twinpath.zoo.create import resolve

    architecture, record = resolve(model or best_cached_or_offered().name)
    return record.name if record else architecture.name


def check_weights_option(model: str | None, weights: Path | None) -> None:
    """Raises: UsageError: a weight file is given and no network that it is for."""
    from twinpath.errors import UsageError

    if model is None and weights is not None:
        raise UsageError("--weights needs --model: the name of the network that the file is for")


def sha256_of(weights: Path | None) -> str | None:
    """Of a weight file that the user gave in place of the record's.

    Raises:
        NotAFile: There is none.
    """
    from twinpath.errors import NotAFile
    from twinpath.weights.hashes import file_sha256

    if weights is None:
        return None
    if not weights.is_file():
        raise NotAFile(f"--weights {weights}: there is no such file; check the name")
    return file_sha256(weights)


def best_cached_or_offered() -> Record:
    """The best Kinetics weights on this machine; else ask to download some, or say how to get them."""
    from twinpath.cli.console import print_note
    from twinpath.errors import UsageError
    from twinpath.weights.fetch import cached_path
    from twinpath.zoo.records import record, records

    kinetics = [r for r in records() if r.dataset.startswith("kinetics")]
    cached = [r for r in kinetics if cached_path(r).is_file()]
    if cached:
        best = max(cached, key=lambda r: r.top1 or 0.0)
        print_note(f"using {best.name}, the best Kinetics weights in the cache (--model chooses)")
        return best
    offered = record(OFFERED)
    if sys.stdin.isatty() and sys.stderr.isatty():
        question = f"No weights for real video are on this machine. Download {offered.name} (264 MB)?"
        if typer.confirm(question, default=True, err=True):
            return offered
    raise UsageError(
        f"no weights for real video are on this machine; --model {offered.name} downloads some; "
        f"offline, fetch {offered.url} elsewhere and put it at {cached_path(offered)}; "
        "`twinpath demo` shows a classified video without any download"
    )
