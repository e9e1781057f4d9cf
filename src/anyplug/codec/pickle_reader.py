"""Reading pickles without running them: the opcodes that carry data, of protocols 0 to 5.

`TABLE` has a row for every opcode of the format: its name, and the function that reads or refuses it. There is no code
here that could import, call or set anything by name. The format is described in CPython's ``pickletools``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyplug.codec.pickle_calls as calls
import anyplug.codec.pickle_containers as containers
import anyplug.codec.pickle_scalars as scalars
from anyplug.codec.pickle_machine import Constructor, Machine, kind_name
from anyplug.errors import DecodeError

if TYPE_CHECKING:
    from anyplug.codec.pickle_machine import Reader
    from anyplug.limits import Limits

__all__ = ["PROTOCOL_MAX", "TABLE", "read_pickle"]

PROTOCOL_MAX: Final = 5
"""The newest protocol of pickles that is known."""

INDEX_MAX: Final = 20
"""Digits of an index of the memo written as text, a count."""


def read_pickle(body: bytes, *, limits: Limits) -> object:
    """The value in a pickle: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset.

    A part that is referred to several times is one object here as well. A value that contains itself is refused.

    Raises:
        DecodeError: anything else, or beyond a limit; names the opcode and its offset.
    """
    machine = Machine(body, limits)
    end = len(body)
    while machine.at < end:
        code = body[machine.at]
        machine.start = machine.at
        machine.at += 1
        machine.name, read = _ROWS[code]
        read(machine)
        if code == _STOP:
            return machine.top()
    raise DecodeError("pickled", f"the message ends at byte {end:,} without STOP")


def _stop(machine: Machine) -> None:
    value = machine.top()
    if len(machine.marks) > 1 or len(machine.stack) > 1:
        raise machine.fault(f"leaves {len(machine.stack) - 1:,} more values on the stack")
    if isinstance(value, Constructor):
        raise machine.fault(f"ends with {kind_name(value)}, which is no value")
    left = len(machine.body) - machine.at
    if left:
        raise machine.fault(f"is followed by {left:,} more bytes")


# The stack, the memo, and the frame around it all.


def _mark(machine: Machine) -> None:
    machine.mark()


def _pop(machine: Machine) -> None:
    if len(machine.marks) > 1 and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _pop_mark(machine: Machine) -> None:
    machine.pop_mark()


def _dup(machine: Machine) -> None:
    machine.push(machine.top())


def _put(width: int) -> Reader:
    def read(machine: Machine) -> None:
        machine.remember(machine.number(width))

    return read


def _get(width: int) -> Reader:
    def read(machine: Machine) -> None:
        machine.recall(machine.number(width))

    return read


def _text_put(machine: Machine) -> None:
    machine.remember(_index(machine))


def _text_get(machine: Machine) -> None:
    machine.recall(_index(machine))


def _index(machine: Machine) -> int:
    line = machine.line(INDEX_MAX)
    if not line.isdigit():
        raise machine.fault(f"holds {scalars.shown_line(line)}, which is no index")
    return int(line)


def _memoize(machine: Machine) -> None:
    machine.remember(len(machine.memo))


def _protocol(machine: Machine) -> None:
    version = machine.number(1)
    if machine.start:
        raise machine.fault("is not at the beginning")
    if version > PROTOCOL_MAX:
        raise machine.fault(f"states protocol {version}, the newest that is known is {PROTOCOL_MAX}")


def _frame(machine: Machine) -> None:
    size = machine.number(8)
    left = len(machine.body) - machine.at
    if size > left:
        raise machine.fault(f"states {size:,} bytes, {left:,} are left")


def _refused(why: str) -> Reader:
    def refuse(machine: Machine) -> None:
        raise machine.fault(why)

    return refuse


_NO_INSTANCE: Final = _refused("makes an instance of a class: code is never loaded from a message")
_NO_REGISTRY: Final = _refused("refers to a registered class: code is never loaded from a message")
_NO_OUTSIDE: Final = _refused("refers to an object that is not in the message")

TABLE: Final[dict[bytes, tuple[str, Reader]]] = {
    # Protocol 0 and 1.
    b"(": ("MARK", _mark),
    b".": ("STOP", _stop),
    b"0": ("POP", _pop),
    b"1": ("POP_MARK", _pop_mark),
    b"2": ("DUP", _dup),
    b"F": ("FLOAT", scalars.text_float),
    b"I": ("INT", scalars.text_integer),
    b"J": ("BININT", scalars.binary_integer(4, signed=True)),
    b"K": ("BININT1", scalars.binary_integer(1)),
    b"L": ("LONG", scalars.text_long),
    b"M": ("BININT2", scalars.binary_integer(2)),
    b"N": ("NONE", scalars.constant(None)),
    b"P": ("PERSID", _NO_OUTSIDE),
    b"Q": ("BINPERSID", _NO_OUTSIDE),
    b"R": ("REDUCE", calls.call_constructor),
    b"S": ("STRING", scalars.quoted_text),
    b"T": ("BINSTRING", scalars.old_text(4)),
    b"U": ("SHORT_BINSTRING", scalars.old_text(1)),
    b"V": ("UNICODE", scalars.escaped_text),
    b"X": ("BINUNICODE", scalars.text(4)),
    b"a": ("APPEND", containers.append),
    b"b": ("BUILD", _refused("sets attributes of an object: only data is read")),
    b"c": ("GLOBAL", calls.find_global),
    b"d": ("DICT", containers.make_dict),
    b"}": ("EMPTY_DICT", containers.empty_dict),
    b"e": ("APPENDS", containers.appends),
    b"g": ("GET", _text_get),
    b"h": ("BINGET", _get(1)),
    b"i": ("INST", calls.refuse_instance),
    b"j": ("LONG_BINGET", _get(4)),
    b"l": ("LIST", containers.make_list),
    b"]": ("EMPTY_LIST", containers.empty_list),
    b"o": ("OBJ", _NO_INSTANCE),
    b"p": ("PUT", _text_put),
    b"q": ("BINPUT", _put(1)),
    b"r": ("LONG_BINPUT", _put(4)),
    b"s": ("SETITEM", containers.set_item),
    b"t": ("TUPLE", containers.make_tuple),
    b")": ("EMPTY_TUPLE", containers.small_tuple(0)),
    b"u": ("SETITEMS", containers.set_items),
    b"G": ("BINFLOAT", scalars.binary_float),
    # Protocol 2.
    b"\x80": ("PROTO", _protocol),
    b"\x81": ("NEWOBJ", _NO_INSTANCE),
    b"\x82": ("EXT1", _NO_REGISTRY),
    b"\x83": ("EXT2", _NO_REGISTRY),
    b"\x84": ("EXT4", _NO_REGISTRY),
    b"\x85": ("TUPLE1", containers.small_tuple(1)),
    b"\x86": ("TUPLE2", containers.small_tuple(2)),
    b"\x87": ("TUPLE3", containers.small_tuple(3)),
    b"\x88": ("NEWTRUE", scalars.constant(value=True)),
    b"\x89": ("NEWFALSE", scalars.constant(value=False)),
    b"\x8a": ("LONG1", scalars.long_integer(1)),
    b"\x8b": ("LONG4", scalars.long_integer(4)),
    # Protocol 3.
    b"B": ("BINBYTES", scalars.binary(4)),
    b"C": ("SHORT_BINBYTES", scalars.binary(1)),
    # Protocol 4.
    b"\x8c": ("SHORT_BINUNICODE", scalars.text(1)),
    b"\x8d": ("BINUNICODE8", scalars.text(8)),
    b"\x8e": ("BINBYTES8", scalars.binary(8)),
    b"\x8f": ("EMPTY_SET", containers.empty_set),
    b"\x90": ("ADDITEMS", containers.add_items),
    b"\x91": ("FROZENSET", containers.add_frozenset),
    b"\x92": ("NEWOBJ_EX", _NO_INSTANCE),
    b"\x93": ("STACK_GLOBAL", calls.stack_global),
    b"\x94": ("MEMOIZE", _memoize),
    b"\x95": ("FRAME", _frame),
    # Protocol 5.
    b"\x96": ("BYTEARRAY8", _refused("holds a bytearray: send bytes")),
    b"\x97": ("NEXT_BUFFER", _NO_OUTSIDE),
    b"\x98": ("READONLY_BUFFER", _NO_OUTSIDE),
}
"""Opcode -> its name and what reads it, for every opcode there is."""

_STOP: Final = ord(".")
_UNKNOWN: Final = _refused("is no opcode of a pickle")
_ROWS: Final = [TABLE.get(bytes([code]), (f"0x{code:02x}", _UNKNOWN)) for code in range(256)]
