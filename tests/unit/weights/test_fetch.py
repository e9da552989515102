"""Downloads from a server on this machine that misbehaves in every way on the list of faults (row 33)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from safetensors.numpy import save

from tests.support.http_server import http_server, respond
from twinpath.cli.progress import download_bar
from twinpath.errors import DamagedWeights, DownloadFailed, WeightsError
from twinpath.paths import cache_dir
from twinpath.retry import RetryPolicy
from twinpath.weights.fetch import cached_path, fetch, source_url, verify

BODY = save({"a.weight": np.arange(250_000, dtype=np.float32)})
OTHER_BODY = save({"a.weight": np.ones(250_000, dtype=np.float32)})
QUICK: Any = {"retry": RetryPolicy(max_retries=3, first_wait_s=0.01, jitter=0.0), "stall_s": 0.4}


@dataclass
class Server:
    """Answers with `respond`; keeps the headers of every request."""

    url: str = ""
    respond: Callable[[BaseHTTPRequestHandler, int], None] = lambda handler, turn: whole(handler)
    requests: list[dict[str, str]] = field(default_factory=list)


def answer(handler: BaseHTTPRequestHandler, status: int = 200, **options: Any) -> None:
    """Send a response, see `respond`, and close."""
    respond(handler, status, Connection="close", **options)


def whole(handler: BaseHTTPRequestHandler, *, body: bytes = BODY, etag: str = '"v1"') -> None:
    answer(handler, body=body, ETag=etag)


def rest(handler: BaseHTTPRequestHandler, *, stop: int | None = None) -> None:
    """What a good server does with Range and If-Range; breaks off before byte `stop`."""
    requested = handler.headers.get("Range")
    start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
    if start and handler.headers.get("If-Range") == '"v1"':
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        body = BODY[start:stop]
        answer(handler, 206, body=body, length=len(BODY) - start, ETag='"v1"', Content_Range=span)
    else:
        answer(handler, body=BODY[:stop], length=len(BODY), ETag='"v1"')


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TWINPATH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TWINPATH_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    state = Server()
    with http_server(lambda to: state.respond(to, len(state.requests))) as http:
        state.requests = http.headers
        state.url = http.url("/zoo/weights.pyth")
        yield state


@dataclass(frozen=True)
class Wanted:
    url: str
    name: str = "slowfast.test"
    file_name: str = "slowfast.test.pyth"


def only_whole_file(path: Path) -> bool:
    """The file is right and nothing but its sidecar and lock lies beside it."""
    beside = {path.name, path.name + ".json", path.name + ".lock"}
    return path.read_bytes() == BODY and {p.name for p in path.parent.iterdir()} == beside


def fails(server: Server, words: str) -> Path:
    """The fetch fails with one line that says what, from where, and where to put the file."""
    record = Wanted(server.url)
    with pytest.raises(DownloadFailed, match=words) as caught:
        fetch(record, **QUICK)
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    assert str(cached_path(record)) in str(caught.value)
    assert not cached_path(record).exists()
    return cached_path(record)


def test_download_once_and_remember(server: Server) -> None:
    seen: list[tuple[int, int | None]] = []
    record = Wanted(server.url)
    path = fetch(record, progress=lambda done, total: seen.append((done, total)), **QUICK)
    assert path == cached_path(record) == cache_dir() / "weights" / "slowfast.test.pyth"
    assert only_whole_file(path)
    assert seen[-1] == (len(BODY), len(BODY))
    remembered = json.loads((path.parent / (path.name + ".json")).read_text())
    assert remembered["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert (remembered["size"], remembered["url"]) == (len(BODY), server.url)
    assert fetch(record) == path
    assert len(server.requests) == 1
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_resumes_where_the_connection_dropped(server: Server) -> None:
    half = len(BODY) // 2
    server.respond = lambda handler, turn: rest(handler, stop=half if turn == 1 else None)
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert server.requests[1]["Range"] == f"bytes={half}-"
    assert server.requests[1]["If-Range"] == '"v1"'


def test_a_later_call_resumes_too(server: Server) -> None:
    server.respond = lambda handler, turn: rest(handler, stop=1000) if turn == 1 else answer(handler, 503)
    fails(server, "503")
    server.respond = lambda handler, turn: rest(handler)
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert server.requests[-1]["Range"] == "bytes=1000-"


@pytest.mark.parametrize("noted", ["é".encode(), b"\xe9", b"a\nb", b"\0", b"x" * 5000, b""])
def test_a_noted_version_that_is_none_starts_over(server: Server, noted: bytes) -> None:
    server.respond = lambda handler, turn: rest(handler, stop=1000) if turn == 1 else answer(handler, 503)
    fails(server, "503")
    (version,) = cached_path(Wanted(server.url)).parent.glob("*.part.version")
    version.write_bytes(noted)
    server.respond = lambda handler, turn: rest(handler)
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert "Range" not in server.requests[-1]


def test_what_a_download_that_was_killed_at_its_end_left_goes(server: Server) -> None:
    server.respond = lambda handler, turn: rest(handler)
    path = fetch(Wanted(server.url), **QUICK)
    path.with_name(path.name + ".json").unlink()
    path.with_name(path.name + ".part.version").write_text('"v1"')
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert json.loads(path.with_name(path.name + ".json").read_text())["url"] == server.url


@pytest.mark.parametrize("noted", ["[" * 100_000, "[]", '{"url": 1}', '{"size": "é"}', "null"])
def test_what_is_remembered_is_no_record(server: Server, noted: str) -> None:
    server.respond = lambda handler, turn: rest(handler)
    path = fetch(Wanted(server.url), **QUICK)
    path.with_name(path.name + ".json").write_text(noted)
    with pytest.raises(DamagedWeights, match="cannot be read"):
        fetch(Wanted(server.url), **QUICK)


def test_starts_over_where_the_server_ignores_range(server: Server) -> None:
    server.respond = lambda handler, turn: (
        rest(handler, stop=1000) if turn == 1 else answer(handler, body=BODY, ETag='"v1"')
    )
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))


def test_starts_over_where_the_file_changed_meanwhile(server: Server) -> None:
    server.respond = lambda handler, turn: (
        answer(handler, body=OTHER_BODY[:1000], length=len(OTHER_BODY), ETag='"v0"')
        if turn == 1
        else rest(handler)
    )
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))


def test_no_resume_where_the_server_names_no_version(server: Server) -> None:
    server.respond = lambda handler, turn: answer(
        handler, body=BODY[:1000] if turn == 1 else BODY, length=len(BODY)
    )
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert "Range" not in server.requests[1]


def test_a_piece_that_was_not_asked_for(server: Server) -> None:
    def respond(handler: BaseHTTPRequestHandler, turn: int) -> None:
        if turn == 2:
            span = f"bytes 5-{len(BODY) - 1}/{len(BODY)}"
            answer(handler, 206, body=BODY[5:], ETag='"v1"', Content_Range=span)
        else:
            rest(handler, stop=1000 if turn == 1 else None)

    server.respond = respond
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))


def test_always_dropping_gives_up(server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, body=BODY[: 900 + turn % 2], length=len(BODY))
    fails(server, "4 tries")
    assert len(server.requests) == 4


@pytest.mark.parametrize("length", [len(BODY) - 1000, len(BODY) + 1000], ids=["short", "long"])
def test_a_lie_about_the_length(length: int, server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, body=BODY, length=length)
    if length > len(BODY):
        fails(server, "tries in a row")
    else:  # whole by its own account: only the content can tell
        fails(server, "cut short")


def test_busy_three_times(server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, 503) if turn <= 3 else whole(handler)
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))
    assert len(server.requests) == 4


def test_busy_for_ever(server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, 503)
    fails(server, "503")
    assert len(server.requests) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_not_tried_again(status: int, server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, status)
    fails(server, str(status))
    assert len(server.requests) == 1


def test_a_stall_is_dropped_and_resumed(server: Server) -> None:
    released = threading.Event()

    def respond(handler: BaseHTTPRequestHandler, turn: int) -> None:
        if turn == 1:
            answer(handler, body=BODY[:1000], length=len(BODY), ETag='"v1"')
            handler.wfile.flush()
            released.wait(30)
        else:
            rest(handler)

    server.respond = respond
    started = time.monotonic()
    path = fetch(Wanted(server.url), **QUICK)
    released.set()
    assert time.monotonic() - started < 20
    assert only_whole_file(path)
    assert server.requests[1]["Range"] == "bytes=1000-"


def test_a_redirect_on_the_same_host_is_followed(server: Server) -> None:
    server.respond = lambda handler, turn: (
        answer(handler, 302, Location="/elsewhere.pyth") if turn == 1 else whole(handler)
    )
    assert only_whole_file(fetch(Wanted(server.url), **QUICK))


@pytest.mark.parametrize("target", ["http://localhost:{port}/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
def test_a_redirect_elsewhere_without_https_is_refused(target: str, server: Server) -> None:
    location = target.format(port=urlsplit(server.url).port)
    server.respond = lambda handler, turn: answer(handler, 302, Location=location)
    fails(server, "not https")
    assert len(server.requests) == 1


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, 302, Location=server.url)
    fails(server, "too many redirects")


def test_a_login_page_is_not_kept(server: Server) -> None:
    server.respond = lambda handler, turn: answer(handler, body=b"<!doctype html><title>Log in</title>")
    fails(server, "web page")


def test_no_network(server: Server) -> None:
    server.url = "http://127.0.0.1:9/weights.pyth"
    started = time.monotonic()
    fails(server, "cannot download slowfast.test")
    assert time.monotonic() - started < 20


def test_other_bytes_than_remembered(server: Server) -> None:
    path = fetch(Wanted(server.url), **QUICK)
    content = bytearray(BODY)
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedWeights, match="SHA-256"):
        fetch(Wanted(server.url))
    path.write_bytes(BODY[:-1])
    with pytest.raises(DamagedWeights, match=str(len(BODY))) as caught:
        fetch(Wanted(server.url))
    assert str(path) in str(caught.value)
    path.unlink()  # as the message says; the new file is then remembered instead
    server.respond = lambda handler, turn: whole(handler, body=OTHER_BODY)
    assert fetch(Wanted(server.url), **QUICK).read_bytes() == OTHER_BODY
    verify(path)


def test_a_file_put_there_by_hand_is_used_and_remembered(server: Server) -> None:
    record = Wanted("https://example.invalid/weights.pyth")
    path = cached_path(record)
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert fetch(record) == path
    path.write_bytes(OTHER_BODY)
    with pytest.raises(DamagedWeights):
        fetch(record)


def test_a_cut_file_put_there_by_hand_is_refused(server: Server) -> None:
    record = Wanted("https://example.invalid/weights.pyth")
    cached_path(record).parent.mkdir(parents=True)
    cached_path(record).write_bytes(BODY[:40])
    with pytest.raises(WeightsError, match="cut short"):
        fetch(record)


def test_mirror(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = server.url.removesuffix("/zoo/weights.pyth")
    monkeypatch.setenv("TWINPATH_MIRROR", origin + "/copy/")
    record = Wanted("https://example.invalid/zoo/weights.pyth")
    assert source_url(record) == origin + "/copy/zoo/weights.pyth"
    assert only_whole_file(fetch(record, **QUICK))


def test_two_at_once_download_once(server: Server) -> None:
    def respond(handler: BaseHTTPRequestHandler, turn: int) -> None:
        time.sleep(0.2)
        whole(handler)

    server.respond = respond
    threads = [threading.Thread(target=fetch, args=(Wanted(server.url),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert only_whole_file(cached_path(Wanted(server.url)))


def test_progress_bar_stays_off_stdout(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with download_bar("slowfast.test") as progress:
        fetch(Wanted(server.url), progress=progress, **QUICK)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "module", ["twinpath.weights.fetch", "twinpath.zoo.records", "twinpath.zoo.create", "twinpath.labels"]
)
def test_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
