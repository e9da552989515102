"""Write the model folders of `src/twinpath/assets` anew from their weights.

    python -m scripts.write_embedded_models

A graph stores its weights as float16, which is what the weight files have: the numbers are the same.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from twinpath.engine.export import export_network, loaded
from twinpath.zoo.model_card import ModelCard
from twinpath.zoo.model_folder import WEIGHTS, ModelFolder
from twinpath.zoo.records import Record, records


def embedded_records() -> list[Record]:
    """The records whose weights are in this package."""
    return [record for record in records() if record.embedded_folder is not None]


def write(record: Record, out: Path) -> ModelFolder:
    """Write the folder of a record, with its weights, to `out`."""
    assert record.embedded_path is not None
    card, network = loaded(record.name)
    source = replace(card.weights, url="part of Twinpath")
    weights = record.embedded_path

    def add_weights(folder: Path, card: ModelCard, _: object) -> ModelCard:
        shutil.copyfile(weights, folder / WEIGHTS)
        return card

    return export_network(
        network,
        replace(card, weights=source),
        out,
        format="onnx",
        precision="fp16",
        rewrite=add_weights,
        on_status=print,
    )


if __name__ == "__main__":
    for record in embedded_records():
        assert record.embedded_folder is not None
        write(record, record.embedded_folder)
