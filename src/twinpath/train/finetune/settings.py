"""What a user may want of a fine-tuning, and what is chosen where nothing is said. No torch."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twinpath.data.labelled.clip import LabelledData
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.plan import Views
from twinpath.zoo.model_facts import ModelFacts

Method = Literal["auto", "head", "full"]

_WIDE = 32  # channels out of the stem: below it a network is small
_MOST_VIEWS = 5  # of a clip, unless more are asked for
_FULL_CLIPS_PER_CLASS = 20  # below it a whole network learns the clips by heart
_SIDES = re.compile(
    r"(?<![^\W_])(left|right|(anti|counter)?-?clockwise|links|rechts|gauche|droite|izquierda|derecha)(?![^\W_])",
    re.I,
)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """How to learn.

    Attributes:
        model: A network, a record or a model folder with weights, to start from.
        method: "head": a new last layer on the embeddings of the network as it is; "full": train all of it;
            "auto": see `choose_method`.
        views: Crops in space x clips in time of each clip, in training, in the report and as the default of
            the new model; None: see `choose_views`.
        flip: Whether a mirrored clip shows the same; None: unless a label names a side.
        folds: How many parts the clips are divided into, each evaluated by a model that has not seen it,
            where the data itself does not say what is for evaluation. None: 5; of them a whole network is
            evaluated on the first only, since each takes a training of its own.
        seed: Of every random choice.
    Raises:
        UsageError: A value is out of its range.
    """

    model: str
    method: Method = "auto"
    views: str | None = None
    flip: bool | None = None
    folds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("auto", "head", "full"):
            raise UsageError(f"method must be auto, head or full, not {self.method!r}")
        if self.folds is not None and not 2 <= self.folds <= 1000:
            raise UsageError(f"folds must be 2 to 1000, not {self.folds}")
        if self.views is not None:
            Views.parse(self.views)
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed must be 0 to 2**32 - 1, not {self.seed}")


@dataclass(frozen=True)
class Choice:
    """Something that was chosen, and why, for people."""

    value: str
    reason: str


def choose_method(data: LabelledData, method: Method, *, has_gpu: bool) -> Choice:
    """Which way to learn."""
    if method != "auto":
        return Choice(method, "as asked")
    counts = Counter(label for clip in data.clips for label in set(clip.labels))
    middle = statistics.median(counts.values()) if counts else 0
    if not has_gpu:
        return Choice("head", "there is no GPU here, and a new last layer takes a minute")
    if middle < _FULL_CLIPS_PER_CLASS:
        return Choice("head", f"{middle:.0f} clips a class are few for a whole network")
    return Choice("full", f"there is a GPU, and {middle:.0f} clips a class suffice for a whole network")


def choose_head(facts: ModelFacts, *, method: str) -> Choice:
    """What a new last layer sees: "last" or "stages", see `ModelCard.head`."""
    folder, architecture = facts.folder, facts.architecture
    if folder is not None and folder.card.head == "stages":
        return Choice("stages", "as in the model to start from")
    if method == "full":
        return Choice("last", "the whole network learns")
    width = architecture.options.get("width", _WIDE) if architecture is not None else _WIDE
    if width >= _WIDE:
        return Choice("last", "a large network of many classes keeps there what other classes need")
    return Choice("stages", "a small network keeps little in its last maps of what other classes need")


def choose_views(lengths_s: Sequence[float], spec: InputSpec, wanted: str | None) -> Choice:
    """How many clips of the network's length a labelled clip is looked at by.

    Args:
        lengths_s: Of the labelled clips that tell it.
        spec: Input of the network.
        wanted: What the user asked for.
    """
    if wanted is not None:
        return Choice(str(Views.parse(wanted)), "as asked")
    if not lengths_s:
        return Choice("1x3", "the lengths of the clips are not known")
    length_s, span_s = statistics.median(lengths_s), spec.clip_sampling.span_s
    count = min(max(round(1.5 * length_s / span_s), 1), _MOST_VIEWS)
    return Choice(
        f"1x{count}", f"half of the clips are longer than {length_s:.1f} s, the network sees {span_s:.1f} s"
    )


def choose_flip(classes: Sequence[str], wanted: bool | None) -> tuple[bool, str]:
    """Whether clips are mirrored, and why."""
    if wanted is not None:
        return wanted, "as asked"
    sided = next((label for label in classes if _SIDES.search(label)), None)
    if sided is not None:
        return False, f"the label {sided!r} names a side"
    return True, "no label names a side"
