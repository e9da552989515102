"""A configuration of PySlowFast as flat settings: {"SOLVER.BASE_LR": 0.1}. No torch.

PySlowFast reads YAML, then tries every text as a literal of Python: YAML alone has a text in `1e-4` and in
`(2, 16, 16)`. Of a key that stands twice, the last one counts; it is named here, since that is rarely meant.
Source: fvcore's and yacs's CfgNode.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from twinpath.errors import ConfigError
from twinpath.escapes import shown
from twinpath.formats.text_columns import decode_text

BASE = "_BASE_"  # the key for other files, whose settings come first
_MOST_BYTES = 10**5  # the public ones have less than a tenth of it
_DEEPEST = 50  # of lists in lists: the parser's time grows with the square
_MOST_LITERAL = 10**4  # characters


@dataclass(frozen=True)
class FlatSettings:
    """What a file sets.

    Attributes:
        values: By full name, "SOLVER.BASE_LR".
        notes: One line for each key that stands twice, with its line.
    """

    values: dict[str, object]
    notes: tuple[str, ...] = ()


def read_yaml(path: Path) -> FlatSettings:
    """Read a file and those that it is based on.

    Raises:
        ConfigError: A file that does not exist, is no UTF-8, no YAML, no mapping, has aliases, or is based on
            itself; names the file and the line.
    """
    return _read(path, ())


def parse_pairs(words: Sequence[str]) -> dict[str, object]:
    """Settings of a command: KEY VALUE KEY VALUE …

    Raises:
        ConfigError: A key without a value.
    """
    if len(words) % 2:
        raise ConfigError(f"settings are pairs of KEY and VALUE; {words[-1]!r} has no value")
    return {key: _literal(value) for key, value in zip(words[::2], words[1::2], strict=True)}


def _read(path: Path, before: tuple[Path, ...]) -> FlatSettings:
    if path.resolve() in before:
        raise ConfigError(f"{path}: {BASE}: the file is based on itself")
    tree = _tree(path)
    values: dict[str, object] = {}
    notes: list[str] = []
    own: dict[str, object] = {}
    _flatten(tree, "", own, notes, path)
    bases = own.pop(BASE, None) or []
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: {BASE}: {base!r} is no name of a file")
        other = _read(path.parent / Path(base).expanduser(), (*before, path.resolve()))
        values.update(other.values)
        notes.extend(other.notes)
    return FlatSettings({**values, **own}, tuple(notes))


def _tree(path: Path) -> yaml.MappingNode:
    """The file as nodes of YAML, which know their lines."""
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path}: no configuration has {len(content)} bytes")
        text = decode_text(content)
        if _depth(text) > _DEEPEST:
            raise ConfigError(f"{path}: not valid YAML: nested too deeply")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{path}: aliases (*name) are not read; write the values out")
        tree = yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {shown(str(error.problem))}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {shown(str(error))}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid YAML: nested too deeply") from error
    if not isinstance(tree, yaml.MappingNode):
        raise ConfigError(f"{path}: not a configuration of PySlowFast: it has no keys")
    return tree


def _depth(text: str) -> int:
    """How many brackets are open at most."""
    steps = (1 if character in "[{" else -1 for character in text if character in "[]{}")
    return max(accumulate(steps), default=0)


def _flatten(
    tree: yaml.MappingNode, prefix: str, values: dict[str, object], notes: list[str], path: Path
) -> None:
    """Collect the keys of a mapping and of those in it; of what stands twice the last, with a note."""
    seen: set[str] = set()
    for key_node, node in tree.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
            raise ConfigError(f"{path}, line {line}: a key is a word")
        name = prefix + key_node.value
        if name in seen:
            notes.append(f"{path.name}, line {line}: {name} stands twice; this one counts")
            for earlier in [key for key in values if key == name or key.startswith(name + ".")]:
                del values[earlier]  # a section that stands twice replaces the first one as a whole
        if isinstance(node, yaml.MappingNode):
            _flatten(node, name + ".", values, notes, path)
        else:
            try:
                values[name] = _with_literals(yaml.SafeLoader("").construct_object(node, deep=True))
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                raise ConfigError(f"{path}, line {line}: {name}: no value of YAML") from error
        seen.add(name)


def _with_literals(value: Any) -> object:
    """A value whose texts, those in lists included, are read as literals of Python."""
    if isinstance(value, list):
        return [_with_literals(item) for item in value]
    return _literal(value) if isinstance(value, str) else value


def _literal(text: str) -> object:
    """The value of a literal of Python; of other texts, the text."""
    if len(text) > _MOST_LITERAL:
        return text
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str | tuple | list | None) else text
