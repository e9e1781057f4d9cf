"""A TCP connect scan: raw non-blocking sockets and epoll, in one thread, without being root.

A closed port of this machine is known as soon as it was asked: the answer is there when `connect` is called again.
And a socket whose connection was refused can be used for the next port. So the ports of loopback cost two system calls
each, and no object that outlives the port.

``closed`` is said only where the host itself refused. Silence is ``unknown``, however often it was asked; so is what
routers and firewalls say. A port that connects to itself is closed: on loopback a socket may be given the very port as
its own that it is to connect to, and TCP allows that (RFC 9293, section 3.5: simultaneous open).
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from contextlib import suppress
from errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    EALREADY,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTDOWN,
    EHOSTUNREACH,
    EINPROGRESS,
    EISCONN,
    EMFILE,
    ENETDOWN,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    EPERM,
    ETIMEDOUT,
)
from ipaddress import ip_address
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anyplug.netinfo.pacing import Pacer
    from anyplug.netinfo.scan_types import Target

__all__ = ["Outcome", "TcpScan", "why_not"]

_UNREACHABLE: Final = frozenset({EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN})
_PROHIBITED: Final = frozenset({EACCES, EPERM})
_STARVED: Final = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EAGAIN, EADDRINUSE})
"""This machine has no more sockets, memory or local ports just now."""
_SILENT: Final = frozenset({ETIMEDOUT, ECONNABORTED})

_STARVED_MOST: Final = 5.0
"""How long the scan waits for a first socket while the system has none, seconds."""
_STARVED_PAUSE: Final = 0.05

_RESET: Final = pack("ii", 1, 0)
"""SO_LINGER that resets: thousands of connections in TIME-WAIT would use up the local ports."""

_PROHIBITED_CODES: Final = {(2, 3): {9, 10, 13}, (3, 1): {1, 5, 6}}
"""ICMP (RFC 1812, section 5.2.7.1) and ICMPv6 (RFC 4443, section 3.1): origin and type, and the codes that mean that an
administrator forbids it."""


class Outcome(NamedTuple):
    """What one port came to."""

    target: int
    """The place of its host in the list."""
    port: int
    state: str
    """``open``, ``closed`` or ``unknown``."""
    why: str
    seconds: float | None
    tries: int


class _Probe(NamedTuple):
    """A connection that is being tried."""

    sock: socket.socket
    target: int
    port: int
    number: int
    """Which try this is, from 1."""
    began: float


class TcpScan:
    """One scan of some ports of some hosts.

    Args:
        targets: the hosts.
        ports: the ports, the same of each host.
        pacer: how fast.
        clock: seconds that never run backwards.
        make: makes a socket of a family; raises `OSError`.
    """

    __slots__ = (
        "_again",
        "_clock",
        "_epoll",
        "_jobs",
        "_local",
        "_make",
        "_out",
        "_pacer",
        "_running",
        "_spare",
        "_starved_since",
        "_targets",
        "_waiting",
        "probes",
    )

    def __init__(
        self,
        targets: list[Target],
        ports: Iterable[int],
        pacer: Pacer,
        *,
        clock: Callable[[], float] = time.monotonic,
        make: Callable[[int], socket.socket] | None = None,
    ) -> None:
        ports = list(ports)
        self.probes = 0
        """Connections tried so far."""
        self._targets = targets
        self._local = [ip_address(each.address).is_loopback for each in targets]
        self._pacer = pacer
        self._clock = clock
        self._make = make or _new_socket
        self._jobs: Iterator[tuple[int, int]] = ((at, port) for port in ports for at in range(len(targets)))
        self._again: deque[tuple[int, int, int]] = deque()
        self._running: dict[int, _Probe] = {}
        self._waiting: dict[int, deque[_Probe]] = {}
        self._spare: dict[int, list[socket.socket]] = {4: [], 6: []}
        self._out: list[Outcome] = []
        self._epoll = select.epoll()
        self._starved_since = 0.0

    def run(self) -> Iterator[list[Outcome]]:
        """The outcomes, in batches as they come; an empty batch now and then while nothing answers.

        Raises:
            LocalError: this machine has no sockets left for it at all.
        """
        try:
            more = True
            while more or self._running or self._again:
                more = self._start_some()
                if self._running:
                    self._collect(self._pause(more=more))
                    self._expire()
                out, self._out = self._out, []
                yield out
        finally:
            self.close()

    def close(self) -> None:
        """Close every socket; what is under way is given up."""
        for probe in self._running.values():
            probe.sock.close()
        for socks in self._spare.values():
            for sock in socks:
                sock.close()
        self._running.clear()
        self._epoll.close()

    # Starting.

    def _start_some(self) -> bool:
        """Try as many as the pace allows now. Returns whether there are more."""
        pacer, batch = self._pacer, 0
        while len(self._running) < pacer.window and batch < 1024:
            pause = pacer.pause(self._clock())
            if pause:
                if not self._running:
                    time.sleep(min(pause, 0.1))
                return True
            job = self._next_job()
            if job is None:
                return False
            if not self._start(*job):
                return True
            batch += 1
        return True

    def _next_job(self) -> tuple[int, int, int] | None:
        if self._again:
            return self._again.popleft()
        job = next(self._jobs, None)
        return None if job is None else (*job, 1)

    def _start(self, at: int, port: int, number: int) -> bool:
        """Try one port. Returns False where the system has no socket for it; it is tried later then."""
        target = self._targets[at]
        spare = self._spare[target.family]
        began = self._clock()
        try:
            sock = spare.pop() if spare else self._make(target.family)
        except OSError as error:
            return self._no_socket(error.errno or 0, at, port, number)
        self.probes += 1
        sockaddr = target.sockaddr(port)
        error_number = sock.connect_ex(sockaddr)
        if error_number == EINPROGRESS and self._local[at]:
            error_number = sock.connect_ex(sockaddr)
        probe = _Probe(sock, at, port, number, began)
        if error_number in {EINPROGRESS, EALREADY}:
            self._await(probe)
        elif error_number in _STARVED:
            sock.close()
            return self._no_socket(error_number, at, port, number)
        else:
            self._starved_since = 0.0
            self._settle(probe, error_number)
        return True

    def _no_socket(self, number: int, at: int, port: int, tries: int) -> bool:
        six = self._targets[at].family == 6
        if number == EAFNOSUPPORT or (number == EADDRNOTAVAIL and six and not self._running):  # no IPv6 here
            self._out.append(Outcome(at, port, "unknown", "unreachable", None, tries))
            return True
        if number not in _STARVED:
            raise LocalError(f"no socket could be opened for the scan: {os.strerror(number)}")
        self._again.append((at, port, tries))
        self._pacer.starved(len(self._running))
        if not self._running:
            now = self._clock()
            self._starved_since = self._starved_since or now
            if now - self._starved_since > _STARVED_MOST:
                raise LocalError(f"this machine has no socket left for the scan: {os.strerror(number)}")
            time.sleep(_STARVED_PAUSE)
        return False

    def _await(self, probe: _Probe) -> None:
        self._running[probe.sock.fileno()] = probe
        self._waiting.setdefault(probe.number, deque()).append(probe)
        self._epoll.register(probe.sock, select.EPOLLOUT)

    # Answers.

    def _pause(self, *, more: bool) -> float:
        """How long to wait for answers: until the first of them is late, or there is room and a turn for more."""
        now = self._clock()
        ends = [queue[0].began + self._pacer.wait(number) for number, queue in self._waiting.items() if queue]
        pause = max(min(ends, default=now) - now, 0.0)
        if more and len(self._running) < self._pacer.window:
            pause = min(pause, 0.01)
        return min(pause, 0.25)

    def _collect(self, pause: float) -> None:
        for fd, _ in self._epoll.poll(pause, 1024):
            probe = self._running.get(fd)
            if probe is None:
                continue
            number = probe.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            del self._running[fd]
            self._epoll.unregister(fd)
            self._settle(probe, number, reuse=False)

    def _settle(self, probe: _Probe, number: int, *, reuse: bool = True) -> None:
        """A connection came to an end: it is open, refused, or something on the way said no."""
        if number == ECONNREFUSED or (number in {0, EISCONN} and _is_own(probe.sock)):
            state, why = "closed", ""
        elif number in {0, EISCONN, ECONNRESET}:
            state, why = "open", ""
        elif number in _SILENT:
            probe.sock.close()
            self._silent(probe)
            return
        else:
            state, why = "unknown", why_not(probe.sock, number)
        now = self._clock()
        seconds = now - probe.began
        self._pacer.answered(seconds, probe.number, now)
        self._out.append(Outcome(probe.target, probe.port, state, why, seconds, probe.number))
        if number == ECONNREFUSED and reuse:
            self._spare[self._targets[probe.target].family].append(probe.sock)
            return
        if number == 0:
            with suppress(OSError):
                probe.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        probe.sock.close()

    def _expire(self) -> None:
        """Give up those that are late; they are tried again, or are silent."""
        now = self._clock()
        for number, queue in self._waiting.items():
            wait = self._pacer.wait(number)
            while queue and (queue[0].began + wait <= now or self._running.get(queue[0].sock.fileno()) is not queue[0]):
                probe = queue.popleft()
                fd = probe.sock.fileno()
                if fd >= 0 and self._running.get(fd) is probe:
                    del self._running[fd]
                    probe.sock.close()
                    self._silent(probe)

    def _silent(self, probe: _Probe) -> None:
        if probe.number < self._pacer.tries:
            self._again.append((probe.target, probe.port, probe.number + 1))
        else:
            self._out.append(Outcome(probe.target, probe.port, "unknown", "timed out", None, probe.number))


def _new_socket(family: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    sock.setblocking(False)
    with suppress(OSError):  # tells which ICMP message it was
        level, option = (socket.IPPROTO_IP, 11) if family == 4 else (socket.IPPROTO_IPV6, 25)
        sock.setsockopt(level, option, 1)
    return sock


def _is_own(sock: socket.socket) -> bool:
    """Whether the socket is connected to itself."""
    try:
        own: bool = sock.getsockname() == sock.getpeername()
    except OSError:
        return False
    return own


def why_not(sock: socket.socket, number: int) -> str:
    """Why a port is not known, from the system's error number and what ICMP said."""
    if number in _PROHIBITED or _is_prohibited(sock):
        return "admin-prohibited"
    if number in _UNREACHABLE:
        return "unreachable"
    return os.strerror(number)


def _is_prohibited(sock: socket.socket) -> bool:
    """Whether the ICMP message that ended the connection says so (ip(7), IP_RECVERR)."""
    try:
        _, messages, _, _ = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return False
    for _, _, data in messages:
        if len(data) >= 8:
            _, origin, kind, code = unpack_from("=IBBB", data)
            if code in _PROHIBITED_CODES.get((origin, kind), ()):
                return True
    return False
