"""A connection to a files service: questions, and chunks both ways.

It is the sink of the connection's link in place of the `Intake`, which it wraps: chunks stay here, bounded, until they
are taken; all else goes on to the intake.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from anyplug.errors import Broken, Code, ConnectError, ConnectionClosed, ProtocolError, Refused, Timeout
from anyplug.messages import Content, Failed
from anyplug.store.chunks import CHUNK
from anyplug.wire.arriving import Buffers

if TYPE_CHECKING:
    from anyplug.connection import Connection
    from anyplug.messages import Event
    from anyplug.schemas.files import Request
    from anyplug.transfers.source import Data
    from anyplug.wire import PlugSession

__all__ = ["ASK_TIMEOUT", "Carriage", "transient"]

A = TypeVar("A")

ASK_TIMEOUT: Final = 120.0
"""How long a question waits for its answer, seconds: the last sync of a file may take a while on a slow disk."""

WAITING_MOST: Final = 4 * CHUNK
"""Bytes of chunks that wait to be taken; at the bound the connection is not read."""

BUFFERS: Final = 8
"""Chunks that are received into memory of their own, at most: those that wait or are written, and the next one."""

_AGAIN: Final = frozenset({Code.GOING_AWAY, Code.BUSY, Code.SLOW, Code.IDLE})


def transient(error: BaseException) -> bool:
    """Whether it may help to connect again and go on: the other end is gone, or about to be."""
    if isinstance(error, Refused):
        return error.code in _AGAIN
    return isinstance(error, (Broken, ConnectionClosed, ConnectError, Timeout))


class Carriage:
    """One connection.

    Args:
        connection: open, to a files service.
    """

    __slots__ = ("_buffers", "_chunks", "_intake", "_link", "_listener", "_waiting", "connection", "refusal")

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.refusal: Refused | None = None
        """Why a chunk was not taken, since somebody looked last."""
        self._link = connection._link
        self._intake = connection._intake
        self._chunks: deque[Content] = deque()
        self._waiting = 0
        self._listener: asyncio.Future[None] | None = None
        self._link.sink = self
        self._buffers = Buffers(BUFFERS)
        cast("PlugSession", self._link.session).lend(self._buffers)

    # For the link.

    def messages(self, bodies: list[bytes]) -> None:
        """A files service says none; they are not kept."""

    def handle(self, event: Event) -> None:
        """A chunk came, or something else."""
        if isinstance(event, Content):
            self._chunks.append(event)
            self._waiting += event.size
            if self._waiting >= WAITING_MOST:
                self._link.pause_reading()
        elif isinstance(event, Failed) and not event.id:
            self.refusal = Refused(event.refusal.reason, event.refusal.text)
        else:
            self._intake.handle(event)
        self._wake()

    def writable(self) -> None:
        """The peer takes bytes again."""
        self._intake.writable()

    def lost(self) -> None:
        """The stream is gone."""
        self._intake.lost()
        self._wake()

    def drain(self, code: Code, text: str) -> None:
        """This side stops."""
        self._intake.drain(code, text)

    def _wake(self) -> None:
        if self._listener is not None and not self._listener.done():
            self._listener.set_result(None)

    # For those who use it.

    @property
    def open(self) -> bool:
        """Whether anything can be asked."""
        return not self.connection.closed and self._intake.end is None

    async def ask(self, kind: type[A], request: Request, timeout: float = ASK_TIMEOUT) -> A:
        """Ask; the answer is of this kind.

        Raises:
            Refused: the server said no.
            ProtocolError: it said something else.
            AnyplugError: as `Connection.ask`.
        """
        answer = await self.connection.ask(request, timeout)
        if not isinstance(answer, kind):
            raise ProtocolError(f"the server answers with {type(answer).__name__} where {kind.__name__} was expected")
        return answer

    async def say(self, number: int, index: int, digest: bytes, data: Data) -> None:
        """Send a chunk, when there is room.

        Raises:
            AnyplugError: the connection has ended.
        """
        link = self._link
        if link.writing_paused:
            await link.room()
        if self._intake.end is not None:
            raise self._intake.end.with_traceback(None)
        link.say_content(cast("PlugSession", link.session).content_head(number, index, digest, len(data)), data)

    async def hear(self, until: asyncio.Future[Any]) -> Content | None:
        """The next chunk; None when there is none and `until` is done."""
        while not self._chunks:
            if until.done():
                self._buffers.rest()
                return None
            self._listener = listener = asyncio.get_running_loop().create_future()
            until.add_done_callback(self._ended)
            try:
                await listener
            finally:
                until.remove_done_callback(self._ended)
        content = self._chunks.popleft()
        self._waiting -= content.size
        if self._waiting < WAITING_MOST:
            self._link.resume_reading()
        return content

    def _ended(self, _: object) -> None:
        self._wake()

    async def close(self) -> None:
        """End in order."""
        await self.connection.close()

    def abort(self) -> None:
        """Cut it."""
        self.connection.abort()
