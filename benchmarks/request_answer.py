"""How many questions a second does a server answer on plain sockets, 50 peers asking at once?

The load is a program in C (load.c) that keeps one question of 100 bytes and a line feed outstanding on each of 50
connections. It is not what bounds the figures: the share of its time in which it has something to do is told beside
each row, and is largest for the echo in C (echo.c), the physical limit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import SERVER_CORE, Process, build, play, role, run_json
from benchmarks.programs import run_on_uvloop, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 50
SIZE = 100
WARM = 0.1


def serve_bytes() -> None:
    server = anyplug.Server()

    @server.reply("echo")
    def echo(message: bytes) -> bytes:
        return message

    serve(server, "tcp://127.0.0.1:0/echo?framing=lines")


def serve_str() -> None:
    server = anyplug.Server()

    @server.reply("echo")
    def echo(message: str) -> str:
        return message

    serve(server, "tcp://127.0.0.1:0/echo?framing=lines")


class Echo(asyncio.Protocol):
    """The least that Python can do: whatever comes goes back."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


def serve_protocol() -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    run_on_uvloop(main())


async def echo_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As every tutorial has it."""
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


def serve_streams() -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo_lines, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    run_on_uvloop(main())


def measure(command: Sequence[str], seconds: float) -> Sample:
    with Process(command, core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        found = run_json([build("load.c"), port, str(CONNECTIONS), str(SIZE), str(WARM), str(seconds)])
        busy = server.cpu() - idle
    return Sample(
        found["answers"] / found["seconds"],
        cost=busy / found["all"] * 1e6,
        facts={"load busy": found["busy"]},
    )


def contestant(name: str, serve_it: str) -> Contestant:
    return Contestant(name, lambda seconds: measure(role("request_answer", serve_it), seconds))


BYTES, STR = "anyplug lines, bytes", "anyplug lines, str"
PROTOCOL, STREAMS, LIMIT = "uvloop Protocol", "asyncio streams on uvloop", "epoll in C"
QUESTION = Question(
    name="request_answer",
    asks=f"{CONNECTIONS} plain TCP connections, one question of {SIZE} bytes outstanding on each, a def reply",
    unit="answers a second",
    contestants=[
        contestant(BYTES, "serve_bytes"),
        contestant(STR, "serve_str"),
        contestant(PROTOCOL, "serve_protocol"),
        contestant(STREAMS, "serve_streams"),
        Contestant(LIMIT, lambda seconds: measure([build("echo.c")], seconds)),
    ],
    comparisons=[
        Comparison(BYTES, PROTOCOL, least=0.85),
        Comparison(STR, PROTOCOL, least=0.85),
        Comparison(BYTES, STREAMS, least=1.4),
        Comparison(STR, STREAMS, least=1.4),
        Comparison(BYTES, LIMIT),
        Comparison(PROTOCOL, LIMIT),
    ],
)

if __name__ == "__main__":
    play(
        {
            "serve_bytes": serve_bytes,
            "serve_str": serve_str,
            "serve_protocol": serve_protocol,
            "serve_streams": serve_streams,
        }
    )
