"""Networks without values have the names and shapes of the others."""

import subprocess
import sys

import pytest

from twinpath.models.registry import architecture
from twinpath.models.shapes_only import shapes_only


@pytest.mark.parametrize("name", ["slowfast_tiny", "slowfast_tiny_det", "x3d_xs"])
def test_names_and_shapes(name):
    with shapes_only():
        without = architecture(name).build().state_dict()
    network = architecture(name).build().state_dict()
    assert {key: value.shape for key, value in without.items()} == {
        key: value.shape for key, value in network.items()
    }
    assert {value.device.type for value in without.values()} == {"meta"}


LIGHT = """
import sys
from twinpath.models.registry import ARCHITECTURES, architecture
from twinpath.models.shapes_only import shapes_only
of_families = {architecture.family: name for name, architecture in ARCHITECTURES.items()}
for name in of_families.values():
    with shapes_only():
        network = architecture(name).build()
    assert {p.device.type for p in network.parameters()} == {"meta"}, name
assert "torch._dynamo" not in sys.modules
"""


def test_no_family_loads_pytorchs_compiler_for_it():
    subprocess.run([sys.executable, "-c", LIGHT], check=True, timeout=120)
