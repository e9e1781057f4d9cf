"""How single values stand behind their mark: what they are taken apart into, and what makes them again.

`FORMS` has a row for every type. `late_form` has those of modules that few programs load: they are not loaded before a
value of them is sent or received.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import anyplug.codec.objects_times as times
from anyplug.codec.objects_fault import PartError, shown
from anyplug.codec.objects_tags import Tag
from anyplug.codec.pickle_machine import INTEGER_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction
    from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

    IP = IPv4Address | IPv6Address | IPv4Network | IPv6Network | IPv4Interface | IPv6Interface

__all__ = ["DIGITS_MAX", "FORMS", "INT64", "LATE_FORMS", "READ", "Form", "int_parts"]

INT64: Final = range(-(1 << 63), 1 << 64)
"""The integers that MessagePack itself has."""

INTEGER_BYTES: Final = INTEGER_BITS // 8
"""The largest integer, bytes."""

DIGITS_MAX: Final = 4_300
"""Characters of a decimal number, a count: as many digits as Python prints of an integer, roughly."""

IP_MAX: Final = 100
"""Characters of an address, a count; those of IPv6 with a prefix and a scope have less."""

IP_KINDS: Final = ("Address", "Network", "Interface")
"""What there is of each version of IP in `ipaddress`."""

_DECIMAL: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?(?:E[+-]?[0-9]{1,18})?|Infinity|s?NaN[0-9]*)", re.ASCII)


class Form(NamedTuple):
    """How values of one type stand behind their mark."""

    tag: Tag
    parts: Callable[[Any], Sequence[object]]
    """Takes a value apart. May raise `PartError` where this one cannot travel."""
    shape: tuple[type, ...] | None
    """The types of the parts; None where `make` looks at them itself."""
    make: Callable[..., object]
    """Makes the value of its parts. May raise `ValueError`, `TypeError`, `ArithmeticError` or `PartError`."""


# Numbers.


def int_parts(value: int) -> Sequence[object]:
    """An integer of more than 64 bits in two's complement."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    if size > INTEGER_BYTES:
        raise PartError(f"it has more than {INTEGER_BYTES:,} bytes, some 4,299 digits, which is the limit", value)
    return (value.to_bytes(size, "big", signed=True),)


def _make_int(data: bytes) -> int:
    if len(data) > INTEGER_BYTES:
        raise ValueError(f"it has {len(data):,} bytes, the limit is {INTEGER_BYTES:,}")
    value = int.from_bytes(data, "big", signed=True)
    if value in INT64 or int_parts(value) != (data,):
        raise ValueError("it has a shorter form")
    return value


def _decimal_parts(value: Decimal) -> Sequence[object]:
    text = str(value)
    if len(text) > DIGITS_MAX:
        raise PartError(f"it has {len(text):,} characters, the limit is {DIGITS_MAX:,}", value)
    return (text,)


def _make_decimal(text: str) -> Decimal:
    if len(text) > DIGITS_MAX:
        raise ValueError(f"it has {len(text):,} characters, the limit is {DIGITS_MAX:,}")
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{shown(text)} is no number")
    value = Decimal(text)
    if value.is_nan() and "N" not in text:  # out of range, in a context that does not trap it
        raise ValueError(f"{shown(text)} is out of range")
    return value


def _make_uuid(data: bytes) -> UUID:
    return UUID(bytes=data)


def _make_ellipsis() -> EllipsisType:
    return ...


FORMS: Final[dict[type, Form]] = {
    complex: Form(Tag.COMPLEX, lambda value: (value.real, value.imag), (float, float), complex),
    bytearray: Form(Tag.BYTEARRAY, lambda value: (bytes(value),), (bytes,), bytearray),
    Decimal: Form(Tag.DECIMAL, _decimal_parts, (str,), _make_decimal),
    UUID: Form(Tag.UUID, lambda value: (value.bytes,), (bytes,), _make_uuid),
    range: Form(Tag.RANGE, lambda value: (value.start, value.stop, value.step), (int, int, int), range),
    EllipsisType: Form(Tag.ELLIPSIS, lambda _value: (), (), _make_ellipsis),
    dt.datetime: Form(Tag.DATETIME, times.datetime_parts, None, times.make_datetime),
    dt.date: Form(Tag.DATE, lambda value: (value.year, value.month, value.day), (int, int, int), dt.date),
    dt.time: Form(Tag.TIME, times.time_parts, None, times.make_time),
    dt.timedelta: Form(
        Tag.TIMEDELTA, lambda value: (value.days, value.seconds, value.microseconds), (int, int, int), dt.timedelta
    ),
    dt.timezone: Form(Tag.TIMEZONE, times.zone_parts, None, times.make_fixed_zone),
}
"""Type -> how its values stand behind their mark."""


# What few programs load.


def _make_fraction(numerator: int, denominator: int) -> Fraction:
    from fractions import Fraction

    return Fraction(numerator, denominator)


def _ip_parts(value: IP) -> Sequence[object]:
    kind = next(kind for kind in IP_KINDS if type(value).__name__.endswith(kind))
    return (kind.lower(), str(value))


def _make_ip(kind: str, text: str) -> IP:
    import ipaddress

    if len(text) > IP_MAX:
        raise ValueError(f"it has {len(text):,} characters, the limit is {IP_MAX}")
    match kind:
        case "address":
            return ipaddress.ip_address(text)
        case "network":
            return ipaddress.ip_network(text)
        case "interface":
            return ipaddress.ip_interface(text)
    raise ValueError(f"{shown(kind)} is none of address, network, interface")


FRACTION: Final = Form(Tag.FRACTION, lambda value: (value.numerator, value.denominator), (int, int), _make_fraction)
IP_FORM: Final = Form(Tag.IP, _ip_parts, (str, str), _make_ip)
ZONE: Final = Form(Tag.ZONE, times.zone_parts, None, times.make_named_zone)

LATE_FORMS: Final[dict[tuple[str, str], Form]] = {
    ("fractions", "Fraction"): FRACTION,
    ("zoneinfo", "ZoneInfo"): ZONE,
    **{
        ("ipaddress", f"IPv{version}{kind}"): IP_FORM
        for version in (4, 6)
        for kind in ("Address", "Network", "Interface")
    },
}
"""Module and name of a type -> how its values stand behind their mark."""

READ: Final[dict[Tag, Form]] = {
    form.tag: form
    for form in (
        Form(Tag.INT, int_parts, (bytes,), _make_int),
        *FORMS.values(),
        *LATE_FORMS.values(),
    )
}
"""Tag -> how it is read."""
