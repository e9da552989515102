"""Ways to change text, JSON and NumPy's files where it hurts: values swapped, quotes, encodings, shapes."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

TextChange = Callable[[np.random.Generator, bytes, bytes], bytes]  # of a file, and another of its kind
Rng = np.random.Generator


class Raw(str):
    """Text that goes into JSON as it is."""

    __slots__ = ()


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NUMBERS = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e308",
        "1e-400",
        "-0.0",
        "0",
        "-1",
        "1",
        "2",
        "0.5",
    ),
    *(
        "1e3",
        "3.0",
        "1e18",
        "4294967296",
        "9223372036854775807",
        "18446744073709551616",
        "-9223372036854775809",
    ),
    *("1" + "0" * 400, "9" * 5000),
)
_TEXTS = (
    *('""', '" "', '"1"', '"NaN"', '"\\ud800"', '"\\u0000"', '"\\u001b[2J\\u001b]0;x\\u0007"', '"a\\nb"'),
    *(
        '"a\\u2028b"',
        '"../../../etc/passwd"',
        '"' + "A" * 100_000 + '"',
        '"😀é"',
        '"=cmd()"',
        '"e\\u0301\\u202e"',
    ),
)
_OTHERS = (
    *("null", "true", "false", "[]", "{}", "[[]]", "[null]", '{"a": 1}', "[1, 2]", "[NaN]"),
    *("[" * 300 + "]" * 300, "[" * 200_000 + "]" * 200_000, '{"a":' * 3000 + "1" + "}" * 3000),
)
HOSTILE_JSON = (*_NUMBERS, *_TEXTS, *_OTHERS)
HOSTILE_WORDS = (
    *(
        "NaN",
        "inf",
        "-inf",
        "1e999",
        "1e-999",
        "-1",
        "0",
        "-0",
        "1_000",
        "0x10",
        "+1",
        " 1 ",
        "1e3",
        "٣",
        "²",
    ),
    *("9" * 20, "9" * 400, "9" * 5000, "", " ", "\t", '"', '""', '"a', "'", "\\", "\0", "\x1b[2J", "\u2028"),
    *(
        "=cmd()",
        "-2+3",
        "#",
        "{",
        "}",
        "[",
        "]",
        "[[",
        "<a>",
        "&x;",
        ":",
        ",",
        ",,",
        ";",
        "\r",
        "\n",
        "\ufeff",
    ),
    *("é", "😀", "\ud800", "true", "null", "2020-01-01", "x" * 200_000, "\u202e", "%s%n", "$HOME", "../x"),
)


# JSON


def change_json(rng: Rng, data: bytes, other: bytes) -> bytes:
    """One to three values of a JSON text, or of lines of JSON, swapped for others."""
    lines = data.split(b"\n")
    try:
        document = json.loads(data)
        return _dump(_changed(rng, document)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        pass
    number = int(rng.integers(len(lines)))
    try:
        line = _dump(_changed(rng, json.loads(lines[number])))
    except (ValueError, RecursionError):
        return change_lines(rng, data, other)
    lines[number] = line.encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _changed(rng: Rng, document: Any) -> Any:
    for _ in range(int(rng.integers(1, 4))):
        document = _change_in(rng, document)
    return document


class _Pairs(list):  # type: ignore[type-arg]
    """An object whose keys may repeat."""


def _change_in(rng: Rng, value: Any) -> Any:
    """Go down to some place, and change what is there."""
    inner = len(value) if isinstance(value, dict | list) else 0
    if inner and rng.random() < 0.85:
        if isinstance(value, dict):
            key = list(value)[int(rng.integers(inner))]
            return {**value, key: _change_in(rng, value[key])}
        at = int(rng.integers(inner))
        entry = value[at]
        if isinstance(value, _Pairs):
            changed = (entry[0], _change_in(rng, entry[1]))
            return _Pairs([*value[:at], changed, *value[at + 1 :]])
        return [*value[:at], _change_in(rng, entry), *value[at + 1 :]]
    return _swapped(rng, value)


def _swapped(rng: Rng, value: Any) -> Any:
    chance = rng.random()
    if isinstance(value, dict) and value and chance < 0.7:
        key = list(value)[int(rng.integers(len(value)))]
        pairs = [(k, v) for k, v in value.items() if k != key]
        if chance < 0.25:
            return dict(pairs)
        new = key if chance < 0.5 else str(rng.choice(list(_LETTERS)))
        value_of_new = value[key] if rng.random() < 0.5 else Raw(rng.choice(HOSTILE_JSON))
        return _Pairs([*value.items(), (new, value_of_new)])
    if isinstance(value, list) and value and chance < 0.7 and not isinstance(value, _Pairs):
        at = int(rng.integers(len(value)))
        kept = [*value[:at], *value[at + 1 :]]
        if chance < 0.25:
            return kept
        return [*value, value[at]] if chance < 0.5 else [*kept[::-1], value[at]]
    if isinstance(value, int | float) and not isinstance(value, bool) and chance < 0.6:
        kinds: tuple[str, ...] = _NUMBERS
    elif isinstance(value, str) and not isinstance(value, Raw) and chance < 0.4:
        kinds = _TEXTS
    else:
        kinds = HOSTILE_JSON
    return Raw(kinds[int(rng.integers(len(kinds)))])


def _dump(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{json.dumps(k)}: {_dump(v)}" for k, v in value) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value)


# Lines, words and encodings


def change_words(rng: Rng, data: bytes, other: bytes) -> bytes:
    """Some words of a text, swapped for worse ones, doubled, removed, or taken from another file."""
    words = _words(data)
    others = _words(other)
    for _ in range(int(rng.integers(1, 4))):
        if not words:
            break
        at = int(rng.integers(len(words)))
        kind = rng.integers(6)
        if kind <= 2:
            words[at] = str(HOSTILE_WORDS[int(rng.integers(len(HOSTILE_WORDS)))])
        elif kind == 3:
            words[at] = words[at] * int(rng.integers(0, 3))
        elif kind == 4 and others:
            words[at] = others[int(rng.integers(len(others)))]
        else:
            second = int(rng.integers(len(words)))
            words[at], words[second] = words[second], words[at]
    return "".join(words).encode("utf-8", "surrogatepass")


def _words(data: bytes) -> list[str]:
    return re.findall(r"[\w.+-]+|\s+|.", data.decode("utf-8", "replace"), re.DOTALL)


def change_lines(rng: Rng, data: bytes, other: bytes) -> bytes:
    """Lines doubled, removed, swapped, joined, or taken from another file."""
    lines = data.split(b"\n")
    at, second = rng.integers(len(lines), size=2).tolist()
    foreign = other.split(b"\n")
    kind = int(rng.integers(6))
    if kind == 0:
        lines.insert(at, lines[second])
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at], lines[second] = lines[second], lines[at]
    elif kind == 3:
        lines.insert(at, foreign[int(rng.integers(len(foreign)))])
    elif kind == 4:
        lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    else:
        lines = lines[: at + 1] * int(rng.integers(1, 40))
    return b"\n".join(lines)


def change_encoding(rng: Rng, data: bytes, _: bytes) -> bytes:
    """Other encodings, line ends and wrappings of a whole file."""
    text = data.decode("utf-8", "replace")
    return (
        lambda: b"\xef\xbb\xbf" + data,
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-16-be"),
        lambda: text.encode("utf-32"),
        lambda: text.replace("e", "é").encode("latin-1", "replace"),
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: data.replace(b"\n", b"\r"),
        lambda: data.replace(b"\n", b"\0"),
        lambda: data + b"\x1a",
        lambda: data + b"\0" * 4096,
        lambda: gzip.compress(data, mtime=0),
        lambda: data.replace(b",", b";"),
        lambda: data.replace(b",", b"\t"),
        lambda: b"\n" * 1000 + data,
        lambda: b" " * 100_000 + data,
    )[int(rng.integers(15))]()


# NumPy's .npz


def change_npz(rng: Rng, data: bytes, _: bytes) -> bytes:
    """One array of an .npz file, or the facts in it, changed; or how it is packed."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    texts = [name for name, array in arrays.items() if array.shape == () and array.dtype.kind == "U"]
    if texts and rng.random() < 0.5:
        name = texts[int(rng.integers(len(texts)))]
        facts = change_json(rng, str(arrays[name]).encode(), b"{}").decode("utf-8", "replace")
        arrays[name] = np.asarray(facts[:20_000])
    else:
        name = list(arrays)[int(rng.integers(len(arrays)))]
        arrays[name] = _changed_array(rng, arrays[name])
    members = {f"{key}.npy": _npy(array) for key, array in arrays.items()}
    if rng.random() < 0.3:
        name = list(members)[int(rng.integers(len(members)))]
        members[name] = _changed_npy(rng, members[name])
    return _zipped(rng, members)


def _changed_array(rng: Rng, array: Any) -> Any:
    flat = np.array(array).reshape(-1)
    if array.dtype.kind == "f" and array.size and rng.random() < 0.5:
        flat[int(rng.integers(flat.size))] = rng.choice([np.nan, np.inf, -np.inf, -1.0, 1e30, 0.0])
        return flat.reshape(array.shape)
    if array.dtype.kind in "iu" and array.size and rng.random() < 0.5:
        flat[int(rng.integers(flat.size))] = rng.choice([-1, 0, 2**31, 2**62, -(2**62)])
        return flat.reshape(array.shape)
    return (
        lambda: array[:-1] if array.ndim else array[None],
        lambda: np.concatenate([array, array]) if array.ndim else array,
        lambda: array.reshape(-1),
        lambda: array[None],
        lambda: array.astype("U8"),
        lambda: array.astype("S8") if array.dtype.kind != "U" else np.char.encode(array, "utf-8"),
        lambda: np.zeros(array.shape, np.complex64),
        lambda: np.zeros(array.shape, np.float64),
        lambda: np.zeros(array.shape, ">i4"),
        lambda: np.zeros(array.shape, np.bool_),
        lambda: np.zeros(array.shape, "M8[s]"),
        lambda: np.zeros(array.shape, [("a", "i4"), ("b", "f8")]),
        lambda: np.zeros(0),
        lambda: array[::-1] if array.ndim else array,
        lambda: np.asfortranarray(array),
    )[int(rng.integers(15))]()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _changed_npy(rng: Rng, data: bytes) -> bytes:
    """The header of an array, which is Python in text."""
    swaps = (
        (rb"\(\d*,?[^)]*\)", b"(1000000000000,)"),
        (rb"\(\d*,?[^)]*\)", b"(-1,)"),
        (rb"\(\d*,?[^)]*\)", b"(1.5,)"),
        (rb"\(\d*,?[^)]*\)", b"(" * 90 + b")" * 90),
        (rb"'descr': '[^']*'", b"'descr': '|O'"),
        (rb"'descr': '[^']*'", b"'descr': '<U999999999'"),
        (rb"'descr': '[^']*'", b"'descr': 'xyz'"),
        (rb"'descr': '[^']*'", b"'descr': [('a', '<f8', (100000, 100000))]"),
        (rb"\{", b"[" * 50 + b"{"),
        (rb"False", b"__import__('os').system('true')"),
    )
    pattern, new = swaps[int(rng.integers(len(swaps)))]
    length = int.from_bytes(data[8:10], "little")
    header = re.sub(pattern, lambda _: new, data[10 : 10 + length].rstrip(), count=1) + b"\n"
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + length :]


def _zipped(rng: Rng, members: dict[str, bytes]) -> bytes:
    chance = rng.random()
    if chance < 0.1 and members:
        members.pop(list(members)[int(rng.integers(len(members)))])
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if 0.1 < chance < 0.25 else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in members.items():
            if 0.1 < chance < 0.2 and name.startswith("scores"):
                content = content + b"\0" * (64 << 20)
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
        if 0.25 < chance < 0.35:
            archive.writestr(zipfile.ZipInfo("../../evil"), b"x")
    return file.getvalue()
