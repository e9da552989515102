"""A folder that holds a model: graph or weights, and `model.json`: all that is needed to use it. No torch.

    DIR/model.json                 see `model_card`
    DIR/model.onnx                 a graph, or
    DIR/model.xml, DIR/model.bin   one of OpenVINO, or
    DIR/model.pt2                  one of torch.export
    DIR/weights.safetensors        weights of a network of `models.registry`
    DIR/README.md                  the same for people

    folder = read_model_folder("exported")
    folder.card.labels, folder.card.input
    folder.checked("model.onnx")   # its path; its content has the hash that model.json says

A folder appears whole or not at all: see `new_model_folder`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from twinpath.atomic import atomic_folder, atomic_path
from twinpath.errors import DamagedWeights, InputError, NotAFile, UnknownWeightFormat, UsageError
from twinpath.formats.json_nodes import parse_json
from twinpath.paths import display_path
from twinpath.weights.hashes import file_sha256
from twinpath.zoo.model_card import ModelCard, StoredFile, read_card
from twinpath.zoo.model_readme import readme

MODEL_JSON = "model.json"
README = "README.md"
HUB = "hf://"  # before the name of a model folder on the Hugging Face Hub
ONNX, OPENVINO, TORCH_EXPORT = "model.onnx", "model.xml", "model.pt2"
OPENVINO_WEIGHTS = "model.bin"  # beside `OPENVINO`
WEIGHTS = "weights.safetensors"
_MAX_JSON_BYTES = 16 << 20
_GRAPHS_AND_WEIGHTS = (ONNX, OPENVINO, TORCH_EXPORT, WEIGHTS)


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose `model.json` was read and whose files are there, of the right size.

    Attributes:
        path: Of the folder.
        card: What `model.json` says.
        address: Where it comes from on the Hugging Face Hub; empty: it is a folder of this machine.
    """

    path: Path
    card: ModelCard
    address: str = ""

    @property
    def name(self) -> str:
        """As results show it: the name of the folder, or of the repository."""
        if self.address:
            return self.address.rpartition("/")[2].partition("@")[0]
        return Path(os.path.abspath(self.path)).name  # noqa: PTH100 - a link's own name

    def has(self, name: str) -> bool:
        """Whether a file belongs to the model."""
        return name in self.card.files

    def checked(self, name: str) -> Path:
        """Path of a file of the model, of which the content was compared with its hash.

        Raises:
            DamagedWeights: It is another one.
        """
        path = self.path / name
        try:
            found = file_sha256(path)
        except OSError as error:
            raise DamagedWeights(f"{display_path(path)} cannot be read: {error.strerror}") from error
        if found != self.card.files[name].sha256:
            raise DamagedWeights(
                f"{display_path(path)} is not the file that {MODEL_JSON} describes (its SHA-256 is another "
                "one); copy or export the folder again"
            )
        return path

    @property
    def sha256(self) -> str:
        """Of all files together, in hexadecimal digits: two folders that compute differently differ in it."""
        files = {name: facts.sha256 for name, facts in self.card.files.items()}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    def push_to_hub(self, repository: str, *, public: bool = False) -> str:
        """Put the folder on the Hugging Face Hub, see `twinpath.zoo.hub_folders.push_folder`."""
        from twinpath.zoo.hub_folders import push_folder

        return push_folder(self, repository, public=public)


def is_model_folder(model: str) -> bool:
    """Whether the name of a model means a folder: a path with a separator, or a folder with `model.json`.

    A name of the zoo, which has no separator, means the zoo's model, whatever lies in the working folder.
    """
    from twinpath.zoo.create import is_known

    if is_known(model):
        return False
    has_separator = "/" in model or os.sep in model or model in (".", "..")
    return has_separator or (Path(model) / MODEL_JSON).is_file()


def read_model_folder(folder: str | os.PathLike[str]) -> ModelFolder:
    """Read `model.json` and look at the files; their hashes are compared when they are used.

    Args:
        folder: Its path, or the address of one on the Hugging Face Hub ("hf://user/name"), which is fetched
            once.
    Raises:
        NotAFile: There is no such folder.
        UnknownWeightFormat: It is no model folder.
        DamagedWeights: A value of `model.json` is missing or out of its range, or a file is missing or has
            another size.
        UsageError, MissingExtra, DownloadFailed: See `twinpath.zoo.hub_folders.fetch_folder`.
    """
    address = folder if isinstance(folder, str) and folder.startswith(HUB) else ""
    if address:
        from twinpath.zoo.hub_folders import fetch_folder

        folder = fetch_folder(address)
    path = Path(folder)
    shown = display_path(path)
    try:
        if not path.is_dir():
            raise NotAFile(
                f"{shown} is neither a model folder nor the name of a model (list_models() names all)"
            )
        file = path / MODEL_JSON
        if not file.is_file():
            raise UnknownWeightFormat(f"{shown} is no model folder: it holds no {MODEL_JSON}")
        card = read_model_card(file)
    except ValueError as error:  # a NUL in the name
        raise NotAFile(f"{shown} cannot be the name of a folder") from error
    except OSError as error:
        raise NotAFile(f"{shown} cannot be read: {error.strerror}") from error
    for name, facts in card.files.items():
        _check_size(path / name, facts)
    if not any(name in card.files for name in _GRAPHS_AND_WEIGHTS):
        raise DamagedWeights(
            f"{display_path(file)} names no graph and no weights: none of {', '.join(_GRAPHS_AND_WEIGHTS)}"
        )
    if OPENVINO in card.files and OPENVINO_WEIGHTS not in card.files:
        raise DamagedWeights(f"{display_path(file)} names {OPENVINO} without {OPENVINO_WEIGHTS}")
    return ModelFolder(path, card, address)


def read_model_card(file: Path) -> ModelCard:
    """Read a `model.json`.

    Raises:
        DamagedWeights: It is none.
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        return _parse(opened.read(_MAX_JSON_BYTES + 1), display_path(file))


def _parse(content: bytes, where: str) -> ModelCard:
    """Raises: DamagedWeights: It is no card."""
    if len(content) > _MAX_JSON_BYTES:
        raise DamagedWeights(f"{where} has more than {_MAX_JSON_BYTES >> 20} MB")
    try:
        return read_card(parse_json(content.decode("utf-8"), where))
    except UnicodeDecodeError as error:
        raise DamagedWeights(f"{where} is no text in UTF-8") from error
    except InputError as error:
        raise DamagedWeights(str(error)) from error


def _check_size(path: Path, facts: StoredFile) -> None:
    shown = display_path(path)
    if not path.is_file():
        raise DamagedWeights(f"{shown} is missing, which {MODEL_JSON} names; copy or export the folder again")
    size_bytes = path.stat().st_size
    if size_bytes != facts.size_bytes:
        raise DamagedWeights(
            f"{shown} has {size_bytes} bytes, and {MODEL_JSON} says {facts.size_bytes}; copy or export the "
            "folder again"
        )


def check_target(folder: str | os.PathLike[str]) -> None:
    """Check that a model folder can be written there: nothing, an empty folder or an older model folder.

    Raises:
        UsageError: Something else is there.
    """
    path = Path(folder)
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise UsageError(f"{display_path(path)} is there and no folder; give another name")
    if any(path.iterdir()) and not (path / MODEL_JSON).is_file():
        raise UsageError(f"{display_path(path)} holds something else than a model folder; give another name")


@contextlib.contextmanager
def new_model_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder that becomes `folder` at the end of the block, in one step.

    If the block raises, what was there before is unchanged. Finish with `write_card` inside the block.

    Yields:
        The temporary folder, beside the final one.
    Raises:
        UsageError: See `check_target`.
        OSError: The disk is full or refuses.
    """
    check_target(folder)
    with atomic_folder(folder) as temporary:
        yield temporary


def write_card(folder: Path, card: ModelCard) -> ModelFolder:
    """Write `model.json` and the card for people beside the files of a model; returns the folder.

    Args:
        folder: With all files of the model and nothing else.
        card: Its `files` are replaced by those of the folder.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name not in (MODEL_JSON, README))
    files = {name: StoredFile(file_sha256(folder / name), (folder / name).stat().st_size) for name in names}
    return _write(folder, replace(card, files=files))


def replace_card(folder: ModelFolder, card: ModelCard) -> ModelFolder:
    """Write another card of a folder of this machine, whose files stay as they are.

    Args:
        folder: The folder.
        card: Its `files` are those that the folder has.
    """
    return _write(folder.path, replace(card, files=folder.card.files))


def _write(folder: Path, card: ModelCard) -> ModelFolder:
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    for name, content in ((README, readme(card)), (MODEL_JSON, text + "\n")):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return read_model_folder(folder)
