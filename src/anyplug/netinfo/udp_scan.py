"""A UDP scan, without being root: one connected socket a port, so that refusals come back to it.

UDP has no handshake. An answer proves that a port is open, and an ICMP "port unreachable" that it is closed. Silence
proves nothing, and is what most open ports give to a stranger: it is called ``open|unknown``. Hosts send refusals
slowly (Linux one a second to each peer, after a few), so silent ports are asked again, and many ports take long.
"""

from __future__ import annotations

import select
import socket
import time
from errno import ECONNREFUSED, EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import TYPE_CHECKING, Final

from anyplug.errors import LocalError
from anyplug.netinfo.tcp_scan import Outcome, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anyplug.netinfo.pacing import Pacer
    from anyplug.netinfo.scan_types import Target

__all__ = ["PROBES", "UdpScan"]

_NO_MORE: Final = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
_BATCH: Final = 64
"""Ports that are asked at once at most."""
_WAIT: Final = 0.5
"""How long answers are waited for where nothing else is said, seconds."""

PROBES: Final = {
    53: bytes.fromhex("a1b2010000010000000000000000020001"),
    123: b"\xe3" + bytes(47),
    161: bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"),
    5353: bytes.fromhex("000000000001000000000000095f7365727669636573075f646e732d7364045f756470056c6f63616c00000c8001"),
}
"""What is said where a program answers nothing else: DNS (RFC 1035), NTP (RFC 5905), SNMP (RFC 1157), mDNS (RFC 6762).
Elsewhere an empty datagram."""


class UdpScan:
    """One scan of some ports of some hosts; arguments as of `anyplug.netinfo.tcp_scan.TcpScan`."""

    __slots__ = ("_clock", "_jobs", "_pacer", "_targets", "probes")

    def __init__(
        self,
        targets: list[Target],
        ports: Iterable[int],
        pacer: Pacer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.probes = 0
        """Datagrams sent so far."""
        self._targets = targets
        self._pacer = pacer
        self._clock = clock
        ports = list(ports)
        self._jobs = [(at, port) for port in reversed(ports) for at in reversed(range(len(targets)))]

    def run(self) -> Iterator[list[Outcome]]:
        """The outcomes, in batches.

        Raises:
            LocalError: this machine has no sockets left for it at all.
        """
        while self._jobs:
            socks: dict[int, tuple[socket.socket, int, int]] = {}
            try:
                out = self._open_some(socks)
                out += self._ask(socks)
            finally:
                for sock, _, _ in socks.values():
                    sock.close()
            yield out

    def _open_some(self, socks: dict[int, tuple[socket.socket, int, int]]) -> list[Outcome]:
        """Open the sockets of the next ports; the outcomes of those that fail at once."""
        out = []
        while self._jobs and len(socks) < min(_BATCH, self._pacer.most):
            at, port = self._jobs[-1]
            target = self._targets[at]
            try:
                sock = socket.socket(socket.AF_INET if target.family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
            except OSError as error:
                if error.errno in _NO_MORE and socks:
                    break
                if error.errno in _NO_MORE:
                    problem = f"this machine has no socket left for the scan: {error.strerror}"
                    raise LocalError(problem) from error
                out.append(Outcome(at, port, "unknown", "unreachable", None, 1))
                self._jobs.pop()
                continue
            self._jobs.pop()
            sock.setblocking(False)
            number = sock.connect_ex(target.sockaddr(port))
            if number:
                out.append(Outcome(at, port, "unknown", why_not(sock, number), None, 1))
                sock.close()
            else:
                socks[sock.fileno()] = (sock, at, port)
        return out

    def _ask(self, socks: dict[int, tuple[socket.socket, int, int]]) -> list[Outcome]:
        """Ask until each has answered, or was silent often enough."""
        out: list[Outcome] = []
        open_now = dict(socks)
        for number in range(1, self._pacer.tries + 1):
            began = self._clock()
            for sock, _, port in open_now.values():
                self._say(sock, PROBES.get(port, b""))
            wait = self._pacer.wait(number) if self._pacer.fixed else _WAIT
            self._hear(open_now, began, wait, number, out)
            if not open_now:
                break
        out += [Outcome(at, port, "open|unknown", "timed out", None, number) for _, at, port in open_now.values()]
        return out

    def _say(self, sock: socket.socket, data: bytes) -> None:
        while pause := self._pacer.pause(self._clock()):
            time.sleep(pause)
        self.probes += 1
        try:
            sock.send(data)
        except OSError:
            return  # the refusal of an earlier datagram is read in its turn

    def _hear(
        self,
        socks: dict[int, tuple[socket.socket, int, int]],
        began: float,
        wait: float,
        number: int,
        out: list[Outcome],
    ) -> None:
        poll = select.poll()
        for fd in socks:
            poll.register(fd, select.POLLIN)
        while socks and (left := began + wait - self._clock()) > 0:
            for fd, _ in poll.poll(left * 1000):
                sock, at, port = socks.pop(fd)
                poll.unregister(fd)
                state, why = _read(sock)
                out.append(Outcome(at, port, state, why, self._clock() - began, number))


def _read(sock: socket.socket) -> tuple[str, str]:
    """What a socket heard: a state, and why it is not known better."""
    try:
        sock.recv(1)
    except OSError as error:
        if error.errno == ECONNREFUSED:
            return "closed", ""
        return "unknown", why_not(sock, error.errno or 0)
    return "open", ""
