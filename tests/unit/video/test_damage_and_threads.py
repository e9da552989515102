"""A damaged file gives the same frames and warnings in every run, however many threads decode it."""

import av
import bad_videos
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from twinpath.errors import NotAFile
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.passes import DecodePass
from twinpath.video.source import VideoSource


@pytest.fixture
def decode_on(monkeypatch):
    """Call with a number: as many threads decode, as on a computer with as many cores."""
    wished = [0]
    open_as_ever = VideoSource._open

    def open_with_threads(self):
        open_as_ever(self)
        if not self.on_one_thread:
            self.stream.codec_context.thread_count = wished[0]

    monkeypatch.setattr(VideoSource, "_open", open_with_threads)

    def decode_on(threads):
        wished[0] = threads

    return decode_on


def every_frame(path):
    with FrameStream(path) as stream:
        frames = list(stream)
        return [time_s for time_s, _ in frames], np.stack([frame for _, frame in frames]), stream.warnings


def noisy(folder, suffix, *, seconds):
    """From the middle on, every 200th byte or so of the packets is another one."""
    count = seconds * bad_videos.FPS
    random = np.random.default_rng(5)

    def paint(picture):
        picture[8:40, 8:56] = random.integers(0, 255, (32, 48, 3))

    sound = bad_videos.encode(folder / f"sound{suffix}", numbers=(k % 50 for k in range(count)), paint=paint)
    with av.open(str(sound)) as given:
        noise = BitStreamFilterContext("noise=amount=200", given.streams.video[0])

        def change(number, packet):
            return noise.filter(packet)[0] if number >= count // 2 else packet

        return bad_videos.remux(sound, folder / f"noisy{suffix}", change)


@pytest.mark.parametrize("recipe", ["make_truncated", "make_flipped_bytes", "make_zeroed_tail", "make_noise"])
def test_threads_lose_no_frame_that_one_gets(tmp_path, decode_on, recipe):  # 4, 5, 6
    path = getattr(bad_videos, recipe)(tmp_path)
    decode_on(1)
    times_s, frames, warnings = every_frame(path)
    views = [EvenSpan(0.0, 2.0, num_frames=30), EvenSpan(0.8, 0.5, num_frames=9)]
    clips = read_frames(path, views)
    assert warnings
    for threads in (2, 3, 16):
        decode_on(threads)
        others_s, others, same_warnings = every_frame(path)
        assert others_s == times_s
        assert np.array_equal(others, frames)
        assert same_warnings == warnings
        again = read_frames(path, views)
        assert again.warnings == clips.warnings
        assert np.array_equal(again.clip(0), clips.clip(0))
        assert np.array_equal(again.clip(1), clips.clip(1))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".h264"])
def test_every_container_goes_on_behind_the_damage(tmp_path, decode_on, suffix):
    path = noisy(tmp_path, suffix, seconds=8)
    decode_on(1)
    times_s, frames, warnings = every_frame(path)
    assert len(times_s) > 150
    assert any("corrupt" in warning or "could not be decoded" in warning for warning in warnings)
    for threads in (2, 16):
        decode_on(threads)
        others_s, others, same_warnings = every_frame(path)
        assert others_s == times_s
        assert np.array_equal(others, frames)
        assert same_warnings == warnings


def test_what_was_decoded_before_the_damage_is_not_decoded_again(tmp_path, decode_on, monkeypatch):
    path = noisy(tmp_path, ".mp4", seconds=8)
    decode_on(4)
    packets = []
    decode = DecodePass._decode
    monkeypatch.setattr(DecodePass, "_decode", lambda *given: (packets.append(given[1]), decode(*given))[1])
    every_frame(path)
    twice = len(packets) - 2 - 8 * bad_videos.FPS  # at the end each of the two is told that it is the end
    assert 0 < twice <= 12 + 6  # a group of pictures, and those on their way through four threads


def test_a_sound_file_keeps_its_threads(tmp_path):
    with FrameStream(bad_videos.make_good(tmp_path)) as stream:
        assert len(list(stream)) == 50
        assert not stream._source.on_one_thread


def test_a_file_that_vanishes_before_one_thread_takes_over(tmp_path, decode_on):
    path = noisy(tmp_path, ".mp4", seconds=4)
    decode_on(4)
    with FrameStream(path) as stream:
        frames = iter(stream)
        next(frames)
        path.unlink()
        with pytest.raises(NotAFile, match="cannot be opened again"):
            list(frames)
