"""Which video track of a file is read, and which containers and codecs FFmpeg may open at all."""

import av
import numpy as np
import pytest
from av.codec import Codec
from av.stream import Disposition

from tests.support import bad_videos
from twinpath.errors import NotAVideo, NoVideoStream, UnsupportedCodec
from twinpath.video.codecs import AUDIO_CODECS, CODEC_WHITELIST, VIDEO_CODECS
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.probe import probe
from twinpath.video.sniff import DEMUXERS, FORMAT_WHITELIST, sniff
from twinpath.video.source import open_video

NONE, DEFAULT = 0, int(Disposition.default)
FILM, THUMBNAIL = list(range(20)), [45]


def numbers(path):
    with FrameStream(path, strict=True) as stream:
        shown = [number(frame) for _, frame in stream]
    return shown, stream.warnings


def number(picture):
    return round((float(picture[24, 32].mean()) - 20) / 4)


@pytest.mark.parametrize("name", ["tracks.mp4", "tracks.mkv", "tracks.mov", "tracks.avi"])
def test_a_thumbnail_before_the_film_is_not_taken_for_it(tmp_path, name):
    tracks = [(THUMBNAIL, "mjpeg", DEFAULT), (FILM, "libx264", NONE)]
    shown, warnings = numbers(bad_videos.make_tracks(tmp_path, name, tracks))
    assert shown == FILM
    assert warnings == ["the file has 2 video tracks: track 2 is read, since track 1 holds no film"]


@pytest.mark.parametrize("name", ["tracks.mkv", "tracks.mp4"])
def test_the_default_track_is_read(tmp_path, name):
    tracks = [(range(20), "libx264", NONE), (range(20, 40), "libx264", DEFAULT), (range(5), "libx264", NONE)]
    path = bad_videos.make_tracks(tmp_path, name, tracks)
    shown, warnings = numbers(path)
    assert shown == list(range(20, 40))
    assert warnings == ["the file has 3 video tracks: track 2, its default, is read"]
    assert probe(path).warnings == tuple(warnings)


def test_of_equal_tracks_the_first_is_read(tmp_path):
    tracks = [(range(20), "libx264", NONE), (range(20, 40), "libx264", NONE)]
    shown, warnings = numbers(bad_videos.make_tracks(tmp_path, "tracks.ts", tracks))
    assert shown == list(range(20))
    assert warnings == ["the file has 2 video tracks: track 1, the first, is read"]


def test_a_default_track_that_begins_late_is_waited_for(tmp_path):
    path = bad_videos.make_tracks(
        tmp_path, "late.mkv", [(range(40), "libx264", NONE), ([45, 46, 47], "libx264", DEFAULT)], late=30
    )
    with FrameStream(path) as stream:
        assert [number(frame) for _, frame in stream] == [45, 46, 47]


def test_a_cover_is_no_track(tmp_path):
    tracks = [(THUMBNAIL, "mjpeg", NONE), (FILM, "libx264", DEFAULT)]
    shown, warnings = numbers(bad_videos.make_tracks(tmp_path, "cover.mp4", tracks, covers=1))
    assert (shown, warnings) == (FILM, [])


def test_a_single_picture_is_a_video_where_there_is_no_film(tmp_path):
    tracks = [(THUMBNAIL, "mjpeg", NONE), ([3], "libx264", NONE)]
    assert len(numbers(bad_videos.make_tracks(tmp_path, "pictures.mkv", tracks))[0]) == 1


def test_the_track_stays_the_same_when_the_file_is_opened_again(tmp_path):
    tracks = [(THUMBNAIL, "mjpeg", DEFAULT), (range(50), "libx264", NONE)]
    path = bad_videos.make_tracks(tmp_path, "tracks.mkv", tracks)
    decoded = read_frames(path, [EvenSpan(0, 1, num_frames=25), EvenSpan(1, 1, num_frames=25)])
    assert decoded.frames_decoded == 50
    with open_video(path) as source:
        source.use_one_thread()
        assert source.codec == "h264"


def test_a_cover_alone_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=8000, layout="mono")
        cover = output.add_stream("mjpeg", rate=25, options={"color_range": "pc"})
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        output.mux(cover.encode(picture) + cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        output.mux(sound.encode(frame) + sound.encode(None))
    with pytest.raises(NoVideoStream, match="only a cover and audio"):
        probe(path)


def test_lists_hold_codecs_and_demuxers_that_there_are():
    for name in FORMAT_WHITELIST.split(","):
        assert name in av.formats_available or any(name in other.split(",") for other in av.formats_available)
    known = set()
    for name in VIDEO_CODECS | AUDIO_CODECS:
        try:
            known.add(Codec(name, "r").canonical_name)
        except ValueError:  # the codec's decoder has another name
            continue
    others = {Codec(name, "r").canonical_name for name in CODEC_WHITELIST.split(",") if _has_decoder(name)}
    assert others == VIDEO_CODECS | AUDIO_CODECS
    assert known <= others


def _has_decoder(name):
    try:
        Codec(name, "r")
    except ValueError:
        return False
    return True


def test_the_lists_are_short():
    assert len(VIDEO_CODECS) <= 40
    assert len(DEMUXERS) <= 15
    assert VIDEO_CODECS.isdisjoint({"magicyuv", "cinepak", "snow", "indeo5", "truemotion2", "tiff", "webp"})


def test_a_codec_that_is_not_listed_is_never_opened(tmp_path, monkeypatch):
    """Not even while FFmpeg looks into the file, which it does before Twinpath sees the codec's name."""
    path = bad_videos.make_cinepak(tmp_path)
    opened = []
    real = av.open

    def noted(*args, **kwargs):
        opened.append(kwargs["options"])
        return real(*args, **kwargs)

    monkeypatch.setattr(av, "open", noted)
    with pytest.raises(UnsupportedCodec):
        probe(path)
    assert opened
    assert all("cinepak" not in options["codec_whitelist"].split(",") for options in opened)


FOREIGN = [
    (b"\xff\xd8\xff\xe0" + bytes(60), "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n" + bytes(60), "a PNG picture"),
    (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(60), "a WebP picture"),
    (
        b".RMF" + bytes(60),
        "a RealMedia video, which is not a video that Twinpath reads; convert it: ffmpeg -i",
    ),
    (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
]


@pytest.mark.parametrize(("head", "words"), FOREIGN)
def test_what_is_no_video_says_what_it_is(tmp_path, head, words):
    path = tmp_path / "film.mp4"
    path.write_bytes(head)
    with pytest.raises(NotAVideo) as caught:
        probe(path)
    assert f"film.mp4 is {words}" in str(caught.value)


@pytest.mark.parametrize(("brand", "words"), [(b"heic", "a HEIC"), (b"mif1", "a HEIC"), (b"avif", "an AVIF")])
def test_a_still_picture_in_an_mp4_says_what_it_is(tmp_path, brand, words):
    with pytest.raises(NotAVideo, match=f"is {words} picture, not a video"):
        probe(bad_videos.make_heic(tmp_path, brand=brand))


def test_a_film_may_have_the_brand_of_a_picture(tmp_path):
    """As sequences of pictures have it."""
    data = bad_videos.make_good(tmp_path).read_bytes()
    path = tmp_path / "sequence.heics"
    path.write_bytes(data.replace(b"isom", b"msf1", 1))
    assert probe(path).duration_s == 2.0


def test_text_is_no_transport_stream():
    assert sniff(b"Good morning, this is a text. " * 100) is None
    assert sniff(bytes(4096)) is None
