"""How many small messages a second go one way, from one process to another?

One connection, 100-byte messages, sent one by one and taken one by one. The sender goes on for so many seconds, and
ends with an empty message; the receiver counts, from the first message to the last.
"""

from __future__ import annotations

import asyncio
import signal
from time import perf_counter

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import run_on_uvloop, serve, tell

MESSAGE = b"m" * 100
LOOK = 1_000
"""Messages between two looks at the clock."""


# Ours.


def serve_anyplug() -> None:
    server = anyplug.Server()

    @server.service("sink")
    async def sink(peer: anyplug.Connection[bytes]) -> None:
        count = 0
        began = 0.0
        async for message in peer:
            if not count:
                began = perf_counter()
            count += 1
            if not message:
                tell(messages=count, seconds=perf_counter() - began)

    serve(server, "plug://127.0.0.1:0")


def send_anyplug(port: str, seconds: str) -> None:
    async def main() -> None:
        async with anyplug.connect(f"plug://127.0.0.1:{port}/sink", type=bytes, codec="bytes") as peer:
            until = perf_counter() + float(seconds)
            while perf_counter() < until:
                for _ in range(LOOK):
                    await peer.send(MESSAGE)
            await peer.send(b"")
            await peer.send_eof()
            async for _ in peer:
                pass

    run_on_uvloop(main())


# pyzmq.


def serve_zmq() -> None:
    import zmq

    socket = zmq.Context().socket(zmq.PULL)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    count = 0
    began = 0.0
    while True:
        message = socket.recv()
        if not count:
            began = perf_counter()
        count += 1
        if not message:
            tell(messages=count, seconds=perf_counter() - began)
            signal.pause()  # the harness looks at what was computed, and ends this process


def send_zmq(port: str, seconds: str) -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(f"tcp://127.0.0.1:{port}")
        until = perf_counter() + float(seconds)
        while perf_counter() < until:
            for _ in range(LOOK):
                socket.send(MESSAGE)
        socket.send(b"")


def serve_zmq_asyncio() -> None:
    import zmq.asyncio

    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.PULL)
        print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
        count = 0
        began = 0.0
        while True:
            message = await socket.recv()
            if not count:
                began = perf_counter()
            count += 1
            if not message:
                tell(messages=count, seconds=perf_counter() - began)
                await asyncio.Event().wait()

    run_on_uvloop(main())


def send_zmq_asyncio(port: str, seconds: str) -> None:
    import zmq.asyncio

    async def main() -> None:
        with zmq.asyncio.Context() as context, context.socket(zmq.PUSH) as socket:
            socket.connect(f"tcp://127.0.0.1:{port}")
            until = perf_counter() + float(seconds)
            while perf_counter() < until:
                for _ in range(LOOK):
                    await socket.send(MESSAGE)
            await socket.send(b"")

    run_on_uvloop(main())


# The measurement.


def measure(name: str, seconds: float) -> Sample:
    with Process(role("oneway", f"serve_{name}"), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role("oneway", f"send_{name}", port, seconds), core=LOAD_CORE):
            found = server.json()
            busy = server.cpu() - idle
    return Sample(found["messages"] / found["seconds"], cost=busy / found["messages"] * 1e6)


OURS = "anyplug send, async for"
QUESTION = Question(
    name="oneway",
    asks="100-byte messages one way over one TCP connection, one by one, a process each side",
    unit="messages a second",
    contestants=[
        Contestant(OURS, lambda seconds: measure("anyplug", seconds)),
        Contestant("pyzmq PUSH/PULL", lambda seconds: measure("zmq", seconds)),
        Contestant("zmq.asyncio PUSH/PULL", lambda seconds: measure("zmq_asyncio", seconds)),
    ],
    comparisons=[
        Comparison(OURS, "pyzmq PUSH/PULL", least=1.0),
        Comparison(OURS, "zmq.asyncio PUSH/PULL", least=8.0),
    ],
)

if __name__ == "__main__":
    play(
        {
            "serve_anyplug": serve_anyplug,
            "send_anyplug": send_anyplug,
            "serve_zmq": serve_zmq,
            "send_zmq": send_zmq,
            "serve_zmq_asyncio": serve_zmq_asyncio,
            "send_zmq_asyncio": send_zmq_asyncio,
        }
    )
