"""How long does it take to look at every port of a host?

All 65,535 ports of 127.0.0.1, most of them closed; then the same with 1,000 more of them open, which a process accepts
and closes. Beside `anyplug scan` stand nmap at its greatest speed, and what most people write in Python: asyncio's
`open_connection`, 500 at once. How many ports each found open is told, since a scanner may be quick by missing some.
"""

from __future__ import annotations

import asyncio
import re
import selectors
import socket
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from benchmarks.commands import ANYPLUG, Run, run
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, Process, play, role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PORTS = range(1, 65536)
OPEN = 1000
AT_ONCE = 500


# What is open.


def hold(count: str) -> None:
    """Listen on so many ports, and close each connection that comes."""
    ready = selectors.DefaultSelector()
    wanted = iter(range(10_007, 65_536, 7))
    left = int(count)
    while left:
        with suppress(OSError):  # somebody else has that port
            listener = socket.create_server(("127.0.0.1", next(wanted)), backlog=64)
            listener.setblocking(False)
            ready.register(listener, selectors.EVENT_READ)
            left -= 1
    print("listening", flush=True)
    while True:
        for key, _ in ready.select():
            with suppress(OSError):
                key.fileobj.accept()[0].close()  # type: ignore[union-attr]


# Who scans.


def streams() -> None:
    """Scan as asyncio's streams do it; prints the open ports."""

    async def main() -> None:
        room = asyncio.Semaphore(AT_ONCE)
        found: list[int] = []

        async def look(port: int) -> None:
            async with room:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    return
                found.append(port)
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        await asyncio.gather(*map(look, PORTS))
        print(*sorted(found), sep="\n")

    asyncio.run(main())


def lines(out: bytes) -> int:
    return len(out.splitlines())


def nmap_open(out: bytes) -> int:
    return len(re.findall(rb"^\d+/tcp +open", out, re.MULTILINE))


def anyplug_open(out: bytes) -> int:
    return out.count(b'"state": "open"') + out.count(b'"state":"open"')


SCANNERS: dict[str, tuple[Sequence[str], Callable[[bytes], int]]] = {
    "anyplug scan": ([*ANYPLUG, "scan", "127.0.0.1", "-p", "all", "--json"], anyplug_open),
    "nmap -sT -T5": (["nmap", "-sT", "-T5", "-n", "-Pn", "-p-", "127.0.0.1"], nmap_open),
    "open_connection": (role("scan", "streams"), lines),
}
"""How each is started, and how many open ports it found by what it prints."""


@cache
def scanned(number: int, name: str, count: int) -> tuple[Run, int]:
    """A scan with so many ports open; each measurement has a number, and is made once."""
    command, found = SCANNERS[name]
    if not count:
        done = run(command)
    else:
        with Process(role("scan", "hold", count), core=LOAD_CORE) as listener:
            listener.line()
            done = run(command)
    return done, found(done.out)


class Measured:
    """Counts the measurements of one contestant, so that time and memory are told of the same scans."""

    def __init__(self, name: str, count: int, of: Callable[[Run], float]) -> None:
        self._take = partial(scanned, name=name, count=count)
        self._of = of
        self._number = 0

    def __call__(self, seconds: float) -> Sample:
        self._number += 1
        done, found = self._take(self._number)
        return Sample(self._of(done), facts={"open ports found": found})


def title(name: str, count: int) -> str:
    return f"{name}, {count:,} more open" if count else name


def question(name: str, asks: str, unit: str, of: Callable[[Run], float], most: float | None) -> Question:
    """The same scans, asked for one thing."""
    own, nmap, streams_ = SCANNERS
    comparisons = []
    for count in (0, OPEN):
        ours = title(own, count)
        bounds = (1.0, 1 / 3) if most is None else (None, None)
        comparisons += [
            Comparison(ours, title(each, count), most=bound)
            for each, bound in zip((nmap, streams_), bounds, strict=True)
        ]
    contestants = [
        Contestant(title(each, count), Measured(each, count, of), most=most if each == own else None)
        for count in (0, OPEN)
        for each in SCANNERS
    ]
    return Question(name=name, asks=asks, unit=unit, contestants=contestants, comparisons=comparisons, rounds=5)


ASKS = "all 65,535 TCP ports of 127.0.0.1, from the start of the command to its end"
QUESTION = question("scan", ASKS, "ms", lambda done: done.seconds * 1e3, None)
MEMORY = question("scan_memory", f"the most memory held: {ASKS}", "MiB", lambda done: done.peak, 100)

if __name__ == "__main__":
    play({"hold": hold, "streams": streams})
