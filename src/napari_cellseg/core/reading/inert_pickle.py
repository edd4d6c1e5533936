"""Pickled data as inert parts: nothing is imported, called or built, whatever the pickle asks for.

Python's own ``pickle`` does what a file tells it to. Here the instructions, which the standard
library's ``pickletools`` decodes, are carried out on lists, dicts, numbers and text alone; what
would be a call stays a note of what was to be called. Of the protocols that ``numpy.save`` has
written with (2 to 4, and 5) those instructions are known that arrays, numbers, text, lists,
tuples and dicts need.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

MOST_PARTS = 5_000_000
"""Instructions of one pickle; a file of 100,000 objects needs about a million."""

T = TypeVar("T")


@dataclass(frozen=True)
class Name:
    """Something that the pickle would import, such as ``"numpy.dtype"``."""

    text: str


@dataclass(frozen=True)
class Bytes:
    """Where bytes lie in the file; they are not kept."""

    start: int
    length: int


@dataclass(eq=False)
class Call:
    """What would be the result of calling something, and the state that it would be given."""

    name: Name
    arguments: tuple[Any, ...]
    state: Any = None


def read_pickle(file: BinaryIO, allowed: Collection[str]) -> Any:
    """Return what is pickled at the place that a file is read from.

    Parameters
    ----------
    file
        Open for reading, and seekable.
    allowed
        Names, with their modules, that may occur.

    Returns
    -------
    None, a number, text, `Bytes`, `Name`, `Call`, or a list, tuple or dict of such.

    Raises
    ------
    ValueError
        If the pickle is damaged, too long, or holds something else.
    OSError
        If the file cannot be read.
    """
    machine = _Machine(allowed)
    stream: Any = _Stream(file)
    try:
        for number, (code, argument, _) in enumerate(pickletools.genops(stream)):
            if code.name == "STOP":
                return machine.pop()
            if number > MOST_PARTS:
                raise ValueError("it has too many parts")
            if isinstance(argument, bytes | bytearray):
                argument = Bytes(stream.tell() - len(argument), len(argument))
            machine.obey(code.name, argument)
    except (IndexError, KeyError) as error:  # nothing there to take
        raise ValueError("it is damaged") from error
    raise ValueError("it is damaged")


class _Stream:
    """A file that is asked for no more than it has: a lie about a length costs no memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int) -> bytes:
        return self._file.read(max(0, min(count, self._size - self._file.tell())))


class _Machine:
    """The stack machine that a pickle is a program for, without any way out."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._containers: dict[str, Callable[[], None]] = {
            "MARK": self._mark,
            "TUPLE": lambda: self._push(tuple(self._to_mark())),
            "TUPLE1": lambda: self._push(tuple(self._last(1))),
            "TUPLE2": lambda: self._push(tuple(self._last(2))),
            "TUPLE3": lambda: self._push(tuple(self._last(3))),
            "EMPTY_TUPLE": lambda: self._push(()),
            "EMPTY_LIST": lambda: self._push([]),
            "EMPTY_DICT": lambda: self._push({}),
            "APPEND": lambda: self._append(self._last(1)),
            "APPENDS": lambda: self._append(self._to_mark()),
            "SETITEM": lambda: self._set(self._last(2)),
            "SETITEMS": lambda: self._set(self._to_mark()),
            "STACK_GLOBAL": lambda: self._name(self.pop(str), self.pop(str)),
            "REDUCE": self._call,
            "BUILD": self._build,
            "MEMOIZE": lambda: self._remember(len(self._memo)),
            "NONE": lambda: self._push(None),
            "NEWTRUE": lambda: self._push(True),
            "NEWFALSE": lambda: self._push(False),
        }

    def obey(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction."""
        if instruction in _VALUES:
            self._push(argument)
        elif instruction in self._containers:
            self._containers[instruction]()
        elif instruction in ("BINPUT", "LONG_BINPUT"):
            self._remember(argument)
        elif instruction in ("BINGET", "LONG_BINGET"):
            self._push(self._memo[argument])
        elif instruction == "GLOBAL":
            module, _, name = argument.partition(" ")
            self._name(name, module)
        elif instruction not in ("PROTO", "FRAME"):
            raise ValueError("it holds Python objects other than arrays, numbers and text")

    def pop(self, kind: type[T] | type[object] = object) -> Any:
        """Take the last value, which must be of a kind."""
        return _of_kind(self._stack.pop(), kind)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marked.pop()
        return items

    def _last(self, count: int) -> list[Any]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _append(self, items: list[Any]) -> None:
        _of_kind(self._stack[-1], list).extend(items)

    def _set(self, items: list[Any]) -> None:
        # Only text can be asked for later; anything else might not be hashable.
        pairs = zip(items[::2], items[1::2], strict=True)
        target = _of_kind(self._stack[-1], dict)
        target.update({key: value for key, value in pairs if isinstance(key, str)})

    def _remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def _name(self, name: str, module: str) -> None:
        full = f"{module}.{name}"
        if full not in self._allowed:
            raise ValueError(f"it asks for '{full[:80]}', which may be foreign code")
        self._push(Name(full))

    def _call(self) -> None:
        arguments = self.pop(tuple)
        self._push(Call(self.pop(Name), arguments))

    def _build(self) -> None:
        state = self.pop()
        _of_kind(self._stack[-1], Call).state = state


_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 "
    "SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8".split()
)


def _of_kind(value: Any, kind: type[T] | type[object]) -> Any:
    if not isinstance(value, kind):
        raise ValueError("it is damaged")
    return value
