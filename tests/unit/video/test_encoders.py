"""Another encoder than x264, for those who may not use it."""

import av
import numpy as np
import pytest

from twinpath.errors import UsageError
from twinpath.video import encoders
from twinpath.video.decode import FrameStream
from twinpath.video.encoders import ENCODERS, check_encoder, is_built_in
from twinpath.video.probe import probe
from twinpath.video.writer import VideoWriter

CODECS = {"libx264": "h264", "libopenh264": "h264", "libvpx-vp9": "vp9"}


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if is_built_in(name)])
def test_the_frames_come_back(tmp_path, encoder):
    slope = np.mgrid[:48, :64].sum(axis=0)
    frames = [np.stack([(slope + 3 * k) % 256] * 3, axis=-1).astype(np.uint8) for k in range(10)]
    path = tmp_path / "a.mp4"
    with VideoWriter(path, width=64, height=48, fps=25, encoder=encoder) as writer:
        for frame in frames:
            writer.write(frame)
    assert probe(path).codec in (CODECS[encoder], f"lib{CODECS[encoder]}")
    assert probe(path).average_fps == pytest.approx(25)
    with FrameStream(path, strict=True) as stream:
        for (time_s, found), (number, frame) in zip(stream, enumerate(frames), strict=True):
            assert time_s == pytest.approx(number / 25, abs=1e-4)
            assert np.abs(found.astype(int) - frame).mean() < 6


def test_more_than_one_is_built_in():
    assert is_built_in("libvpx-vp9"), "without x264 something else must write"


def test_an_encoder_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="there is no 'libx265'; did you mean libx264"):
        check_encoder("libx265")

    def without(name, mode):
        if name == "libopenh264":
            raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(encoders.av.codec, "Codec", without)
    with pytest.raises(UsageError, match=r"built without libopenh264; choose one of libx264, libvpx-vp9"):
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=25, encoder="libopenh264")
    assert list(tmp_path.iterdir()) == []
