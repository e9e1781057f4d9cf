"""The processes of a measurement: servers on one core, loads on another, all started the same way.

A part of a measurement that runs by itself is a *role*: a function of a question's module, started as
``python -m benchmarks.<question> <role> <arguments>``. It talks to the harness in lines: a server prints its port, and
whatever measures prints one line of JSON.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["COMPILER", "LOAD_CORE", "SERVER_CORE", "Process", "build", "play", "prepare", "role", "run_json"]

HERE = Path(__file__).parent
PATIENCE = 60.0
"""The longest that a process may take to say what it measured, or to end by itself, seconds."""

COMPILER = "gcc"
"""What compiles the programs in C, on the spot. Without it whatever needs them is left out."""

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[0], _CORES[-1]


def role(question: str, name: str, *arguments: object) -> list[str]:
    """The command of a role."""
    return [sys.executable, "-m", f"benchmarks.{question}", name, *map(str, arguments)]


def play(roles: Mapping[str, Callable[..., None]]) -> None:
    """Be the role that the command line names."""
    name, *arguments = sys.argv[1:]
    roles[name](*arguments)


@functools.cache
def build(source: str) -> str:
    """Compile a C file of this folder; returns the program's path. It is gone when this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="benchmarks-")
    atexit.register(folder.cleanup)
    program = str(Path(folder.name) / Path(source).stem)
    subprocess.run([COMPILER, "-O2", "-Wall", "-Wextra", "-o", program, str(HERE / source)], check=True)
    return program


class Process:
    """One process on one core; ended at the end of its block."""

    first: ClassVar[bool] = False
    """Whether measured processes run before all others of the machine (SCHED_RR, for which one must be root). Then
    figures are those of a quiet machine, and whoever else works on it waits."""

    def __init__(self, command: Sequence[str], *, core: int) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
            preexec_fn=lambda: prepare(core),  # noqa: PLW1509 - the harness has one thread
        )
        self.pid = self._process.pid

    def line(self) -> str:
        """The next line that it prints: one to each thing it was asked, so that none waits in our buffer."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            how = f"ended with {self._process.wait(PATIENCE)}" if ready else f"went on for {PATIENCE:g} s"
            raise RuntimeError(f"{self._process.args!r} {how}, and said nothing")
        return line.strip()

    def tell(self, line: str) -> str:
        """Say a line to it; returns its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.line()

    def json(self) -> dict[str, float]:
        """The line of JSON that it prints when it has measured."""
        found: dict[str, float] = json.loads(self.line())
        return found

    def cpu(self) -> float:
        """What all its threads have computed so far, those that have ended too, seconds; to the nanosecond."""
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock of another process: clock_getcpuclockid(3)

    def memory(self) -> dict[str, int]:
        """What it holds, bytes: ``rss`` in all, ``uss`` that is shared with no other process."""
        rows = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in (row.partition(":") for row in rows)}
        return {"rss": sizes["Rss"], "uss": sizes["Private_Clean"] + sizes["Private_Dirty"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def prepare(core: int | None) -> None:
    """Called in a new process, before its program: where and how it runs. None: on any core."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    if Process.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_json(command: Sequence[str], *, core: int = LOAD_CORE) -> dict[str, float]:
    """Run a load to its end; returns what it measured."""
    with Process(command, core=core) as process:
        return process.json()
