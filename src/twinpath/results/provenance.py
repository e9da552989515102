"""The provenance of a result: the file, the model, the settings and the software that produced it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from twinpath import __version__
from twinpath.errors import InputError
from twinpath.escapes import shown
from twinpath.video.frame_folder import find_sequence, frames_folder

_NOT_SET = object()
_MOST_SHOWN = 60


def versions() -> dict[str, str]:
    """Versions of the packages that influence a result, without the engine's own."""
    import av

    return {
        "twinpath": __version__,
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
    }


@dataclass(frozen=True)
class FileFacts:
    """Identifies a file and its content without reading it.

    Attributes:
        size_bytes: Its size.
        modified_s: Time of the last change of its content, in seconds since 1970.
        path_sha256: Hash of its absolute path: distinguishes a changed file from another file. Not compared,
            since a file may be moved.
    """

    size_bytes: int
    modified_s: float
    path_sha256: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileFacts:
        """The facts of a file now; links are followed. Of a folder of frames: of all its pictures together.

        Raises:
            OSError: The file does not exist or cannot be accessed.
        """
        frames = frames_folder(Path(path))
        if frames is not None:
            return cls._of_frames(Path(path))
        status = Path(path).stat()
        place = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()  # noqa: PTH100 - keeps links
        return cls(status.st_size, status.st_mtime, place)

    @classmethod
    def _of_frames(cls, path: Path) -> FileFacts:
        """Raises: OSError: Also where the folder holds no video."""
        try:
            found = [picture.stat() for picture in find_sequence(path).paths]
        except InputError as error:
            raise OSError(errno.EISDIR, str(error), str(path)) from error
        place = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()  # noqa: PTH100
        latest_s = max(status.st_mtime for status in found)
        return cls(sum(status.st_size for status in found), latest_s, place)

    @classmethod
    def from_dict(cls, values: Any) -> FileFacts | None:
        """Convert back from `dataclasses.asdict`; None for None.

        Raises:
            ValueError: The values have another form.
        """
        if values is None:
            return None
        facts = values if isinstance(values, dict) else {}
        size_bytes, modified_s = facts.get("size_bytes"), facts.get("modified_s")
        if type(size_bytes) is not int or type(modified_s) is not float:
            raise ValueError("the provenance has no size and modification time of the file")
        place = facts.get("path_sha256")
        return cls(size_bytes, modified_s, place if isinstance(place, str) else None)


@dataclass(frozen=True)
class Provenance:
    """What determines a result. Results are interchangeable if all fields but `versions` are equal.

    Attributes:
        source: The video file; None: of a run over several videos, or the file cannot be accessed.
        model: Full name of network and weights.
        weights_sha256: Hash of a weight file that replaces the published one, else None.
        settings: All settings that determine the result, as JSON values; tuples become lists.
        versions: Versions of the software, see `versions`. Not compared.
    """

    source: FileFacts | None
    model: str
    weights_sha256: str | None
    settings: dict[str, Any]
    versions: dict[str, str] = field(default_factory=versions, compare=False)

    def __post_init__(self) -> None:
        """Raises: TypeError, ValueError: `settings` are no JSON values."""
        object.__setattr__(self, "settings", json.loads(json.dumps(dict(self.settings), allow_nan=False)))

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        model: str,
        weights_sha256: str | None = None,
        settings: Mapping[str, Any],
    ) -> Self:
        """The provenance of a result of this video file now; `path` None: of a run over several videos.

        Raises:
            OSError: The file does not exist or cannot be accessed.
        """
        source = None if path is None else FileFacts.of(path)
        return cls(source, model, weights_sha256, dict(settings))

    def for_file(self, path: str | os.PathLike[str]) -> Self:
        """The provenance of one video of this run; `source` is None if the file cannot be accessed."""
        try:
            return replace(self, source=FileFacts.of(path))
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return replace(self, source=None)

    def is_of(self, path: str | os.PathLike[str]) -> bool:
        """Whether the result is of this file and the file is unchanged."""
        return self.source is not None and self.source == self.for_file(path).source

    def same_run(self, other: Provenance) -> bool:
        """Whether model, weights and settings are equal."""
        return replace(self, source=other.source) == other

    def differences(self, other: Provenance) -> list[str]:
        """Descriptions of what differs in `other`, the later one; empty: they are interchangeable."""
        lines = []
        if self.source is not None and other.source is not None:
            if self.source.size_bytes != other.source.size_bytes:
                sizes = other.source.size_bytes, self.source.size_bytes
                lines.append("the video has {:,} bytes, before {:,}".format(*sizes))
            if self.source.modified_s != other.source.modified_s:
                lines.append("the video was changed since")
        elif self.source != other.source:
            lines.append("the video file could be accessed only once")
        if self.model != other.model:
            lines.append(f"the model is {other.model}, before {shown(self.model, _MOST_SHOWN)}")
        if self.weights_sha256 != other.weights_sha256:
            lines.append("the weight file is another one")
        for name in dict.fromkeys([*other.settings, *self.settings]):
            now, before = (settings.get(name, _NOT_SET) for settings in (other.settings, self.settings))
            if now != before:
                lines.append(f"{shown(name, _MOST_SHOWN)} is {_shown(now)}, before {_shown(before)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Convert back from `to_dict`.

        Raises:
            ValueError: The values have another form.
        """
        if not isinstance(values, dict):
            raise ValueError("the provenance is no object")
        source, model, sha256 = (values.get(name) for name in ("source", "model", "weights_sha256"))
        settings, made_by = values.get("settings"), values.get("versions", {})
        if not isinstance(model, str) or not isinstance(sha256, str | None):
            raise ValueError("the provenance names no model")
        if not isinstance(settings, dict) or not isinstance(made_by, dict):
            raise ValueError("the provenance holds no settings")
        return cls(FileFacts.from_dict(source), model, sha256, settings, made_by)


def _shown(value: Any) -> str:
    """A setting for a message, at most `_MOST_SHOWN` characters."""
    text = "not set" if value is _NOT_SET else repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
