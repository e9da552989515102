"""Download a weight file once, keep it, and know its bytes again. No torch here.

    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth         the file: whole or not there
    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth.json    its size and SHA-256 when it came
    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth.part    a download to be resumed
    $TWINPATH_HOME/videos/archery.mp4                             what `models verify` looks at

The upstreams publish no hashes, so the first whole download is trusted and every later use compared
with it. Set TWINPATH_MIRROR=https://host/prefix to fetch from a copy with the same paths.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
import platformdirs

from twinpath.atomic import atomic_path
from twinpath.errors import DamagedWeights, DownloadFailed, InputError, WeightsError
from twinpath.weights.sniff import check_whole

Progress = Callable[[int, int | None], None]
"""Told the bytes done and the bytes expected (None: the server does not say)."""

MAX_FILE_BYTES = 8 << 30  # several times the largest published file
_SOME_BYTES = 1 << 18  # a try that brings less brought next to nothing
_REDIRECTS = 5
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}


class Downloadable(Protocol):
    """What `fetch` needs of a record of the zoo."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def file_name(self) -> str: ...


class Check(Protocol):
    """Refuses a file by a WeightsError or an InputError; `where` is what the error calls it."""

    def __call__(self, path: Path, *, where: str | None = None) -> None: ...


@dataclass(frozen=True)
class Patience:
    """When to give up.

    Attributes:
        stall_s: A connection that brings nothing for so long is dropped and tried again.
        attempts: Tries in a row that may bring next to nothing; one that gets further starts the count anew.
        backoff_s: Pause after the first such try; doubles with each.
    """

    stall_s: float = 30.0
    attempts: int = 4
    backoff_s: float = 1.0


@dataclass(frozen=True)
class _Remembered:
    url: str
    size: int
    sha256: str
    date: str


class _Interrupted(Exception):
    """A try that may be worth another one."""


def cache_dir() -> Path:
    """Where downloads are kept: $TWINPATH_HOME, else the platform's cache folder."""
    home = os.environ.get("TWINPATH_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_cache_dir("twinpath", appauthor=False))


def cached_path(record: Downloadable) -> Path:
    """Where the record's file is, or will be. A file put there by hand is used."""
    return cache_dir() / "weights" / record.file_name


def source_url(record: Downloadable) -> str:
    """The record's URL, on $TWINPATH_MIRROR if that is set."""
    return _mirrored(record.url)


def _mirrored(url: str) -> str:
    mirror = os.environ.get("TWINPATH_MIRROR")
    return mirror.rstrip("/") + urlsplit(url).path if mirror else url


def fetch(
    record: Downloadable, *, progress: Progress | None = None, patience: Patience | None = None
) -> Path:
    """The record's weight file on this machine; downloads it on first use.

    Args:
        record: What to fetch.
        progress: Told of every piece of a download; not called when the file is there.
        patience: When to give up.
    Returns:
        Path of the whole file.
    Raises:
        DownloadFailed: One line with the URL and where to put the file by hand.
        DamagedWeights: The file there is not the one remembered.
    """
    return fetch_file(record.name, record.url, cached_path(record), progress=progress, patience=patience)


def fetch_file(
    name: str,
    url: str,
    final: Path,
    *,
    check: Check = check_whole,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Path:
    """A file of the cache; downloads it on first use.

    A download that breaks off is resumed, by another call too, if the server still has the same file.
    A file already there is compared with the size and hash of its first use.

    Args:
        name: What errors call it.
        url: Where it is; taken from $TWINPATH_MIRROR if that is set.
        final: Where it shall be.
        check: Refuses a file that is not what it should be.
        progress, patience: See `fetch`.
    Returns:
        `final`.
    Raises:
        DownloadFailed, DamagedWeights: See `fetch`.
    Source: Range and If-Range as in RFC 9110, sections 13.1.5 and 14.2.
    """
    if final.exists():
        verify(final, url=url, check=check)
        return final
    url = _mirrored(url)
    by_hand = f"fetch {url} another way and put it at {final}"
    try:
        with _one_at_a_time(final):
            if not final.exists():  # another process may have brought it while this one waited
                _download(url, final, check, progress, patience or Patience())
    except _Interrupted as error:
        raise DownloadFailed(f"the download of {name} failed ({error}); {by_hand}") from error
    except (WeightsError, InputError) as error:
        raise DownloadFailed(f"the download of {name} is no good ({error}); {by_hand}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise DownloadFailed(f"cannot download {name} ({_reason(error)}); {by_hand}") from error
    return final


def verify(path: Path, *, url: str = "", check: Check = check_whole) -> None:
    """Compare a cached file with what is remembered of it; remember it if nothing is.

    Reading and hashing costs about 0.1 s for 140 MB, less than building the network.

    Raises:
        DamagedWeights: Another size or SHA-256.
    """
    remembered = _recall(path)
    if remembered is None:
        check(path)
        with contextlib.suppress(OSError):  # a read-only cache is still a cache
            _remember(path, url)
        return
    again = f"delete it and its .json to fetch it again: {path}"
    size = path.stat().st_size
    if size != remembered.size:
        raise DamagedWeights(
            f"a weight file has {size} bytes, not {remembered.size} as when it came; {again}"
        )
    if _sha256(path) != remembered.sha256:
        raise DamagedWeights(f"a weight file is not as it came (its SHA-256 differs); {again}")


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar on stderr, for `fetch(…, progress=…)`; shows nothing until the first piece arrives."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None, visible=False)

        def update(done_bytes: int, total_bytes: int | None) -> None:
            bars.update(task, completed=done_bytes, total=total_bytes, visible=True)

        yield update


def _download(url: str, final: Path, check: Check, progress: Progress | None, patience: Patience) -> None:
    """Bring the whole file to `final`, in as many tries as bring something."""
    part = _Part(final)
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
            except _Interrupted as error:
                reason = str(error)
            if part.size() >= furthest + _SOME_BYTES:
                idle, pause_s, furthest = 0, patience.backoff_s, part.size()
            idle += 1
            if idle >= patience.attempts:
                raise _Interrupted(f"{reason}, {idle} tries in a row")
            time.sleep(pause_s)
            pause_s *= 2
    try:
        check(part.path, where="what the server sent")
    except (WeightsError, InputError):
        part.forget()
        raise
    _sidecar(final).unlink(missing_ok=True)
    part.become(final)
    _remember(final, url)


def _try_once(client: httpx.Client, url: str, part: _Part, progress: Progress | None) -> None:
    """One request: from the start, or from where the last one broke off."""
    with _follow(client, url, part.resume_headers()) as response:
        status = response.status_code
        if status == 416:  # what we have is longer than what the server has: start over
            part.forget()
            raise _Interrupted("the server has another file now")
        if status in _RETRY_STATUS:
            raise _Interrupted(f"the server answered {status}")
        if status not in (200, 206):
            raise httpx.HTTPError(f"the server answered {status}")
        start, total = _extent(response)
        if start != (part.size() if status == 206 else 0):
            part.forget()
            raise _Interrupted("the server sent another piece than was asked for")
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
        raise _Interrupted("the server sent more bytes than it said")
    if total is not None and done < total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes")


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
        raise _Interrupted("the server's answer makes no sense") from error


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


@contextlib.contextmanager
def _one_at_a_time(final: Path) -> Iterator[None]:
    """Two processes that want the same file: the second waits for the first. Windows does without."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with final.with_name(final.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _recall(path: Path) -> _Remembered | None:
    try:
        return _Remembered(**json.loads(_sidecar(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DamagedWeights(f"{_sidecar(path)} cannot be read; delete it if you trust {path}") from error


def _remember(path: Path, url: str) -> None:
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    remembered = _Remembered(url, path.stat().st_size, _sha256(path), date)
    with atomic_path(_sidecar(path)) as temporary:
        temporary.write_text(json.dumps(asdict(remembered), indent=1) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    """One line, also for errors of httpx that say nothing."""
    if isinstance(error, httpx.TimeoutException):
        return "the connection stalled"
    return (str(error) or type(error).__name__).splitlines()[0]
