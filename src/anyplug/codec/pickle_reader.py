"""Reading pickles without running them: the opcodes that carry data, of protocols 0 to 5.

`TABLE` has a row for every opcode of the format: its name, and the function that reads or refuses it. There is no code
here that could import, call or set anything by name. The format is described in CPython's ``pickletools``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from anyplug.codec.pickle_machine import INTEGER_BITS, Constructor, Machine, kind_name
from anyplug.errors import DecodeError
from anyplug.escape import escape

if TYPE_CHECKING:
    from anyplug.limits import Limits

__all__ = ["CONSTRUCTORS", "PROTOCOL_MAX", "TABLE", "read_pickle"]

Reader = Callable[[Machine], None]

PROTOCOL_MAX: Final = 5
"""The newest protocol of pickles that is known."""

DIGITS_MAX: Final = 4_299
"""Digits of an integer written as text, a count: as many as `INTEGER_BITS` make."""

FLOAT_MAX: Final = 64
"""Bytes of a float written as text. The longest one that Python writes has 24."""

SET_WORK: Final = 8
"""What each item of a list that becomes a set counts as work: so much longer it takes than hashing a byte."""

NAME_MAX: Final = 256
"""Bytes of the name of a module or function."""

SHOWN_MAX: Final = 30
"""Bytes of a bad line that are shown."""

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


# Scalars.

_INTEGER: Final = re.compile(rb"-?[0-9]{1,%d}" % DIGITS_MAX)
_FLOAT: Final = re.compile(rb"-?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|inf|nan)")
_BOOLS: Final = {b"00": False, b"01": True}


def _constant(value: object) -> Reader:
    def read(machine: Machine) -> None:
        machine.stack.append(value)

    return read


def _binary_integer(width: int, *, signed: bool = False) -> Reader:
    def read(machine: Machine) -> None:
        machine.stack.append(int.from_bytes(machine.take(width), "little", signed=signed))

    return read


def _long_integer(width: int) -> Reader:
    def read(machine: Machine) -> None:
        count = machine.number(width)
        if count > INTEGER_BITS // 8:
            raise machine.excess(f"states an integer of {count:,} bytes, the limit is {INTEGER_BITS // 8:,}")
        machine.stack.append(int.from_bytes(machine.take(count), "little", signed=True))

    return read


def _text_integer(machine: Machine) -> None:
    line = machine.line(DIGITS_MAX + 1)
    machine.stack.append(_BOOLS[line] if line in _BOOLS else _integer(machine, line))


def _text_long(machine: Machine) -> None:
    machine.stack.append(_integer(machine, machine.line(DIGITS_MAX + 2).removesuffix(b"L")))


def _integer(machine: Machine, line: bytes) -> int:
    if not _INTEGER.fullmatch(line):
        raise machine.fault(f"holds {_shown(line)}, which is no integer of at most {DIGITS_MAX:,} digits")
    return int(line)


def _text_float(machine: Machine) -> None:
    line = machine.line(FLOAT_MAX)
    if not _FLOAT.fullmatch(line):
        raise machine.fault(f"holds {_shown(line)}, which is no float")
    machine.stack.append(float(line))


def _binary_float(machine: Machine) -> None:
    machine.stack.append(struct.unpack(">d", machine.take(8))[0])


def _shown(data: bytes) -> str:
    return repr(data[:SHOWN_MAX])


# Texts and bytes.


def _bytes(width: int) -> Reader:
    def read(machine: Machine) -> None:
        machine.stack.append(machine.take(machine.number(width)))

    return read


def _text(width: int) -> Reader:
    def read(machine: Machine) -> None:
        data = machine.take(machine.number(width))
        try:
            machine.stack.append(data.decode())
        except UnicodeDecodeError as error:
            bad = f"byte 0x{data[error.start]:02x} at byte {error.start} of it"
            raise machine.fault(f"holds text that is not UTF-8: {bad}") from error

    return read


def _escaped_text(machine: Machine) -> None:
    line = machine.line(len(machine.body))
    try:
        text = line.decode("raw-unicode-escape")
        text.encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise machine.fault(f"holds text that is not Unicode: {error.reason}") from error
    machine.stack.append(text)


def _old_text(width: int) -> Reader:
    def read(machine: Machine) -> None:
        machine.stack.append(_ascii(machine, machine.take(machine.number(width))))

    return read


def _quoted_text(machine: Machine) -> None:
    line = machine.line(len(machine.body))
    quoted = len(line) >= 2 and line[:1] == line[-1:] and line[:1] in {b"'", b'"'}
    if not quoted or b"\\" in line:
        raise machine.fault(f"holds {_shown(line)}, which is no quoted text without escapes")
    machine.stack.append(_ascii(machine, line[1:-1]))


def _ascii(machine: Machine, data: bytes) -> str:
    """The text of a Python 2 `str`, which does not tell its encoding."""
    if not data.isascii():
        raise machine.fault("holds a text of Python 2 that is not ASCII: its encoding is not known")
    return data.decode("ascii")


# Containers.


def _list(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.push(machine.fill(items, items))


def _empty_list(machine: Machine) -> None:
    machine.push(machine.fill([], ()))


def _append(machine: Machine) -> None:
    _extend(machine, [machine.pop()])


def _appends(machine: Machine) -> None:
    _extend(machine, machine.pop_mark())


def _extend(machine: Machine, items: list[object]) -> None:
    target: list[object] = machine.target(list)
    if items:
        machine.add(target, items)
        target.extend(items)


def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    _empty_dict(machine)
    _set_items(machine, items)


def _empty_dict(machine: Machine) -> None:
    machine.push(machine.fill({}, ()))


def _set_item(machine: Machine) -> None:
    value = machine.pop()
    _set_items(machine, [machine.pop(), value])


def _more_items(machine: Machine) -> None:
    _set_items(machine, machine.pop_mark())


def _set_items(machine: Machine, items: list[object]) -> None:
    target: dict[object, object] = machine.target(dict)
    if not items:
        return
    if len(items) % 2:
        raise machine.fault(f"needs keys with values, it has {len(items):,} of both")
    keys = items[::2]
    machine.check_keys(id(target), keys)
    machine.add(target, items)
    target.update(zip(keys, items[1::2], strict=True))


def _empty_set(machine: Machine) -> None:
    machine.push(machine.fill(set(), ()))


def _add_items(machine: Machine) -> None:
    items = machine.pop_mark()
    target: set[object] = machine.target(set)
    if items:
        machine.check_keys(id(target), items)
        machine.add(target, items)
        target.update(items)


def _frozenset(machine: Machine) -> None:
    machine.push(_make_frozenset(machine, machine.pop_mark()))


def _make_frozenset(machine: Machine, items: list[object]) -> frozenset[object]:
    machine.check_keys(-1 - machine.containers, items)
    return machine.fill(frozenset(items), items)


def _tuple(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.push(machine.fill(tuple(items), items))


def _small_tuple(count: int) -> Reader:
    def read(machine: Machine) -> None:
        items = tuple(reversed([machine.pop() for _ in range(count)]))
        machine.push(machine.fill(items, items))

    return read


# Constructors: what stands for complex numbers, and in protocols before 4 for sets and bytes.


def _complex(machine: Machine, arguments: tuple[object, ...]) -> complex:
    match arguments:
        case (float(real), float(imag)):
            return complex(real, imag)
        case _:
            raise machine.fault("calls complex with anything but two floats")


def _items(machine: Machine, arguments: tuple[object, ...]) -> list[object]:
    match arguments:
        case (list(items),):
            machine.spend(SET_WORK * machine.sizes[id(items)])
            return items
        case _:
            raise machine.fault("calls set or frozenset with anything but one list")


def _build_set(machine: Machine, arguments: tuple[object, ...]) -> set[object]:
    items = _items(machine, arguments)
    found: set[object] = set()
    machine.check_keys(id(found), items)
    found.update(items)
    return machine.fill(found, items)


def _build_frozenset(machine: Machine, arguments: tuple[object, ...]) -> frozenset[object]:
    return _make_frozenset(machine, _items(machine, arguments))


def _build_bytes(machine: Machine, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case ():
            return b""
        case _:
            raise machine.fault("calls bytes with arguments")


def _encode(machine: Machine, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case (str(text), "latin1"):
            machine.spend(len(text))
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError as error:
                raise machine.fault(f"calls encode with a character above U+00FF at index {error.start}") from error
        case _:
            raise machine.fault("calls encode with anything but a text and 'latin1'")


_BUILTINS: Final = {
    "complex": Constructor("complex", _complex),
    "set": Constructor("set", _build_set),
    "frozenset": Constructor("frozenset", _build_frozenset),
    "bytes": Constructor("bytes", _build_bytes),
}
CONSTRUCTORS: Final[dict[tuple[str, str], Constructor]] = {
    **{("builtins", name): constructor for name, constructor in _BUILTINS.items()},
    **{("__builtin__", name): constructor for name, constructor in _BUILTINS.items()},
    ("_codecs", "encode"): Constructor("encode", _encode),
}
"""(module, name) -> what it stands for. The names are compared with these and used for nothing else."""


def _global(machine: Machine) -> None:
    machine.push(_constructor(machine, *_names(machine)))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise machine.fault(f"needs two names, it has a {kind_name(module)} and a {kind_name(name)}")
    machine.push(_constructor(machine, module, name))


def _instance(machine: Machine) -> None:
    raise _refused_name(machine, *_names(machine))


def _names(machine: Machine) -> tuple[str, str]:
    module, name = machine.line(NAME_MAX), machine.line(NAME_MAX)
    return module.decode("ascii", "backslashreplace"), name.decode("ascii", "backslashreplace")


def _constructor(machine: Machine, module: str, name: str) -> Constructor:
    if (module, name) not in CONSTRUCTORS:
        raise _refused_name(machine, module, name)
    return CONSTRUCTORS[module, name]


def _refused_name(machine: Machine, module: str, name: str) -> DecodeError:
    full = f"{escape(module, limit=NAME_MAX)}.{escape(name, limit=NAME_MAX)}"
    return machine.fault(f"names {full}: code is never loaded from a message")


def _reduce(machine: Machine) -> None:
    arguments, constructor = machine.pop(), machine.pop()
    if not isinstance(constructor, Constructor):
        raise machine.fault(f"calls a {kind_name(constructor)}, which is no constructor")
    if type(arguments) is not tuple:
        raise machine.fault(f"calls {constructor.name} with a {kind_name(arguments)}, it needs a tuple")
    machine.push(constructor.build(machine, arguments))


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
        raise machine.fault(f"holds {_shown(line)}, which is no index")
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
    b"F": ("FLOAT", _text_float),
    b"I": ("INT", _text_integer),
    b"J": ("BININT", _binary_integer(4, signed=True)),
    b"K": ("BININT1", _binary_integer(1)),
    b"L": ("LONG", _text_long),
    b"M": ("BININT2", _binary_integer(2)),
    b"N": ("NONE", _constant(None)),
    b"P": ("PERSID", _NO_OUTSIDE),
    b"Q": ("BINPERSID", _NO_OUTSIDE),
    b"R": ("REDUCE", _reduce),
    b"S": ("STRING", _quoted_text),
    b"T": ("BINSTRING", _old_text(4)),
    b"U": ("SHORT_BINSTRING", _old_text(1)),
    b"V": ("UNICODE", _escaped_text),
    b"X": ("BINUNICODE", _text(4)),
    b"a": ("APPEND", _append),
    b"b": ("BUILD", _refused("sets attributes of an object: only data is read")),
    b"c": ("GLOBAL", _global),
    b"d": ("DICT", _dict),
    b"}": ("EMPTY_DICT", _empty_dict),
    b"e": ("APPENDS", _appends),
    b"g": ("GET", _text_get),
    b"h": ("BINGET", _get(1)),
    b"i": ("INST", _instance),
    b"j": ("LONG_BINGET", _get(4)),
    b"l": ("LIST", _list),
    b"]": ("EMPTY_LIST", _empty_list),
    b"o": ("OBJ", _NO_INSTANCE),
    b"p": ("PUT", _text_put),
    b"q": ("BINPUT", _put(1)),
    b"r": ("LONG_BINPUT", _put(4)),
    b"s": ("SETITEM", _set_item),
    b"t": ("TUPLE", _tuple),
    b")": ("EMPTY_TUPLE", _small_tuple(0)),
    b"u": ("SETITEMS", _more_items),
    b"G": ("BINFLOAT", _binary_float),
    # Protocol 2.
    b"\x80": ("PROTO", _protocol),
    b"\x81": ("NEWOBJ", _NO_INSTANCE),
    b"\x82": ("EXT1", _NO_REGISTRY),
    b"\x83": ("EXT2", _NO_REGISTRY),
    b"\x84": ("EXT4", _NO_REGISTRY),
    b"\x85": ("TUPLE1", _small_tuple(1)),
    b"\x86": ("TUPLE2", _small_tuple(2)),
    b"\x87": ("TUPLE3", _small_tuple(3)),
    b"\x88": ("NEWTRUE", _constant(value=True)),
    b"\x89": ("NEWFALSE", _constant(value=False)),
    b"\x8a": ("LONG1", _long_integer(1)),
    b"\x8b": ("LONG4", _long_integer(4)),
    # Protocol 3.
    b"B": ("BINBYTES", _bytes(4)),
    b"C": ("SHORT_BINBYTES", _bytes(1)),
    # Protocol 4.
    b"\x8c": ("SHORT_BINUNICODE", _text(1)),
    b"\x8d": ("BINUNICODE8", _text(8)),
    b"\x8e": ("BINBYTES8", _bytes(8)),
    b"\x8f": ("EMPTY_SET", _empty_set),
    b"\x90": ("ADDITEMS", _add_items),
    b"\x91": ("FROZENSET", _frozenset),
    b"\x92": ("NEWOBJ_EX", _NO_INSTANCE),
    b"\x93": ("STACK_GLOBAL", _stack_global),
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
