"""How many bytes a second go one way, from 16-byte messages to those of 1 MB?

The programs of `oneway`, with messages of every size: a curve. Raw sockets (a blocking `sendall` of each message, and
`recv_into` a buffer of 1 MiB) know no messages, take nothing apart and check nothing: the limit for large ones.
"""

from __future__ import annotations

from functools import partial

from benchmarks import oneway
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, role
from benchmarks.servers import missing

SIZES = (16, 100, 1_000, 10_000, 64 * 1024, 1_000_000)
OURS, ZMQ, RAW, WEBSOCKETS, PICOWS = "anyplug", "pyzmq PUSH/PULL", "raw sockets", "websockets", "picows"
NAMES = {OURS: ("anyplug", ()), ZMQ: ("zmq", ("zmq",)), RAW: ("raw", ())}
NAMES |= {WEBSOCKETS: ("websockets", ("websockets", "uvloop")), PICOWS: ("picows", ("picows", "uvloop"))}


def measure(name: str, size: int, seconds: float) -> Sample:
    """Megabytes (of a million bytes) a second."""
    if name == "raw":
        return measure_raw(size, seconds)
    sample = oneway.measure(name, seconds, size)
    cost = None if sample.cost is None else sample.cost / size * 1e6
    return Sample(sample.value * size / 1e6, cost=cost)


def measure_raw(size: int, seconds: float) -> Sample:
    with Process(role("oneway_peers", "serve_raw"), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role("oneway_peers", "send_raw", port, seconds, size), core=LOAD_CORE):
            found = server.json()
            busy = server.cpu() - idle
    return Sample(found["bytes"] / found["seconds"] / 1e6, cost=busy / found["bytes"] * 1e12)


def title(name: str, size: int) -> str:
    return f"{name}, {size:,} B"


LARGE = (64 * 1024, 1_000_000)
QUESTION = Question(
    name="sizes",
    asks=f"messages one way over one TCP connection, of {', '.join(f'{size:,}' for size in SIZES)} bytes",
    unit="MB a second",
    contestants=[
        Contestant(title(name, size), partial(measure, each, size), missing=missing(needs))
        for size in SIZES
        for name, (each, needs) in NAMES.items()
    ],
    comparisons=[
        Comparison(title(OURS, size), title(name, size), least=0.85 if name == RAW and size in LARGE else None)
        for name in NAMES
        if name != OURS
        for size in SIZES
    ],
    rounds=7,
)
