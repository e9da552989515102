"""Videos and the process that reads them."""

import pytest

from twinpath.video.isolated.sandbox import Sandbox


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as shared:
        yield shared


@pytest.fixture
def evil(good_video, tmp_path):
    path = tmp_path / "evil.mp4"
    path.write_bytes(good_video.read_bytes())
    return path
