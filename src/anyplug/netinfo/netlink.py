"""Netlink: how the kernel of Linux is asked for tables (RFC 3549).

A request is one datagram, its answer many messages in many datagrams, ended by DONE. A message has a header of 16
bytes, a body whose first part depends on its type, and attributes (length, type, value), each filled up to 4 bytes.
"""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HEADER", "NETLINK_ROUTE", "NETLINK_SOCK_DIAG", "attributes", "dump", "dumping", "messages", "request"]

NETLINK_ROUTE: Final = 0
"""The family of interfaces, addresses and routes (rtnetlink(7))."""
NETLINK_SOCK_DIAG: Final = 4
"""The family of sockets (sock_diag(7))."""

HEADER: Final = Struct("=IHHII")
"""nlmsghdr: length with the header, type, flags, sequence, port."""

_ATTRIBUTE: Final = Struct("=HH")
_ERRNO: Final = Struct("=i")
_TYPE_MASK: Final = 0x3FFF
"""The type of an attribute without the bits that tell how its value is stored."""

_ERROR: Final = 2
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x1 | 0x300

_DATAGRAM: Final = 1 << 16
"""The largest datagram that is read, bytes; the kernel sends 32 KiB at most."""
_PATIENCE: Final = 10.0
"""How long one datagram of an answer is waited for, seconds. The kernel answers at once."""


def request(kind: int, body: bytes) -> bytes:
    """The datagram that asks for the whole table of a kind."""
    return HEADER.pack(HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body


def dump(family: int, kind: int, body: bytes) -> list[bytes]:
    """The answer to a request, as datagrams; arguments and errors as of `dumping`."""
    return list(dumping(family, kind, body))


def dumping(family: int, kind: int, body: bytes) -> Iterator[bytes]:
    """The answer to a request, a datagram at a time.

    Args:
        family: ``NETLINK_ROUTE`` or ``NETLINK_SOCK_DIAG``.
        kind: the type of the request's message.
        body: what follows its header.

    Raises:
        OSError: the system has no netlink, or the kernel refuses.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(0, "this system has no netlink")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family) as link:
        link.settimeout(_PATIENCE)
        link.send(request(kind, body))
        while True:
            data = link.recv(_DATAGRAM)
            last = _is_last(data)
            yield data
            if last:
                return


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of a datagram: type and body. Ends at DONE, and where a length makes no sense."""
    place = 0
    while place + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, place)
        if length < HEADER.size or kind == _DONE:
            return
        yield kind, data[place + HEADER.size : place + length]
        place += (length + 3) & ~3


def attributes(body: bytes, start: int) -> dict[int, bytes]:
    """The attributes of a message by their types.

    Args:
        body: the body of the message.
        start: where they begin: behind the fixed part of that type of message.
    """
    found: dict[int, bytes] = {}
    place = start
    while place + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, place)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = body[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3
    return found


def _is_last(data: bytes) -> bool:
    """Whether the answer ends here.

    Raises:
        OSError: it is an error.
    """
    place = 0
    while place + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, place)
        if kind == _ERROR:
            number = -_ERRNO.unpack_from(data, place + HEADER.size)[0]
            raise OSError(number, os.strerror(number))
        if kind == _DONE or length < HEADER.size:
            return True
        place += (length + 3) & ~3
    return not data
