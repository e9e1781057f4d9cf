"""An unconnected datagram socket for servers.

Datagrams are never queued here: what cannot be sent at once is dropped and counted, as any network on the way may drop
it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.transport.packets import BATCH, PACKET_MAX, scratch

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from anyplug.transport.names import SockAddr

__all__ = ["DatagramPort"]

FAULTS_MAX: Final = 64
"""Errors in a row that one wake passes over; each stands for a datagram that went wrong before."""


class DatagramPort:
    """Receives and sends datagrams on an event loop. It starts at once and owns the socket."""

    __slots__ = (
        "_closed",
        "_loop",
        "_on_datagrams",
        "_reading",
        "_sock",
        "dropped",
        "faults",
        "oversized",
        "received",
        "sent",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_datagrams: Callable[[list[tuple[bytes, SockAddr]]], None],
    ) -> None:
        """Start receiving.

        Args:
            loop: the event loop; it needs ``add_reader``.
            sock: bound and non-blocking.
            on_datagrams: gets what has arrived, up to `BATCH` datagrams, each with its sender: None or ``""`` for a
                unix socket without a name, which cannot be answered.
        """
        self.received = 0
        """Datagrams handed on."""
        self.sent = 0
        """Datagrams the kernel took."""
        self.dropped = 0
        """Datagrams that could not be sent: the socket was full, or the receiver is gone."""
        self.oversized = 0
        """Datagrams received that were larger than `PACKET_MAX`, and dropped."""
        self.faults = 0
        """Errors the socket reported on receiving: of datagrams sent before, mostly."""
        self._loop = loop
        self._sock = sock
        self._on_datagrams = on_datagrams
        self._closed = False
        self._reading = False
        self.resume()

    def send(self, data: bytes, to: SockAddr) -> bool:
        """Send one datagram; False where it was dropped, which is counted."""
        if not self._closed and to:
            try:
                self._sock.sendto(data, to)
            except OSError:
                pass
            else:
                self.sent += 1
                return True
        self.dropped += 1
        return False

    def pause(self) -> None:
        """Receive no more for now; the kernel keeps what fits SO_RCVBUF, and drops the rest."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock)

    def resume(self) -> None:
        """Receive again."""
        if not (self._reading or self._closed):
            self._reading = True
            self._loop.add_reader(self._sock, self._receive_batch)

    def close(self) -> None:
        """Close the socket. A second call does nothing."""
        if not self._closed:
            self.pause()
            self._closed = True
            self._sock.close()

    def _receive_batch(self) -> None:
        buffer = scratch()
        batch: list[tuple[bytes, SockAddr]] = []
        faults = 0
        while len(batch) < BATCH and faults < FAULTS_MAX:
            try:
                size, sender = self._sock.recvfrom_into(buffer)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                faults += 1
                continue
            if size > PACKET_MAX:
                self.oversized += 1
            else:
                batch.append((bytes(buffer[:size]), sender))
        self.faults += faults
        if batch:
            self.received += len(batch)
            self._on_datagrams(batch)
