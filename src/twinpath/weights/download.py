"""A file from a server to the disk: in pieces that are kept, resumed where that is safe.

Apart from `fetch.py`, so that httpx is not imported where a file is in the cache already.
Source: Range and If-Range as in RFC 9110, sections 13.1.5 and 14.2.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from twinpath.addresses import mask_address, mask_secrets
from twinpath.atomic import atomic_path
from twinpath.errors import DownloadFailed, InputError, WeightsError
from twinpath.escapes import printable
from twinpath.paths import display_path
from twinpath.retry import RetryPolicy
from twinpath.weights.callbacks import Check, Progress

MAX_FILE_BYTES = 8 << 30  # several times the largest published file
_PROGRESS_BYTES = 1 << 18  # an attempt that brings less counts as failed
_REDIRECTS = 5
_PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy"}
#: A strong ETag, or a date; of others a server cannot say whether the file is still the same.
_VERSION = re.compile(r'"[!#-~]{0,1000}"|[A-Z][a-z]{2}, [ -~]{1,40}')
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}


class AttemptFailed(Exception):
    """An attempt that failed and may succeed when it is made again; gives the reason."""


class Unreachable(Exception):
    """There is no such server, or its answer leaves nothing to try again; gives the reason."""


def download(
    url: str,
    final: Path,
    check: Check,
    progress: Progress | None,
    retry: RetryPolicy,
    *,
    stall_s: float,
) -> None:
    """Download a whole file to `final`.

    Args:
        url, final: From where and to where.
        check, progress: See `callbacks`.
        retry: When to give up. An attempt makes progress where it brings `_PROGRESS_BYTES`.
        stall_s: Seconds without a byte after which an attempt has failed.
    Raises:
        AttemptFailed: The retries are exhausted.
        Unreachable: There is no such server, or its answer cannot be used.
        DownloadFailed: The file is too large.
        WeightsError, InputError: `check` refuses what came.
        OSError: It cannot be written.
    """
    part = _PartialFile(final)
    try:
        with _client(stall_s) as client:
            _attempt_until_whole(client, url, part, progress, retry)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(_reason(error)) from error
    try:
        check(part.path, where="what the server sent")
    except (WeightsError, InputError):
        part.forget()
        raise
    part.become(final)


def _client(stall_s: float) -> httpx.Client:
    """A client with the proxies and certificates of the environment.

    Raises:
        Unreachable: They cannot be used.
    """
    try:
        return httpx.Client(timeout=httpx.Timeout(stall_s, pool=None), follow_redirects=False)
    except ImportError as error:  # of a SOCKS proxy
        advice = f"{_proxies()} needs the package socksio: pip install 'httpx[socks]'"
        raise Unreachable(advice) from error
    except (ValueError, TypeError, httpx.InvalidURL) as error:
        raise Unreachable(f"{_proxies()} cannot be used: {_reason(error)}") from error
    except OSError as error:  # an SSLError, too
        name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
        named = f"{name}={display_path(os.environ[name])}" if name else "this Python"
        raise Unreachable(f"the certificates of {named} cannot be read: {error}") from error


def _proxies() -> str:
    """The proxies that the environment names, without their passwords; empty: none."""
    names = sorted(name for name in os.environ if name.lower() in _PROXY_VARIABLES and os.environ[name])
    shown = [f"{name}={mask_address(os.environ[name])}" for name in names]
    return f"the proxy {' '.join(shown)}" if shown else ""


def _attempt_until_whole(
    client: httpx.Client, url: str, part: _PartialFile, progress: Progress | None, retry: RetryPolicy
) -> None:
    failures, furthest, progressed_at_s = 0, part.size(), time.monotonic()
    while True:
        try:
            _attempt(client, url, part, progress)
            break
        except httpx.ConnectError as error:
            if part.size() == 0:
                raise  # no network at all: fail at once
            reason = f"no connection: {_reason(error)}"
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            reason = _reason(error)
        except AttemptFailed as error:
            reason = str(error)
        if part.size() >= furthest + _PROGRESS_BYTES:
            failures, furthest, progressed_at_s = 0, part.size(), time.monotonic()
        failures += 1
        wait_s = retry.wait_s(failures)
        if retry.is_exhausted(failures, time.monotonic() - progressed_at_s + wait_s):
            raise AttemptFailed(f"{reason}, {failures} tries in a row")
        time.sleep(wait_s)


def _attempt(client: httpx.Client, url: str, part: _PartialFile, progress: Progress | None) -> None:
    """One request: from the start, or from where the last one broke off."""
    with _follow(client, url, part.resume_headers()) as response:
        status = response.status_code
        if status == 416:  # what we have is longer than what the server has: start over
            part.forget()
            raise AttemptFailed("the server has another file now")
        if status in _RETRY_STATUS:
            raise AttemptFailed(f"the server answered {status}")
        if status == 407:
            raise httpx.ProxyError("it asks for a user and a password (407)")
        if status not in (200, 206):
            raise httpx.HTTPError(f"the server answered {status}")
        start, total = _extent(response)
        if start != (part.size() if status == 206 else 0):
            part.forget()
            raise AttemptFailed("the server sent another piece than was requested")
        if total is not None and total > MAX_FILE_BYTES:
            raise DownloadFailed(f"the server announces {total} bytes, over the limit of {MAX_FILE_BYTES}")
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
        raise AttemptFailed("the server sent more bytes than it announced")
    if total is not None and done < total:
        raise AttemptFailed(f"the connection ended after {done} of {total} bytes")


@contextlib.contextmanager
def _follow(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """GET with redirects, to another host or scheme only by https."""
    for _ in range(_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code not in (301, 302, 303, 307, 308):
                yield response
                return
            location = response.headers.get("location", "")
        try:
            target = urljoin(url, location)
            here, there = urlsplit(url), urlsplit(target)
        except ValueError as error:
            raise httpx.HTTPError("the server redirects to an address that is none") from error
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
        raise AttemptFailed("the server's answer has no valid length or range") from error


class _PartialFile:
    """A download under way: the bytes so far, and beside them which version of the file they are of."""

    def __init__(self, final: Path) -> None:
        self.path = final.with_name(final.name + ".part")
        self._version = final.with_name(final.name + ".part.version")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def resume_headers(self) -> dict[str, str]:
        """Ask for the rest only where the server can compare versions of the file."""
        headers = {"Accept-Encoding": "identity"}
        if self.size() and self._version.exists():
            version = self._version.read_bytes().decode("ascii", "replace").strip()
            if _VERSION.fullmatch(version):
                headers |= {"Range": f"bytes={self.size()}-", "If-Range": version}
        return headers

    def open(self, start: int, headers: httpx.Headers) -> Any:
        """Open to write from `start` on; a new start also notes the version that the server names."""
        if start:
            return self.path.open("ab")
        self.forget()
        etag = headers.get("etag", "")
        version = headers.get("last-modified", "") if not etag or etag.startswith("W/") else etag
        if _VERSION.fullmatch(version):
            self._version.write_text(version, "ascii")
        return self.path.open("wb")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)

    def become(self, final: Path) -> None:
        with atomic_path(final) as temporary:
            self.path.replace(temporary)
        self._version.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """One line without secrets, also for errors of httpx without a message."""
    if isinstance(error, httpx.TimeoutException):
        return "the connection stalled"
    reason = printable(mask_secrets((str(error) or type(error).__name__).splitlines()[0]))
    if isinstance(error, httpx.ProxyError | httpx.ConnectError) and _proxies():
        return f"{reason}; by {_proxies()}"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return f"{reason}; SSL_CERT_FILE names a file with certificates to trust"
    return reason
