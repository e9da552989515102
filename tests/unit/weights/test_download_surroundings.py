"""Downloads through proxies and certificates as people have them, and what servers name a file."""

from __future__ import annotations

import gzip
import hashlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.support.http_server import HttpServer, http_server, respond
from twinpath.errors import DamagedWeights, DownloadFailed
from twinpath.retry import RetryPolicy
from twinpath.weights.fetch import cached_path, fetch

BODY = save({"a.weight": np.arange(1000, dtype=np.float32)})
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK: Any = {"retry": RetryPolicy(max_retries=1, first_wait_s=0.01, jitter=0.0), "stall_s": 0.4}


@dataclass(frozen=True)
class Wanted:
    url: str
    name: str = "slowfast.test"
    file_name: str = "slowfast.test.pyth"


@pytest.fixture
def server(empty_home: Path) -> Iterator[HttpServer]:
    with http_server(lambda to: respond(to, body=BODY)) as http:
        yield http


def refused(url: str) -> str:
    with pytest.raises(DownloadFailed) as caught:
        fetch(Wanted(url), **QUICK)
    message = str(caught.value)
    assert message.isprintable()
    assert str(cached_path(Wanted(url))) in message
    return message


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_socks_proxy_without_its_package_says_what_to_install(proxied: pytest.MonkeyPatch) -> None:
    pytest.importorskip("httpx")
    proxied.setitem(__import__("sys").modules, "socksio", None)
    proxied.setenv("https_proxy", "socks5://joe:s3cret@127.0.0.1:1080")
    message = refused("https://example.org/a.pyth")
    assert "https_proxy=socks5://***@127.0.0.1:1080 needs the package socksio: pip install" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "proxy", ["socks://joe:s3cret@127.0.0.1:1", "ftp://joe:s3cret@127.0.0.1:1", "http://joe:s3cret@[x"]
)
def test_a_proxy_of_an_unknown_kind(proxy: str, proxied: pytest.MonkeyPatch) -> None:
    proxied.setenv("ALL_PROXY", proxy)
    message = refused("https://example.org/a.pyth")
    assert "ALL_PROXY=" in message
    assert "cannot be used" in message
    assert "s3cret" not in message


def test_a_proxy_that_is_not_there_and_one_that_refuses(proxied: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    proxied.setenv("http_proxy", f"http://joe:s3cret@127.0.0.1:{port}")
    message = refused("http://example.org/a.pyth")
    assert f"the proxy http_proxy=http://***@127.0.0.1:{port}" in message
    assert "s3cret" not in message
    with http_server(lambda to: respond(to, 407)) as proxy:
        proxied.setenv("http_proxy", proxy.url(user="joe:s3cret@"))
        message = refused("http://example.org/a.pyth")
    assert "407" in message
    assert "the proxy http_proxy=http://***@127.0.0.1" in message
    assert "s3cret" not in message


def test_no_proxy_for_this_server(server: HttpServer, proxied: pytest.MonkeyPatch) -> None:
    proxied.setenv("http_proxy", "http://127.0.0.1:1")
    proxied.setenv("NO_PROXY", "127.0.0.1")
    assert fetch(Wanted(server.url("/a.pyth")), **QUICK).read_bytes() == BODY


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_of_certificates_that_cannot_be_read(
    content: bytes | None, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = empty_home / "ca.pem"
    if content is not None:
        place.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(place))
    message = refused("https://127.0.0.1:1/a.pyth")
    assert f"the certificates of SSL_CERT_FILE={place} cannot be read" in message


def test_a_mirror_with_a_password(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINPATH_MIRROR", server.url("/m", user="joe:s3cret@"))
    path = fetch(Wanted("https://example.org/a.pyth"), **QUICK)
    assert "s3cret" not in path.with_name(path.name + ".json").read_text()
    monkeypatch.setenv("TWINPATH_MIRROR", "http://joe:s3cret@127.0.0.1:1")
    path.unlink()
    assert "s3cret" not in refused("https://example.org/a.pyth")


@pytest.mark.parametrize("etag", ['"\xe9t\xe9"', '"a\tb"', "\xff", '"' + "x" * 5000 + '"'])
def test_a_version_that_cannot_be_sent_back_breaks_nothing(etag: str, empty_home: Path) -> None:
    def cut_first(to: BaseHTTPRequestHandler) -> None:
        is_first = len(server.paths) == 1
        assert to.headers.get("If-Range") is None
        respond(to, body=BODY[:100] if is_first else BODY, length=len(BODY), ETag=etag)

    with http_server(cut_first) as server:
        assert fetch(Wanted(server.url("/a.pyth")), **QUICK).read_bytes() == BODY
        assert len(server.paths) == 2


def test_a_version_of_an_earlier_release_that_cannot_be_read(server: HttpServer) -> None:
    path = cached_path(Wanted(server.url("/a.pyth")))
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".part").write_bytes(BODY[:100])
    path.with_name(path.name + ".part.version").write_bytes(b'"\xe9"')
    assert fetch(Wanted(server.url("/a.pyth")), **QUICK).read_bytes() == BODY


def test_the_hash_in_the_name_is_that_of_the_file(server: HttpServer) -> None:
    right, wrong = server.url(f"/net-{DIGEST[:8]}.pth"), server.url("/net-3a7d2c1b.pth")
    message = refused(wrong)
    assert f"its SHA-256 begins with {DIGEST[:8]}, not 3a7d2c1b as its name says" in message
    path = fetch(Wanted(right), **QUICK)
    path.with_name(path.name + ".json").unlink()
    with pytest.raises(DamagedWeights, match="begins with"):  # put there by hand
        fetch(Wanted(wrong), **QUICK)
    assert fetch(Wanted(server.url("/net-20240131.pth")), **QUICK) == path  # a date is no hash


def test_a_gzipped_file_without_a_length_is_read_to_its_end(empty_home: Path) -> None:
    packed = gzip.compress(BODY)

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        to.wfile.write(packed[: len(packed) // 2] if len(server.paths) == 1 else packed)

    with http_server(answer) as server:
        assert "cut short" in refused(server.url("/a.pyth"))
        assert fetch(Wanted(server.url("/a.pyth")), **QUICK).read_bytes() == packed


@pytest.mark.parametrize(
    "location", ["http://[bad/", "https://host:port/", "", "//", "ftp://joe:s3cret@host/x"]
)
def test_a_redirect_to_nowhere(location: str, empty_home: Path) -> None:
    with http_server(lambda to: respond(to, 302, Location=location)) as server:
        assert "s3cret" not in refused(server.url("/a.pyth"))
