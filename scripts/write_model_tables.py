"""Count what every network costs and write the tables and the page that say so. Run: make models

src/twinpath/models/fingerprints.csv  names and shapes of each network in a short text
src/twinpath/zoo/measured.csv         parameters and multiply-adds of each network and record
docs/models.md                        the model cards

tests/unit/zoo/test_tables.py fails when one of them is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from twinpath.models.measure import cost_of_clip, count_parameters, fingerprint
from twinpath.models.registry import ARCHITECTURES
from twinpath.zoo.create import create_model, input_spec, list_models, resolve

PACKAGE = Path(__file__).parents[1] / "src" / "twinpath"
PERSONS = 1  # boxes with which a detection network is counted


def fingerprints_csv() -> str:
    rows = ["architecture,fingerprint"]
    for name, architecture in ARCHITECTURES.items():
        with torch.device("meta"):
            rows.append(f"{name},{fingerprint(architecture.build().state_dict())}")
    return "\n".join(rows) + "\n"


def measured_row(name: str) -> str:
    """One line of measured.csv."""
    architecture, _ = resolve(name)
    spec = input_spec(name)
    boxes = PERSONS if architecture.is_detector else 0
    with torch.device("meta"):
        model = create_model(name)
    test, train = (
        cost_of_clip(model, num_frames=spec.num_frames, crop=crop, boxes=boxes)
        for crop in (spec.crop_px, architecture.train_crop)
    )
    giga = [n / 1e9 for n in (test.multiply_adds, train.multiply_adds, test.normalised)]
    return ",".join([name, str(count_parameters(model)), *(f"{n:.4f}" for n in giga)])


def main() -> None:
    (PACKAGE / "models" / "fingerprints.csv").write_text(fingerprints_csv())
    rows = ["name,params,gflops,gflops_train_crop,giga_normalised"]
    for name in list_models():
        rows.append(measured_row(name))
        print(rows[-1], file=sys.stderr, flush=True)
    (PACKAGE / "zoo" / "measured.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
