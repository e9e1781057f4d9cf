"""What do 99 polite peers feel of one that floods?

The polite ones ask 20,000 questions a second together, each one at a time; a time counts from when the question was
due. The flooder writes the same questions as fast as the server takes them, and reads the answers. Compared is the
99th percentile of the polite ones' times with and without it, on the same server, one after the other.

The flood comes from the same load in pieces of 16 KB, so that it costs the load itself little: what the polite ones
feel of the load shows beside the echo in C.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.loads import SIZE, ask, with_server
from benchmarks.servers import SERVERS

if TYPE_CHECKING:
    from benchmarks.processes import Process

POLITE = 99
RATE = 20_000
NAMES = (
    "anyplug lines, bytes",
    "anyplug lines, conversation",
    "anyplug plug, requests",
    "uvloop Protocol",
    "asyncio streams on uvloop",
    "picows",
    "websockets",
    "epoll in C",
)


def measure(name: str, flood: bool, seconds: float) -> Sample:
    server = SERVERS[name]
    talk = server.talk(SIZE)

    def use(process: Process, port: str) -> Sample:
        found = ask(port, talk, seconds, "-c", POLITE, "-r", RATE, *(["-f"] if flood else []))
        facts = {"p50 us": found["p50"], "p99.9 us": found["p999"], "polite answers a second": found["answers"]}
        facts["polite answers a second"] /= found["seconds"]
        if flood:
            facts["flood answers a second"] = found["flooded"] / found["seconds"]
        return Sample(found["p99"], facts=facts)

    return with_server(server, use)


def title(name: str, *, flood: bool) -> str:
    return f"{name}, beside a flood" if flood else name


QUESTION = Question(
    name="fairness",
    asks=f"the 99th percentile of {POLITE} polite peers' answers, {RATE:,} a second in all, with and without a flooder",
    unit="microseconds",
    contestants=[
        Contestant(title(name, flood=flood), partial(measure, name, flood), missing=SERVERS[name].missing)
        for name in NAMES
        for flood in (False, True)
    ],
    comparisons=[
        Comparison(title(name, flood=True), title(name, flood=False), most=2.0 if name.startswith("anyplug") else None)
        for name in NAMES
    ],
    rounds=7,
)
