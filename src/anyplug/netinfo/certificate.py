"""Reading a certificate of X.509 (RFC 5280), as far as a check tells of it. Pure: DER (X.690) in, facts out.

The standard library tells of verified certificates alone; the one that fails is the one that has to be looked at.
"""

from __future__ import annotations

from calendar import timegm
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.netinfo.check_types import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_certificate"]

_SEQUENCE, _SET, _OID, _OCTETS = 0x30, 0x31, 0x06, 0x04
_UTC_TIME, _TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _EMAIL, _URI, _IP = 0x82, 0x81, 0x86, 0x87
_UTF16, _UTF32 = 0x1E, 0x1C

_COMMON_NAME: Final = bytes.fromhex("550403")
_ORGANIZATION: Final = bytes.fromhex("55040a")
_ALT_NAME: Final = bytes.fromhex("551d11")
"""Object identifiers 2.5.4.3, 2.5.4.10 and 2.5.29.17."""


class _Value(NamedTuple):
    """One value of DER."""

    tag: int
    body: bytes


def read_certificate(data: bytes) -> Certificate | None:
    """What a certificate says of itself; None where it cannot be read.

    Args:
        data: its DER.
    """
    try:
        whole = _first(data)
        fields = list(_values(_inside(_first(_inside(whole)))))
        if fields[0].tag == _VERSION:
            del fields[0]
        issuer, validity, subject = fields[2:5]
        begin, end = _values(_inside(validity))
        return Certificate(
            subject=_name(subject),
            issuer=_name(issuer),
            names=tuple(_alt_names(fields)),
            not_before=_time(begin),
            not_after=_time(end),
        )
    except (ValueError, IndexError):
        return None


def _values(data: bytes) -> Iterator[_Value]:
    """The values that stand in a row.

    Raises:
        ValueError: one is cut short, or has no length.
    """
    place = 0
    while place < len(data):
        tag, size, begin = data[place], data[place + 1], place + 2
        if size >= 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("no length")
            size, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
        place = begin + size
        if place > len(data):
            raise ValueError("cut short")
        yield _Value(tag, data[begin:place])


def _first(data: bytes) -> _Value:
    for value in _values(data):
        return value
    raise ValueError("nothing is there")


def _inside(value: _Value) -> bytes:
    if value.tag not in {_SEQUENCE, _SET, _EXTENSIONS}:
        raise ValueError("nothing is inside")
    return value.body


def _name(value: _Value) -> str:
    """The common name of a distinguished name, or the organization."""
    found: dict[bytes, str] = {}
    for group in _values(_inside(value)):
        for pair in _values(_inside(group)):
            kind, text = list(_values(_inside(pair)))[:2]
            found.setdefault(kind.body, _text(text))
    return found.get(_COMMON_NAME) or found.get(_ORGANIZATION) or ""


def _text(value: _Value) -> str:
    encoding = {_UTF16: "utf-16-be", _UTF32: "utf-32-be"}.get(value.tag, "utf-8")
    return value.body.decode(encoding, "backslashreplace")


def _time(value: _Value) -> float:
    """A time in UTC (RFC 5280, section 4.1.2.5); years of two digits are 1950 to 2049."""
    text = value.body.decode("ascii").removesuffix("Z")
    if value.tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    elif value.tag != _TIME:
        raise ValueError("no time")
    if len(text) != 14 or not text.isdecimal():
        raise ValueError("no time")
    year = int(text[:4])
    return float(timegm((year, *(int(text[at : at + 2]) for at in range(4, 14, 2)), 0, 0, 0)))


def _alt_names(fields: list[_Value]) -> Iterator[str]:
    for field in fields:
        if field.tag == _EXTENSIONS:
            for extension in _values(_inside(_first(field.body))):
                parts = list(_values(_inside(extension)))
                if parts[0] == _Value(_OID, _ALT_NAME):
                    yield from map(_alt_name, _values(_inside(_first(parts[-1].body))))


def _alt_name(value: _Value) -> str:
    if value.tag == _IP and len(value.body) in {4, 16}:
        return str(ip_address(value.body))
    if value.tag in {_DNS_NAME, _EMAIL, _URI}:
        return value.body.decode("ascii", "backslashreplace")
    return f"(a name of kind {value.tag & 0x1F})"
