"""A relay between a client and a server, which cuts the connection after so many bytes of the client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Relay"]

PIECE = 64 * 1024


class Relay:
    """Forwards to a unix socket.

    Args:
        target: the path of the server's socket.
        cut: gives how many bytes of the client go through on the next connection; None for all.
    """

    def __init__(self, target: str, cut: Callable[[], int | None]) -> None:
        self._target = target
        self._cut = cut
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        """Bytes of clients that went through, in all."""
        self.cuts = 0

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[None]:
        """Relay, for a block of code."""
        server = await asyncio.start_unix_server(self._relay, path)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        back = asyncio.create_task(self._back(up_reader, writer))
        self._tasks.add(back)
        left = self._cut()
        with suppress(OSError):
            while data := await reader.read(PIECE if left is None else min(PIECE, left)):
                up.write(data)
                await up.drain()
                self.sent += len(data)
                if left is not None:
                    left -= len(data)
                    if not left:
                        self.cuts += 1
                        break
        up.close()  # the server hears all that went through
        writer.transport.abort()
        back.cancel()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
