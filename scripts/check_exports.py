"""Export every network with random weights and print how far each graph is from torch.

    python -m scripts.check_exports [--formats onnx,openvino] [--crop PX] [PATTERN ...]

One process for each network, smallest first; a Markdown table on stdout, a line as soon as it is known.
Weights are made so that activations neither vanish nor grow, and no block is switched off. The exit code is 1
where a graph differs or a network cannot be exported.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinpath.models.registry import ARCHITECTURES

if TYPE_CHECKING:
    from twinpath.models.input_spec import InputSpec
    from twinpath.models.network import VideoNetwork
    from twinpath.zoo.model_card import ModelCard

_DIFFERS = 3  # exit code
_SMALL_AFFINITY = 0.125


def randomise(network: object) -> None:
    """New weights: normal, scaled by the fan; statistics of batch norms as if measured."""
    import torch
    from torch import nn

    from twinpath.models.layers.resnet import NonLocal

    assert isinstance(network, nn.Module)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
            module.weight.data.uniform_(0.4, 0.8, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
        elif isinstance(module, nn.Conv3d | nn.Linear):
            fan = module.weight[0].numel()
            module.weight.data.normal_(0, fan**-0.5, generator=generator)
    for module in network.modules():
        if isinstance(module, NonLocal):  # multiplies three maps: a chain of such blocks would explode
            module.theta.weight.data.mul_(_SMALL_AFFINITY)


def random_card(name: str, network: VideoNetwork, spec: InputSpec) -> ModelCard:
    """A record for a network with random weights."""
    from twinpath.zoo.model_card import ModelCard

    return ModelCard(
        name=name,
        network=name,
        task=ARCHITECTURES[name].task,
        dataset="random",
        labels=tuple(f"class {i}" for i in range(network.get_classifier().out_features)),
        input=spec,
        precision="fp32",
    )


def check(name: str, formats: list[str], crop_px: int | None) -> str:
    """A row of the table."""
    from twinpath.engine.export import export_network
    from twinpath.errors import ExportDiffers
    from twinpath.zoo.create import input_spec
    from twinpath.zoo.model_card import worst

    spec = input_spec(name)
    options = {}
    if crop_px is not None:
        options = {"crop": crop_px}
        spec = replace(spec, crop_px=crop_px, short_side_px=crop_px, resize_px=None)
    network = ARCHITECTURES[name].build(**options).eval()
    randomise(network)
    card = random_card(name, network, spec)
    cells = [name]
    for format in formats:
        began_s = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory() as folder:
                made = export_network(network, card, Path(folder) / "out", format=format)  # type: ignore[arg-type]
            scores, logits, _ = worst(made.card.parity)
            cells.append(f"{scores:.0e} / {logits:.0e}, {time.perf_counter() - began_s:.0f} s")
        except ExportDiffers as error:
            cells.append(f"DIFFERS: {error}")
    return "| " + " | ".join(cells) + " |"


def _size(name: str) -> float:
    """Roughly what a network costs, to begin with the small ones."""
    spec = ARCHITECTURES[name]
    return spec.num_frames * spec.train_crop**2 * (4.0 if "_l" in name or "101" in name else 1.0)


def main() -> int:
    """Check the networks whose names match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--formats", default="onnx,openvino")
    parser.add_argument(
        "--crop", type=int, metavar="PX", help="clips and networks of this size, not the full"
    )
    parser.add_argument("--one", action="store_true", help="in this process; for the script itself")
    options = parser.parse_args()
    formats = options.formats.split(",")
    if options.one:
        row = check(options.patterns[0], formats, options.crop)
        print(row, flush=True)
        return _DIFFERS if "DIFFERS" in row else 0
    names = [n for n in ARCHITECTURES if any(fnmatch.fnmatchcase(n, p) for p in options.patterns)]
    print(f"| network | {' | '.join(formats)} |\n| --- |{' --- |' * len(formats)}", flush=True)
    failed = 0
    for name in sorted(names, key=_size):
        command = [sys.executable, "-W", "ignore", "-m", "scripts.check_exports"]
        size = [] if options.crop is None else ["--crop", str(options.crop)]
        done = subprocess.run([*command, "--one", "--formats", options.formats, *size, name], check=False)
        if done.returncode:
            failed += 1
        if done.returncode not in (0, _DIFFERS):
            print(f"| {name} | FAILED: exit code {done.returncode} |", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
