"""How many small messages a second go one way, from one process to another?

One connection, 100-byte messages, sent one by one and taken one by one. The sender goes on for so many seconds, and
ends with an empty message; the receiver counts, from the first message to the last. The peers are in oneway_peers.py.
"""

from __future__ import annotations

from functools import partial
from itertools import chain, repeat
from time import perf_counter
from typing import TYPE_CHECKING

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import run_on_uvloop, serve, tell
from benchmarks.servers import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 100
LOOK = 1_000
"""Messages between two looks at the clock, or fewer where they are large."""


def messages(size: int, seconds: float) -> Iterator[bytes]:
    """Messages of this size until the time is over, then an empty one."""
    message = b"m" * size
    batch = max(1, min(LOOK, 1_000_000 // size))

    def batches() -> Iterator[repeat[bytes]]:
        until = perf_counter() + seconds
        while perf_counter() < until:
            yield repeat(message, batch)

    yield from chain.from_iterable(batches())
    yield b""


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


def send_anyplug(port: str, seconds: str, size: str) -> None:
    async def main() -> None:
        async with anyplug.connect(f"plug://127.0.0.1:{port}/sink", type=bytes, codec="bytes") as peer:
            for message in messages(int(size), float(seconds)):
                await peer.send(message)
            await peer.send_eof()
            async for _ in peer:
                pass

    run_on_uvloop(main())


def measure(name: str, seconds: float, size: int = SIZE) -> Sample:
    """Messages a second of one library."""
    module = "oneway" if name == "anyplug" else "oneway_peers"
    with Process(role(module, f"serve_{name}"), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role(module, f"send_{name}", port, seconds, size), core=LOAD_CORE):
            found = server.json()
            busy = server.cpu() - idle
    return Sample(found["messages"] / found["seconds"], cost=busy / found["messages"] * 1e6)


OURS = "anyplug send, async for"
THEIRS = {
    "pyzmq PUSH/PULL": ("zmq", ("zmq",), 1.3),
    "zmq.asyncio PUSH/PULL": ("zmq_asyncio", ("zmq", "uvloop"), 12.0),
    "websockets": ("websockets", ("websockets", "uvloop"), 4.0),
    "picows": ("picows", ("picows", "uvloop"), 1.5),
    "pynng PUSH/PULL": ("nng", ("pynng",), None),
    "multiprocessing.connection, bytes": ("multiprocessing", (), None),
}
"""The role of each, what must be installed, and the target."""
QUESTION = Question(
    name="oneway",
    asks=f"{SIZE}-byte messages one way over one TCP connection, one by one, a process each side",
    unit="messages a second",
    contestants=[
        Contestant(OURS, partial(measure, "anyplug")),
        *(
            Contestant(name, partial(measure, each), missing=missing(needs))
            for name, (each, needs, _) in THEIRS.items()
        ),
    ],
    comparisons=[Comparison(OURS, name, least=least) for name, (_, _, least) in THEIRS.items()],
)

if __name__ == "__main__":
    play({"serve_anyplug": serve_anyplug, "send_anyplug": send_anyplug})
