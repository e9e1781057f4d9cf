"""The opcodes of numbers, texts and bytes."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from anyplug.codec.pickle_machine import INTEGER_BITS

if TYPE_CHECKING:
    from anyplug.codec.pickle_machine import Machine, Reader

__all__ = [
    "binary",
    "binary_float",
    "binary_integer",
    "constant",
    "escaped_text",
    "long_integer",
    "old_text",
    "quoted_text",
    "shown_line",
    "text",
    "text_float",
    "text_integer",
    "text_long",
]

DIGITS_MAX: Final = 4_299
"""Digits of an integer written as text, a count: as many as `INTEGER_BITS` make."""

FLOAT_MAX: Final = 64
"""Bytes of a float written as text. The longest one that Python writes has 24."""

SHOWN_MAX: Final = 30
"""Bytes of a bad line that are shown."""

_INTEGER: Final = re.compile(rb"-?[0-9]{1,%d}" % DIGITS_MAX)
_FLOAT: Final = re.compile(rb"-?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|inf|nan)")
_BOOLS: Final = {b"00": False, b"01": True}


def constant(value: object) -> Reader:
    """NONE, NEWTRUE, NEWFALSE: always the same value."""

    def read(machine: Machine) -> None:
        machine.stack.append(value)

    return read


def binary_integer(width: int, *, signed: bool = False) -> Reader:
    """BININT, BININT1, BININT2: an integer of so many bytes."""

    def read(machine: Machine) -> None:
        machine.stack.append(int.from_bytes(machine.take(width), "little", signed=signed))

    return read


def long_integer(width: int) -> Reader:
    """LONG1, LONG4: a signed integer behind its length, which has so many bytes."""

    def read(machine: Machine) -> None:
        count = machine.number(width)
        if count > INTEGER_BITS // 8:
            raise machine.excess(f"states an integer of {count:,} bytes, the limit is {INTEGER_BITS // 8:,}")
        machine.stack.append(int.from_bytes(machine.take(count), "little", signed=True))

    return read


def text_integer(machine: Machine) -> None:
    """INT: an integer or a bool as a line of text."""
    line = machine.line(DIGITS_MAX + 1)
    machine.stack.append(_BOOLS[line] if line in _BOOLS else _integer(machine, line))


def text_long(machine: Machine) -> None:
    """LONG: an integer as a line of text that ends with ``L``."""
    machine.stack.append(_integer(machine, machine.line(DIGITS_MAX + 2).removesuffix(b"L")))


def _integer(machine: Machine, line: bytes) -> int:
    if not _INTEGER.fullmatch(line):
        raise machine.fault(f"holds {shown_line(line)}, which is no integer of at most {DIGITS_MAX:,} digits")
    return int(line)


def text_float(machine: Machine) -> None:
    """FLOAT: a float as a line of text."""
    line = machine.line(FLOAT_MAX)
    if not _FLOAT.fullmatch(line):
        raise machine.fault(f"holds {shown_line(line)}, which is no float")
    machine.stack.append(float(line))


def binary_float(machine: Machine) -> None:
    """BINFLOAT: a float in 8 bytes."""
    machine.stack.append(struct.unpack(">d", machine.take(8))[0])


def shown_line(data: bytes) -> str:
    """The beginning of a bad line, as it is shown."""
    return repr(data[:SHOWN_MAX])


# Texts and bytes.


def binary(width: int) -> Reader:
    """BINBYTES, SHORT_BINBYTES, BINBYTES8: bytes behind their length, which has so many bytes."""

    def read(machine: Machine) -> None:
        machine.stack.append(machine.take(machine.number(width)))

    return read


def text(width: int) -> Reader:
    """BINUNICODE, SHORT_BINUNICODE, BINUNICODE8: UTF-8 behind its length, which has so many bytes."""

    def read(machine: Machine) -> None:
        data = machine.take(machine.number(width))
        try:
            machine.stack.append(data.decode())
        except UnicodeDecodeError as error:
            bad = f"byte 0x{data[error.start]:02x} at byte {error.start} of it"
            raise machine.fault(f"holds text that is not UTF-8: {bad}") from error

    return read


def escaped_text(machine: Machine) -> None:
    """UNICODE: a line of Latin-1 with escapes for all other characters."""
    line = machine.line(len(machine.body))
    try:
        text = line.decode("raw-unicode-escape")
        text.encode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise machine.fault(f"holds text that is not Unicode: {error.reason}") from error
    machine.stack.append(text)


def old_text(width: int) -> Reader:
    """BINSTRING, SHORT_BINSTRING: a text of Python 2 behind its length, which has so many bytes."""

    def read(machine: Machine) -> None:
        machine.stack.append(_ascii(machine, machine.take(machine.number(width))))

    return read


def quoted_text(machine: Machine) -> None:
    """STRING: a text of Python 2 as a quoted line. Nothing in it is unescaped."""
    line = machine.line(len(machine.body))
    quoted = len(line) >= 2 and line[:1] == line[-1:] and line[:1] in {b"'", b'"'}
    if not quoted or b"\\" in line:
        raise machine.fault(f"holds {shown_line(line)}, which is no quoted text without escapes")
    machine.stack.append(_ascii(machine, line[1:-1]))


def _ascii(machine: Machine, data: bytes) -> str:
    """The text of a Python 2 `str`, which does not tell its encoding."""
    if not data.isascii():
        raise machine.fault("holds a text of Python 2 that is not ASCII: its encoding is not known")
    return data.decode("ascii")
