"""Servers for tests, and a client that is nothing but a socket."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyplug
from anyplug import Limits, Server
from anyplug.messages import Hello, Welcome
from anyplug.server import Log
from anyplug.wire import PlugSession, Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyplug.messages import Event
    from anyplug.services.base import Service

__all__ = ["LogRecords", "PlugClient", "RawClient", "serve"]

PATIENCE = 10.0
"""Seconds after which a test stops waiting for what should come at once."""


class LogRecords(logging.Handler):
    """Keeps the events of one server's log."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._news = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self._news.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The fields of all events of this name."""
        return [record.__dict__["fields"] for record in self.records if record.getMessage() == name]

    async def wait_for(self, name: str) -> dict[str, Any]:
        """The first event of this name, now or later."""
        async with asyncio.timeout(PATIENCE):
            while not self.events(name):
                self._news.clear()
                await self._news.wait()
        return self.events(name)[0]

    def log(self) -> Log:
        """A log that writes here and nowhere else."""
        logger = logging.Logger("test")  # noqa: LOG001 - a logger of its own, that nobody else writes to
        logger.addHandler(self)
        return Log(logger)


@asynccontextmanager
async def serve(
    *addresses: str,
    services: tuple[Service, ...] = (),
    limits: Limits | None = None,
    set_up: Callable[[Server], None] | None = None,
    records: LogRecords | None = None,
    **options: Any,
) -> AsyncIterator[Server]:
    """A server on these addresses, ended with the block."""
    server = Server(limits=limits or Limits(), log=(records or LogRecords()).log(), **options)
    for service in services:
        server.add(service)
    if set_up is not None:
        set_up(server)
    await server.start(*addresses)
    try:
        yield server
    finally:
        await server.drain(0)


def port_of(address: str) -> int:
    """The port in an address as bound."""
    return anyplug.Address.parse(address).port


class RawClient:
    """A client made of a socket's stream, with a deadline on every wait."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, address: str) -> RawClient:
        """Connect to a listener's address as bound."""
        if address.startswith("unix://"):
            path = address.removeprefix("unix://").split("?")[0]
            path = "\0" + path[1:] if path.startswith("@") else path
            return cls(*await asyncio.open_unix_connection(path))
        return cls(*await asyncio.open_connection("127.0.0.1", port_of(address)))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def end(self) -> None:
        """End the sending half."""
        self.writer.write_eof()

    async def hear(self, size: int = 65536) -> bytes:
        """Whatever comes next; empty at the end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read(size)

    async def hear_line(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readline()

    async def hear_all(self) -> bytes:
        """Everything until the end."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def hear_reset(self) -> None:
        """The connection is cut without an end."""
        try:
            await self.hear_all()
        except ConnectionResetError:
            return
        raise AssertionError("the connection ended in order")

    def reset(self) -> None:
        """Cut the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return


class PlugClient(RawClient):
    """The same with a plug session on top, to say anything in any state."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.session = PlugSession(Role.CLIENT, Limits())

    @classmethod
    async def to(cls, address: str) -> PlugClient:
        return cls(*await asyncio.open_connection("127.0.0.1", port_of(address)))

    async def flush(self) -> None:
        await self.say(self.session.data_to_send())

    async def hello(self, service: str, **fields: Any) -> list[Event]:
        self.session.send_hello(Hello(service=service, **fields))
        await self.flush()
        return await self.events()

    async def open(self, service: str, **fields: Any) -> Welcome:
        events = await self.hello(service, **fields)
        assert isinstance(events[0], Welcome), events
        return events[0]

    async def events(self) -> list[Event]:
        """The next events that come, or an empty list at the end of the stream."""
        while True:
            data = await self.hear()
            if not data:
                return []
            self.session.receive_data(data)
            if events := self.session.events():
                return events
