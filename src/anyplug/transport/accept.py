"""Accepting connections, whatever happens to the system's resources.

The accept loop of asyncio logs about a hundred errors a second while the process is out of file descriptors. This one
takes up to `BATCH` connections a wake; a client that was gone before it was accepted is counted and forgotten; and out
of resources it pauses, says so at most once a second, and closes who waits by means of a descriptor kept in reserve, so
that clients are told at once instead of hanging until they give up.
"""

from __future__ import annotations

import os
from errno import (
    ECONNABORTED,
    EHOSTDOWN,
    EHOSTUNREACH,
    EINTR,
    EMFILE,
    ENETDOWN,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOMEM,
    ENOPROTOOPT,
    EPERM,
    EPROTO,
)
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from anyplug.transport.names import SockAddr

__all__ = ["Acceptor"]

BATCH: Final = 64
"""Connections accepted a wake, at most: between two batches the loop serves those it has."""

PAUSE: Final = 0.25
"""Seconds without accepting after the first trouble; doubled while it lasts."""

PAUSE_MAX: Final = 1.0
"""The longest such pause, seconds: so soon after the trouble clients are accepted again."""

QUIET: Final = 1.0
"""Seconds between two reports of trouble, at least."""

GONE: Final = frozenset(
    {ECONNABORTED, EINTR, EPERM, EPROTO, ENOPROTOOPT, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH}
)
"""Errors of one connection, not of the listener: accept(2), "Error handling"."""

FULL: Final = frozenset({EMFILE, ENFILE})
"""No descriptor is left, in this process or on this machine."""

_WORDS: Final = {
    EMFILE: "too many open files: raise the limit (`ulimit -n`) or lower the limit on connections",
    ENFILE: "too many open files on this machine",
    ENOBUFS: "no memory for sockets",
    ENOMEM: "no memory for sockets",
}


class Acceptor:
    """Accepts from one listening socket on an event loop.

    It starts at once and does not own the socket: `close` stops accepting and leaves the socket open.
    """

    __slots__ = (
        "_closed",
        "_last_report",
        "_loop",
        "_on_accept",
        "_on_trouble",
        "_pause",
        "_paused",
        "_reading",
        "_sock",
        "_spare",
        "_timer",
        "aborted",
        "accepted",
        "shed",
        "wakes",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_accept: Callable[[socket.socket, SockAddr], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        """Start accepting.

        Args:
            loop: the event loop; it needs ``add_reader``.
            sock: listening and non-blocking.
            on_accept: gets each connection, non-blocking and close-on-exec, with the peer's address. It owns the
                socket; where it raises, the socket is closed here.
            on_trouble: gets a sentence for the log, at most one a second.
        """
        self.accepted = 0
        """Connections handed on."""
        self.aborted = 0
        """Connections that were gone before they were accepted."""
        self.shed = 0
        """Connections closed at once, for want of a descriptor."""
        self.wakes = 0
        """How often the loop has called."""
        self._loop = loop
        self._sock = sock
        self._on_accept = on_accept
        self._on_trouble = on_trouble
        self._pause = PAUSE
        self._paused = False
        self._closed = False
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_report = float("-inf")
        self._spare: int | None = None
        self._keep_spare()
        self._listen()

    def pause(self) -> None:
        """Stop accepting for now; clients wait in the kernel's backlog."""
        self._paused = True
        self._rest()

    def resume(self) -> None:
        """Accept again."""
        self._paused = False
        self._listen()

    def close(self) -> None:
        """Stop accepting for good. A second call does nothing."""
        self._closed = True
        self._rest()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _listen(self) -> None:
        """Wait for clients, unless paused, closed, or resting after trouble."""
        if not (self._reading or self._paused or self._closed or self._timer):
            self._reading = True
            self._loop.add_reader(self._sock, self._accept_batch)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    def _accept_batch(self) -> None:
        self.wakes += 1
        for _ in range(BATCH):
            if not self._reading:  # on_accept has paused or closed us
                return
            try:
                conn, sockaddr = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in GONE:
                    self.aborted += 1
                    continue
                self._trouble(error)
                return
            self._hand_on(conn, sockaddr)

    def _hand_on(self, conn: socket.socket, sockaddr: SockAddr) -> None:
        self.accepted += 1
        self._pause = PAUSE
        if self._spare is None:
            self._keep_spare()
        try:
            conn.setblocking(False)
            self._on_accept(conn, sockaddr)
        except BaseException:
            conn.close()
            raise

    def _trouble(self, error: OSError) -> None:
        """Rest for a while, having closed who waits where that is possible."""
        shed = self._shed() if error.errno in FULL else 0
        self._rest()
        self._timer = self._loop.call_later(self._pause, self._wake)
        self._pause = min(2 * self._pause, PAUSE_MAX)
        now = self._loop.time()
        if now - self._last_report >= QUIET:
            self._last_report = now
            words = _WORDS.get(error.errno or 0, error.strerror or str(error))
            closed = f"; {shed} waiting closed" if shed else ""
            self._on_trouble(f"no connection can be accepted for now: {words}{closed}")

    def _wake(self) -> None:
        self._timer = None
        self._listen()

    def _shed(self) -> int:
        """Close clients that wait, by means of the spare descriptor; how many."""
        if self._spare is None:
            return 0
        os.close(self._spare)
        self._spare = None
        shed = 0
        try:
            for shed in range(BATCH):  # noqa: B007 - the count is the result
                self._sock.accept()[0].close()
            shed = BATCH
        except OSError:
            pass
        self.shed += shed
        self._keep_spare()
        return shed

    def _keep_spare(self) -> None:
        """Open a descriptor to give up when there is no other."""
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._spare = None
