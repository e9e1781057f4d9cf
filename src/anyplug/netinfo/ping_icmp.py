"""Pings over ICMP, through a socket that any user may open (ping_group_range, icmp(7)), or a raw one.

Both are connected, so that the kernel keeps others' answers away, and both ask for the error queue (IP_RECVERR): an
error that a router sends comes back with the request that it is about. The kernel stamps what arrives; a program that
was not woken at once still tells the right time. That stamp is of the wall clock, so only its age is used, against a
clock that never jumps.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Final, Literal

from anyplug.netinfo.icmp import (
    HEADER_SIZE,
    echo_data,
    echo_request,
    parse_echo,
    parse_queued_error,
    without_ip_header,
)
from anyplug.netinfo.ping_book import Heard
from anyplug.transport.names import host_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.netinfo.scan_types import Target

__all__ = ["IcmpProbe", "age", "offender"]

_SO_TIMESTAMPNS: Final = 35
"""socket(7); the module of the standard library has no name for it."""
_IP_RECVERR, _IP_RECVTTL, _IP_TTL = 11, 12, 2
_IPV6_RECVERR, _IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 25, 51, 52
"""Linux' numbers (linux/in.h, linux/in6.h)."""
_OPTIONS: Final = {
    4: ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IP, _IP_RECVTTL)),
    6: ((socket.IPPROTO_IPV6, _IPV6_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT)),
}
_TTLS: Final = frozenset({(int(socket.IPPROTO_IP), _IP_TTL), (int(socket.IPPROTO_IPV6), _IPV6_HOPLIMIT)})
_ERRORS: Final = frozenset({(int(socket.IPPROTO_IP), _IP_RECVERR), (int(socket.IPPROTO_IPV6), _IPV6_RECVERR)})

_TIMESPEC: Final = Struct("@ll")
_OFFENDER: Final = 16
"""Where the address of whoever sent the error stands, behind sock_extended_err."""
_AGE_MOST: Final = 10.0
"""A stamp older than this, seconds, or of the future, tells of a wall clock that was set meanwhile."""
_CONTROL: Final = 512


class IcmpProbe:
    """Sends echo requests, and hears what comes back.

    Args:
        target: whom to ask.
        means: through which socket.
        identifier: tells this run from others; 16 bits. A datagram socket has one of its own.
        token: a random word that begins the data.
        size: bytes of data.
        clock: the time in seconds, monotonic.

    Raises:
        OSError: this user may not (EACCES, EPERM), the system has no such family, or there is no route.
    """

    __slots__ = ("_clock", "_data", "_family", "_identifier", "_poll", "_raw", "_size", "_sock", "_token")

    def __init__(
        self,
        target: Target,
        *,
        means: Literal["datagram", "raw"],
        identifier: int,
        token: bytes,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._family = target.family
        self._raw = means == "raw"
        self._identifier = identifier
        self._data = echo_data(token, size)
        self._token = self._data[: len(token)]
        self._size = HEADER_SIZE + size
        self._clock = clock
        self._sock = _open(target, raw=self._raw)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)

    def send(self, sequence: int) -> float:
        """Send a request; returns when it went.

        Raises:
            OSError: it cannot be sent.
        """
        message = echo_request(self._family, identifier=self._identifier, sequence=sequence, data=self._data)
        at = self._clock()
        try:
            self._sock.send(message)
        except OSError:  # perhaps the error of an earlier one, which the queue holds too: such a one is told once
            at = self._clock()
            self._sock.send(message)
        return at

    def wait(self, seconds: float) -> list[Heard]:
        """What has come back, at the latest after so many seconds."""
        if not self._poll.poll(seconds * 1000):
            return []
        return [*self._errors(), *self._answers()]

    def forget(self, sequence: int) -> None:
        """Nothing is held of a request."""

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def _answers(self) -> list[Heard]:
        found: list[Heard] = []
        while True:
            try:
                packet, control, _, source = self._sock.recvmsg(self._size + 128, _CONTROL)
            except OSError:  # nothing more, or the error of a request, which the queue holds too
                return found
            heard = self._read(packet, control, host_of(source))
            if heard is not None:
                found.append(heard)

    def _read(self, packet: bytes, control: list[tuple[int, int, bytes]], source: str) -> Heard | None:
        message = without_ip_header(packet) if self._raw and self._family == 4 else packet
        echo = parse_echo(self._family, message)
        if echo is None or (self._raw and echo.identifier != self._identifier):
            return None
        if not echo.data.startswith(self._token):
            return None
        ttl = next((unpack_from("=i", data)[0] for *kind, data in control if tuple(kind) in _TTLS), None)
        at = self._clock() - age(control, time.time_ns())
        detail = "" if echo.data == self._data else "its data came back changed"
        return Heard(echo.sequence, at, source=source, ttl=ttl, size=len(message), detail=detail)

    def _errors(self) -> list[Heard]:
        found: list[Heard] = []
        while True:
            try:
                packet, control, _, _ = self._sock.recvmsg(self._size, _CONTROL, socket.MSG_ERRQUEUE)
            except OSError:
                return found
            echo = parse_echo(self._family, packet, request=True)
            record = next((data for *kind, data in control if tuple(kind) in _ERRORS), b"")
            error = parse_queued_error(record)
            if echo is not None and error is not None and (not self._raw or echo.identifier == self._identifier):
                at, source = self._clock(), offender(record)
                found.append(Heard(echo.sequence, at, error=True, source=source, detail=error.detail))


def _open(target: Target, *, raw: bool) -> socket.socket:
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if target.family == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    sock = socket.socket(family, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, protocol)
    try:
        sock.setblocking(False)
        for level, option in _OPTIONS[target.family]:
            sock.setsockopt(level, option, 1)
        with suppress(OSError):  # an old kernel; the time of reading serves as well
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.connect(target.sockaddr(0))
    except BaseException:
        sock.close()
        raise
    return sock


def age(control: list[tuple[int, int, bytes]], now: int) -> float:
    """How long ago the kernel took a packet in, seconds; 0 where it does not tell, or the wall clock was set.

    Args:
        control: the control messages that came with it.
        now: the wall clock, nanoseconds.
    """
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            passed = (now - seconds * 1_000_000_000 - nanoseconds) / 1e9
            return passed if 0 <= passed <= _AGE_MOST else 0.0
    return 0.0


def offender(record: bytes) -> str:
    """Who sent an error: the sockaddr behind sock_extended_err; empty where none is told."""
    if len(record) < _OFFENDER + 8:
        return ""
    family = unpack_from("=H", record, _OFFENDER)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, record[_OFFENDER + 4 : _OFFENDER + 8])
    if family == socket.AF_INET6 and len(record) >= _OFFENDER + 24:
        return socket.inet_ntop(socket.AF_INET6, record[_OFFENDER + 8 : _OFFENDER + 24])
    return ""
