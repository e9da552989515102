"""Count the cost of every network and write the tables and the page of it. Run: make models

src/twinpath/models/fingerprints.csv  a hash of the names and shapes of each network
src/twinpath/zoo/measured.csv         parameters and multiply-adds of each network and record
docs/models.md                        the model cards

Tests fail when one of them is not current (tests/unit/zoo, tests/unit/models/test_every_network.py).
"""

from __future__ import annotations

import csv
import sys
from functools import cache
from pathlib import Path

import torch

from twinpath.models.measure import cost_of_clip, count_parameters, fingerprint
from twinpath.models.registry import ARCHITECTURES
from twinpath.zoo.create import create_model, input_spec, list_models, resolve
from twinpath.zoo.measured import measured
from twinpath.zoo.records import Record, records

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "twinpath"
PERSONS = 1  # boxes with which a detection network is counted


def fingerprints_csv() -> str:
    """Every network, and the records with a variant of theirs."""
    rows = ["name,fingerprint"]
    for name in (*ARCHITECTURES, *(r.name for r in records() if r.options)):
        with torch.device("meta"):
            rows.append(f"{name},{fingerprint(create_model(name).state_dict())}")
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


def models_md() -> str:
    """The model cards."""
    parts = [_INTRODUCTION]
    for title, text, datasets in _SECTIONS:
        chosen = [r for r in records() if r.dataset.startswith(datasets)]
        parts.append(f"## {title}\n\n{text}\n\n{_table(chosen)}")
    parts.append("## Networks without published weights\n\n" + _networks_alone())
    return "\n".join(parts)


_INTRODUCTION = """# Models

Every weight file that the upstreams have published for this family, under one name each. The name says
network, upstream (`ptv` PyTorchVideo, `psf` PySlowFast, `tv` torchvision) and dataset. This page is
written by `make models` from `src/twinpath/zoo/records.csv`; do not edit it.

```
twinpath models list --dataset kinetics400      # the same on a terminal, with what is on this machine
twinpath models download x3d_s.ptv_k400
twinpath classify video.mp4 --model x3d_s.ptv_k400
```

* **clip**: frames x rate; at rate 8 the clip takes one of 8 frames of a video of 30 a second.
* **size**: test crop in pixels, out of a frame of that short side; torchvision resizes to a fixed size.
* **GFLOPs, params**: multiply-adds of one view in 1e9 at that size, and parameters in 1e6, counted by this
  project. They agree with what the upstreams state, where they state it, to 1 % (MViT: 3 %), when they are
  counted the upstream's way: PyTorchVideo adds 5 operations for each value that passes a norm, PySlowFast
  counts X3D at its training crop, torchvision S3D for 16 frames.
* **top-1, top-5, mAP**: in percent, as the upstream published them, over **views** (crops in space x clips in
  time). They were not measured again here: the datasets and weights are not part of this project.
* **proof**: what shows that our network computes what the upstream's does. *output*: the same figures out for
  the same weights in, through the loader of that upstream's format (`tests/parity`). *size*: the network is
  put together from parts with that proof, and has the published number of parameters or another size of the
  same family.

The weights are downloaded from their publishers on first use. Nobody else is contacted:
OpenVINO's telemetry is switched off. Apache-2.0 (`ptv`, `psf`) and BSD-3-Clause (`tv`) are the licences of
the projects that published them; the datasets have their own terms.
"""

_SECTIONS = (
    (
        "Kinetics: what happens in a clip",
        "400, 600 or 700 human activities, one label a clip.",
        "kinetics",
    ),
    (
        "AVA: the actions of each person",
        "80 actions, several for each person. The network takes a clip and boxes. GFLOPs with one box.",
        "ava",
    ),
    (
        "Something-Something v2: what is done with an object",
        '174 templates such as "putting something into something"; frames are taken over the whole video.',
        "something",
    ),
    ("Charades: several activities at once", "157 activities at home; scores are sigmoids.", "charades"),
    (
        "ImageNet: images",
        "Image networks, to start video networks from. The class names are not part of this package.",
        "imagenet",
    ),
    ("The synthetic world", "The embedded model, for demos and tests. It knows no real video.", "synthetic"),
)


def _table(chosen: list[Record]) -> str:
    has_map = any(r.map is not None for r in chosen)
    accuracy = ["mAP"] if has_map else ["top-1", "top-5"]
    header = [
        "name",
        "clip",
        "size",
        "GFLOPs",
        "params",
        *accuracy,
        "views",
        "proof",
        "upstream's name",
        "note",
    ]
    rows = []
    for r in sorted(chosen, key=lambda r: (r.dataset, -(r.top1 or r.map or 0), r.name)):
        costs = measured(r.name)
        assert costs is not None
        size = "x".join(str(n) for n in r.resize_px) if r.resize_px else str(r.test_short_side)
        published = [r.map] if has_map else [r.top1, r.top5]
        rows.append(
            [
                f"`{r.name}`",
                f"{r.num_frames}x{r.sampling_rate}",
                f"{r.test_crop} of {size}",
                f"{costs.gflops:.2f}",
                f"{costs.params / 1e6:.2f}",
                *("" if value is None else f"{value:g}" for value in published),
                f"{r.views[0]}x{r.views[1]}",
                _proof(r),
                f"`{r.upstream_name}`",
                r.note,
            ]
        )
    return _markdown(header, rows)


def _proof(r: Record) -> str:
    if r.upstream == "twinpath":
        return "own"
    return "output" if r.architecture in _golden_networks() else "size"


@cache
def _golden_networks() -> set[str]:
    """Networks with a reference's output in tests/golden."""
    text = (ROOT / "tests" / "golden" / "index.csv").read_text()
    return {row["our_name"].partition(".")[0] for row in csv.DictReader(text.splitlines())}


def _networks_alone() -> str:
    published = {r.architecture for r in records()}
    rows = []
    for name, network in ARCHITECTURES.items():
        costs = measured(name)
        if name in published or costs is None:
            continue
        clip = f"{network.num_frames}x{network.sampling_rate}"
        proof = "output" if name in _golden_networks() else "own" if "_tiny" in name else "size"
        rows.append([f"`{name}`", clip, f"{costs.gflops:.2f}", f"{costs.params / 1e6:.2f}", proof])
    text = "To train from the start, with `create_model(name)`. GFLOPs at the training crop.\n\n"
    return text + _markdown(["name", "clip", "GFLOPs", "params", "proof"], rows)


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def main() -> None:
    (PACKAGE / "models" / "fingerprints.csv").write_text(fingerprints_csv())
    rows = ["name,params,gflops,gflops_train_crop,giga_normalised"]
    for name in list_models():
        rows.append(measured_row(name))
        print(rows[-1], file=sys.stderr, flush=True)
    (PACKAGE / "zoo" / "measured.csv").write_text("\n".join(rows) + "\n")
    (ROOT / "docs" / "models.md").write_text(models_md())


if __name__ == "__main__":
    main()
