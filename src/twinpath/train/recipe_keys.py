"""Keys of a recipe by name: settings in text, and which key a misspelt one may be. No torch.

parse_setting("schedule.epochs=30", sections)    # (("schedule", "epochs"), 30)
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from typing import get_args, get_origin

from twinpath.errors import ConfigError
from twinpath.train.sections import Section

NAME = "name"  # the key that is in no section
NONE = "none"  # in a file: the value of a key that is None by default, since TOML has no word for it

_LONGEST = 100  # characters of a key that are compared: it may be any text

Sections = Mapping[str, type[Section]]
KeyPath = tuple[str, ...]  # section and key


def parse_setting(text: str, sections: Sections) -> tuple[KeyPath, object]:
    """Read "section.key=value".

    Args:
        text: The value is one of TOML, or a bare word, which is text. The section may be left out where only
            one has the key.
        sections: Of a recipe, by name.
    Raises:
        ConfigError: No "=", no such key, several of that name, or no value.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{text!r} is no setting; write section.key=value")
    path = _path(name.strip(), sections)
    return path, _value(value.strip(), ".".join(path))


def _path(name: str, sections: Sections) -> KeyPath:
    if name == NAME:
        return (NAME,)
    section, dot, key = name.partition(".")
    if dot:
        if section not in sections or key not in sections[section].model_fields:
            raise ConfigError(unknown_key((section, key), sections))
        return section, key
    owners = [owner for owner, fields in sections.items() if name in fields.model_fields]
    if len(owners) > 1:
        choice = " or ".join(f"{owner}.{name}" for owner in owners)
        raise ConfigError(f"the key {name!r} is in several sections; write {choice}")
    if not owners and name in sections:
        raise ConfigError(f"{name!r} is a section; its keys are {', '.join(sections[name].model_fields)}")
    if not owners:
        raise ConfigError(unknown_key((name,), sections))
    return owners[0], name


def _value(text: str, name: str) -> object:
    """A value of TOML; a bare word is text."""
    try:
        values = tomllib.loads(f"value = {text}") if "\n" not in text else {}
    except (ValueError, RecursionError):
        if not text or text[0] in "\"'[{":
            raise ConfigError(f"{name}: {text!r} is no value of TOML; texts in lists have quotes") from None
        return text
    if len(values) != 1:
        raise ConfigError(f"{name}: {text!r} is no value of TOML")
    return values["value"]


def unknown_key(path: KeyPath, sections: Sections) -> str:
    """The message for a key or a section that does not exist, with the most similar one."""
    return f"unknown key {'.'.join(path)!r}; did you mean {_nearest(path, sections)!r}?"


def _nearest(path: KeyPath, sections: Sections) -> str:
    """The full name of the most similar key; of equals, one of the section or one that recipes must have."""
    path = tuple(part[:_LONGEST] for part in path)
    near = difflib.get_close_matches(path[0], sections, n=1)
    section = near[0] if near and len(path) > 1 else ""

    def similarity(candidate: str) -> float:
        owner, _, key = candidate.rpartition(".")
        ratio = difflib.SequenceMatcher(None, path[-1], key).ratio()
        required = owner != "" and sections[owner].model_fields[key].is_required()
        return ratio + 0.2 * (owner == section != "") + 0.05 * required

    top = [NAME, "base", *sections] if len(path) == 1 else []
    return max([*top, *_all_keys(sections)], key=similarity)


def _all_keys(sections: Sections) -> Iterator[str]:
    for name, section in sections.items():
        yield from (f"{name}.{key}" for key in section.model_fields)


def as_declared(section: type[Section], values: Mapping[str, object]) -> dict[str, object]:
    """Values of a section in the shape of its fields: "none" is None, and a single value a list of one."""
    return {key: _as_declared(section, key, value) for key, value in values.items()}


def _as_declared(section: type[Section], key: str, value: object) -> object:
    field = section.model_fields.get(key)
    if field is None:
        return value
    if value == NONE and field.default is None:
        return None
    arguments = get_args(field.annotation)
    is_list = get_origin(field.annotation) is tuple and arguments[-1:] == (Ellipsis,)
    return [value] if is_list and not isinstance(value, list | tuple) else value
