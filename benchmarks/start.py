"""How long does a program take that imports us, or runs our command, and how soon does a server listen?

Each contestant is a process that starts, does that and ends; a round takes the median of twenty. A server is ready when
it says so, which is when clients can connect; a round takes the median of seven.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.commands import ANYPLUG
from benchmarks.echoes import PLUG
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import SERVER_CORE, Process, prepare, role

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = 20
STARTS = 7
COMMAND = Path(sys.executable).parent / "anyplug"


def once(command: Sequence[str]) -> float:
    """Milliseconds from start to end."""
    began = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, preexec_fn=lambda: prepare(SERVER_CORE))
    return (perf_counter() - began) * 1e3


def import_time(program: str) -> float:
    """What ``-X importtime`` counts for all of a program's imports, milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=lambda: prepare(SERVER_CORE))
    lines = done.stderr.splitlines()
    return (
        sum(int(line.split("|")[0].split(":")[1]) for line in lines if line.split("|")[0].strip()[-1].isdigit()) / 1e3
    )


def measure(command: Sequence[str], seconds: float) -> Sample:
    return Sample(median(once(command) for _ in range(TIMES)))


def measure_python(program: str, seconds: float) -> Sample:
    command = [sys.executable, "-c", program]
    imports = median(import_time(program) for _ in range(3))
    return Sample(measure(command, seconds).value, facts={"ms of imports by -X importtime": imports})


EMPTY, IMPORT, FACES = "python -c pass", "import anyplug", "import anyplug; use connect and Server"
VERSION = "anyplug --version"
CONTESTANTS = [
    Contestant(EMPTY, partial(measure_python, "pass")),
    Contestant(IMPORT, partial(measure_python, "import anyplug")),
    Contestant(FACES, partial(measure_python, "import anyplug; anyplug.connect; anyplug.Server")),
]
COMPARISONS = [Comparison(IMPORT, EMPTY), Comparison(FACES, EMPTY)]
if COMMAND.exists():
    CONTESTANTS.append(Contestant(VERSION, partial(measure, [str(COMMAND), "--version"]), most=200))
    COMPARISONS.append(Comparison(VERSION, EMPTY, most=4.0))

QUESTION = Question(
    name="start",
    asks=f"from the start of a process to its end, the median of {TIMES}",
    unit="ms",
    contestants=CONTESTANTS,
    comparisons=COMPARISONS,
    rounds=5,
)


def ready(command: Sequence[str], what: str) -> float:
    """Milliseconds from the start of a server to the line that tells it listens."""
    began = perf_counter()
    with Process([*command], core=SERVER_CORE) as server:
        while what not in server.line():
            pass
        return (perf_counter() - began) * 1e3


def measure_ready(command: Sequence[str], what: str, seconds: float) -> Sample:
    return Sample(median(ready(command, what) for _ in range(STARTS)))


STREAMS = """
import asyncio

async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
SERVE_COMMAND = [*ANYPLUG, "serve", "--listen", "127.0.0.1:0", "--store", "memory", "--json"]
SERVERS: dict[str, tuple[list[str], str, float | None]] = {
    "anyplug serve": (SERVE_COMMAND, '"listening"', 400),
    "anyplug.Server in a program": (role("echoes", "anyplug_reply", PLUG), "", None),
    "asyncio streams": ([sys.executable, "-c", STREAMS], "", None),
}
SERVE = Question(
    name="start_serve",
    asks=f"from the start of a server's process until it listens, the median of {STARTS}",
    unit="ms",
    contestants=[
        Contestant(name, partial(measure_ready, command, what), most=most)
        for name, (command, what, most) in SERVERS.items()
    ],
    comparisons=[Comparison(name, "asyncio streams") for name in SERVERS if name != "asyncio streams"],
    rounds=5,
)
