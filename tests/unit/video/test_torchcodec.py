"""torchcodec: only for who asks for it, the same frames as by PyAV, and PyAV where it does not give them.

How it is chosen and what happens when it fails is tested with a stand-in. The frames are compared with the
real one where it loads, which needs FFmpeg's libraries on the system (Debian: apt-get install ffmpeg).
"""

import subprocess
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import bad_videos
from tests.support.commands import TINY, twinpath
from twinpath.errors import CorruptVideo, LimitExceeded, MissingExtra, NotAVideo, UsageError
from twinpath.video import torchcodec_decoder
from twinpath.video.decode import AtTimes, EvenSpan, FrameStream, read_frames
from twinpath.video.source import Limits

SELECTIONS = [EvenSpan(0.0, 2.0, num_frames=50), EvenSpan(1.0, 0.5, num_frames=9), AtTimes((0.33, 0.1, 1.7))]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("TWINPATH_DECODER", raising=False)
    torchcodec_decoder.load.cache_clear()
    yield
    torchcodec_decoder.load.cache_clear()


def same(mine, other):
    assert np.array_equal(mine.frames, other.frames)
    assert mine.times_s.tolist() == pytest.approx(other.times_s.tolist(), abs=1e-9)
    assert [picks.tolist() for picks in mine.picks] == [picks.tolist() for picks in other.picks]
    return True


class Array:
    """As much of a tensor as is used."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def numpy(self):
        return self.values


def stand_in(*, late_s=0.0, error=None):
    """A `VideoDecoder` that decodes by PyAV, shows what comes `late_s` after the wanted time, or fails."""
    log = []

    class VideoDecoder:
        made = log

        def __init__(self, source, **options):
            log.append((source, options))
            with FrameStream(source.removeprefix("file:")) as stream:
                self.times_s, self.frames = zip(*stream, strict=True)

        def get_frames_played_at(self, wanted_s):
            if error:
                raise error
            shown = np.searchsorted(self.times_s, np.array(wanted_s) + late_s, side="right") - 1
            frames, times_s = [self.frames[i] for i in shown], [self.times_s[i] for i in shown]
            return SimpleNamespace(data=Array(frames), pts_seconds=Array(times_s))

    return VideoDecoder


@pytest.fixture
def install(monkeypatch):
    """Puts a stand-in where torchcodec would be imported from."""

    def put(decoder):
        package, decoders = types.ModuleType("torchcodec"), types.ModuleType("torchcodec.decoders")
        decoders.VideoDecoder = decoder
        monkeypatch.setitem(sys.modules, "torchcodec", package)
        monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)
        return decoder

    return put


# Which decoder


def test_nobody_gets_torchcodec_who_did_not_ask(good_video, install):
    decoder = install(stand_in())
    read_frames(good_video, SELECTIONS)
    read_frames(good_video, SELECTIONS, decoder="pyav")
    assert decoder.made == []
    code = (
        "import sys; from twinpath.video.decode import EvenSpan, read_frames\n"
        "read_frames(sys.argv[1], [EvenSpan(0, 1, num_frames=2)])\n"
        "assert not {'torch', 'torchcodec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, good_video], check=True, timeout=60)


def test_the_argument_and_the_variable_ask_for_it(good_video, install, monkeypatch):
    decoder = install(stand_in())
    decoded = read_frames(good_video, SELECTIONS, decoder="torchcodec")
    assert same(decoded, read_frames(good_video, SELECTIONS))
    assert decoded.warnings == []
    ((source, options),) = decoder.made
    assert source == f"file:{good_video}"
    assert (options["stream_index"], options["seek_mode"]) == (0, "exact")
    monkeypatch.setenv("TWINPATH_DECODER", "torchcodec")
    read_frames(good_video, SELECTIONS)
    assert len(decoder.made) == 2
    read_frames(good_video, SELECTIONS, decoder="pyav")  # the argument has the last word
    assert len(decoder.made) == 2


def test_a_decoder_that_does_not_exist(good_video, monkeypatch):
    with pytest.raises(UsageError, match=r"there is no decoder 'opencv'; .* pyav or torchcodec"):
        read_frames(good_video, SELECTIONS, decoder="opencv")
    monkeypatch.setenv("TWINPATH_DECODER", "decord")
    with pytest.raises(UsageError, match="TWINPATH_DECODER"):
        read_frames(good_video, SELECTIONS)


def test_one_that_is_not_installed_or_does_not_load_says_what_to_do(good_video, install, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.delitem(sys.modules, "torchcodec.decoders", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'twinpath\[torchcodec\]'"):
        read_frames(good_video, SELECTIONS, decoder="torchcodec")

    def broken(name):
        raise RuntimeError("Could not load libtorchcodec. Likely causes:\n\n  1. FFmpeg is not installed")

    monkeypatch.setattr(torchcodec_decoder.importlib, "import_module", broken)
    with pytest.raises(
        MissingExtra, match=r"does not load .Could not load.*apt-get install ffmpeg"
    ) as caught:
        read_frames(good_video, SELECTIONS, decoder="torchcodec")
    assert "\n" not in str(caught.value)


def test_the_variable_reaches_the_command(good_video):
    error = twinpath("classify", good_video, *TINY, code=2, TWINPATH_DECODER="decord").error
    assert "there is no decoder 'decord'" in error


# Where it does not give the same frames


def test_what_it_cannot_read_is_read_by_pyav_and_said(good_video, install):
    place = "decodeAVFrame, /build/SingleStreamDecoder.cpp:1436, "
    for error in (RuntimeError(place + "no more frames"), IndexError("no more frames")):
        install(stand_in(error=error))
        torchcodec_decoder.load.cache_clear()
        decoded = read_frames(good_video, SELECTIONS, decoder="torchcodec")
        assert same(decoded, read_frames(good_video, SELECTIONS))
        (warning,) = decoded.warnings
        assert warning == "torchcodec does not read this file as PyAV does (no more frames): PyAV read it"


def test_frames_of_other_times_are_not_taken(good_video, install):
    install(stand_in(late_s=0.04))
    decoded = read_frames(good_video, [EvenSpan(0.4, 0.8, num_frames=8)], decoder="torchcodec")
    assert same(decoded, read_frames(good_video, [EvenSpan(0.4, 0.8, num_frames=8)]))
    assert "0.040 s from where they are" in decoded.warnings[0]


def test_what_ffmpeg_would_take_for_something_else_never_reaches_it(good_video, install, monkeypatch):
    decoder = install(stand_in())
    monkeypatch.setattr(torchcodec_decoder, "FORMAT_WHITELIST", "gif")
    decoded = read_frames(good_video, SELECTIONS, decoder="torchcodec")
    assert "FFmpeg would not take it for mov" in decoded.warnings[0]
    assert decoder.made == []


@pytest.mark.parametrize("recipe", ["make_playlist", "make_concat_list", "make_gif_bomb", "make_fifo"])
def test_bad_files_never_reach_it(tmp_path, install, recipe):
    decoder = install(stand_in())
    path = getattr(bad_videos, recipe)(tmp_path)
    with pytest.raises(Exception) as by_pyav:  # noqa: PT011 - whichever it is, it must be the same
        read_frames(path, SELECTIONS)
    with pytest.raises(type(by_pyav.value), match="^" + str(path)):
        read_frames(path, SELECTIONS, decoder="torchcodec")
    assert decoder.made == []


def test_limits_hold(good_video, install):
    decoder = install(stand_in())
    for limits in (Limits(max_bytes=10_000), Limits(max_seconds=0.0), Limits(max_frames=20)):
        with pytest.raises(LimitExceeded):
            read_frames(good_video, SELECTIONS, limits=limits, decoder="torchcodec")
    assert len(decoder.made) == 2  # the packets alone pass the last one


def test_strict_reading_is_pyavs(tmp_path, install):
    decoder = install(stand_in())
    with pytest.raises(CorruptVideo):
        read_frames(bad_videos.make_truncated(tmp_path), SELECTIONS, strict=True, decoder="torchcodec")
    assert decoder.made == []


# The real one


@pytest.fixture
def real():
    try:
        torchcodec_decoder.load()
    except MissingExtra as missing:
        pytest.skip(str(missing))


def colourful(path, size, **options):
    """Every pixel another colour, so that a wrong matrix, range or place of colour samples would show."""

    def paint(picture):
        y, x = np.mgrid[: size[1], : size[0]]
        picture[:] = np.stack([4 * x + picture[0, 0, 0], 5 * y, 3 * (x + y)], axis=-1) % 256

    return bad_videos.encode(path, size=size, numbers=range(20), paint=paint, **options)


@pytest.mark.parametrize(
    "recipe",
    [
        "make_good",
        "make_good_faststart",
        "make_variable_rate",  # 10
        "make_huge_gaps",  # 11
        "make_cut_without_reencoding",  # 13
        "make_odd_size",  # 15
        "make_vp9",
        "make_two_pixels",  # 16
        "make_one_frame",
        "make_wide_pixels",
        "make_gif",
        "make_wrong_extension",
    ],
)
def test_it_gives_the_same_frames(real, tmp_path, recipe):
    path = getattr(bad_videos, recipe)(tmp_path)
    mine, other = read_frames(path, SELECTIONS), read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(mine, other)
    assert other.warnings == mine.warnings  # nothing about torchcodec: PyAV was not needed


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, -90])
def test_it_gives_upright_pictures(real, tmp_path, rotation_deg):  # 14
    path = bad_videos.make_rotated(tmp_path, rotation_deg=rotation_deg)
    other = read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(read_frames(path, SELECTIONS), other)
    assert other.warnings == []


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("a.mp4", (320, 240), {}),
        ("b.mp4", (98, 50), {"rotation_deg": 90}),
        ("c.mp4", (65, 49), {"pixels": "yuv444p"}),
        ("d.mp4", (66, 50), {"pixels": "yuv422p"}),
        ("e.mp4", (64, 48), {"pixels": "yuvj420p", "codec_options": {"color_range": "pc"}}),
        ("f.webm", (65, 48), {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime"}}),
        ("g.mkv", (64, 48), {"pixels": "yuv444p10le"}),
        ("h.mkv", (65, 49), {"codec": "ffv1", "pixels": "bgr0", "codec_options": {}}),
    ],
)
def test_it_gives_the_same_colours(real, tmp_path, name, size, options):  # 15
    path = colourful(tmp_path / name, size, **options)
    mine, other = read_frames(path, SELECTIONS), read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(mine, other)
    assert other.warnings == []


def test_tags_of_colours_that_ffmpeg_does_not_know_are_mentioned(real, tmp_path):
    path = bad_videos.make_unknown_colours(tmp_path)
    mine, other = read_frames(path, SELECTIONS), read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(mine, other)
    assert other.warnings[0] == mine.warnings[0]


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("a.webm", (64, 49), {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime"}}),
        ("b.mp4", (66, 49), {"pixels": "yuv422p"}),
        ("c.mp4", (64, 48), {"pixels": "yuv420p10le"}),
        ("d.mkv", (64, 48), {"codec": "ffv1", "pixels": "yuv411p", "codec_options": {}}),
    ],
)
def test_colours_that_ffmpegs_versions_make_differently_are_pyavs(real, tmp_path, name, size, options):  # 15
    path = colourful(tmp_path / name, size, **options)
    other = read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(read_frames(path, SELECTIONS), other)
    assert "different colours" in other.warnings[0]


@pytest.mark.parametrize(
    "recipe",
    [
        "make_truncated",  # 4
        "make_flipped_bytes",
        "make_zeroed_tail",
        "make_lost_head",
        "make_mjpeg_avi",  # 16
        "make_b_frames_avi",
        "make_open_gop_ts",  # 17
        "make_joined_ts",  # 18
        "make_raw_h264",  # 19
        "make_ten_thousand_fps",  # 21
    ],
)
def test_it_never_gives_other_frames(real, tmp_path, recipe):
    path = getattr(bad_videos, recipe)(tmp_path)
    mine, other = read_frames(path, SELECTIONS), read_frames(path, SELECTIONS, decoder="torchcodec")
    assert same(mine, other)
    assert other.warnings[: len(mine.warnings)] == mine.warnings


def test_a_name_is_only_a_name_for_it_too(real, tmp_path, monkeypatch):  # 25
    monkeypatch.chdir(tmp_path)
    for name in bad_videos.STRANGE_NAMES:
        bad_videos.make_strange_name(tmp_path, name)
        decoded = read_frames(name, [EvenSpan(1.4, 0.2, num_frames=2)], decoder="torchcodec")
        # As FFmpeg sees it, this one is a pattern of pictures, so it is kept from torchcodec.
        assert bool(decoded.warnings) == (name == "a%03d.png")
    with pytest.raises(NotAVideo):
        read_frames(bad_videos.make_text(tmp_path), SELECTIONS, decoder="torchcodec")
