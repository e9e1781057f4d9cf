"""How long does an answer take while the server is half busy: the 99th percentile, and beside it the 50th and 99.9th?

50 connections. First the rate is found that the server reaches at most, then so many questions are due at even
distances that it is half of that. Times count from when a question was due, not from when it could be sent: a server
that stops for a while makes all those late that were due meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.loads import SIZE, ask, with_server
from benchmarks.servers import SERVERS

if TYPE_CHECKING:
    from benchmarks.processes import Process

CONNECTIONS = 50
PEAK = 0.3
"""How long the greatest rate is looked for, seconds."""
OURS, TALK, PLUG = "anyplug lines, bytes", "anyplug lines, conversation", "anyplug plug, requests"
THEIRS = ("uvloop Protocol", "asyncio streams on uvloop", "anyio on uvloop", "websockets", "picows", "epoll in C")


def measure(name: str, seconds: float) -> Sample:
    server = SERVERS[name]
    talk = server.talk(SIZE)

    def use(process: Process, port: str) -> Sample:
        peak = ask(port, talk, min(PEAK, seconds), "-c", CONNECTIONS)
        rate = peak["answers"] / peak["seconds"] / 2
        found = ask(port, talk, seconds, "-c", CONNECTIONS, "-r", rate)
        facts = {"p50 us": found["p50"], "p99.9 us": found["p999"], "answers a second": rate}
        return Sample(found["p99"], facts=facts)

    return with_server(server, use)


QUESTION = Question(
    name="latency",
    asks=f"the 99th percentile of an answer's time at half the greatest rate, {CONNECTIONS} connections, {SIZE} bytes",
    unit="microseconds",
    contestants=[
        Contestant(name, partial(measure, name), missing=SERVERS[name].missing) for name in (OURS, TALK, PLUG, *THEIRS)
    ],
    comparisons=[
        *(Comparison(OURS, name) for name in THEIRS),
        Comparison(TALK, "asyncio streams on uvloop"),
        Comparison(PLUG, "websockets"),
    ],
    rounds=9,
    seconds=1.0,
)
