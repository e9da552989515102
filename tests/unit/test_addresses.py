"""Secrets in addresses are masked, in whatever spelling somebody gives one."""

from pathlib import Path

import pytest

from twinpath.addresses import is_address, mask_address, mask_secrets
from twinpath.errors import CorruptVideo, InputError
from twinpath.escapes import printable
from twinpath.paths import display_path


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://joe:s3cret@cam/live", "rtsp://***@cam/live"),
        ("RTSP://joe:s3#cret@cam:554/live", "RTSP://***@cam:554/live"),
        ("rtsp:/joe:s3/cret@cam/live", "rtsp:/***@cam/live"),
        ("rtsp:joe:s3cret@cam", "rtsp:***@cam"),
        ("rtsp//joe:s3cret@cam/live", "rtsp//***@cam/live"),
        ("hf:/joe:s3cret@host/x", "hf:/***@host/x"),
        ("gdrive:/joe:s3/cret@host/x", "gdrive:/***@host/x"),
        ("http:\\\\joe:s3cret@cam", "http:\\\\***@cam"),
        ("https://joe:s3@cret@cam/a", "https://***@cam/a"),
        ("socks5h://joe:s3cret@proxy:1080", "socks5h://***@proxy:1080"),
        ("http://cam/live?user=s3cret", "http://cam/live?***"),
        ("http://cam/live#s3cret", "http://cam/live#***"),
        ("rtsp://cam/user=s3cret_password=s3cret_channel=1", "rtsp://cam/user=***"),
        ("http://[::1]:8080/a@b.ts", "http://[::1]:8080/a@b.ts"),
        ("https://host/a/resolve@main/b", "https://host/a/resolve@main/b"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert is_address(address)
    assert mask_address(address) == shown
    assert mask_secrets(f"cannot open {address}; try again") == f"cannot open {shown}; try again"
    assert "s3cret" not in display_path(Path(address))


def test_white_space_in_a_password() -> None:
    assert mask_address("rtsp://joe:s3 cret\n@cam/a b") == "rtsp://***@cam/a b"
    assert mask_secrets("cannot open rtsp://joe:s3 cret@cam/a now") == "cannot open rtsp://***@cam/a now"


def test_an_address_without_a_scheme() -> None:
    assert mask_address("joe:s3cret@cam/live") == "***@cam/live"
    assert not is_address("joe:s3cret@cam/live")


@pytest.mark.parametrize(
    "text",
    [
        "clips/a.mp4",
        "C:/clips/a@b.mp4",
        "C:\\clips\\a:b@c.mp4",
        "clips/http/a.mp4",
        "match 12:30@stadium.mp4",
        "a match:/12/a@b.mp4",
        "error: http: 404 for http://host:8080/x of joe@example.org",
        "12:30:05.250 --> 12:30:06.000",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert not is_address(text)
    assert mask_secrets(text) == text
    assert mask_address(text) == text or "http" in text


def test_no_error_holds_a_secret_or_what_a_terminal_obeys() -> None:
    error = InputError(
        "a\x1b[31m\n\u202e.csv: cannot open rtsp://joe:s3cret@cam/live?token=s3cret; try again"
    )
    assert str(error) == "a\\x1b[31m\\n\\u202e.csv: cannot open rtsp://***@cam/live?***; try again"
    damaged = CorruptVideo("\x9b", frames_decoded=3)
    assert (str(damaged), damaged.frames_decoded) == ("\\x9b", 3)


def test_what_is_shown_as_it_is() -> None:
    for text in ("👨‍👩‍👧 家族 ä é\u00a0b\u3000c", "نمی\u200cخواهم", "a\\nb"):
        assert printable(text) == text
