"""How many typed objects a second go one way, from one program to another?

A reading of a sensor: a name, a time, a state, three numbers. Ours are `msgspec` structs, checked against their type
where they arrive; `multiprocessing.connection` sends dataclasses as pickles, in a burst as ours; Pyro5 and RPyC call a
method with the same values, and wait for each call, as their users do. With them the values travel as a tuple, since
RPyC would lend the object instead of sending it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Client, Listener
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import port_of, run_on_uvloop, serve, tell
from benchmarks.servers import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOK = 200
VALUES = ("sensor-17", 1795190400.25, True, (20.5, 0.31, 1013.2))


class Reading(msgspec.Struct):
    name: str
    at: float
    good: bool
    values: tuple[float, float, float]


@dataclass
class Pickled:
    name: str
    at: float
    good: bool
    values: tuple[float, float, float]


def until_over(seconds: str) -> Iterator[None]:
    """Once for each object to send."""
    until = perf_counter() + float(seconds)
    while perf_counter() < until:
        for _ in range(LOOK):
            yield


# Ours.


def serve_anyplug() -> None:
    server = anyplug.Server()

    @server.service("sink")
    async def sink(peer: anyplug.Connection[Reading]) -> None:
        count = 0
        began = perf_counter()
        async for reading in peer:
            count += 1
            if not reading.name:
                tell(objects=count, seconds=perf_counter() - began)

    serve(server, "plug://127.0.0.1:0")


def send_anyplug(port: str, seconds: str, codec: str) -> None:
    async def main() -> None:
        reading = Reading(*VALUES)
        async with anyplug.connect(f"plug://127.0.0.1:{port}/sink", type=Reading, codec=codec) as peer:
            for _ in until_over(seconds):
                await peer.send(reading)
            await peer.send(Reading("", *VALUES[1:]))
            await peer.send_eof()
            async for _ in peer:
                pass

    run_on_uvloop(main())


# Theirs.


def serve_multiprocessing() -> None:
    with Listener(("127.0.0.1", 0)) as listener:
        print(listener.address[1], flush=True)
        peer = listener.accept()
    count = 1
    began = perf_counter()
    while peer.recv().name:
        count += 1
    tell(objects=count, seconds=perf_counter() - began)
    signal.pause()


def send_multiprocessing(port: str, seconds: str, codec: str) -> None:
    reading = Pickled(*VALUES)
    with Client(("127.0.0.1", int(port))) as peer:
        for _ in until_over(seconds):
            peer.send(reading)
        peer.send(Pickled("", *VALUES[1:]))


class Calls:
    """Counts calls from the first to one without a name."""

    def __init__(self) -> None:
        self.count = 0
        self.began = 0.0

    def take(self, reading: Any) -> None:
        self.began = self.began or perf_counter()
        self.count += 1
        assert len(reading) == len(VALUES)
        if not reading[0]:
            tell(objects=self.count, seconds=perf_counter() - self.began)


def serve_rpyc() -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    calls = Calls()

    class Sink(rpyc.Service):  # type: ignore[misc]
        def exposed_take(self, reading: Any) -> None:
            calls.take(reading)

    server = ThreadedServer(Sink(), hostname="127.0.0.1", port=0)
    print(server.port, flush=True)
    server.start()


def serve_pyro() -> None:
    import Pyro5.api

    calls = Calls()

    @Pyro5.api.expose
    class Sink:
        def take(self, reading: Any) -> None:
            calls.take(reading)

    daemon = Pyro5.api.Daemon(host="127.0.0.1")
    print(port_of(f"x://{daemon.locationStr}"), flush=True)
    daemon.register(Sink(), objectId="sink")
    daemon.requestLoop()


def call(take: Callable[[object], object], seconds: str) -> None:
    for _ in until_over(seconds):
        take(VALUES)
    take(("", *VALUES[1:]))


def send_rpyc(port: str, seconds: str, codec: str) -> None:
    import rpyc

    call(rpyc.connect("127.0.0.1", int(port)).root.take, seconds)


def send_pyro(port: str, seconds: str, codec: str) -> None:
    import Pyro5.api

    with Pyro5.api.Proxy(f"PYRO:sink@127.0.0.1:{port}") as sink:
        call(sink.take, seconds)


def measure(name: str, codec: str, seconds: float) -> Sample:
    with Process(role("objects", f"serve_{name}"), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role("objects", f"send_{name}", port, seconds, codec), core=LOAD_CORE):
            found = server.json()
            busy = server.cpu() - idle
    return Sample(found["objects"] / found["seconds"], cost=busy / found["objects"] * 1e6)


OURS, JSON = "anyplug, msgpack", "anyplug, json"
BURST, RPYC, PYRO = "multiprocessing.connection", "RPyC calls", "Pyro5 calls"
QUESTION = Question(
    name="objects",
    asks="typed objects one way over one TCP connection, one by one, a process each side",
    unit="objects a second",
    contestants=[
        Contestant(OURS, partial(measure, "anyplug", "msgpack")),
        Contestant(JSON, partial(measure, "anyplug", "json")),
        Contestant(BURST, partial(measure, "multiprocessing", "")),
        Contestant(RPYC, partial(measure, "rpyc", ""), missing=missing(("rpyc",))),
        Contestant(PYRO, partial(measure, "pyro", ""), missing=missing(("Pyro5",))),
    ],
    comparisons=[
        Comparison(OURS, BURST, least=3.0),
        Comparison(OURS, RPYC, least=10.0),
        Comparison(OURS, PYRO, least=10.0),
        Comparison(JSON, BURST),
    ],
)

if __name__ == "__main__":
    roles: list[Callable[..., None]] = [serve_anyplug, serve_multiprocessing, serve_rpyc, serve_pyro]
    roles += [send_anyplug, send_multiprocessing, send_rpyc, send_pyro]
    play({each.__name__: each for each in roles})
