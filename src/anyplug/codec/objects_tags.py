"""What the codec ``objects`` adds to MessagePack: marks.

A value that MessagePack has no type for is an array whose first item is a mark: the extension type ``tag`` with the one
byte 0xC1 in it. The items behind the mark are what the value is made of, themselves values of any kind. So the tuple
``(1, 2)`` is ``[mark 1, 1, 2]``, in bytes ``93 d4 01 c1 01 02``.

MessagePack never uses 0xC1, and UTF-8 never contains it. One search for that byte tells whether a message can have
marks at all; most have none, and are read as the plain MessagePack they are. As marks stand in the open, in arrays
like all others, depth and count of containers are bounded by the same scan as those of MessagePack.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

from msgspec.msgpack import Ext

__all__ = ["MARKS", "NATIVE", "SIGN", "Tag"]


@unique
class Tag(IntEnum):
    """The extension types in use, and what stands behind the mark."""

    TUPLE = 1
    """tuple: its items"""
    SET = 2
    """set: its items, no two of them equal"""
    FROZENSET = 3
    """frozenset: its items, no two of them equal"""
    DICT = 4
    """dict with keys that are not all str, bytes, int of 64 bits, float, bool or None: key, value, key, value ..."""
    ORDERED_DICT = 5
    """`collections.OrderedDict`: key, value, key, value ..."""
    DEQUE = 6
    """`collections.deque`: its `maxlen` or nil, then its items"""
    OBJECT = 7
    """an instance of a registered class: the name it is registered by, then field name, value, field name, value ..."""
    ENUM = 8
    """a member of a registered Enum: the name it is registered by, then the member's name; of a Flag, its bits (int)"""
    INT = 16
    """int of more than 64 bits: bytes, two's complement, most significant first, as few as possible"""
    COMPLEX = 17
    """complex: real part, imaginary part (floats)"""
    BYTEARRAY = 18
    """bytearray: bytes"""
    DECIMAL = 19
    """`decimal.Decimal`: text, such as `1.50`, `-1E+9`, `NaN`, `Infinity`"""
    FRACTION = 20
    """`fractions.Fraction`: numerator, denominator (ints)"""
    DATETIME = 21
    """datetime that is naive or not in plain UTC: year, month, day, hour, minute, second, microsecond, fold, *zone*"""
    DATE = 22
    """date: year, month, day"""
    TIME = 23
    """time: hour, minute, second, microsecond, fold, *zone*"""
    TIMEDELTA = 24
    """timedelta: days, seconds, microseconds"""
    UUID = 25
    """`uuid.UUID`: its 16 bytes"""
    RANGE = 26
    """range: start, stop, step (ints)"""
    ELLIPSIS = 27
    """`...`: nothing"""
    IP = 28
    """of `ipaddress`: `address`, `network` or `interface`, then its text"""
    TIMEZONE = 29
    """`datetime.timezone`: its *zone*"""
    ZONE = 30
    """`zoneinfo.ZoneInfo`: its *zone*"""
    ARRAY = 32
    """array of numpy: its dtype (`<f8`), its items as bytes in C order, then its shape (ints)"""
    NUMBER = 33
    """scalar of numpy: its dtype, its bytes"""


SIGN: Final = b"\xc1"
"""The content of every mark."""

MARKS: Final = {tag: Ext(int(tag), SIGN) for tag in Tag}
"""Tag -> the mark as it is encoded."""

NATIVE: Final = frozenset({str, int, float, bool, type(None), bytes})
"""Scalars that are written as they are, and as keys of a map."""
