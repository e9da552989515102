"""Cases from the field: recordings of cameras, screens and browsers. Numbers as in README.md."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.bad_videos import FPS, HEIGHT, WIDTH, encode
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import EvenSpan, FrameStream, read_frames

LATE = EvenSpan(3.5, 0.4, num_frames=8)


def paint_number(picture: np.ndarray) -> None:
    """A white square at a place that follows from the picture's grey value."""
    left = int(picture[0, 0, 0]) % 48
    picture[16:32, left : left + 16] = 255


def make_palette(folder: Path, *, container: str) -> Path:
    """Uncompressed pictures of 8 bits, as high-speed cameras and ultrasound machines write them."""
    path = folder / f"palette.{container}"
    palette = np.stack([np.arange(256)] * 3 + [np.full(256, 255)], axis=1).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "pal8"
        for number in range(100):
            picture = np.full((HEIGHT, WIDTH), 2 * number, np.uint8)
            picture[:16, :16] = 255
            frame = av.VideoFrame.from_ndarray((picture, palette), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def make_intra_refresh(folder: Path, *, container: str) -> Path:
    """No picture but the first is complete; a recovery point every second looks like a keyframe."""
    options = {"x264-params": "intra-refresh=1:keyint=25:bframes=0", "preset": "ultrafast"}
    path = folder / f"refresh.{container}"
    return encode(path, codec_options=options, numbers=range(100), paint=paint_number)


def make_wrong_keyframes(folder: Path, *, container: str) -> Path:
    """Every picture is called a keyframe."""
    path = encode(folder / f"keyframes.{container}", numbers=range(100), paint=paint_number)
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    return path


@pytest.mark.parametrize(
    ("make", "container"),
    [  # 1, 2, 3
        (make_palette, "avi"),
        (make_palette, "mov"),
        (make_intra_refresh, "mp4"),
        (make_intra_refresh, "ts"),
        (make_wrong_keyframes, "mp4"),
    ],
)
def test_a_late_part_has_the_pictures_of_the_whole(
    tmp_path: Path, make: Callable[..., Path], container: str
) -> None:
    path = make(tmp_path, container=container)
    with FrameStream(path) as stream:
        pictures = {round(time_s, 4): picture for time_s, picture in stream}
    late = read_frames(path, [LATE])
    for time_s, picture in zip(late.clip_times_s(), late.clip(), strict=True):
        assert time_s >= 3.5
        assert np.array_equal(picture, pictures[round(time_s, 4)])
    assert pictures[3.6].max() > 200
    assert (late.warnings, stream.warnings) == ([], [])


def test_resuming_where_pictures_become_whole_little_by_little(tmp_path: Path) -> None:  # 2
    path = make_intra_refresh(tmp_path, container="mp4")
    sampling = ClipSampling(4, 2)
    with open_clips(path, Windows(sampling, every_s=0.2)) as clips:
        whole = {round(clip.start_s, 4): clip.frames for clip in clips}
    with open_clips(path, Windows(sampling, every_s=0.2, start_s=3.2)) as clips:
        rest = {round(clip.start_s, 4): clip.frames for clip in clips}
    assert min(rest) == 3.2
    assert all(np.array_equal(frames, whole[start_s]) for start_s, frames in rest.items())
    assert clips.warnings == []
