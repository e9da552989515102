"""Read safetensors files with the format's own library, after checks of the header that it does not make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from twinpath.errors import DamagedWeights
from twinpath.weights.pickles import Buffer, shown_name

MAX_HEADER_BYTES = 1 << 22  # of the largest network: 300 kB; the library would take 100 MB


class _Doubled(ValueError):
    pass


def read_safetensors(
    data: Buffer, path: Path, *, where: str, is_file: bool
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the text in the header.

    Args:
        data: The whole content.
        path: Of the file.
        where: Its name in errors.
        is_file: Whether the file itself has this content; else it is packed.
    Raises:
        DamagedWeights: Cut short; a header that is no valid one, is longer than any network needs, has a name
            twice, or whose tensors overlap, leave gaps or do not fit their shapes.
    """
    _check_header(data, where)
    try:
        if not is_file:
            return safetensors.torch.load(bytes(data)), _metadata(data)
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (
        safetensors.SafetensorError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
    ) as error:
        raise _damaged(where, error) from error
    except (
        RuntimeError,
        AttributeError,
        MemoryError,
    ) as error:  # of torch, for sizes and kinds it does not know
        raise _damaged(where, error) from error


def _metadata(data: Buffer) -> dict[str, str]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(bytes(data[8 : 8 + length])).get("__metadata__") or {}


def _check_header(data: Buffer, where: str) -> None:
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER_BYTES or 8 + length > len(data):
        raise DamagedWeights(
            f"{where} is damaged or cut short: its safetensors header claims {length:,} bytes"
        )
    try:
        header = json.loads(bytes(data[8 : 8 + length]), object_pairs_hook=_once)
    except _Doubled as error:
        raise DamagedWeights(f"{where} is damaged: its safetensors header has {error} twice") from error
    except (ValueError, RecursionError) as error:
        raise DamagedWeights(f"{where} is damaged: its safetensors header cannot be read") from error
    if not isinstance(header, dict):
        raise DamagedWeights(f"{where} is damaged: its safetensors header cannot be read")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Doubled(shown_name(key))
        found[key] = value
    return found


def _damaged(where: str, error: BaseException) -> DamagedWeights:
    return DamagedWeights(f"{where} is damaged or cut short (safetensors: {shown_name(str(error))})")
