"""A model for a command: the one that is named, or the best one on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import typer

from twinpath.cli.options import Reading, Runtime

if TYPE_CHECKING:
    from twinpath.zoo.records import Record

OFFERED = "slowfast_r50_8x8.ptv_k400"  # the download to offer: good, and runs on a CPU in seconds


class Recognizer(Protocol):
    """What `Classifier`, `Detector` and `FeatureExtractor` have in common."""

    model: str

    def describe(self) -> str: ...


RecognizerT = TypeVar("RecognizerT", bound=Recognizer)


class Loader(Generic[RecognizerT]):
    """Loads a model when it is called, and prints which it is; on a terminal also what takes its time.

    Args:
        recognizer: The class to make.
        model, weights, arguments: Its arguments.
        runtime, reading: How the network is run and files are read.
        is_quiet: Do not print `note` when it is loaded.
    Attributes:
        took_s: Seconds that loading took; 0 before.
        note: The model and what runs it, for people; empty before.
    """

    def __init__(
        self,
        recognizer: Callable[..., RecognizerT],
        model: str,
        weights: Path | None,
        runtime: Runtime,
        reading: Reading | None = None,
        *,
        is_quiet: bool = False,
        **arguments: Any,
    ) -> None:
        self._recognizer, self._model, self._weights = recognizer, model, weights
        self._runtime, self._reading = runtime, reading or Reading()
        self._is_quiet, self._arguments = is_quiet, arguments
        self.took_s = 0.0
        self.note = ""

    def __call__(self) -> RecognizerT:
        from twinpath.cli.console import print_note
        from twinpath.cli.garbage import look_as_usual
        from twinpath.cli.library_caches import keep_in_cache
        from twinpath.cli.progress import download_bar

        look_as_usual()
        keep_in_cache()
        on_status = print_note if sys.stderr.isatty() else None
        if on_status:
            on_status(f"loading {self._model} …")
        began_s = time.perf_counter()
        with download_bar(f"downloading {self._model}") as progress:
            loaded = self._recognizer(
                self._model,
                self._weights,
                config=self._runtime.config(),
                limits=self._reading.limits(),
                isolate=self._reading.isolate,
                fps=self._reading.fps,
                progress=progress,
                on_status=on_status,
                **self._arguments,
            )
        self.took_s = time.perf_counter() - began_s
        self.note = f"{loaded.model} on {loaded.describe()}, loaded in {self.took_s:.1f} s"
        if not self._is_quiet:
            print_note(self.note)
        return loaded


def model_or_best(model: str | None, weights: Path | None) -> str:
    """The model that is named, or `best_cached_or_offered`.

    Raises:
        UsageError: There is none; or a weight file is given, and no network that it is for.
    """
    from twinpath.errors import UsageError

    if model is None and weights is not None:
        raise UsageError("--weights needs --model: the name of the network that the file is for")
    return model or best_cached_or_offered().name


def best_cached_or_offered() -> Record:
    """The best Kinetics weights on this machine; else ask to download some, or say how to get them."""
    from twinpath.cli.console import print_note
    from twinpath.errors import UsageError
    from twinpath.extras import INSTALL_TORCH, has_torch
    from twinpath.weights.fetch import cached_path
    from twinpath.zoo.records import record, records

    kinetics = [r for r in records() if r.dataset.startswith("kinetics")]
    cached = [r for r in kinetics if cached_path(r).is_file()]
    if cached:
        best = max(cached, key=lambda r: r.top1 or 0.0)
        print_note(f"using {best.name}, the best Kinetics weights in the cache (--model chooses)")
        return best
    offered = record(OFFERED)
    if sys.stdin.isatty() and sys.stderr.isatty() and has_torch():
        question = f"No weights for real video are on this machine. Download {offered.name} (264 MB)?"
        if typer.confirm(question, default=True, err=True):
            return offered
    also = "" if has_torch() else f" (its weights need torch once: {INSTALL_TORCH})"
    raise UsageError(
        f"no weights for real video are on this machine; --model {offered.name} downloads some{also}; "
        f"offline, fetch {offered.url} elsewhere and put it at {cached_path(offered)}; "
        "`twinpath demo` shows a classified video without any download"
    )
