"""The sound of a video in the file that is drawn from it: all of it, as loud, at the same times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import bad_videos, clock_videos
from twinpath.video.audio import AudioTrack
from twinpath.video.decode import FrameStream
from twinpath.video.writer import VideoWriter


def drawn(video: Path, out: Path) -> list[str]:
    """A copy of a video with its sound; gives the warnings about the sound."""
    with (
        AudioTrack(video) as audio,
        FrameStream(video) as frames,
        VideoWriter(out, width=64, height=48, fps=25, audio=audio) as writer,
    ):
        for time_s, frame in frames:
            writer.write(frame, time_s=time_s)
    return audio.warnings


def loudness(video: Path) -> tuple[float, float]:
    """Seconds of sound, and its root mean square, 1 being full scale."""
    scale = {"s16": 2**15, "s32": 2**31, "fltp": 1}
    with av.open(str(video)) as container:
        pieces = []
        for frame in container.decode(audio=0):
            pieces.append(np.asarray(frame.to_ndarray(), np.float64).ravel() / scale[frame.format.name])
            channels = len(frame.layout.channels)
    samples = np.concatenate(pieces)
    return len(samples) / channels / clock_videos.RATE_HZ, float(np.sqrt((samples**2).mean()))


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_times_that_repeat_within_a_millisecond(tmp_path: Path, codec: str) -> None:
    """Matroska's ticks are milliseconds, and packets may be shorter: TrueHD's always are.

    PyAV's FFmpeg cannot encode that; PCM is decoded and encoded as TrueHD is, and FLAC is copied.
    """
    plain = bad_videos.make_good(tmp_path)
    video, out = tmp_path / "sound.mkv", tmp_path / "out.mp4"
    clock_videos.with_sound(plain, video, codec=codec, packet_samples=32)
    with av.open(str(video)) as container:
        times = Counter(packet.dts for packet in container.demux(audio=0) if packet.dts is not None)
    assert max(times.values()) > 1
    assert drawn(video, out) == []
    before, after = loudness(video), loudness(out)
    assert after[0] == pytest.approx(before[0], abs=0.05)
    assert after[1] == pytest.approx(before[1], rel=0.05)
