"""The way of a file from a server to the disk: in pieces that are kept, resumed where that is safe.

Apart from `fetch.py`, so that a file that is here already costs nobody the loading of httpx.
Source: Range and If-Range as in RFC 9110, sections 13.1.5 and 14.2.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx

from twinpath.atomic import atomic_path
from twinpath.errors import DownloadFailed, InputError, WeightsError

if TYPE_CHECKING:
    from twinpath.weights.fetch import Check, DownloadRetryPolicy, Progress

MAX_FILE_BYTES = 8 << 30  # several times the largest published file
_SOME_BYTES = 1 << 18  # a try that brings less brought next to nothing
_REDIRECTS = 5
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}


class Interrupted(Exception):
    """A try that may be worth another one."""


class Unreachable(Exception):
    """The server, or its answer, is none to go on with; says why."""


def download(
    url: str, final: Path, check: Check, progress: Progress | None, patience: DownloadRetryPolicy
) -> None:
    """Bring the whole file to `final`.

    Raises:
        Interrupted: Several tries in a row brought next to nothing.
        Unreachable: There is no such server, or what it answers is of no use.
        DownloadFailed: The file is too large.
        WeightsError, InputError: `check` refuses what came.
        OSError: It cannot be written.
    """
    part = _Part(final)
    try:
        _in_tries(url, part, progress, patience)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(_reason(error)) from error
    try:
        check(part.path, where="what the server sent")
    except (WeightsError, InputError):
        part.forget()
        raise
    part.become(final)


def _in_tries(url: str, part: _Part, progress: Progress | None, patience: DownloadRetryPolicy) -> None:
    """As many as bring something."""
    idle, pause_s, furthest = 0, patience.backoff_s, part.size()
    with httpx.Client(timeout=httpx.Timeout(patience.stall_s, pool=None), follow_redirects=False) as client:
        while True:
            try:
                _try_once(client, url, part, progress)
                break
            except httpx.ConnectError:
                if part.size() == 0:
                    raise  # no network at all: say so at once
                reason = "no connection"
            except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
                reason = _reason(error)
            except Interrupted as error:
                reason = str(error)
            if part.size() >= furthest + _SOME_BYTES:
                idle, pause_s, furthest = 0, patience.backoff_s, part.size()
            idle += 1
            if idle >= patience.attempts:
                raise Interrupted(f"{reason}, {idle} tries in a row")
            time.sleep(pause_s)
            pause_s *= 2


def _try_once(client: httpx.Client, url: str, part: _Part, progress: Progress | None) -> None:
    """One request: from the start, or from where the last one broke off."""
    with _follow(client, url, part.resume_headers()) as response:
        status = response.status_code
        if status == 416:  # what we have is longer than what the server has: start over
            part.forget()
            raise Interrupted("the server has another file now")
        if status in _RETRY_STATUS:
            raise Interrupted(f"the server answered {status}")
        if status not in (200, 206):
            raise httpx.HTTPError(f"the server answered {status}")
        start, total = _extent(response)
        if start != (part.size() if status == 206 else 0):
            part.forget()
            raise Interrupted("the server sent another piece than was asked for")
        if total is not None and total > MAX_FILE_BYTES:
            raise DownloadFailed(f"it is said to have {total} bytes, over the limit of {MAX_FILE_BYTES}")
        done = start
        with part.open(start, response.headers) as file:
            for chunk in response.iter_raw():  # as it arrives, so that nothing is lost when it breaks off
                file.write(chunk)
                done += len(chunk)
                if done > (MAX_FILE_BYTES if total is None else total):
                    break
                if progress is not None:
                    progress(done, total)
    if done > (MAX_FILE_BYTES if total is None else total):
        part.forget()
        raise Interrupted("the server sent more bytes than it said")
    if total is not None and done < total:
        raise Interrupted(f"the connection ended after {done} of {total} bytes")


@contextlib.contextmanager
def _follow(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """GET with redirects, to another host or scheme only by https."""
    for _ in range(_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code not in (301, 302, 303, 307, 308):
                yield response
                return
            target = urljoin(url, response.headers.get("location", ""))
        here, there = urlsplit(url), urlsplit(target)
        if there.scheme != "https" and (there.scheme, there.hostname) != (here.scheme, here.hostname):
            raise httpx.HTTPError(f"refused a redirect to {there.scheme}://{there.hostname}: not https")
        url = target
    raise httpx.HTTPError("too many redirects")


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """First byte and total length that a response declares; None: it does not."""
    try:
        if response.status_code == 206:
            span, _, total = response.headers["content-range"].removeprefix("bytes ").partition("/")
            return int(span.partition("-")[0]), None if total == "*" else int(total)
        length = response.headers.get("content-length")
        return 0, None if length is None else int(length)
    except (KeyError, ValueError) as error:
        raise Interrupted("the server's answer makes no sense") from error


class _Part:
    """A download under way: the bytes so far, and beside them which version of the file they are of."""

    def __init__(self, final: Path) -> None:
        self.path = final.with_name(final.name + ".part")
        self._version = final.with_name(final.name + ".part.version")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def resume_headers(self) -> dict[str, str]:
        """Ask for the rest only where the server can tell that the file is still the same."""
        headers = {"Accept-Encoding": "identity"}
        if self.size() and self._version.exists():
            headers |= {"Range": f"bytes={self.size()}-", "If-Range": self._version.read_text().strip()}
        return headers

    def open(self, start: int, headers: httpx.Headers) -> Any:
        """To write from `start` on; a new start also notes the version that the server names."""
        if start:
            return self.path.open("ab")
        self.forget()
        etag = headers.get("etag", "")
        version = headers.get("last-modified", "") if not etag or etag.startswith("W/") else etag
        if version:
            self._version.write_text(version)
        return self.path.open("wb")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)

    def become(self, final: Path) -> None:
        with atomic_path(final) as temporary:
            self.path.replace(temporary)
        self._version.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """One line, also for errors of httpx that say nothing."""
    if isinstance(error, httpx.TimeoutException):
        return "the connection stalled"
    return (str(error) or type(error).__name__).splitlines()[0]
