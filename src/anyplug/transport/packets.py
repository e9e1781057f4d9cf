"""A connected socket that keeps the bounds of messages, as an asyncio transport.

asyncio and uvloop have transports for byte streams and for datagrams, but none for ``SOCK_SEQPACKET``.
`PacketTransport` has the face of a stream transport, so that the same protocols work over it; one ``write`` is one
packet, and ``data_received`` is called once for each packet. It also serves a connected datagram socket. Unconnected
ones: see `anyplug.transport.datagrams`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from errno import ENOBUFS
from typing import TYPE_CHECKING, Final

from anyplug.errors import EncodeError, TooLarge
from anyplug.transport.face import Face

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

__all__ = ["BATCH", "PACKET_MAX", "PacketTransport", "scratch"]

BATCH: Final = 64
"""Packets read a wake, at most: between two batches the loop serves others."""

PACKET_MAX: Final = 512 * 1024
"""The largest packet read, bytes. Linux lets a program send one of up to twice ``net.core.wmem_max``, 416 KiB unless
that was raised."""

_UDP_MAX: Final = 65507
"""The largest payload of a UDP datagram over IPv4, bytes: 65535 less the headers."""

_OVERHEAD: Final = 32
"""Bytes of SO_SNDBUF that Linux keeps from a packet of a unix socket."""

_NO_BUFFERS_PAUSE: Final = 0.01
"""Seconds until a send is tried again for which the system had no memory: it offers no event to wait for."""

_per_thread = threading.local()


def scratch() -> memoryview:
    """The thread's buffer to receive one packet in. A packet that fills it was too large: it has one byte more."""
    view: memoryview | None = getattr(_per_thread, "view", None)
    if view is None:
        view = _per_thread.view = memoryview(bytearray(PACKET_MAX + 1))
    return view


class PacketTransport(Face):
    """A transport over a connected, non-blocking packet socket, which it owns.

    The end of a SEQPACKET stream is an empty packet, as the system has it. So an empty packet cannot be sent there:
    `write` refuses it. ``get_extra_info`` knows ``socket``, ``peername``, ``sockname`` and ``packet_max``, the largest
    packet that can be sent, bytes.
    """

    __slots__ = (
        "_eof_received",
        "_eof_sent",
        "_fd",
        "_out",
        "_packet_max",
        "_read_paused",
        "_reading",
        "_reset",
        "_retry",
        "_sequenced",
        "_sock",
        "_writing",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: asyncio.Protocol) -> None:
        """Take over the socket; ``connection_made`` is called by the loop, and then reading starts."""
        packet_max = _largest(sock)
        super().__init__(loop, protocol, {"socket": sock, "sockname": sock.getsockname(), "packet_max": packet_max})
        with contextlib.suppress(OSError):
            self._extra["peername"] = sock.getpeername()
        self._sock = sock
        self._fd = sock.fileno()
        self._sequenced = sock.type == socket.SOCK_SEQPACKET
        self._packet_max = packet_max
        self._out: deque[bytes] = deque()
        self._read_paused = self._reading = self._writing = self._eof_sent = self._eof_received = False
        self._reset: OSError | None = None
        self._retry: asyncio.TimerHandle | None = None
        loop.call_soon(self._start)

    # Reading.

    def is_reading(self) -> bool:
        """Whether packets are delivered now."""
        return not (self._read_paused or self._closing or self._eof_received)

    def pause_reading(self) -> None:
        """Deliver no more; packets wait in the kernel, and then their sender does."""
        self._read_paused = True
        self._watch_reading(False)

    def resume_reading(self) -> None:
        """Deliver again."""
        self._read_paused = False
        self._watch_reading(self.is_reading())

    def _start(self) -> None:
        if not self._lost:
            self._protocol.connection_made(self)
            self._watch_reading(self.is_reading())

    def _watch_reading(self, wanted: bool) -> None:
        if wanted and not self._reading:
            self._loop.add_reader(self._fd, self._read_batch)
        elif self._reading and not wanted:
            self._loop.remove_reader(self._fd)
        self._reading = wanted

    def _read_batch(self) -> None:
        buffer = scratch()
        for _ in range(BATCH):
            if not self._reading:  # the protocol has paused or closed us
                return
            try:
                size = self._sock.recv_into(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionResetError as error:
                # The peer has closed with packets of ours unread. Those it sent before are still to be had.
                if self._reset is None and self._sequenced:
                    self._reset = error
                    continue
                self._force_close(error)
                return
            except OSError as error:
                self._force_close(error)
                return
            if size > PACKET_MAX:
                self._force_close(TooLarge("packet", size=None, limit=PACKET_MAX))
            elif size or not self._sequenced:
                self._protocol.data_received(bytes(buffer[:size]))
            else:
                self._end_reading()

    def _end_reading(self) -> None:
        if self._reset is not None:
            self._force_close(self._reset)
            return
        self._watch_reading(False)
        self._eof_received = True
        if not self._protocol.eof_received():
            self.close()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one packet, now or in order after those queued.

        Raises:
            TooLarge: above ``packet_max``. Nothing was sent.
            EncodeError: it is empty, and this socket has no empty packets.
        """
        if self._eof_sent:
            raise RuntimeError("write after write_eof: this side has ended")
        if not data and self._sequenced:
            raise EncodeError("packet", "it is empty, which here means the end; send at least one byte")
        if len(data) > self._packet_max:
            raise TooLarge("packet", size=len(data), limit=self._packet_max)
        if self._closing:
            return
        if not self._out and self._send(data):
            return
        if not self._lost:
            self._out.append(bytes(data))
            self._queued += len(data)
            self._tell_pause()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send packets, one for each item."""
        for data in list_of_data:
            self.write(data)

    def can_write_eof(self) -> bool:
        """Whether the other end can be told that no more comes: on SEQPACKET."""
        return self._sequenced

    def write_eof(self) -> None:
        """Say that this side sends no more, once everything queued is sent. Reading goes on."""
        if not self._sequenced:
            raise NotImplementedError("datagrams have no end")
        if not self._eof_sent and not self._closing:
            self._eof_sent = True
            if not self._out:
                self._shut()

    def _send(self, data: bytes | bytearray | memoryview) -> bool:
        """Hand one packet to the kernel; False where it has to wait, or the connection was lost over it."""
        try:
            self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            self._watch_writing(True)
            return False
        except OSError as error:
            if error.errno != ENOBUFS:
                self._force_close(error)
            elif self._retry is None:
                self._watch_writing(False)
                self._retry = self._loop.call_later(_NO_BUFFERS_PAUSE, self._send_again)
            return False
        return True

    def _send_again(self) -> None:
        self._retry = None
        self._send_queued()

    def _send_queued(self) -> None:
        while self._out:
            if not self._send(self._out[0]):
                return
            self._queued -= len(self._out.popleft())
            self._tell_resume()
        self._watch_writing(False)
        if self._eof_sent and not self._lost:
            self._shut()
        if self._closing:
            self._lose(None)

    def _watch_writing(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self._loop.add_writer(self._fd, self._send_queued)
        elif self._writing and not wanted:
            self._loop.remove_writer(self._fd)
        self._writing = wanted

    def _shut(self) -> None:
        with contextlib.suppress(OSError):  # the peer is gone: reading finds out
            self._sock.shutdown(socket.SHUT_WR)

    # Ending.

    def close(self) -> None:
        """Close once everything queued is sent; nothing is read any more."""
        if not self._closing:
            self._closing = True
            self._watch_reading(False)
            if not self._out:
                self._lose(None)

    def abort(self) -> None:
        """Close now; what is queued is lost."""
        self._force_close(None)

    def _force_close(self, error: Exception | None) -> None:
        self._closing = True
        self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._watch_reading(False)
        self._watch_writing(False)
        self._out.clear()
        self._queued = 0
        self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()


def _largest(sock: socket.socket) -> int:
    """The largest packet that the socket takes, bytes."""
    if sock.family != socket.AF_UNIX:
        return _UDP_MAX
    return min(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - _OVERHEAD, PACKET_MAX)
