"""Writing pickles of builtin values.

The lowest protocol that has the opcodes is used: 2 for most values, which every Python since 2.3 reads; 3 where there
are bytes or complex numbers; 4 where there are sets. In protocols before 4 a set is a call of a global, and readers
that rightly refuse every global could not read it. Only complex numbers have no other form in any protocol.

`WRITERS` has a row for every type. Texts, bytes and containers are written once and referred to then, so shared parts
stay shared, and values that contain themselves come to an end.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from anyplug.codec.pickle_machine import INTEGER_BITS
from anyplug.codec.where import where_not
from anyplug.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyplug.limits import Limits

__all__ = ["WRITERS", "write_pickle"]

SIZE_MAX: Final = INTEGER_BITS // 8
"""The largest integer, bytes."""

KNOWN: Final = "None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset"


def write_pickle(value: object, *, limits: Limits) -> bytes:
    """The pickle of a value of exactly the builtin types, not of subclasses.

    Raises:
        EncodeError: it holds something else, an integer of more than 4,299 digits or half of a surrogate pair, or nests
            deeper than the limit; says where.
    """
    writer = _Writer(limits.nesting)
    try:
        writer.write(value, 0)
    except (_UnwritableError, UnicodeEncodeError, RecursionError) as error:
        fault = where_not(value, _refuse, _refuse_key, limit=limits.nesting, exact=True)
        raise EncodeError("pickled", str(fault or error)) from error
    return b"\x80" + bytes([writer.protocol]) + writer.out + b"."


class _UnwritableError(Exception):
    """A part that cannot be written: it is looked for only then."""


class _Writer:
    """One pickle being written."""

    __slots__ = ("depth_max", "memo", "out", "protocol")

    def __init__(self, depth_max: int) -> None:
        self.depth_max = depth_max
        self.memo: dict[int, int] = {}
        """id of a part -> its index in the memo of the reader. All parts live as long as the value does."""
        self.out = bytearray()
        self.protocol = 2

    def write(self, value: object, depth: int) -> None:
        """Write a part that lies in `depth` containers."""
        write = WRITERS.get(type(value))
        if write is None:
            raise _UnwritableError("of no known type")
        write(self, value, depth)

    def need(self, protocol: int) -> None:
        """An opcode of this protocol is used."""
        self.protocol = max(self.protocol, protocol)

    def refer(self, value: object) -> bool:
        """Write a reference to a part that has been written; False if it has not been."""
        index = self.memo.get(id(value))
        if index is None:
            return False
        self.out += b"h" + bytes([index]) if index < 256 else b"j" + index.to_bytes(4, "little")
        return True

    def remember(self, value: object) -> None:
        """Let the reader keep the part just written, to be referred to."""
        index = self.memo[id(value)] = len(self.memo)
        self.out += b"q" + bytes([index]) if index < 256 else b"r" + index.to_bytes(4, "little")

    def items(self, values: Iterable[object], depth: int) -> None:
        """Write the items of a container that lies in `depth` containers."""
        if depth >= self.depth_max:
            raise _UnwritableError("nested too deep")
        for value in values:
            self.write(value, depth + 1)

    def batch(self, values: Iterable[object], depth: int, *, add: bytes, empty: bool) -> None:
        """Write the items of a container and the opcode that adds them all to it."""
        self.out += b"" if empty else b"("
        self.items(values, depth)
        self.out += b"" if empty else add


def _none(writer: _Writer, _value: None, _depth: int) -> None:
    writer.out += b"N"


def _bool(writer: _Writer, value: bool, _depth: int) -> None:
    writer.out += b"\x88" if value else b"\x89"


def _int(writer: _Writer, value: int, _depth: int) -> None:
    if 0 <= value < 1 << 8:
        writer.out += b"K" + value.to_bytes(1, "little")
    elif 0 <= value < 1 << 16:
        writer.out += b"M" + value.to_bytes(2, "little")
    elif -1 << 31 <= value < 1 << 31:
        writer.out += b"J" + value.to_bytes(4, "little", signed=True)
    else:
        _long(writer, value)


def _long(writer: _Writer, value: int) -> None:
    size = _size(value)
    if size > SIZE_MAX:
        raise _UnwritableError("too large")
    data = value.to_bytes(size, "little", signed=True)
    writer.out += (b"\x8a" + bytes([size]) if size < 256 else b"\x8b" + size.to_bytes(4, "little")) + data


def _size(value: int) -> int:
    """The bytes of an integer with its sign."""
    return (value if value >= 0 else ~value).bit_length() // 8 + 1


def _float(writer: _Writer, value: float, _depth: int) -> None:
    writer.out += b"G" + struct.pack(">d", value)


def _complex(writer: _Writer, value: complex, _depth: int) -> None:
    writer.need(3)
    writer.out += b"cbuiltins\ncomplex\nG" + struct.pack(">d", value.real)
    writer.out += b"G" + struct.pack(">d", value.imag) + b"\x86R"


def _str(writer: _Writer, value: str, _depth: int) -> None:
    if not writer.refer(value):
        data = value.encode()
        writer.out += b"X" + len(data).to_bytes(4, "little") + data
        writer.remember(value)


def _bytes(writer: _Writer, value: bytes, _depth: int) -> None:
    if not writer.refer(value):
        writer.need(3)
        size = len(value)
        writer.out += b"C" + bytes([size]) if size < 256 else b"B" + size.to_bytes(4, "little")
        writer.out += value
        writer.remember(value)


def _list(writer: _Writer, value: list[object], depth: int) -> None:
    if not writer.refer(value):
        writer.out += b"]"
        writer.remember(value)
        writer.batch(value, depth, add=b"e", empty=not value)


def _dict(writer: _Writer, value: dict[object, object], depth: int) -> None:
    if not writer.refer(value):
        writer.out += b"}"
        writer.remember(value)
        writer.batch(chain.from_iterable(value.items()), depth, add=b"u", empty=not value)


def _set(writer: _Writer, value: set[object], depth: int) -> None:
    if not writer.refer(value):
        writer.need(4)
        writer.out += b"\x8f"
        writer.remember(value)
        writer.batch(value, depth, add=b"\x90", empty=not value)


def _frozenset(writer: _Writer, value: frozenset[object], depth: int) -> None:
    if not writer.refer(value):
        writer.need(4)
        writer.batch(value, depth, add=b"\x91", empty=False)
        writer.remember(value)


def _tuple(writer: _Writer, value: tuple[object, ...], depth: int) -> None:
    if writer.refer(value):
        return
    small = len(value) <= 3
    writer.out += b"" if small else b"("
    writer.items(value, depth)
    if not value:
        writer.out += b")"
    elif id(value) in writer.memo:
        # One of its items contains this very tuple, and has written it meanwhile. Drop the items, take that one.
        writer.out += b"0" * len(value) if small else b"1"
        writer.refer(value)
    else:
        writer.out += _TUPLES[len(value)] if small else b"t"
        writer.remember(value)


_TUPLES: Final = (b")", b"\x85", b"\x86", b"\x87")

WRITERS: Final[dict[type, Callable[[_Writer, Any, int], None]]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: _str,
    bytes: _bytes,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
}
"""Type -> what writes a value of exactly that type."""


def _refuse(part: object) -> str | None:
    """Why a part that is no container cannot be written, or None."""
    if type(part) not in WRITERS:
        return f"a pickle of plain data holds only {KNOWN}"
    if isinstance(part, int) and _size(part) > SIZE_MAX:
        return "it has more than 4,299 digits, more than Python reads"
    if isinstance(part, str):
        try:
            part.encode()
        except UnicodeEncodeError as error:
            return f"it holds half of a surrogate pair at index {error.start}, which UTF-8 has no form for"
    return None


def _refuse_key(key: object) -> str | None:
    """Why a key cannot be written, or None. Tuples as keys are containers."""
    fault = where_not(key, _refuse, _refuse_key, limit=INTEGER_BITS, exact=True)
    return fault and fault.reason
