"""Every key of PySlowFast's configurations, its default, and what becomes of it here. No torch.

The table is keys.csv. A key's fate is one of:
    recipe   it becomes the settings that the last column names
    network  it decides which network it is
    ignored  for the reason in the last column; a value other than the default is noted
    refused  for the reason in the last column, where the value is not the default
Source: PySlowFast, config/defaults.py, for names and defaults; the directories that are its own are empty.
"""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from twinpath.errors import ConfigError
from twinpath.escapes import shown
from twinpath.suggest import nearest_name

_LONGEST = 100  # characters of a key that are compared: it may be any text

Fate = Literal["recipe", "network", "ignored", "refused"]


@dataclass(frozen=True)
class ConfigKey:
    """A key of PySlowFast.

    Attributes:
        name: "SOLVER.BASE_LR".
        default: Its value where a file does not set it.
        fate: What becomes of it.
        becomes_or_why: Our keys, or the reason.
    """

    name: str
    default: Any
    fate: Fate
    becomes_or_why: str


@cache
def config_keys() -> dict[str, ConfigKey]:
    """All keys by name."""
    text = (resources.files("twinpath.train.pyslowfast") / "keys.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    keys = (
        ConfigKey(row["key"], _default(row["default"]), row["fate"], row["becomes_or_why"])  # type: ignore[arg-type]
        for row in rows
    )
    return {key.name: key for key in keys}


def _default(text: str) -> Any:
    return float(text.strip('"')) if text.strip('"') in ("inf", "-inf") else ast.literal_eval(text)


def completed(given: Mapping[str, object], origin: str) -> dict[str, Any]:
    """All settings: those that are given, in the type of their defaults, and the defaults of the others.

    Raises:
        ConfigError: An unknown key, with the nearest one; a value of another type than the default's.
    """
    keys = config_keys()
    values = {name: key.default for name, key in keys.items()}
    for name, value in given.items():
        if name in keys:
            values[name] = _in_type_of(keys[name], value, origin)
        elif not any(key.startswith(name + ".") for key in keys):
            near = _nearest(name[:_LONGEST], keys)
            raise ConfigError(f"{origin}: unknown key {shown(name)}; did you mean {near}?")
        elif value is not None:  # else it is empty
            raise ConfigError(f"{origin}: {name} is a section, and has keys of its own")
    return values


def _nearest(name: str, keys: Mapping[str, ConfigKey]) -> str | None:
    """The most similar key; of the same section, if that exists."""
    section = name.rpartition(".")[0]
    among = [key for key in keys if key.rpartition(".")[0] == section] or list(keys)
    return nearest_name(name, among, cutoff=0.0)


def _in_type_of(key: ConfigKey, value: Any, origin: str) -> Any:
    """A value as PySlowFast takes it: lists and tuples are one, None replaces texts and lists.

    Better than there: a whole number is a value of a real one, too; and None is no number where it counts.
    """
    default = key.default
    if value is None and key.fate == "ignored":
        return None
    if isinstance(default, str):
        return "" if value is None else str(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple | None):
        return type(default)(value or ())
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if default is None or type(value) is type(default):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{origin}: {key.name}: {value} is no finite number")
        return value
    raise ConfigError(f"{origin}: {key.name} = {shown(repr(value))}: it is of type {type(default).__name__}")


def is_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers."""
    return isinstance(value, list | tuple) and all(type(number) in (int, float) for number in value)


def check_refused(values: Mapping[str, Any], origin: str) -> None:
    """Raises ConfigError for the first key whose value cannot be had here, with the reason."""
    for key in config_keys().values():
        if key.fate == "refused" and not _equal(values[key.name], key.default):
            raise ConfigError(f"{origin}: {key.name} = {shown(repr(values[key.name]))}: {key.becomes_or_why}")


def notes_on_ignored(values: Mapping[str, Any]) -> list[str]:
    """The keys that do nothing here though their values are not the defaults: a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for key in config_keys().values():
        if key.fate == "ignored" and not _equal(values[key.name], key.default):
            by_reason.setdefault(key.becomes_or_why, []).append(key.name)
    return [f"{', '.join(names)}: ignored, {reason}" for reason, names in by_reason.items()]


def _equal(value: Any, default: Any) -> bool:
    """Whether two values are the same, None and empty ones being one, and lists and tuples."""
    if isinstance(default, str | list | tuple | None) and not value and not default:
        return True
    return bool(_as_tuple(value) == _as_tuple(default))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value
