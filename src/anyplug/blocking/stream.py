"""A connected socket for a pump: bytes in and out without ever waiting, and one place that waits.

The socket is non-blocking throughout. Waiting is done with ``poll`` (``select`` where a system has none), outside of
any lock. What the system reports as an error number comes out as `Broken` with a sentence.
"""

from __future__ import annotations

import errno
import math
import select
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyplug.blocking.eager import Eager
from anyplug.errors import Broken, EncodeError, TooLarge
from anyplug.transport.names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.transport.names import SockAddr

__all__ = ["READ_SIZE", "Stream"]

READ_SIZE: Final = 64 * 1024
"""The most that one read takes from a stream, bytes: some hundred small messages a system call."""

PACKET_SIZE: Final = 512 * 1024
"""The largest packet that is read whole, bytes. Linux lets a program send one of up to twice ``net.core.wmem_max``,
416 KiB where that was not raised.
"""

_PROBLEMS: Final[Mapping[int, str]] = {
    errno.ECONNRESET: "the peer reset the connection",
    errno.EPIPE: "the peer has closed the connection and takes nothing more",
    errno.ETIMEDOUT: "the network did not deliver for too long",
    errno.ECONNREFUSED: "nothing listens at the peer's address any more",
    errno.ECONNABORTED: "the system gave the connection up",
    errno.EHOSTUNREACH: "no host answers there any more",
    errno.ENETUNREACH: "there is no route to the peer any more",
    errno.ENETDOWN: "the network of this machine is down",
    errno.ENOTCONN: "the connection is gone",
}
"""What error numbers mean in the middle of a conversation."""

_GO_ON: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ENOBUFS})
"""Errors of a write that only mean: not now."""

_ABORT: Final = struct.pack("ii", 1, 0)
"""``struct linger``: on, 0 seconds. Closing then sends a reset."""


class Stream:
    """One connected socket.

    Args:
        sock: the socket; it belongs to the stream from here.
    """

    __slots__ = ("_poller", "_polling", "_sock", "local", "packets", "peer", "received", "sent")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._poller = _Poller(sock)
        self._polling = 0
        self.packets = sock.type != socket.SOCK_STREAM
        """Whether each packet is one message."""
        self.peer = name_of(_or_none(sock, peer=True), sock.family)
        """The other end, for people."""
        self.local = name_of(_or_none(sock, peer=False), sock.family)
        """This end."""
        self.received = 0
        """Bytes received in all."""
        self.sent = 0
        """Bytes given to the system in all."""

    @property
    def datagrams(self) -> bool:
        """Whether packets may get lost, and an end is not noticed."""
        return self._sock.type == socket.SOCK_DGRAM

    def receive(self) -> bytes | None:
        """What has come, ``b""`` at the end of the stream, None where nothing is there now.

        Raises:
            Broken: the connection is gone.
            TooLarge: a packet was larger than can be read; it is lost.
        """
        try:
            data = self._receive_packet() if self.packets else self._sock.recv(READ_SIZE)
        except OSError as error:
            if error.errno in _GO_ON:
                return None
            raise _broken(error) from error
        if data:
            self.received += len(data)
        return data

    def send(self, data: bytes | memoryview) -> int:
        """Give bytes to the system; returns how many it took, 0 where it takes none now. A packet goes whole or not
        at all.

        Raises:
            Broken: the connection is gone.
            EncodeError: the packet is larger than the system sends.
        """
        try:
            count = self._sock.send(data)
        except OSError as error:
            if error.errno in _GO_ON:
                return 0
            if error.errno == errno.EMSGSIZE and self.packets:
                size = f"a packet of {len(data):,} bytes"
                problem = f"{size} is more than the system sends here; make it smaller, or use a stream"
                raise EncodeError("raw", problem) from error
            raise _broken(error) from error
        self.sent += count
        return count

    def wait(self, *, read: bool, write: bool, seconds: float, eager: bool = False) -> None:
        """Wait until something can be read or written, or the stream broke. For one thread at a time.

        ``eager``: an answer may be about to come.
        """
        self._poller.wait(read=read, write=write, seconds=seconds, eager=eager)

    def wait_writable(self, seconds: float) -> None:
        """Wait until something can be written, beside a thread that is in `wait`."""
        _Poller(self._sock).wait(read=False, write=True, seconds=seconds)

    def shut_write(self) -> None:
        """Say at the level of the stream that this side sends no more."""
        if not self.datagrams:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def wake(self) -> None:
        """Make a thread that is in `wait` return. The stream cannot be read from any more."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self, *, abort: bool = False) -> None:
        """Give the socket back. ``abort``: throw away what is under way, and reset the peer."""
        if abort:
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        with suppress(OSError):
            self._sock.close()

    def _receive_packet(self) -> bytes | None:
        data, _, flags, _ = self._sock.recvmsg(PACKET_SIZE)
        if flags & socket.MSG_TRUNC:
            raise TooLarge("packet", size=None, limit=PACKET_SIZE)
        return data if data or not self.datagrams else None


class _Poller:
    """Waits on one socket."""

    __slots__ = ("_asked", "_eager", "_poll", "_sock")

    def __init__(self, sock: socket.socket, *, has_poll: bool = hasattr(select, "poll")) -> None:
        self._sock = sock
        self._asked = -1
        self._eager: Eager | None = None
        self._poll = select.poll() if has_poll else None

    def wait(self, *, read: bool, write: bool, seconds: float, eager: bool = False) -> None:
        if self._poll is None:
            select.select([self._sock] if read else [], [self._sock] if write else [], [], seconds)
            return
        asked = (select.POLLIN if read else 0) | (select.POLLOUT if write else 0)
        if asked != self._asked:
            self._poll.register(self._sock, asked)
            self._asked = asked
        if not eager or not seconds:
            self._poll.poll(math.ceil(seconds * 1000))
            return
        if self._eager is None:
            self._eager = Eager()
        self._eager.wait(self._poll.poll, math.ceil(seconds * 1000))


def _broken(error: OSError) -> Broken:
    return Broken(_PROBLEMS.get(error.errno or 0) or f"the system says: {error.strerror or error}")


def _or_none(sock: socket.socket, *, peer: bool) -> SockAddr:
    try:
        name: SockAddr = sock.getpeername() if peer else sock.getsockname()
        return name
    except OSError:
        return None
