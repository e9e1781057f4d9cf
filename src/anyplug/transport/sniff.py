"""What a client speaks, from its first bytes, without taking any of them away.

One port serves several protocols: the first bytes are looked at with MSG_PEEK on the accepted socket, before a
transport is made, so that every protocol starts at its own byte 0. `classify` decides as soon as only one row of
`OPENINGS` is left; where several are, the wait goes on until there are more bytes. The kernel is told to wake us only
then (SO_RCVLOWAT), so that a slow client costs one wake a byte and not a busy loop; where it wakes us all the same, we
look again after a pause.
"""

from __future__ import annotations

import asyncio
import select
import socket
from enum import Enum
from typing import Final

from anyplug.errors import Timeout
from anyplug.wire.frames import PREFACE

__all__ = ["OPENINGS", "First", "classify", "sniff"]


class First(Enum):
    """What a client speaks."""

    PLUG = "plug"
    """The preface of the plug protocol."""
    TLS = "tls"
    """A TLS handshake record (RFC 8446, section 5.1)."""
    HTTP = "http"
    """An HTTP request, of version 1 or 2."""
    TEXT = "text"
    """Anything else: lines of text."""
    SILENT = "silent"
    """It went away before it sent a byte: a probe, a port scan, a health check."""


METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""The methods of RFC 9110, section 9, and RFC 5789. Methods are written in capitals; ``get`` is text."""

OPENINGS: Final[tuple[tuple[First, tuple[bytes, ...]], ...]] = (
    (First.PLUG, (PREFACE[:1],)),
    (First.TLS, (b"\x16\x03",)),
    (First.HTTP, (*(f"{method} ".encode() for method in METHODS), b"PRI * HTTP/2")),
)
"""How each protocol begins. No beginning is the start of another. The first byte of the preface is in no text and no
other protocol."""

LONGEST: Final = max(len(prefix) for _, prefixes in OPENINGS for prefix in prefixes)
"""Bytes to look at: these decide any case."""

_PAUSE: Final = 0.01
"""Seconds until the next look, where the kernel woke us without a further byte; doubled each time."""

_PAUSE_MAX: Final = 0.16
"""The longest such pause, seconds."""

_ENDED: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


def classify(first: bytes) -> First | None:
    """What begins with these bytes; None where more are needed to know."""
    open_still = not first
    for kind, prefixes in OPENINGS:
        for prefix in prefixes:
            if first.startswith(prefix):
                return kind
            open_still = open_still or prefix.startswith(first)
    return None if open_still else First.TEXT


async def sniff(sock: socket.socket, *, timeout: float) -> First:
    """What the client of an accepted, non-blocking stream socket speaks. All its bytes stay in the socket.

    A client that ends, or resets the connection, is judged by what it has sent. Cancelling leaves the socket as it was.

    Args:
        sock: the socket; no transport may be on it yet.
        timeout: seconds.

    Raises:
        Timeout: the first bytes were not there in time, or do not tell.
    """
    look = _Look(sock, asyncio.get_running_loop())
    return look.found or await look.wait(timeout)


class _Look:
    """One client being looked at."""

    __slots__ = ("_done", "_loop", "_pause", "_reading", "_retry", "_sock", "found", "have")

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._loop = loop
        self._pause = _PAUSE
        self._reading = False
        self._done: asyncio.Future[First] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.have = 0
        self.found = self._peek()

    async def wait(self, timeout: float) -> First:
        """Wait until the first bytes tell."""
        self._done = self._loop.create_future()
        deadline = self._loop.call_later(timeout, self._give_up, timeout)
        self._listen()
        try:
            return await self._done
        finally:
            self._rest()
            deadline.cancel()
            if self._retry is not None:
                self._retry.cancel()
            if self.have:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _peek(self) -> First | None:
        """Look once; None where the wait goes on."""
        try:
            first = self._sock.recv(LONGEST, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return First.TEXT if self.have else First.SILENT
        if not first:
            return First.SILENT
        kind = classify(first)
        if kind is not None:
            return kind
        grown, self.have = len(first) > self.have, len(first)
        if not grown and self._has_ended():
            return First.TEXT
        if grown:
            self._pause = _PAUSE
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self.have + 1)
        elif self._reading:  # woken for nothing
            self._rest()
            self._retry = self._loop.call_later(self._pause, self._listen)
            self._pause = min(2 * self._pause, _PAUSE_MAX)
        return None

    def _has_ended(self) -> bool:
        """Whether no further byte can come."""
        poll = select.poll()
        poll.register(self._sock, _ENDED)
        return bool(poll.poll(0))

    def _listen(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._sock, self._wake)

    def _rest(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    def _wake(self) -> None:
        assert self._done is not None  # noqa: S101 - `wait` has made it
        if self._done.done():
            return
        kind = self._peek()
        if kind is not None:
            self._done.set_result(kind)

    def _give_up(self, seconds: float) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Timeout("the first bytes of a client", seconds))
