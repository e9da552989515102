"""Read a pickle as data: a machine for its instructions that calls nothing which the pickle names.

A pickle is a program. Those of weight files need few instructions and few names. This machine knows what
these few names stand for by a table of stand-ins that the caller gives; whatever else a pickle names becomes
a `UnknownObject` object, which holds nothing and does nothing. Every length is checked before anything is
allocated, and the number of instructions is limited, so that a file of some bytes cannot take the memory or
the day.
"""

from __future__ import annotations

import codecs
import mmap
import struct
from collections.abc import Callable, Mapping
from typing import Any

from twinpath.errors import DamagedWeights, UnsafeWeights
from twinpath.escapes import shown

Buffer = bytes | bytearray | mmap.mmap

MAX_INSTRUCTIONS = 2_000_000  # a checkpoint of the largest network with its optimizer needs 200,000
_MAX_NUMBER_BYTES = 64
_MAX_NAME_BYTES = 256
_MAX_INT_KEY = (1 << 61) - 1  # beyond it numbers share their hash
_MAX_MEMO = 1 << 32
_SHOWN = 80
_SHORT_TEXT = 1 << 10  # longer text of Python 2 is the content of an array, and stays bytes


class Malformed(Exception):
    """The pickle is no valid one, or holds what weights never hold. Says what."""


class UnknownObject:
    """Stands for a class that no weights need, or an object of it.

    Attributes:
        name: Of the class, with its module.
        is_dict: Whether the pickle puts entries into the object, as into a dict.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dict = False


class Known:
    """Stands for a name that weights need.

    Attributes:
        make: Called with the pickle's arguments where the pickle calls the name.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class Stateful:
    """A stand-in that a pickle's BUILD may set."""

    def set_state(self, state: Any) -> None:
        """Raises: Malformed, TypeError, ValueError: Not a state of it."""
        raise NotImplementedError


_NEW_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # of Python 2, in protocols up to 2


class _Mark:
    pass


_MARK = _Mark()
_ATOMS = (str, bytes, int, float, bool, type(None))
_WRONG = (Malformed, ArithmeticError, LookupError, TypeError, ValueError, struct.error)


def shown_name(text: object) -> str:
    """A name out of a file, as it goes into a message; of what is no text its type."""
    return shown(text, _SHOWN) if isinstance(text, str) else f"a {type(text).__name__}"


class PickleMachine:
    """Reads one pickle after another from a buffer.

    Args:
        data: The whole file, or a part of it.
        where: Name of the file in errors.
        known: Stand-ins by "module.name".
        persistent: Called with a persistent id; None: there are none.
        start, stop: Where the pickles lie in `data`, in bytes.
    Attributes:
        position: Behind the last pickle that was read.
        foreign: Names in the pickles that are not in `known`, in order, once each.
    """

    def __init__(
        self,
        data: Buffer,
        *,
        where: str,
        known: Mapping[str, Known],
        persistent: Callable[[Any], Any] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> None:
        self._data, self._view = data, memoryview(data)
        self._stop = len(data) if stop is None else stop
        self._where, self._known, self._persistent = where, known, persistent
        self.position = start
        self.foreign: dict[str, None] = {}
        self._count = 0

    def load(self) -> Any:
        """The next pickle's content: numbers, text, lists, tuples, dicts, stand-ins, `UnknownObject`s.

        Raises:
            DamagedWeights: Cut short, or no valid pickle.
            UnsafeWeights: More instructions than any weights need, or objects outside of the file.
        """
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        try:
            while True:
                self._count += 1
                if self._count > MAX_INSTRUCTIONS:
                    raise UnsafeWeights(
                        f"{self._where} was refused: its pickle has more than "
                        f"{MAX_INSTRUCTIONS:,} instructions"
                    )
                code = self._take(1)[0]
                if code == _STOP:
                    return self._pop()
                instruction = _INSTRUCTIONS.get(code)
                if instruction is None:
                    raise Malformed(f"there is no instruction {code:#04x}")
                instruction(self)
        except (*_WRONG, MemoryError, RecursionError) as error:
            reason = shown_name(str(error)) if isinstance(error, Malformed) else type(error).__name__
            raise DamagedWeights(
                f"{self._where} is damaged or cut short (its pickle ends with: {reason})"
            ) from error

    # what instructions are made of

    def _take(self, size: int) -> memoryview:
        end = self.position + size
        if size < 0 or end > self._stop:
            raise Malformed("it is cut short")
        taken = self._view[self.position : end]
        self.position = end
        return taken

    def _number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _line(self, most: int | None = _MAX_NAME_BYTES) -> bytes:
        end = self._data.find(b"\n", self.position, self._stop)
        if end < 0 or (most is not None and end - self.position > most):
            raise Malformed("a line without an end")
        return bytes(self._take(end + 1 - self.position)[:-1])

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise Malformed("its stack is empty")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise Malformed("its stack is empty")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        stack = self._stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _MARK:
                items = stack[i + 1 :]
                del stack[i:]
                return items
        raise Malformed("a mark is missing")

    # instructions

    def _skip(self, size: int) -> None:
        self._take(size)

    def _int_line(self) -> None:
        line = self._line(_MAX_NUMBER_BYTES).decode("ascii").strip()
        self._push({"00": False, "01": True}[line] if line in ("00", "01") else int(line.rstrip("L"), 0))

    def _long(self, size_bytes: int) -> None:
        size = self._number(size_bytes)
        if size > _MAX_NUMBER_BYTES:
            raise Malformed(f"a number of {size} bytes")
        self._push(self._number(size, signed=True))

    def _bytes(self, size_bytes: int) -> None:
        taken = self._take(self._number(size_bytes))
        self._push(taken if len(taken) > _SHORT_TEXT else bytes(taken))

    def _old_text(self, size_bytes: int) -> None:
        """A str of Python 2: text, or the content of an array."""
        taken = self._take(self._number(size_bytes))
        self._push(taken if len(taken) > _SHORT_TEXT else str(taken, "latin1"))

    def _text(self, size_bytes: int) -> None:
        self._push(str(self._take(self._number(size_bytes)), "utf-8", "surrogatepass"))

    def _text_line(self) -> None:
        self._push(str(self._line(None), "raw-unicode-escape"))

    def _quoted_line(self) -> None:
        line = self._line(None).strip()
        if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b'"', b"'"):
            raise Malformed("text without quotes")
        self._push(codecs.escape_decode(line[1:-1])[0].decode("latin1"))

    def _tuple(self, size: int) -> None:
        if len(self._stack) < size or any(item is _MARK for item in self._stack[-size:]):
            raise Malformed("its stack is empty")
        items = tuple(self._stack[-size:])
        self._stack[-size:] = [items]

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, UnknownObject):
            raise Malformed("an item of what is no list")

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if isinstance(target, UnknownObject):
            target.is_dict = True
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise Malformed("an entry of what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def _dict(self) -> None:
        items = self._pop_to_mark()
        self._push({})
        self._set_items(items)

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Malformed("a name that is no text")
        full = f"{_NEW_MODULES.get(module, module)}.{name}"
        if len(full) > 2 * _MAX_NAME_BYTES:
            raise Malformed("a name without an end")
        if full not in self._known:
            full = shown_name(full)
            self.foreign[full] = None
            self._push(UnknownObject(full))
        else:
            self._push(self._known[full])

    def _call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, UnknownObject):
            self._push(UnknownObject(function.name))
            return
        if not isinstance(function, Known) or not isinstance(arguments, (tuple, list)):
            raise Malformed("a call of what is no function")
        self._push(function.make(*arguments))

    def _reduce(self) -> None:
        arguments = self._pop()
        self._call(self._pop(), arguments)

    def _new_with_names(self) -> None:
        self._pop()
        self._reduce()

    def _instance(self) -> None:
        items = self._pop_to_mark()
        self._global(str(self._line(), "ascii"), str(self._line(), "ascii"))
        self._call(self._pop(), items)

    def _object(self) -> None:
        items = self._pop_to_mark()
        self._call(items[0], items[1:])

    def _build(self) -> None:
        """Set the state of a stand-in. A dict's attributes (`_metadata` of state dicts) are not needed."""
        state, target = self._pop(), self._top()
        if isinstance(target, Stateful):
            target.set_state(state)
        elif not isinstance(target, (dict, UnknownObject)):
            raise Malformed("a state of what has none")

    def _remember(self, index: int) -> None:
        if not 0 <= index < _MAX_MEMO:
            raise Malformed("an impossible number of a memory")
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise Malformed(f"there is nothing at {index}")
        self._push(self._memo[index])

    def _persistent_id(self, pid: Any) -> None:
        if self._persistent is None:
            raise UnsafeWeights(f"{self._where} was refused: its pickle refers to objects outside of it")
        self._push(self._persistent(pid))

    def _extension(self, size: int) -> None:
        raise UnsafeWeights(f"{self._where} was refused: its pickle refers to extension {self._number(size)}")

    def _pop_or_mark(self) -> None:
        if not self._stack:
            raise Malformed("its stack is empty")
        self._stack.pop()

    def _drop_to_mark(self) -> None:
        self._pop_to_mark()

    def _stack_global(self) -> None:
        name = self._pop()
        self._global(self._pop(), name)


def checked_key(key: Any) -> Any:
    """A key of a dict, in a form that takes no time to hash and that no file can make collide.

    Raises:
        Malformed: It is anything else.
    """
    if isinstance(key, int) and not -_MAX_INT_KEY < key < _MAX_INT_KEY:
        return f"{key:#x}"
    if isinstance(key, (*_ATOMS, UnknownObject)):
        return key
    if isinstance(key, tuple) and len(key) <= 8 and all(isinstance(part, _ATOMS) for part in key):
        return repr(key)
    raise Malformed("a key that is no name")


_STOP = ord(".")
_I = PickleMachine
_INSTRUCTIONS: dict[int, Callable[[PickleMachine], None]] = {
    ord(code): instruction
    for code, instruction in {
        "\x80": lambda m: m._skip(1),  # PROTO
        "\x95": lambda m: m._skip(8),  # FRAME
        "(": lambda m: m._push(_MARK),
        "0": _I._pop_or_mark,
        "1": _I._drop_to_mark,
        "2": lambda m: m._push(m._top()),
        "N": lambda m: m._push(None),
        "\x88": lambda m: m._push(True),
        "\x89": lambda m: m._push(False),
        "I": _I._int_line,
        "L": _I._int_line,
        "J": lambda m: m._push(m._number(4, signed=True)),
        "K": lambda m: m._push(m._number(1)),
        "M": lambda m: m._push(m._number(2)),
        "\x8a": lambda m: m._long(1),
        "\x8b": lambda m: m._long(4),
        "F": lambda m: m._push(float(m._line(_MAX_NUMBER_BYTES))),
        "G": lambda m: m._push(struct.unpack(">d", m._take(8))[0]),
        "S": _I._quoted_line,
        "T": lambda m: m._old_text(4),
        "U": lambda m: m._old_text(1),
        "V": _I._text_line,
        "X": lambda m: m._text(4),
        "\x8c": lambda m: m._text(1),
        "\x8d": lambda m: m._text(8),
        "B": lambda m: m._bytes(4),
        "C": lambda m: m._bytes(1),
        "\x8e": lambda m: m._bytes(8),
        "\x96": lambda m: m._bytes(8),  # BYTEARRAY8
        "]": lambda m: m._push([]),
        "l": lambda m: m._push(m._pop_to_mark()),
        "a": lambda m: m._append([m._pop()]),
        "e": lambda m: m._append(m._pop_to_mark()),
        ")": lambda m: m._push(()),
        "t": lambda m: m._push(tuple(m._pop_to_mark())),
        "\x85": lambda m: m._tuple(1),
        "\x86": lambda m: m._tuple(2),
        "\x87": lambda m: m._tuple(3),
        "}": lambda m: m._push({}),
        "d": _I._dict,
        "s": lambda m: m._set_items([m._pop(), m._pop()][::-1]),
        "u": lambda m: m._set_items(m._pop_to_mark()),
        "\x8f": lambda m: m._push([]),  # a set: its items are never needed, so never hashed
        "\x90": lambda m: m._append(m._pop_to_mark()),
        "\x91": lambda m: m._push(m._pop_to_mark()),
        "c": lambda m: m._global(str(m._line(), "utf-8"), str(m._line(), "utf-8")),
        "\x93": _I._stack_global,
        "i": _I._instance,
        "o": _I._object,
        "R": _I._reduce,
        "\x81": _I._reduce,  # NEWOBJ
        "\x92": _I._new_with_names,
        "b": _I._build,
        "p": lambda m: m._remember(int(m._line(_MAX_NUMBER_BYTES))),
        "q": lambda m: m._remember(m._number(1)),
        "r": lambda m: m._remember(m._number(4)),
        "\x94": lambda m: m._remember(len(m._memo)),
        "g": lambda m: m._recall(int(m._line(_MAX_NUMBER_BYTES))),
        "h": lambda m: m._recall(m._number(1)),
        "j": lambda m: m._recall(m._number(4)),
        "P": lambda m: m._persistent_id(m._line()),
        "Q": lambda m: m._persistent_id(m._pop()),
        "\x82": lambda m: m._extension(1),
        "\x83": lambda m: m._extension(2),
        "\x84": lambda m: m._extension(4),
    }.items()
}
