"""What a model is, before it is loaded: of a network, a record or a model folder. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinpath.errors import UsageError
from twinpath.labels import labels
from twinpath.models.input_spec import InputSpec
from twinpath.models.registry import ARCHITECTURES, Architecture, Task
from twinpath.zoo.create import input_spec, resolve
from twinpath.zoo.model_folder import ModelFolder, is_model_folder, read_model_folder
from twinpath.zoo.records import Record


@dataclass(frozen=True)
class ModelFacts:
    """A model and its input.

    Attributes:
        name: Of network and weights, or of the folder, as results show it.
        model: How it is opened: a name of the zoo, or the path or address of a folder.
        task: What it is for.
        dataset: Of its classes.
        labels: Names of its classes.
        spec: The input.
        view_pooling: How the scores of several views become one.
        views: Crops in space x clips in time by which it classifies where nothing else is asked for.
        min_person_score: Of a detection network, see `Architecture`.
        architecture: Its network; None: none that is known here.
        record: Of its published weights, None: other weights, or none.
        folder: Where it lies, if it is a model folder.
    """

    name: str
    model: str
    task: Task
    dataset: str
    labels: tuple[str, ...]
    spec: InputSpec
    view_pooling: Literal["mean", "max"] = "mean"
    views: str = "1x1"
    min_person_score: float | None = None
    architecture: Architecture | None = None
    record: Record | None = None
    folder: ModelFolder | None = None

    def weights_sha256(self, weights: str | os.PathLike[str] | None = None) -> str | None:
        """Hash of a weight file in place of the record's, or of a folder's files; None: published weights.

        Raises:
            NotAFile: The file does not exist.
        """
        if self.folder is not None:
            return self.folder.sha256
        if weights is None:
            return None
        from twinpath.weights.hashes import file_sha256
        from twinpath.weights.sniff import check_is_file

        check_is_file(Path(weights))
        return file_sha256(Path(weights))


def facts_of_model(model: str, *, weights: str | os.PathLike[str] | None = None) -> ModelFacts:
    """Find out about a model.

    Args:
        model: A network, a record, or a model folder, also one on the Hub ("hf://user/name"); a network alone
            means its best record.
        weights: A weight file that replaces the one of the record. A network's name stays as it is then: the
            file decides how its head computes scores (see `twinpath.weights.load`), not the record.
    Raises:
        UnknownModel: No such name; the message has the nearest names.
        UsageError: Weights for a model folder, which has its own.
        WeightsError, InputError: See `read_model_folder`.
    """
    if is_model_folder(model):
        if weights is not None:
            raise UsageError(f"{model} is a model folder, which has its own weights; give no weight file")
        return _of_folder(model)
    architecture, record = resolve(model)
    named = record is not None and (weights is None or model == record.name)
    is_detector = architecture.is_detector
    dataset = record.dataset if record else "ava2.2" if is_detector else "kinetics400"
    if record is not None and record.label_set is None:
        names = tuple(f"{record.dataset} class {i}" for i in range(record.num_classes))
    else:
        known = record.label_set if record else None
        names = labels(known or ("ava" if is_detector else "kinetics400"))
    name = record.name if record is not None and named else architecture.name
    return ModelFacts(
        name=name,
        model=name,
        task=architecture.task,
        dataset=dataset,
        labels=names,
        spec=input_spec(model),
        view_pooling=record.views_pooling if record else "mean",
        min_person_score=architecture.min_person_score,
        architecture=architecture,
        record=record,
    )


def _of_folder(model: str) -> ModelFacts:
    folder = read_model_folder(model)
    card = folder.card
    return ModelFacts(
        name=folder.name,
        model=model,
        task=card.task,
        dataset=card.dataset,
        labels=card.labels,
        spec=card.input,
        view_pooling=card.view_pooling,
        views=card.views,
        min_person_score=card.min_person_score,
        architecture=ARCHITECTURES.get(card.network.partition(".")[0]) if card.network else None,
        folder=folder,
    )
