"""Cases from the field: files in place of videos, and names that lead to no file. Numbers as in README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bad_videos import encode, make_good
from twinpath.errors import NotAFile, NotAVideo, UnsupportedCodec
from twinpath.video.decode import FrameStream
from twinpath.video.find import find_videos
from twinpath.video.probe import probe
from twinpath.video.source import open_video

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:c47ba3e2aa570664b189bd12139959\nsize 8669\n"
DICOM = bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00"
CONTENTS = [  # the name, the content, and words of the error
    ("clip.mp4", LFS, "a pointer of Git LFS.*git lfs pull"),  # 16
    ("._clip.mp4", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(99), "AppleDouble"),  # 17
    ("clip.mp4", b"<!DOCTYPE html><html><head><title>Quota exceeded", "a web page"),  # 18
    ("clip.mp4", b'\xef\xbb\xbf\n<html lang="en">', "a web page"),
    ("clip.mp4", b'{"error": {"code": 403}}', "a JSON file, not a video; open it"),
    ("clip.mov", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML file"),
    ("clips.zip", b"PK\x03\x04" + bytes(99), "a ZIP archive, not a video; unpack it"),  # 19
    ("clip.mp4.gz", b"\x1f\x8b\x08\x00" + bytes(99), "a gzip archive, not a video; unpack it"),
    ("clip.avi", b"Rar!\x1a\x07\x01\x00" + bytes(99), "a RAR archive"),
    ("clip.mp4", bytes(5000), "zeros at its beginning, not a video; was it downloaded"),  # 20
    ("scan.dcm", DICOM, "a DICOM file, not a video; export"),  # 21
    ("photo.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(99), "a JPEG picture"),
    ("sound.mp4", b"RIFF\x24\x00\x00\x00WAVEfmt ", "a WAV sound file"),
    ("clip.webp", b"RIFF\x24\x00\x00\x00WEBPVP8X", "a WebP picture"),
    ("camera.dav", b"DHAV\xfd\x00\x00\x00" + bytes(99), "a Dahua recorder.*convert it: ffmpeg -i"),  # 14
    ("clip.lnk", b"L\x00\x00\x00\x01\x14\x02\x00" + bytes(99), "a shortcut of Windows"),
    ("part2.webm", b"\x1f\x43\xb6\x75\x01\xff" + bytes(99), "a later part of a WebM recording"),  # 12
    ("main.ts", b"import { Clip } from './clip';\n", "a text"),  # 24
    ("cut.ts", "été ".encode() * 1000 + b"\xc3", "a text"),
]


@pytest.mark.parametrize(("name", "content", "words"), CONTENTS)
def test_what_is_no_video_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotAVideo, match=words) as caught:
        probe(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_part_of_a_stream_without_its_beginning(tmp_path: Path) -> None:  # 11
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    whole = encode(tmp_path / "whole.mp4", container_options=options).read_bytes()
    start = whole.index(b"moof") - 4
    part = tmp_path / "segment_2.m4s"
    for head in (b"", b"\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00msdhmsix"):
        part.write_bytes(head + whole[start:])
        with pytest.raises(NotAVideo, match=r"segment_2\.m4s: a part of a stream .* join the first part"):
            probe(part)
    (tmp_path / "joined.mp4").write_bytes(whole[:start] + head + whole[start:])
    assert probe(tmp_path / "joined.mp4").duration_s == pytest.approx(2.0)


def test_a_copy_protected_video(tmp_path: Path) -> None:  # 10
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = encode(tmp_path / "protected.mp4", container_options=options)
    with pytest.raises(UnsupportedCodec, match=r"protected\.mp4 is encrypted"):
        probe(path)
    with pytest.raises(UnsupportedCodec, match="is encrypted"), FrameStream(path) as stream:
        list(stream)
    path.write_bytes(make_good(tmp_path).read_bytes().replace(b"avc1", b"drmi"))  # as iTunes marks it
    with pytest.raises(UnsupportedCodec, match="is encrypted"):
        open_video(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [  # 35
        ("file:///videos/two%20people.mp4", "the address of a file; give its path, /videos/two people.mp4"),
        ("~/clip.mp4", "in a shell only: give the whole path"),
        ("C:\\clips\\a.mp4", "a path of Windows"),
        ("\\\\nas\\clips\\a.mp4", "a path of Windows"),
        ('"clip.mp4"', "leave out the quotes"),
        ("clip.mp4", "does not exist; check the name"),
    ],
)
def test_a_name_that_only_a_shell_or_another_system_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (video,) = find_videos([name])
    with pytest.raises(NotAFile) as caught:
        probe(video)
    assert words in str(caught.value)


def test_a_link_to_content_that_was_not_fetched(tmp_path: Path) -> None:  # 22
    (tmp_path / "annexed.mp4").symlink_to(".git/annex/objects/8V/MD5E-s18.mp4")
    (tmp_path / "linked.mp4").symlink_to("/mnt/other disk/clip.mp4")
    with pytest.raises(NotAFile, match=r"annexed\.mp4 is a link to .*fetch it with `git annex get`"):
        probe(tmp_path / "annexed.mp4")
    with pytest.raises(NotAFile, match=r"is a link to '/mnt/other disk/clip\.mp4', which is not there"):
        probe(tmp_path / "linked.mp4")
