"""Download a weight file once, keep it, and compare its bytes at every use. No torch here.

    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth         the file: whole or not there
    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth.json    its size and SHA-256 after the download
    $TWINPATH_HOME/weights/slowfast_r50_8x8.ptv_k400.pyth.part    a download to be resumed
    $TWINPATH_HOME/videos/archery.mp4                             what `evaluate.verify` classifies

The upstreams publish no hashes, so the first whole download is trusted and every later use is compared with
it. Set TWINPATH_MIRROR=https://host/prefix to fetch from a copy with the same paths.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from twinpath.addresses import mask_address, mask_secrets
from twinpath.atomic import atomic_path
from twinpath.errors import DamagedWeights, DownloadFailed, InputError, WeightsError
from twinpath.escapes import printable
from twinpath.paths import cache_dir, display_path
from twinpath.results.facts import BYTES, TEXT, checked_facts
from twinpath.retry import RetryPolicy
from twinpath.weights.callbacks import Check, HashOf
from twinpath.weights.callbacks import Progress as Progress  # who fetches needs it
from twinpath.weights.hashes import file_sha256
from twinpath.weights.sniff import check_whole

# Of tries that bring next to nothing; one that gets further starts the count anew.
DOWNLOAD_RETRY = RetryPolicy(max_retries=3, first_wait_s=1.0, jitter=0.0)
#: With a letter, which dates in names have not.
_HASH_IN_NAME = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8,64})\.\w+$")
STALL_S = 30.0  # a connection that brings nothing for so long is dropped and tried again


class Downloadable(Protocol):
    """What `fetch` needs of a record of the zoo."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def file_name(self) -> str: ...


@dataclass(frozen=True)
class _Remembered:
    url: str
    size: int
    sha256: str
    date: str


_FACTS = {"url": TEXT, "size": BYTES, "sha256": TEXT, "date": TEXT}


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
    record: Downloadable,
    *,
    progress: Progress | None = None,
    retry: RetryPolicy = DOWNLOAD_RETRY,
    stall_s: float = STALL_S,
    sha256: HashOf = file_sha256,
) -> Path:
    """The record's weight file in the cache; downloads it on first use.

    Args:
        record: What to fetch.
        progress: Called for every piece of a download; not called when the file is there.
        retry: When to give up.
        stall_s: Seconds without a byte after which a connection is dropped and tried again.
        sha256: Hashes a file that is there; `known_sha256` where its bytes will not be used.
    Returns:
        Path of the whole file.
    Raises:
        DownloadFailed: One line with the URL and where to put the file by hand.
        DamagedWeights: The file there is not the one remembered.
    """
    return fetch_file(
        record.name,
        record.url,
        cached_path(record),
        progress=progress,
        retry=retry,
        stall_s=stall_s,
        sha256=sha256,
    )


def fetch_file(
    name: str,
    url: str,
    final: Path,
    *,
    check: Check = check_whole,
    progress: Progress | None = None,
    retry: RetryPolicy = DOWNLOAD_RETRY,
    stall_s: float = STALL_S,
    sha256: HashOf = file_sha256,
) -> Path:
    """A file of the cache; downloads it on first use.

    A download that breaks off is resumed, by another call too, if the server still has the same file.
    A file already there is compared with the size and hash of its first use.

    Args:
        name: What errors call it.
        url: Where it is; taken from $TWINPATH_MIRROR if that is set.
        final: Its path in the cache.
        check: Refuses a file that is not what it should be.
        progress, retry, stall_s, sha256: See `fetch`.
    Returns:
        `final`.
    Raises:
        DownloadFailed, DamagedWeights: See `fetch`.
    Source: Range and If-Range as in RFC 9110, sections 13.1.5 and 14.2.
    """
    if final.exists():
        check = _with_hash_of_name(url, check)
        verify(final, url=mask_address(_mirrored(url)), check=check, sha256=sha256)
        with contextlib.suppress(OSError):  # of a run that was killed at its end; a read-only cache stays
            final.with_name(final.name + ".part.version").unlink(missing_ok=True)
        return final
    from filelock import FileLock

    from twinpath.weights.download import AttemptFailed, Unreachable, download  # with httpx, which takes time

    check = _with_hash_of_name(url, check)
    url = _mirrored(url)
    by_hand = f"fetch {mask_address(url)} another way and put it at {display_path(final)}"
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.with_name(final.name + ".lock")):
            if not final.exists():  # another process may have fetched it while this one waited
                _sidecar(final).unlink(missing_ok=True)  # of an earlier file
                download(url, final, check, progress, retry, stall_s=stall_s)
                _remember(final, mask_address(url))
    except AttemptFailed as error:
        raise DownloadFailed(f"the download of {name} failed ({error}); {by_hand}") from error
    except (WeightsError, InputError) as error:
        raise DownloadFailed(f"the download of {name} is no good ({error}); {by_hand}") from error
    except (Unreachable, OSError) as error:
        reason = printable(mask_secrets((str(error) or type(error).__name__).splitlines()[0]))
        raise DownloadFailed(f"cannot download {name} ({reason}); {by_hand}") from error
    return final


def _with_hash_of_name(url: str, check: Check) -> Check:
    """The check, and behind it one of the hash that torchvision has in the names of its files.

    "r3d_18-b3b3357e.pth" has the SHA-256 b3b3357e…
    """
    found = _HASH_IN_NAME.search(urlsplit(url).path)
    if found is None:
        return check

    def check_both(path: Path, *, where: str | None = None) -> None:
        check(path, where=where)
        digest = file_sha256(path)
        if not digest.startswith(found[1]):
            raise DamagedWeights(
                f"{where or display_path(path)} is another file: its SHA-256 begins with "
                f"{digest[: len(found[1])]}, not {found[1]} as its name says"
            )

    return check_both


def verify(path: Path, *, url: str = "", check: Check = check_whole, sha256: HashOf = file_sha256) -> None:
    """Compare a cached file with its size and hash at the first use; note them if this is the first.

    Reading and hashing costs about 0.1 s for 140 MB, less than building the network; `sha256`: see `fetch`.

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
    if sha256(path) != remembered.sha256:
        raise DamagedWeights(f"a weight file is not as it came (its SHA-256 differs); {again}")


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _recall(path: Path) -> _Remembered | None:
    try:
        values = json.loads(_sidecar(path).read_text(encoding="utf-8"))
        return _Remembered(**checked_facts(values, _FACTS))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedWeights(f"{_sidecar(path)} cannot be read; delete it if you trust {path}") from error


def _remember(path: Path, url: str) -> None:
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    remembered = _Remembered(url, path.stat().st_size, file_sha256(path), date)
    with atomic_path(_sidecar(path)) as temporary:
        temporary.write_text(json.dumps(asdict(remembered), indent=1) + "\n", encoding="utf-8")
