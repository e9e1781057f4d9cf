"""How much memory does a server hold for a connection on which nothing happens?

10,000 plain TCP connections are opened and left alone; what the server's process holds more than before, divided by
their number, is the figure. It is memory of the process alone (USS, /proc/<pid>/smaps_rollup), after a collection; the
kernel's own memory for a socket comes on top, the same for all. The clients come from ten addresses of 127.0.0.0/8, and
our server's limits on connections are raised: by default it takes 1,000 from one address and 10,000 in all.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from itertools import cycle, islice
from typing import TYPE_CHECKING

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import port_of, run_on_uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTIONS = 10_000
WARM = 200
"""Connections that come first and are not counted: they pay for what is imported and grown once."""
SOURCES = [f"127.0.0.{number}" for number in range(11, 21)]
LIMITS = anyplug.Limits(connections=2 * CONNECTIONS, connections_per_address=2 * CONNECTIONS)


async def obey(connections: Callable[[], int]) -> None:
    """Answer each line ``N`` of the harness once N connections are open and everything has been collected."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(sys.stdin.fileno(), lambda: lines.put_nowait(sys.stdin.readline()))
    while line := await lines.get():
        while connections() != int(line):  # noqa: ASYNC110 - not every contestant has an event for it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        gc.collect()
        print("settled", flush=True)


# Servers.


def serve_conversation() -> None:
    server = anyplug.Server(limits=LIMITS)

    @server.service("held")
    async def held(peer: anyplug.Connection[str]) -> None:
        async for _ in peer:
            pass

    serve_ours(server)


def serve_reply() -> None:
    server = anyplug.Server(limits=LIMITS)

    @server.reply("held")
    def held(message: str) -> str:
        return message

    serve_ours(server)


def serve_ours(server: anyplug.Server) -> None:
    async def main() -> None:
        print(port_of(server.listen("tcp://127.0.0.1:0/held?framing=lines")), flush=True)
        await obey(lambda: server.connections)

    run_on_uvloop(main())


class Idle(asyncio.Protocol):
    """A connection that only counts."""

    __slots__ = ("transport",)
    open = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        Idle.open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        Idle.open -= 1


def serve_protocol() -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Idle, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await obey(lambda: Idle.open)

    run_on_uvloop(main())


async def read_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    Idle.open += 1
    while await reader.readline():
        pass
    writer.close()


def serve_streams() -> None:
    async def main() -> None:
        server = await asyncio.start_server(read_lines, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await obey(lambda: Idle.open)

    run_on_uvloop(main())


# The clients.


def hold(port: str) -> None:
    """Open as many connections as each line of the harness says, and hold them."""
    to = ("127.0.0.1", int(port))
    held: list[socket.socket] = []
    sources = cycle(SOURCES)
    for line in sys.stdin:
        new = islice(sources, int(line) - len(held))
        held += [socket.create_connection(to, source_address=(source, 0)) for source in new]
        print("open", flush=True)


def measure(name: str, count: int) -> Sample:
    with Process(role("idle_memory", name), core=SERVER_CORE) as server:
        port = server.line()
        with Process(role("idle_memory", "hold", port), core=LOAD_CORE) as clients:
            sizes = []
            for number in (WARM, WARM + count // 2, WARM + count):
                clients.tell(str(number))
                server.tell(str(number))
                sizes.append(server.memory())
    first, middle, last = sizes
    facts = {
        "RSS bytes": (last["rss"] - first["rss"]) / count,
        "USS of the first half": (middle["uss"] - first["uss"]) / (count // 2),
    }
    return Sample((last["uss"] - first["uss"]) / count, facts=facts)


def contestant(name: str, role_name: str, most: float | None = None) -> Contestant:
    return Contestant(name, lambda seconds: measure(role_name, CONNECTIONS), most=most)


CONVERSATION, REPLY = "anyplug conversation", "anyplug def reply"
PROTOCOL, STREAMS = "uvloop Protocol", "asyncio streams on uvloop"
QUESTION = Question(
    name="idle_memory",
    asks=f"memory a connection, {CONNECTIONS:,} plain TCP connections that wait",
    unit="bytes a connection (USS)",
    contestants=[
        contestant(CONVERSATION, "serve_conversation", most=12 * 1024),
        contestant(REPLY, "serve_reply", most=4 * 1024),
        contestant(PROTOCOL, "serve_protocol"),
        contestant(STREAMS, "serve_streams"),
    ],
    comparisons=[
        Comparison(CONVERSATION, STREAMS),
        Comparison(CONVERSATION, PROTOCOL),
        Comparison(REPLY, PROTOCOL),
    ],
    rounds=3,
)

if __name__ == "__main__":
    play(
        {
            "serve_conversation": serve_conversation,
            "serve_reply": serve_reply,
            "serve_protocol": serve_protocol,
            "serve_streams": serve_streams,
            "hold": hold,
        }
    )
