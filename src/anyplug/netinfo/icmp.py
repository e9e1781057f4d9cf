"""ICMP echo: building requests, reading answers and errors (RFC 792, RFC 4443, section 4). Pure: bytes in, facts out.

A message is a type, a code, a checksum, and in an echo an identifier and a number, 16 bits each; then data, which the
answer brings back. Ours begins with a word that only this run knows, so that answers to somebody else are not taken
for ours: identifiers have 16 bits alone, and a raw socket hears everybody's.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HEADER_SIZE",
    "SEQUENCES",
    "TOKEN_SIZE",
    "Echo",
    "QueuedError",
    "checksum",
    "echo_data",
    "echo_request",
    "error_text",
    "parse_echo",
    "parse_queued_error",
    "without_ip_header",
]

_ECHO: Final = Struct("!BBHHH")
"""Type, code, checksum, identifier, sequence."""
HEADER_SIZE: Final = _ECHO.size
SEQUENCES: Final = 1 << 16
"""How many numbers there are before they begin again."""
TOKEN_SIZE: Final = 8
"""Bytes of the word that begins the data; less where the data is shorter."""

_REQUEST: Final = {4: 8, 6: 128}
_REPLY: Final = {4: 0, 6: 129}

_QUEUED: Final = Struct("=IBBBxII")
"""sock_extended_err (ip(7)): errno, origin, type, code, info, data."""
_BY_ICMP: Final = {2: 4, 3: 6}
"""SO_EE_ORIGIN_ICMP and _ICMP6, as families."""

_ERRORS: Final[Mapping[tuple[int, int, int], str]] = {
    (4, 3, 0): "network unreachable",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "protocol unreachable",
    (4, 3, 3): "port unreachable",
    (4, 3, 4): "too large for the way, and not to be cut",
    (4, 3, 5): "source route failed",
    (4, 3, 6): "network unknown",
    (4, 3, 7): "host unknown",
    (4, 3, 9): "admin-prohibited: network",
    (4, 3, 10): "admin-prohibited: host",
    (4, 3, 11): "network unreachable for this type of service",
    (4, 3, 12): "host unreachable for this type of service",
    (4, 3, 13): "admin-prohibited",
    (4, 4, 0): "source quench",
    (4, 11, 0): "too many hops",
    (4, 11, 1): "pieces were lost on the way",
    (6, 1, 0): "network unreachable",
    (6, 1, 1): "admin-prohibited",
    (6, 1, 2): "beyond the scope of the source address",
    (6, 1, 3): "host unreachable",
    (6, 1, 4): "port unreachable",
    (6, 1, 5): "source address failed a policy",
    (6, 1, 6): "admin-prohibited: route",
    (6, 2, 0): "too large for the way",
    (6, 3, 0): "too many hops",
    (6, 3, 1): "pieces were lost on the way",
}
"""Errors by family, type and code: RFC 792, RFC 1122 (section 3.2.2.1), RFC 1812 (section 5.2.7.1), RFC 4443
(section 3)."""


class Echo(NamedTuple):
    """An answer to an echo request."""

    identifier: int
    sequence: int
    data: bytes


class QueuedError(NamedTuple):
    """What the kernel tells of an error that came for something sent before."""

    errno: int
    detail: str
    """In words; empty where this machine itself made it, which tells whoever sends at once."""


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words."""
    if len(data) % 2:
        data += b"\0"
    total = sum(memoryview(data)[::2]) * 256 + sum(memoryview(data)[1::2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_data(token: bytes, size: int) -> bytes:
    """The data of a request: the token, then bytes that count up, `size` bytes in all."""
    return (token + bytes(at & 0xFF for at in range(max(size - len(token), 0))))[:size]


def echo_request(family: Literal[4, 6], *, identifier: int, sequence: int, data: bytes) -> bytes:
    """An echo request. The checksum of ICMPv6 covers the addresses as well, and is the kernel's (RFC 3542, section
    3.1).

    Args:
        family: 4 or 6.
        identifier: tells this run from others; a datagram socket has its own put in.
        sequence: any number; its last 16 bits are sent.
        data: what the answer is to bring back.
    """
    kind, number = _REQUEST[family], sequence % SEQUENCES
    if family == 6:
        return _ECHO.pack(kind, 0, 0, identifier, number) + data
    total = checksum(_ECHO.pack(kind, 0, 0, identifier, number) + data)
    return _ECHO.pack(kind, 0, total, identifier, number) + data


def parse_echo(family: Literal[4, 6], message: bytes, *, request: bool = False) -> Echo | None:
    """The answer in a message; None where it is something else, or too short.

    Args:
        family: 4 or 6.
        message: an ICMP message, without an IP header.
        request: it should be a request, such as an error brings back.
    """
    if len(message) < _ECHO.size:
        return None
    kind, code, _, identifier, sequence = _ECHO.unpack_from(message)
    if code or kind != (_REQUEST if request else _REPLY)[family]:
        return None
    return Echo(identifier, sequence, message[_ECHO.size :])


def without_ip_header(packet: bytes) -> bytes:
    """The message in an IPv4 packet, such as a raw socket reads; empty where it is cut short."""
    return packet[(packet[0] & 0xF) * 4 :] if packet else b""


def parse_queued_error(record: bytes) -> QueuedError | None:
    """What a record of the error queue says (ip(7), IP_RECVERR); None where it is too short for one."""
    if len(record) < _QUEUED.size:
        return None
    number, origin, kind, code, _, _ = _QUEUED.unpack_from(record)
    family = _BY_ICMP.get(origin)
    return QueuedError(number, "" if family is None else error_text(family, kind, code))


def error_text(family: int, kind: int, code: int) -> str:
    """An ICMP error in words."""
    return _ERRORS.get((family, kind, code)) or f"ICMP error of type {kind}, code {code}"
