"""Load a model by its name: its input specification, its labels and an engine that runs it.

All classes and functions of `twinpath.recognize` load their network here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import Output
from twinpath.recognize.aggregate import ViewPooling
from twinpath.zoo.model_facts import ModelFacts, facts_of_model

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress

logger = logging.getLogger(__name__)

Task = Literal["classification", "embedding", "detection"]
DEFAULT_DETECTION_MODEL = "slowfast_r50_8x8_det.ptv_ava"
_OUTPUTS: dict[Task, Output] = {"classification": "scores", "embedding": "embed", "detection": "boxes"}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        name: Full name of network and weights. With a weight file in place of the record's: as it was given.
        dataset: The training data set, for example "kinetics400".
        labels: The names of its C classes; empty for embeddings.
        spec: The input clip.
        engine: Runs the network.
        weights_sha256: Hash of a weight file that replaces the one of the record, or of the files of a model
            folder; else None.
        view_pooling: How the scores of several views are pooled.
        views: Crops in space x clips in time where nothing else is asked for.
    """

    name: str
    dataset: str
    labels: tuple[str, ...]
    spec: InputSpec
    engine: Engine
    weights_sha256: str | None = None
    view_pooling: ViewPooling = "mean"
    views: str = "1x1"


def load_model(
    model: str,
    weights: str | os.PathLike[str] | None = None,
    *,
    task: Task = "classification",
    config: EngineConfig = EngineConfig(),
    progress: Progress | None = None,
    on_status: Callable[[str], None] | None = None,
) -> LoadedModel:
    """Load a network with its weights; download and compile them if necessary.

    Args:
        model: A network or a record (`list_models`), or a model folder; a network name alone means its best
            weights.
        weights: A weight file that replaces the one of the record.
        task: "classification" of clips, their "embedding", or "detection" of what each person does.
        config: Engine, device, precision and threads.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        on_status: Called with a message before slow one-time work, such as compiling.
    Raises:
        UnknownModel: No such name.
        UsageError: It has no published weights and `weights` is None; it is for another task; or the engine,
            the device or the precision is not available.
        WeightsError: The weights cannot be downloaded, are not safe to load, or do not match the network.
    """
    facts = check_model(model, task=task, weights=weights)
    if facts.folder is None and facts.record is None and weights is None:
        raise UsageError(f"no weights are published for {model}; give a weight file")
    from twinpath.engine.open import open_engine

    engine = open_engine(
        facts.model,
        None if weights is None else Path(weights),
        output=_OUTPUTS[task],
        config=config,
        progress=progress,
        on_status=on_status or logger.info,
    )
    name = facts.name
    loaded = LoadedModel(
        name=name,
        dataset=facts.dataset,
        labels=() if task == "embedding" else facts.labels,
        spec=facts.spec,
        engine=engine,
        weights_sha256=facts.weights_sha256(weights),
        view_pooling=facts.view_pooling,
        views=facts.views,
    )
    if task != "embedding" and len(loaded.labels) != engine.num_classes:
        raise UsageError(
            f"{name} has {engine.num_classes} classes and {loaded.dataset} {len(loaded.labels)} labels; "
            "give weights with as many classes as the labels"
        )
    return loaded


def check_model(model: str, *, task: Task, weights: str | os.PathLike[str] | None = None) -> ModelFacts:
    """What a model is, without loading it.

    Args:
        model: A network, a record or a model folder; a network alone means its best record.
        task: What it is to be used for.
        weights: A weight file that replaces the one of the record, see `facts_of_model`.
    Raises:
        UnknownModel: No such name; the message has the nearest names.
        UsageError: It is for another task, or a folder, which has its own weights.
        WeightsError, InputError: A model folder that cannot be used.
    """
    facts = facts_of_model(model, weights=weights)
    if task == "detection" and facts.task != "detection":
        raise UsageError(
            f"{model} classifies whole clips; for detection use a model such as {DEFAULT_DETECTION_MODEL}"
        )
    if task != "detection" and facts.task == "detection":
        raise UsageError(f"{model} is a detection model, which needs boxes; use a model of whole clips")
    return facts
