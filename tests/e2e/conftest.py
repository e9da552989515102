"""Clips that the commands are tried on."""

from pathlib import Path

import pytest

from twinpath.data.synthetic import TEST_SEED, labelled_scene, write_clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three clips of 2.4 s of the synthetic world, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "more").mkdir()
    for number, name in enumerate(("a.mp4", "b.mp4", "more/c.mp4")):
        write_clip(folder / name, labelled_scene(TEST_SEED + number), height_px=96)
    return folder
