"""Model folders on the Hugging Face Hub. Needs the extra `hub`: pip install 'twinpath[hub]'

    push_folder(read_model_folder("my-actions"), "me/my-actions")      # private, unless public=True
    Classifier("hf://me/my-actions")("clip.mp4")
    Classifier("hf://me/my-actions@v2")("clip.mp4")                    # a branch, a tag or a commit

A repository holds `model.json`, the files that it names and the card for people, and nothing else of the
folder: the report of a fine-tuning shows pictures of the videos. What was fetched once is used from the Hub's
cache, and nobody is contacted: a model does not change between two runs unless it is fetched again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.errors import DownloadFailed, MissingExtra, UsageError
from twinpath.zoo.hub_access import endpoint, first_line, why_not_there
from twinpath.zoo.model_card import ModelCard
from twinpath.zoo.model_folder import HUB, MODEL_JSON, README, read_model_card

if TYPE_CHECKING:
    from twinpath.zoo.model_folder import ModelFolder

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile(r"[\w./-]+")


@dataclass(frozen=True)
class HubAddress:
    """A repository of the Hub.

    Attributes:
        repository: "user/name".
        revision: A branch, a tag or a commit; None: the main branch.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, address: str) -> HubAddress:
        """An address "hf://user/name", or with "@revision" at its end.

        Raises:
            UsageError: It is none.
        """
        repository, at, revision = address.removeprefix(HUB).partition("@")
        if not _NAME.fullmatch(repository) or (at and not _REVISION.fullmatch(revision)):
            raise UsageError(f"{address!r} is no model on the Hub; write {HUB}USER/NAME, or …/NAME@REVISION")
        return cls(repository, revision or None)

    def __str__(self) -> str:
        return f"{HUB}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def fetch_folder(address: str, *, again: bool = False) -> Path:
    """The folder of a model of the Hub in the Hub's cache, fetched where it is not there yet.

    Args:
        address: See `HubAddress.parse`.
        again: Fetch what is new there.
    Raises:
        UsageError: It is no address.
        MissingExtra: huggingface_hub is not installed.
        DownloadFailed: It is not in the cache and cannot be fetched.
        UnknownWeightFormat, DamagedWeights: The repository holds no model folder.
    """
    if again:
        _fetched.cache_clear()
    return _fetched(HubAddress.parse(address), again)


@lru_cache(maxsize=64)
def _fetched(address: HubAddress, again: bool) -> Path:
    hub = _hub()
    cached = None if again else _cached(hub, address)
    if cached is not None:
        return cached
    reason = why_not_there(address.repository, MODEL_JSON, address.revision or "main")
    if reason is not None:
        raise DownloadFailed(f"cannot fetch {address} from the Hugging Face Hub: {reason}")
    download = partial(hub.hf_hub_download, address.repository, endpoint=endpoint())
    try:
        card_file = Path(download(MODEL_JSON, revision=address.revision))
        commit = card_file.parent.name  # the other files must be those of the same commit
        for name in _wanted(read_model_card(card_file)):
            download(name, revision=commit)
    except (hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadFailed(
            f"cannot fetch {address} from the Hugging Face Hub: {first_line(error)}"
        ) from error
    return card_file.parent


def _cached(hub: Any, address: HubAddress) -> Path | None:
    """The folder, if all of it is in the cache."""

    def find(name: str, revision: str | None) -> Path | None:
        found = hub.try_to_load_from_cache(address.repository, name, revision=revision)
        return Path(found) if isinstance(found, str) else None

    card_file = find(MODEL_JSON, address.revision)
    if card_file is None:
        return None
    names = _wanted(read_model_card(card_file))
    return card_file.parent if all(find(name, card_file.parent.name) for name in names) else None


def _wanted(card: ModelCard) -> list[str]:
    return [*card.files, README]


def push_folder(
    folder: ModelFolder, repository: str, *, public: bool = False, message: str = "A model folder"
) -> str:
    """Put a model folder on the Hub, with the login of `hf auth login` or HF_TOKEN.

    Args:
        folder: To upload: `model.json`, the files that it names, and the card for people.
        repository: "user/name"; made if it is not there.
        public: Whether everybody may see it. A repository that is there stays what it is.
        message: Of the commit.
    Returns:
        The address of the commit on the Hub.
    Raises:
        UsageError: It is no name of a repository; or it is public, and `public` was not said.
        MissingExtra: huggingface_hub is not installed.
        DamagedWeights: A file is not the one that `model.json` describes.
        DownloadFailed: The Hub cannot be reached, or refuses.
    """
    if not _NAME.fullmatch(repository):
        raise UsageError(f"{repository!r} is no name of a repository on the Hub; write USER/NAME")
    for name in folder.card.files:
        folder.checked(name)
    hub = _hub()
    api = hub.HfApi(endpoint=endpoint(), library_name="twinpath")
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        if not public and not api.repo_info(repository).private:
            raise UsageError(f"{repository} is public on the Hub; allow that, or give another name")
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder.path,
            allow_patterns=[MODEL_JSON, *_wanted(folder.card)],
            commit_message=message,
        )
    except (hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadFailed(
            f"cannot put {folder.name} on the Hugging Face Hub as {repository}: {first_line(error)}"
        ) from error
    return str(commit.commit_url)


def _hub() -> Any:
    """The Hub's library."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the Hub needs {error.name}; install it with: pip install 'twinpath[hub]'"
        ) from error
    return huggingface_hub
