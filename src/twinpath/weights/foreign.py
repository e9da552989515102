"""Objects beside the weights that only a running pickle makes: refused, with a line that saves the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twinpath.errors import UnsafeWeights
from twinpath.weights.pickles import UnknownObject, shown_name

# Modules whose names run a program or open doors. Nobody is told how to run these.
_DANGEROUS = frozenset(
    [
        "os",
        "posix",
        "nt",
        "subprocess",
        "sys",
        "builtins",
        "__builtin__",
        "importlib",
        "runpy",
        "shutil",
        "socket",
        "pty",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "pickle",
        "_pickle",
        "marshal",
        "types",
        "functools",
        "operator",
        "webbrowser",
        "http",
        "urllib",
        "requests",
        "asyncio",
        "multiprocessing",
        "threading",
        "signal",
        "pdb",
        "bdb",
        "timeit",
        "cProfile",
        "profile",
        "platform",
        "tempfile",
        "io",
        "_io",
        "zipimport",
        "pip",
        "setuptools",
    ]
)
_MAX_NAME = 300
_KNOWN_WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model")


def refuse_foreign(foreign: Iterable[str], *, where: str, content: Any, is_torch: bool) -> None:
    """Refuse a file whose pickle names what weights do not need.

    Args:
        foreign: Such names.
        where: Name of the file in errors.
        content: Of the pickle; decides which line of Python saves the weights alone.
        is_torch: Whether `torch.load` reads the file.
    Raises:
        UnsafeWeights: There is one. Where it is an object beside the weights, the error has the line.
    """
    names = list(foreign)
    if not names:
        return
    dangerous = [name for name in names if name.partition(".")[0] in _DANGEROUS]
    named = (dangerous or names)[0]
    start = f"{where} was refused: its pickle refers to {named}, which weights do not need"
    if dangerous:
        raise UnsafeWeights(
            f"{start} and which could run code; load it elsewhere only if you trust its author"
        )
    raise UnsafeWeights(
        f"{start}. If you trust its author, save the weights alone: {_line(content, where, is_torch)}"
    )


def _line(content: Any, where: str, is_torch: bool) -> str:
    """A line of Python that runs the pickle and saves its weights."""
    before, behind = _weights_in(content)
    file = ascii(where) if len(where) < _MAX_NAME else "FILE"
    if is_torch:
        loaded = f"torch.load({file}, map_location='cpu', weights_only=False)"
        return f"import torch; torch.save({before}{loaded}{behind}, 'weights.pt')"
    loaded = f"pickle.load(open({file}, 'rb'))"
    return f"import pickle, torch; torch.save({before}{loaded}{behind}, 'weights.pt')"


def _weights_in(content: Any) -> tuple[str, str]:
    """What stands before and behind the content in Python to get from it to the weights."""
    if isinstance(content, UnknownObject):
        return _weights_of(content, "")
    if isinstance(content, dict):
        for key in _KNOWN_WRAPPERS:
            value = content.get(key)
            if isinstance(value, dict):
                return "", f"['{key}']"
            if isinstance(value, UnknownObject):
                return _weights_of(value, f"['{key}']")
        for key, value in content.items():
            if isinstance(value, dict) and len(value) > 1 and isinstance(key, str) and "optim" not in key:
                return "", f"[{shown_name(key)!r}]"
    return "", ""


def _weights_of(found: UnknownObject, at: str) -> tuple[str, str]:
    """As `_weights_in`, of a module, or of a dict of a class of its own."""
    return ("dict(", f"{at})") if found.is_dict else ("", f"{at}.state_dict()")
