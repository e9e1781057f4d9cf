"""How long does it take to list the sockets of a machine that has many?

10,000 TCP connections are open on loopback, so that 20,000 ends are listed. Beside `anyplug sockets` stands `ss -tan`,
which lists TCP alone; ours lists TCP alone too (``--tcp``), and once everything, as it does where nothing is said.
"""

from __future__ import annotations

import atexit
import socket
import sys
from contextlib import ExitStack
from functools import cache, partial
from itertools import cycle
from struct import pack
from typing import TYPE_CHECKING

from benchmarks.commands import ANYPLUG, run
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, Process, play, role

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 10_000
SOURCES = [f"127.0.0.{number}" for number in range(11, 21)]
TIMES = 5


def kept_open(sock: socket.socket) -> socket.socket:
    """The socket, which is reset when its process ends: thousands in TIME-WAIT would be listed in the next round."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    return sock


def accept() -> None:
    """Accept and keep connections; after each line ``N`` say when there are so many."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    kept: list[socket.socket] = []
    for line in sys.stdin:
        while len(kept) < int(line):
            kept.append(kept_open(listener.accept()[0]))
        print("open", flush=True)


def hold(port: str, count: str) -> None:
    """Open so many connections and hold them."""
    sources = cycle(SOURCES)
    kept = [
        kept_open(socket.create_connection(("127.0.0.1", int(port)), source_address=(next(sources), 0)))
        for _ in range(int(count))
    ]
    print(len(kept), flush=True)
    sys.stdin.read()


@cache
def open_connections(count: int) -> None:
    """Open so many connections, until this program ends: all contestants list the same ones."""
    held = ExitStack()
    atexit.register(held.close)
    server = held.enter_context(Process(role("sockets", "accept"), core=LOAD_CORE))
    clients = held.enter_context(Process(role("sockets", "hold", server.line(), count), core=LOAD_CORE))
    server.tell(str(count))
    clients.line()


def measure(command: Sequence[str], count: int, seconds: float) -> Sample:
    """The median of some runs while so many connections are open."""
    open_connections(count)
    runs = sorted(run(command) for _ in range(TIMES))
    return Sample(runs[TIMES // 2].seconds * 1e3, facts={"lines": runs[0].out.count(b"\n"), "peak MiB": runs[0].peak})


OURS, EVERYTHING, SS = "anyplug sockets --tcp", "anyplug sockets", "ss -tan"
COMMANDS = {OURS: [*ANYPLUG, "sockets", "--tcp"], EVERYTHING: [*ANYPLUG, "sockets"], SS: ["ss", "-tan"]}
QUESTION = Question(
    name="sockets",
    asks=f"list the sockets while {CONNECTIONS:,} connections are open, into a pipe, the median of {TIMES}",
    unit="ms",
    contestants=[Contestant(name, partial(measure, command, CONNECTIONS)) for name, command in COMMANDS.items()],
    comparisons=[Comparison(OURS, SS, most=2.0), Comparison(EVERYTHING, SS, most=2.0)],
    rounds=15,
)

if __name__ == "__main__":
    play({"accept": accept, "hold": hold})
