"""Two asyncio transports joined in memory: what one writes, the protocol of the other gets, without any socket.

For tests, and to plug a client into a server of the same process. Order, limits, half-close and the calls of the
protocols are those of a socket's transport; the loop delivers, never the caller. `MemoryTransport.cut_after` breaks the
connection at a chosen byte.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

from anyplug.transport.face import Face

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Cut", "MemoryTransport", "memory_pair"]

Cut: TypeAlias = Literal["reset", "eof", "silence"]
"""How a connection breaks: both ends get `ConnectionResetError`; both get an end of the stream; or neither hears of the
other again."""


def memory_pair(
    a: asyncio.Protocol, b: asyncio.Protocol, *, loop: asyncio.AbstractEventLoop | None = None, piece: int | None = None
) -> tuple[MemoryTransport, MemoryTransport]:
    """Join two protocols. ``connection_made`` of both has been called when this returns.

    Args:
        a: the protocol of one end.
        b: the protocol of the other.
        loop: the loop that delivers; the running one by default.
        piece: deliver in pieces of so many bytes, one for each turn of the loop; by default as it was written.
    """
    loop = loop or asyncio.get_running_loop()
    ends = MemoryTransport(loop, a, "memory:a", piece), MemoryTransport(loop, b, "memory:b", piece)
    ends[0]._join(ends[1])
    ends[1]._join(ends[0])
    a.connection_made(ends[0])
    b.connection_made(ends[1])
    return ends


class MemoryTransport(Face):
    """One end of a pair made by `memory_pair`. ``get_extra_info`` knows ``sockname`` and ``peername``."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, name: str, piece: int | None
    ) -> None:
        """Made by `memory_pair`."""
        super().__init__(loop, protocol, {"sockname": name})
        self._piece = piece
        self._peer = self
        self._way: deque[bytes] = deque()  # what this end has written and the other has not got
        self._delivering = self._read_paused = self._eof_sent = self._eof_delivered = False
        self._left: int | None = None
        self._cut: Cut = "reset"

    def _join(self, peer: MemoryTransport) -> None:
        self._peer = peer
        self._extra["peername"] = peer._extra["sockname"]

    # Reading.

    def is_reading(self) -> bool:
        """Whether this end's protocol gets what arrives."""
        return not (self._read_paused or self._closing)

    def pause_reading(self) -> None:
        """Deliver no more to this end; what the other writes waits, and counts against its limits."""
        self._read_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._read_paused = False
        self._peer._deliver_soon()

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, in order."""
        if self._eof_sent:
            raise RuntimeError("write after write_eof: this side has ended")
        if self._closing or not data:
            return
        self._way.append(bytes(data))
        self._queued += len(data)
        self._deliver_soon()
        self._tell_pause()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all of them, as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """True: a half can be closed."""
        return True

    def write_eof(self) -> None:
        """Say that this side sends no more; reading goes on."""
        if not self._closing:
            self._eof_sent = True
            self._deliver_soon()

    # Ending.

    def close(self) -> None:
        """Close once everything written has arrived; nothing is read any more."""
        if not self._closing:
            self._closing = True
            self._deliver_soon()

    def abort(self) -> None:
        """Close now; what is on its way is lost, and the other end gets `ConnectionResetError`."""
        self._break(None, ConnectionResetError("the other end has reset the connection"))

    def cut_after(self, count: int, *, how: Cut = "reset") -> None:
        """Break the connection, both ways, once `count` more bytes of this end have arrived; with 0 at the next
        turn.
        """
        self._left = count
        self._cut = how
        self._deliver_soon()

    # Delivering, from this end to the other.

    def _deliver_soon(self) -> None:
        if not self._delivering:
            self._delivering = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivering = False
        peer = self._peer
        if self._lost and peer._lost:
            self._way.clear()
        elif self._left == 0:
            self._cut_now()
        elif self._way and peer._lost:
            self._break_unread()
        elif self._way and peer.is_reading():
            self._deliver_piece()
        elif not self._way:
            self._deliver_end()

    def _deliver_piece(self) -> None:
        data = self._way.popleft()
        limit = min(x for x in (self._piece, self._left, len(data)) if x is not None)
        if limit < len(data):
            self._way.appendleft(data[limit:])
            data = data[:limit]
        self._queued -= len(data)
        if self._left is not None:
            self._left -= len(data)
        self._deliver_soon()
        self._peer._protocol.data_received(data)
        self._tell_resume()

    def _deliver_end(self) -> None:
        """Everything written has arrived: an end of the stream follows, where this side has ended."""
        if self._eof_sent or self._closing:
            self._deliver_eof()
        if self._closing:
            self._lose(None)

    def _deliver_eof(self) -> None:
        peer = self._peer
        if not self._eof_delivered and peer.is_reading():
            self._eof_delivered = True
            if not peer._protocol.eof_received():
                peer.close()

    def _break_unread(self) -> None:
        """The other end has closed and reads no more: as TCP does, what is on its way there is answered with a
        reset.
        """
        self._way.clear()
        self._queued = 0
        if not self._closing:
            self._closing = True
            self._lose(ConnectionResetError("the other end has closed the connection"))
        else:
            self._lose(None)

    def _cut_now(self) -> None:
        if self._cut == "reset":
            cut = ConnectionResetError("the connection was cut")
            self._break(cut, cut)
            return
        if self._peer._left != 0:
            self._peer.cut_after(0, how=self._cut)
        if self._cut == "eof":
            self._way.clear()
            self._queued = 0
            self._tell_resume()
            self._deliver_eof()
        if self._closing:
            self._lose(None)

    def _break(self, here: Exception | None, there: Exception) -> None:
        for end, error in ((self, here), (self._peer, there)):
            end._closing = True
            end._way.clear()
            end._queued = 0
            end._lose(error)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error)
            self._peer._deliver_soon()  # what it has on its way here will not be read: it learns of that
