"""How many connections a second does a server take, answer and let go?

Each of 50 peers at a time connects, asks one question of 100 bytes (over plug after both have greeted), hears the
answer, ends its half, and is done when the server has ended its own. Beside the echo in C the load is what bounds the
figure: connecting costs the kernel more than accepting. `load busy` tells where.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.loads import SIZE, ask, with_server
from benchmarks.servers import SERVERS

if TYPE_CHECKING:
    from benchmarks.processes import Process

PEERS = 50
OURS, PLUG, TALK = "anyplug lines, bytes", "anyplug plug, requests", "anyplug lines, conversation"
PROTOCOL, STREAMS = "uvloop Protocol", "asyncio streams on uvloop"
THEIRS = (PROTOCOL, STREAMS, "anyio on uvloop", "trio", "Twisted", "epoll in C")


def measure(name: str, seconds: float) -> Sample:
    server = SERVERS[name]

    def use(process: Process, port: str) -> Sample:
        idle = process.cpu()
        found = ask(port, server.talk(SIZE), seconds, "-c", PEERS, "-n")
        busy = process.cpu() - idle
        rate = found["answers"] / found["seconds"]
        return Sample(rate, cost=busy / found["all"] * 1e6, facts={"load busy": found["busy"]})

    return with_server(server, use)


QUESTION = Question(
    name="openings",
    asks=f"{PEERS} peers at a time connect, ask once ({SIZE} bytes), and end",
    unit="connections a second",
    contestants=[
        Contestant(name, partial(measure, name), missing=SERVERS[name].missing) for name in (OURS, TALK, PLUG, *THEIRS)
    ],
    comparisons=[
        *(Comparison(OURS, name) for name in THEIRS),
        Comparison(TALK, STREAMS),
        Comparison(PLUG, PROTOCOL),
    ],
    rounds=9,
)
