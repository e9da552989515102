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
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from twinpath.atomic import atomic_path
from twinpath.errors import DamagedWeights, DownloadFailed, InputError, WeightsError
from twinpath.paths import cache_dir
from twinpath.weights.hashes import file_sha256
from twinpath.weights.sniff import check_whole

Progress = Callable[[int, int | None], None]
"""Told the bytes done and the bytes expected (None: the server does not say)."""


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
class DownloadRetryPolicy:
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
    record: Downloadable, *, progress: Progress | None = None, patience: DownloadRetryPolicy | None = None
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
    patience: DownloadRetryPolicy | None = None,
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
    from twinpath.weights.download import Interrupted, Unreachable, download  # with httpx, which takes time

    url = _mirrored(url)
    by_hand = f"fetch {url} another way and put it at {final}"
    try:
        with _one_at_a_time(final):
            if not final.exists():  # another process may have brought it while this one waited
                _sidecar(final).unlink(missing_ok=True)  # of an earlier file
                download(url, final, check, progress, patience or DownloadRetryPolicy())
                _remember(final, url)
    except Interrupted as error:
        raise DownloadFailed(f"the download of {name} failed ({error}); {by_hand}") from error
    except (WeightsError, InputError) as error:
        raise DownloadFailed(f"the download of {name} is no good ({error}); {by_hand}") from error
    except (Unreachable, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DownloadFailed(f"cannot download {name} ({reason}); {by_hand}") from error
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
    if file_sha256(path) != remembered.sha256:
        raise DamagedWeights(f"a weight file is not as it came (its SHA-256 differs); {again}")


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
    remembered = _Remembered(url, path.stat().st_size, file_sha256(path), date)
    with atomic_path(_sidecar(path)) as temporary:
        temporary.write_text(json.dumps(asdict(remembered), indent=1) + "\n", encoding="utf-8")
