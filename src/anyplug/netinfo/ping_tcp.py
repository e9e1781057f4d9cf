"""Pings over TCP, for those who may not open an ICMP socket: how long a connection takes to be taken or refused.

Either way the host has answered. The kernel sends a lost SYN again after a second, so that a connection with a lost
packet only seems slow; TCP_INFO tells, and what was answered only then counts as silent.
"""

from __future__ import annotations

import select
import socket
import time
from errno import ECONNREFUSED, EINPROGRESS
from os import strerror
from typing import TYPE_CHECKING, NamedTuple

from anyplug.netinfo.icmp import SEQUENCES
from anyplug.netinfo.ping_book import Heard
from anyplug.netinfo.tcp_info import is_itself, tcp_info
from anyplug.netinfo.tcp_scan import why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.netinfo.scan_types import Target

__all__ = ["TcpProbe", "answering_port"]


class _Attempt(NamedTuple):
    sequence: int
    sock: socket.socket
    began: float
    refused: bool


class TcpProbe:
    """Opens connections, and hears how they end; arguments as of `anyplug.netinfo.ping_icmp.IcmpProbe`."""

    __slots__ = ("_attempts", "_clock", "_poll", "_port", "_target")

    def __init__(self, target: Target, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._port = port
        self._clock = clock
        self._attempts: dict[int, _Attempt] = {}
        self._poll = select.poll()

    def send(self, sequence: int) -> float:
        """Begin a connection; returns when it was begun.

        Raises:
            OSError: it cannot be begun.
        """
        sock = socket.socket(socket.AF_INET if self._target.family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            began = self._clock()
            number = sock.connect_ex(self._target.sockaddr(self._port))
            if number not in {0, EINPROGRESS, ECONNREFUSED}:
                raise OSError(number, strerror(number))
        except BaseException:
            sock.close()
            raise
        self._attempts[sock.fileno()] = _Attempt(sequence, sock, began, number == ECONNREFUSED)
        self._poll.register(sock, select.POLLOUT)
        return began

    def wait(self, seconds: float) -> list[Heard]:
        """What has come back, at the latest after so many seconds."""
        found = []
        for fd, _ in self._poll.poll(seconds * 1000):
            attempt = self._drop(fd)
            with attempt.sock:
                heard = self._read(attempt)
            if heard is not None:
                found.append(heard)
        return found

    def forget(self, sequence: int) -> None:
        """Give up the connection of a request."""
        for fd, attempt in list(self._attempts.items()):
            if attempt.sequence == sequence:
                self._drop(fd).sock.close()

    def close(self) -> None:
        """Give up all of them."""
        for fd in list(self._attempts):
            self._drop(fd).sock.close()

    def _drop(self, fd: int) -> _Attempt:
        self._poll.unregister(fd)
        return self._attempts.pop(fd)

    def _read(self, attempt: _Attempt) -> Heard | None:
        now = self._clock()
        sock, number = attempt.sock, attempt.sequence % SEQUENCES
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if attempt.refused or (not error and is_itself(sock)):
            error = ECONNREFUSED
        if error not in {0, ECONNREFUSED}:
            why = why_not(sock, error)
            return Heard(number, now, error=True, detail=strerror(error).lower() if why == "unreachable" else why)
        info = tcp_info(sock)
        if info is not None and info.resent:
            return None
        at = attempt.began + info.round_trip if info is not None and info.round_trip and not error else now
        detail = f"port {self._port} {'closed' if error else 'open'}"
        return Heard(number, min(at, now), source=self._target.address, detail=detail)


def answering_port(target: Target, ports: Sequence[int], seconds: float) -> int:
    """The first of the ports that answers, with yes or no; the first of them where none does in time."""
    probes = {TcpProbe(target, port): port for port in ports}
    try:
        for probe in probes:
            _begin(probe)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for probe, port in probes.items():
                if any(not heard.error for heard in probe.wait(min(left, seconds) / 50)):
                    return port
        return ports[0]
    finally:
        for probe in probes:
            probe.close()


def _begin(probe: TcpProbe) -> None:
    try:
        probe.send(1)
    except OSError:
        return  # it has no way there; the ping itself tells why
