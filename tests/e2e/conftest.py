"""Clips that the commands are tried on."""

from pathlib import Path

import pytest

from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip
from twinpath.data.synthetic.scene import make_scene


@pytest.fixture(scope="session")
def actions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes with two short clips each."""
    folder = tmp_path_factory.mktemp("actions")
    for number, action in enumerate(("jump", "bow", "jump", "bow")):
        (folder / action).mkdir(exist_ok=True)
        scene = make_scene(TEST_SEED + 70 + number, action=action)
        write_clip(folder / action / f"{number}.mp4", scene, height_px=64, duration_s=0.8)
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three clips of 2.4 s of the synthetic world, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "more").mkdir()
    for number, name in enumerate(("a.mp4", "b.mp4", "more/c.mp4")):
        write_clip(folder / name, labelled_scene(TEST_SEED + number), height_px=96)
    return folder
