"""Networks without values: for the names and shapes of their parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """In the block, networks are built on the device "meta", and nothing initialises their parameters.

    PyTorch would load its compiler for random numbers on that device, which takes seconds and makes a folder
    among the temporary files.
    """
    with torch.device("meta"), _NothingInPlace():
        yield


class _NothingInPlace(TorchFunctionMode):
    """Leaves out what changes a tensor in place."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name: str = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
