"""Servers that answer each question with itself: ours, and those that Python's own loops, anyio, trio and Twisted make.

They are written as each of them is used: the shortest program that its documentation would call right.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import anyplug
from benchmarks.processes import play
from benchmarks.programs import run_on_uvloop, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PLAIN, PLUG = "tcp://127.0.0.1:0/echo?framing=lines", "plug://127.0.0.1:0"
BACKLOG = 1024


# Ours.


def anyplug_reply(address: str, kind: str = "bytes") -> None:
    """A def reply, for bytes or str."""
    server = anyplug.Server()
    if kind == "bytes":

        @server.reply("echo")
        def echo_bytes(message: bytes) -> bytes:
            return message

    else:

        @server.reply("echo")
        def echo_str(message: str) -> str:
            return message

    serve(server, address)


def anyplug_conversation(address: str) -> None:
    server = anyplug.Server()

    @server.service("echo")
    async def echo(peer: anyplug.Connection[bytes]) -> None:
        async for message in peer:
            await peer.send(message)

    serve(server, address)


# The event loop's own.


class Echo(asyncio.Protocol):
    """The least that Python can do: whatever comes goes back."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def run_on(loop: str, work: Coroutine[object, object, None]) -> None:
    if loop == "uvloop":
        run_on_uvloop(work)
    else:
        asyncio.run(work)


async def stay(server: asyncio.Server) -> None:
    """Say where it listens, and serve."""
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def protocol(loop: str) -> None:
    async def main() -> None:
        await stay(await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=BACKLOG))

    run_on(loop, main())


def aiofastnet_protocol(loop: str) -> None:
    import aiofastnet

    async def main() -> None:
        running = asyncio.get_running_loop()
        await stay(await aiofastnet.create_server(running, Echo, "127.0.0.1", 0, backlog=BACKLOG))

    run_on(loop, main())


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As every tutorial has it."""
    with suppress(ConnectionError):  # a flood ends without a farewell
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    writer.close()


def streams(loop: str) -> None:
    async def main() -> None:
        await stay(await asyncio.start_server(echo_lines, "127.0.0.1", 0, backlog=BACKLOG))

    run_on(loop, main())


# Others.


def anyio_streams() -> None:
    import anyio
    import anyio.abc

    async def echo(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    async def main() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=BACKLOG)
        print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)  # noqa: S610 - no database
        await listener.serve(echo)

    anyio.run(main, backend_options={"use_uvloop": True})


def trio_streams() -> None:
    import trio

    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)

    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=BACKLOG)
        print(listeners[0].socket.getsockname()[1], flush=True)
        await trio.serve_listeners(echo, listeners)

    trio.run(main)


def twisted_protocol() -> None:
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol

    class TwistedEcho(Protocol):  # type: ignore[misc]
        def dataReceived(self, data: bytes) -> None:  # noqa: N802 - their name
            self.transport.write(data)

    loop: Any = reactor
    listening = loop.listenTCP(0, Factory.forProtocol(TwistedEcho), interface="127.0.0.1", backlog=BACKLOG)
    print(listening.getHost().port, flush=True)
    loop.run()


ROLES: list[Callable[..., None]] = [
    anyplug_reply,
    anyplug_conversation,
    protocol,
    aiofastnet_protocol,
    streams,
    anyio_streams,
    trio_streams,
    twisted_protocol,
]

if __name__ == "__main__":
    play({each.__name__: each for each in ROLES})
