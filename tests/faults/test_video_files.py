"""Rows 1 to 26 of the list of faults, in the library: the right error, or a result with a warning."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import (
    CorruptVideo,
    LimitExceeded,
    NoFrames,
    NotAFile,
    NotAVideo,
    NoVideoStream,
    UnsupportedCodec,
)
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.probe import probe
from twinpath.video.source import Limits, open_video

TWO_SECONDS = [EvenSpan(0.0, 2.0, num_frames=50)]


def read(path, **kwargs):
    return read_frames(path, TWO_SECONDS, **kwargs)


def number(picture):
    height, width, _ = picture.shape
    return round((float(picture[height // 2, width // 2].mean()) - 20) / 4)


REFUSED = [
    ("make_empty", NotAVideo, "empty"),  # 1
    ("make_random", NotAVideo, "not a video"),
    ("make_text", NotAVideo, "not a video"),
    ("make_empty_h264", NoFrames, "empty"),  # 2
    ("make_headless_fragments", NoFrames, "holds no frames"),
    ("make_lost_index", NotAVideo, "the index is missing; was the upload complete?"),  # 3
    ("make_unknown_codec", UnsupportedCodec, "xxxx"),  # 8
    ("make_cinepak", UnsupportedCodec, "cinepak; convert it: ffmpeg -i"),
    ("make_flashsv", UnsupportedCodec, "flashsv; convert it: ffmpeg -i"),
    ("make_heic", NotAVideo, "is a HEIC picture"),
    ("make_audio_only", NoVideoStream, "only audio"),  # 9
    ("make_gif_bomb", LimitExceeded, "16000x16000"),  # 20
    ("make_playlist", NotAVideo, "not a video"),  # 22
    ("make_concat_list", NotAVideo, "not a video"),  # 23
    ("make_fifo", NotAFile, "a pipe"),  # 26
    ("make_folder", NotAFile, "a folder"),
]


@pytest.mark.parametrize(("recipe", "error", "words"), REFUSED)
def test_what_is_no_video_is_refused_in_one_line(tmp_path, recipe, error, words):
    path = getattr(bad_videos, recipe)(tmp_path)
    for use in (probe, read, stream_times):
        with pytest.raises(error) as caught:
            use(path)
        message = str(caught.value)
        assert words in message
        assert path.name in message
        assert "\n" not in message


def stream_times(path):
    with FrameStream(path) as stream:
        return [time_s for time_s, _ in stream]


def test_a_device_and_a_missing_file_are_no_files(tmp_path):
    with pytest.raises(NotAFile, match="device"):
        probe("/dev/zero")
    with pytest.raises(NotAFile, match="does not exist"):
        probe(tmp_path / "none.mp4")
    with pytest.raises(NotAFile, match="cannot be read"):
        probe(tmp_path / "nul\0.mp4")
    with pytest.raises(NotAFile, match="cannot be read"):
        probe(tmp_path / ("long" * 200))


DAMAGED = [  # the recipe, and how few and how many of the 50 frames decode
    ("make_truncated", 5, 40),  # 4
    ("make_flipped_bytes", 10, 49),  # 5
    ("make_noise", 1, 49),
    ("make_zeroed_tail", 5, 40),  # 6
    ("make_lost_head", 38, 38),  # 7
]


@pytest.mark.parametrize(("recipe", "fewest", "most"), DAMAGED)
def test_a_damaged_video_gives_a_result_and_a_warning(tmp_path, recipe, fewest, most):
    path = getattr(bad_videos, recipe)(tmp_path)
    decoded = read(path)
    assert fewest <= decoded.frames_decoded <= most
    assert decoded.clip().shape == (50, 48, 64, 3)
    assert decoded.warnings[0].startswith(f"decoded {decoded.frames_decoded} of ")
    with FrameStream(path) as stream:
        assert len(list(stream)) == decoded.frames_decoded
    assert stream.warnings == decoded.warnings


@pytest.mark.parametrize("recipe", [row[0] for row in DAMAGED])
def test_a_damaged_video_is_an_error_when_strict(tmp_path, recipe):
    path = getattr(bad_videos, recipe)(tmp_path)
    with pytest.raises(CorruptVideo, match="is damaged") as caught:
        read(path, strict=True)
    assert 0 <= caught.value.frames_decoded < 50
    with pytest.raises(CorruptVideo), FrameStream(path, strict=True) as stream:
        list(stream)


def test_the_lost_head_is_reported(tmp_path):  # 7
    decoded = read(bad_videos.make_lost_head(tmp_path))
    assert any("the first 0.44 s do not decode" in warning for warning in decoded.warnings)
    assert number(decoded.frames[0]) == 12


def test_the_sound_part_of_a_truncated_video_gives_no_warning(tmp_path):  # 4
    decoded = read_frames(bad_videos.make_truncated(tmp_path), [EvenSpan(0, 0.2, num_frames=5)], strict=True)
    assert [number(picture) for picture in decoded.clip()] == [0, 1, 2, 3, 4]
    assert decoded.warnings == []


@pytest.mark.parametrize("recipe", ["make_truncated", "make_zeroed_tail"])
def test_a_span_in_the_lost_part_shows_the_last_sound_frame(tmp_path, recipe):  # 4, 6
    decoded = read_frames(getattr(bad_videos, recipe)(tmp_path), [EvenSpan(1.4, 0.4, num_frames=4)])
    assert len({number(picture) for picture in decoded.clip()}) == 1
    assert decoded.warnings


def test_a_video_of_which_nothing_decodes_is_corrupt(tmp_path):
    data = bytearray(bad_videos.make_good_faststart(tmp_path).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "nothing.mp4"
    path.write_bytes(data)
    for strict in (False, True):
        with pytest.raises(CorruptVideo) as caught:
            read(path, strict=strict)
        assert caught.value.frames_decoded == 0
    assert probe(path).warnings == ("none of its frames decodes",)


def test_hours_between_frames_cost_nothing(tmp_path):  # 11
    path = bad_videos.make_huge_gaps(tmp_path)
    assert len(read(path).frames) == 1
    assert read_frames(path, [EvenSpan(0, 80_000, num_frames=3)]).times_s.tolist() == [0, 36_000, 72_000]
    assert stream_times(path) == [0, 36_000, 72_000]


def test_times_start_with_the_first_frame(tmp_path):  # 12
    decoded = read(bad_videos.make_offset_ts(tmp_path))
    assert decoded.times_s.tolist() == pytest.approx([k / 25 for k in range(50)])
    assert decoded.warnings == []


def test_an_edit_list_is_obeyed_and_mentioned(tmp_path):  # 13
    decoded = read(bad_videos.make_cut_without_reencoding(tmp_path), strict=True)
    assert decoded.frames_decoded == 45
    assert (number(decoded.frames[0]), decoded.times_s[0]) == (5, 0.0)
    assert "5 frames are cut away" in decoded.warnings[0]


UNUSUAL = [  # 15, 16: the recipe, frames, height, width
    ("make_odd_size", 50, 49, 65),
    ("make_vp9", 50, 48, 64),
    ("make_two_pixels", 5, 2, 2),
    ("make_one_frame", 1, 48, 64),
    ("make_hevc_10_bit", 50, 48, 64),
    ("make_gif", 10, 48, 64),
    ("make_mjpeg_avi", 50, 48, 64),
    ("make_b_frames_avi", 50, 48, 64),
    ("make_interlaced", 50, 48, 64),
    ("make_wide_pixels", 50, 48, 64),
    ("make_wrong_extension", 50, 48, 64),
    ("make_rotated", 50, 64, 48),  # 14
    ("make_mpeg_ps", 50, 48, 64),
    ("make_vob", 50, 48, 64),
    ("make_mpeg_1", 50, 48, 64),
    ("make_flv", 50, 48, 64),
    ("make_sorenson_flv", 50, 48, 64),
    ("make_wmv", 50, 48, 64),
    ("make_asf", 50, 48, 64),
    ("make_ogg", 50, 48, 64),
    ("make_mxf", 50, 48, 64),
    ("make_ts_with_error_correction", 50, 48, 64),
    ("make_ts_within_a_packet", 50, 48, 64),
]


@pytest.mark.parametrize(("recipe", "frames", "height", "width"), UNUSUAL)
def test_unusual_videos_decode_without_a_word(tmp_path, recipe, frames, height, width):
    path = getattr(bad_videos, recipe)(tmp_path)
    decoded = read(path, strict=True)
    assert decoded.frames.shape == (frames, height, width, 3)
    assert decoded.clip().shape == (50, height, width, 3)
    assert decoded.warnings == []
    info = probe(path)
    assert (info.height, info.width) == (height, width)
    if recipe != "make_gif":  # its palette is coarse
        assert abs(number(decoded.frames[-1]) - (frames - 1)) <= 1


def test_the_shape_of_pixels_is_reported(tmp_path):  # 16
    assert probe(bad_videos.make_wide_pixels(tmp_path)).sample_aspect_ratio == 2.0
    assert probe(bad_videos.make_good(tmp_path)).sample_aspect_ratio == 1.0


def test_pixels_of_other_codecs_agree(tmp_path):  # 15
    reference = read(bad_videos.make_good(tmp_path)).clip().astype(int)
    for recipe in (bad_videos.make_vp9, bad_videos.make_hevc_10_bit, bad_videos.make_mjpeg_avi):
        other = read(recipe(tmp_path)).clip()
        assert np.abs(other - reference).max() <= 4


def test_colours_tagged_as_ffmpeg_cannot_convert_them(tmp_path):  # 16
    path = bad_videos.make_unknown_colours(tmp_path)
    decoded = read(path, strict=True)
    assert abs(number(decoded.frames[-1]) - 49) <= 1
    assert "cannot convert the colours of 50 frames" in decoded.warnings[0]
    with FrameStream(path) as stream:
        assert len(list(stream)) == 50
    assert stream.warnings == decoded.warnings


def test_an_open_group_at_the_start_is_mentioned(tmp_path):  # 17
    decoded = read(bad_videos.make_open_gop_ts(tmp_path), strict=True)
    assert decoded.frames_decoded == 38
    assert [number(decoded.frames[i]) for i in (0, -1)] == [12, 49]
    assert "open group of pictures" in decoded.warnings[0]


def test_joined_recordings_go_on_in_time_and_keep_one_size(tmp_path):  # 18
    path = bad_videos.make_joined_ts(tmp_path)
    decoded = read_frames(path, [EvenSpan(0, 4, num_frames=100)])
    assert decoded.frames.shape == (100, 48, 64, 3)
    assert (np.diff(decoded.times_s) > 0).all()
    shown = np.array([number(picture) for picture in decoded.clip()])
    assert np.abs(shown - [*range(50), *range(50)]).max() <= 1  # scaling shifts the grey a little
    assert "50 frames scaled" in decoded.warnings[0]


def test_a_raw_stream_gets_a_frame_rate_and_a_warning(tmp_path):  # 19
    decoded = read(bad_videos.make_raw_h264(tmp_path))
    assert decoded.times_s.tolist() == pytest.approx([k / 25 for k in range(50)])
    assert decoded.warnings == ["the file has no timestamps: 25 frames per second assumed"]
    assert probe(tmp_path / "raw.h264").average_fps is None


def test_a_raw_stream_keeps_the_rate_that_its_codec_knows(tmp_path):  # 19
    path = bad_videos.encode(tmp_path / "raw30.h264", container="h264", rate=30)
    assert read(path).warnings == ["the file has no timestamps: 30 frames per second assumed"]


@pytest.mark.parametrize("rate", [25, 1000])
def test_a_browsers_recording_has_the_length_of_its_packets(tmp_path, rate):
    """As MediaRecorder writes WebM: no length in the header, and times in milliseconds."""
    pts = [round(k * rate / 25) for k in range(50)]
    vp8 = {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}}
    options = {"rate": rate, "pts": pts, **vp8}
    live = bad_videos.encode(tmp_path / "live.webm", container_options={"live": "1"}, **options)
    with open_video(live) as source:
        assert (source.claimed_duration_s, source.container.duration) == (None, None)
    info = probe(live)
    assert info.duration_s == pytest.approx(2.0, abs=0.002)
    assert info.average_fps == pytest.approx(25.0, abs=0.1)
    whole = bad_videos.encode(tmp_path / "whole.webm", **options)
    assert probe(whole).duration_s == pytest.approx(info.duration_s, abs=0.05)
    assert np.array_equal(read(live).frames, read(whole).frames)
    raw = probe(bad_videos.make_raw_h264(tmp_path))
    assert (raw.duration_s, raw.average_fps) == (2.0, None)
    with pytest.raises(LimitExceeded, match=r"live\.webm: .* more than 20 frames"):
        probe(live, limits=Limits(max_frames=20))


PEAK_MEMORY = """
import sys
from pathlib import Path
from twinpath.errors import TwinpathError
from twinpath.video.decode import EvenSpan, read_frames
try:
    read_frames(sys.argv[1], [EvenSpan(0, 2, num_frames=50)])
except TwinpathError as error:
    print(type(error).__name__, file=sys.stderr)
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the test runner before the fork
print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.parametrize("recipe", ["make_gif_bomb", "make_jpeg_bomb", "make_huge_gaps"])
def test_bombs_take_no_memory(tmp_path, recipe):  # 11, 20
    path = getattr(bad_videos, recipe)(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) < 300_000  # kB; a picture of 16000x16000 alone takes 1,000,000


def test_frames_without_end_meet_a_budget(tmp_path):  # 21
    path = bad_videos.make_ten_thousand_fps(tmp_path)
    with pytest.raises(LimitExceeded, match="more than 1000 frames"):
        read(path, limits=Limits(max_frames=1000))
    with (
        pytest.raises(LimitExceeded, match="more than 1000 frames"),
        FrameStream(path, limits=Limits(max_frames=1000)) as stream,
    ):
        list(stream)
    assert len(read(path).frames) == 50


def test_a_playlist_reaches_nobody(tmp_path):  # 24
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        path = bad_videos.make_remote_playlist(tmp_path, port=listener.getsockname()[1])
        with pytest.raises(NotAVideo):
            read(path)
        with pytest.raises(NotAFile):
            probe(f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp4")
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("name", bad_videos.STRANGE_NAMES)
def test_a_name_is_only_a_name(tmp_path, monkeypatch, name):  # 25
    bad_videos.make_strange_name(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    decoded = read_frames(Path(name), [EvenSpan(1.4, 0.2, num_frames=2)])
    assert number(decoded.clip()[0]) == 35


def test_a_strange_name_stays_on_one_line(tmp_path):  # 25
    path = tmp_path / "two\nlines.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(NotAVideo) as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_a_title_in_another_encoding_is_no_fault(tmp_path):
    sound = bad_videos.make_good(tmp_path)
    data = bad_videos.remux(sound, tmp_path / "title.mkv", lambda _, packet: packet).read_bytes()
    (tmp_path / "title.mkv").write_bytes(data.replace(b"DURATION", b"TITL\xe9\xe8\xe9\xe8"))
    decoded = read(tmp_path / "title.mkv")
    assert decoded.frames_decoded == 50


def test_opening_leaves_no_file_open(tmp_path):
    path = bad_videos.make_good(tmp_path)
    with open_video(path) as source:
        assert source.claimed_frames == 50
    descriptors = Path("/proc/self/fd")
    if descriptors.exists():
        assert str(path) not in {str(entry.resolve()) for entry in descriptors.iterdir()}
