"""A relay on a port of its own that cuts its first connection where it is told, in earnest: FIN, RST or silence."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.outbox.piped import Cut, Side

__all__ = ["CuttingRelay"]

PIECE = 65536


class CuttingRelay:
    """Forwards to a port of 127.0.0.1.

    Args:
        port: where to.
        cut: what happens to the first connection; None for nothing.
        silent: is told the addresses of client and server, as each of them has its own, when they fall silent.

    Attributes:
        carried: bytes that went through, by who said them.
        connections: how many there were.
        cuts: how many of them were cut.
    """

    def __init__(self, port: int, cut: Cut | None, silent: Callable[[object, object], None]) -> None:
        self._port = port
        self._cut = cut
        self.silent = silent
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.carried: dict[Side, int] = {"client": 0, "server": 0}
        self.connections = self.cuts = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Relay, for a block of code; the port."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        try:
            port: int = server.sockets[0].getsockname()[1]
            yield port
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            ends = (writer.wait_closed() for writer in self._writers)
            await asyncio.gather(*self._tasks, *ends, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, far_writer]
        cut, self._cut = self._cut, None
        passage = _Passage(self, cut, writer, far_writer)
        for side, source in (("client", reader), ("server", far_reader)):
            task = asyncio.create_task(passage.pump(side, source))  # type: ignore[arg-type]  # a tuple of literals
            self._tasks.add(task)


class _Passage:
    """One connection: two ways through."""

    def __init__(
        self, relay: CuttingRelay, cut: Cut | None, near: asyncio.StreamWriter, far: asyncio.StreamWriter
    ) -> None:
        self._relay = relay
        self._cut = cut
        self._left = cut.after if cut is not None else -1
        self._near = near
        self._far = far
        self._over = False
        self._cut_if_due()

    async def pump(self, side: Side, source: asyncio.StreamReader) -> None:
        """Forward what one side says, as long as anything goes through; then hear it to its end."""
        target = self._far if side == "client" else self._near
        with suppress(OSError):
            while data := await source.read(PIECE):
                self._forward(side, data, target)
            if not self._over and target.can_write_eof():
                target.write_eof()
        if self._over:
            for writer in (self._near, self._far):
                writer.close()

    def _forward(self, side: Side, data: bytes, target: asyncio.StreamWriter) -> None:
        if self._over:
            return
        if self._cut is not None and self._cut.side == side:
            data = data[: self._left]
            self._left -= len(data)
        self._relay.carried[side] += len(data)
        target.write(data)
        self._cut_if_due()

    def _cut_if_due(self) -> None:
        if self._cut is None or self._left or self._over:
            return
        self._over = True
        self._relay.cuts += 1
        for writer in (self._near, self._far):
            if self._cut.how == "eof":
                writer.write_eof()
            elif self._cut.how == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        if self._cut.how == "silence":
            self._relay.silent(self._near.get_extra_info("peername"), self._far.get_extra_info("sockname"))
