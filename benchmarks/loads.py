"""The load in C against a server, and what of it is a sample.

It says which share of its time it had something to do (``load busy``): so we know that it bounds nothing. Where that is
near 1 the load was measured, not the server. It is so beside the echo in C alone, whose cost in CPU time counts then.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.harness import Contestant, Sample
from benchmarks.processes import SERVER_CORE, Process, build, run_json
from benchmarks.servers import SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.servers import Server
    from benchmarks.talks import Talk

__all__ = ["SIZE", "ask", "command", "contestant", "measure", "with_server"]

SIZE = 100
WARM = 0.1


def ask(port: str, talk: Talk, seconds: float, *options: object) -> dict[str, float]:
    """Run the load against a port; returns what it measured."""
    return run_json(command(port, talk, seconds, *options))


def command(port: str, talk: Talk, seconds: float, *options: object) -> list[str]:
    """What starts the load against a port."""
    times = ["-w", str(min(WARM, seconds)), "-s", str(seconds)]
    return [build("load.c"), *talk.options(port), *times, *map(str, options)]


def with_server(server: Server, use: Callable[[Process, str], Sample]) -> Sample:
    """Start a server, use it, end it."""
    with Process(server.command(), core=SERVER_CORE) as process:
        return use(process, process.line())


def measure(name: str, seconds: float, *, connections: int, size: int = SIZE, count: int = 1) -> Sample:
    """Answers a second: on each connection so many questions at once, the next when all are answered."""
    server = SERVERS[name]
    talk = server.talk(size, count)

    def use(process: Process, port: str) -> Sample:
        idle = process.cpu()
        found = ask(port, talk, seconds, "-c", connections)
        busy = process.cpu() - idle
        rate = found["answers"] * talk.count / found["seconds"]
        return Sample(rate, cost=busy / (found["all"] * talk.count) * 1e6, facts={"load busy": found["busy"]})

    return with_server(server, use)


def contestant(name: str, *, title: str = "", connections: int = 50, size: int = SIZE, count: int = 1) -> Contestant:
    """A server of the table as a contestant of a question."""
    work = partial(measure, name, connections=connections, size=size, count=count)
    return Contestant(title or name, work, missing=SERVERS[name].missing)
