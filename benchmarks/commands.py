"""Commands measured as users have them: from their start to their end, what they print into a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.processes import SERVER_CORE, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ANYPLUG", "Run", "run"]

_SCRIPT = Path(sys.executable).parent / "anyplug"
ANYPLUG = [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "anyplug"]
"""How our command is started."""


class Run(NamedTuple):
    """One command that has ended."""

    seconds: float
    peak: float
    """The most memory that it held (ru_maxrss), MiB. It is no less than this process held when it was started."""
    out: bytes


def run(command: Sequence[str]) -> Run:
    """Run a command to its end, on the core of servers.

    Raises:
        RuntimeError: it fails.
    """
    began = perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: prepare(SERVER_CORE),  # noqa: PLW1509 - the harness has one thread
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Run(seconds, usage.ru_maxrss / 1024, out)
