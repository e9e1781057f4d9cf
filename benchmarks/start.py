"""How long does a program take that imports us, or runs our command?

Each contestant is a process that starts, does that and ends; a round takes the median of twenty.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import SERVER_CORE, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = 20
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
    COMPARISONS.append(Comparison(VERSION, EMPTY))

QUESTION = Question(
    name="start",
    asks=f"from the start of a process to its end, the median of {TIMES}",
    unit="ms",
    contestants=CONTESTANTS,
    comparisons=COMPARISONS,
    rounds=5,
)
