"""How many more questions do two workers answer than one?

`anyplug serve` with the service echo, a def reply, on plain lines, 50 peers asking at once as in `request_answer`. Each
worker has a core for itself and the load has one, so that two workers need three cores. A load is one program of one
thread, which one worker keeps busy for seven tenths of its time: with four cores there are two. Where ``load busy``
comes near 1 it is the load that was measured.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.commands import ANYPLUG
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.loads import SIZE, command
from benchmarks.processes import COMPILER, LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import port_of
from benchmarks.servers import missing
from benchmarks.talks import lines

CONNECTIONS: Final = 50
CONFIG: Final = 'listen = "tcp://127.0.0.1:0/echo?framing=lines"\n[services.echo]\nkind = "echo"\n'
CORES: Final = sorted(os.sched_getaffinity(0))
LOADS: Final = CORES[-2:] if len(CORES) > 3 else [LOAD_CORE]
"""A core for each load."""
OURS: Final = [core for core in CORES if core not in LOADS] or CORES
"""Cores for the workers."""


def serve(count: str) -> None:
    """Serve with so many workers; says the port and the processes, and ends them when it is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(CONFIG)
        file.flush()
        words = [*ANYPLUG, "serve", "--json", "--workers", count, file.name]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                listening, ready = (json.loads(process.stdout.readline()) for _ in range(2))
                print(port_of(listening["address"]), *ready.get("workers", [process.pid]), flush=True)
                signal.pause()
            finally:
                process.terminate()


def computed(pids: list[int]) -> float:
    """What these processes have computed so far, seconds."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)  # clock_getcpuclockid(3)


def measure(count: int, seconds: float) -> Sample:
    """Answers a second of so many workers."""
    with Process(role("workers", "serve", count), core=SERVER_CORE) as process:
        port, *words = process.line().split()
        pids = [int(word) for word in words]
        for number, pid in enumerate(pids):
            os.sched_setaffinity(pid, {OURS[number % len(OURS)]})
        idle = computed(pids)
        found = ask(port, seconds)
        cost = (computed(pids) - idle) / sum(each["all"] for each in found) * 1e6
        rate = sum(each["answers"] / each["seconds"] for each in found)
        return Sample(rate, cost=cost, facts={"load busy": max(each["busy"] for each in found)})


def ask(port: str, seconds: float) -> list[dict[str, float]]:
    """Run the loads; what each of them measured."""
    words = command(port, lines(SIZE, 1), seconds, "-c", CONNECTIONS // len(LOADS))
    with ExitStack() as stack:
        loads = [stack.enter_context(Process(words, core=core)) for core in LOADS]
        return [load.json() for load in loads]


def lack(count: int, cores: int) -> str:
    """Why so many workers cannot be measured; empty where they can."""
    if cores <= count and count > 1:
        return f"{count} workers and the load need {count + 1} cores, and here are {cores}"
    return missing((), (COMPILER,))


def contestant(count: int) -> Contestant:
    name = f"{count} worker{'s' if count > 1 else ''}"
    return Contestant(name, partial(measure, count), missing=lack(count, len(os.sched_getaffinity(0))))


QUESTION = Question(
    name="workers",
    asks=f"{CONNECTIONS} plain TCP connections, one question of {SIZE} bytes outstanding on each, by workers",
    unit="answers a second",
    contestants=[contestant(1), contestant(2)],
    comparisons=[Comparison("2 workers", "1 worker", least=1.6)],
)

if __name__ == "__main__":
    play({"serve": serve})
