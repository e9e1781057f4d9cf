"""A process that writes to a store is killed, or its disk fails, at every system call: nothing acknowledged is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.store import Entry, Producer, SqliteStore
from tests.store.checker import Verdict, acknowledged, judge, left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
CLEAN = Verdict([], [], [], [], [])
WORKER = [sys.executable, "-m", "tests.store.worker"]


def start(*arguments: object, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [*under, *WORKER, *map(str, arguments)]
    # a process that is killed leaves half a file of covered lines behind: none is better
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ)


def run(*arguments: object, under: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status and what was said."""
    with start(*arguments, under=under) as process:
        said, complaint = process.communicate(timeout=25)
    assert process.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, complaint
    return process.returncode, said


def injected(program: Callable[[str], str], call: str, fault: str, *, folder: Path | None = None) -> list[str]:
    """strace with a fault at a system call; with a folder, only those on its database and log count.

    Each thread counts for itself. Opening is the work of one, all else of another.
    """
    only = [f"{folder}/anyplug.db", f"{folder}/anyplug.db-wal"] if folder is not None else []
    options = [word for path in only for word in ("-P", path)]
    if "signal" not in fault:
        options.append("--seccomp-bpf")  # much faster; with it, signals come at the first call or never
    return [
        program("strace"),
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        *options,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{fault}",
    ]


@pytest.fixture
async def filled(folder: Path) -> Path:
    """A store with a few messages, closed."""
    store = await SqliteStore.open(folder / "filled", reserve=0)
    await store.log.append("log", [Entry(b"a-%d" % n, n) for n in range(1, 6)], producer=Producer(b"a", 1))
    await store.close()
    return folder / "filled"


BEFORE = {n: f"a-{n}" for n in range(1, 6)}
TRIED = [*BEFORE.values(), *(f"p-{n}" for n in range(1, 12))]


@pytest.mark.parametrize("after", [1, 30])
async def test_what_a_killed_process_acknowledged_is_there(folder: Path, after: int) -> None:
    with start(folder, "many", "p", 1, 100_000, 8) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after + 1)]
        process.kill()
        said = acknowledged("p", "".join(lines) + process.stdout.read())
    assert len(said) >= after
    found = await left(folder)
    assert judge(said, [f"p-{n}" for n in range(1, len(said) + 9)], found) == CLEAN
    assert list(found) == list(range(1, len(found) + 1))


WALK = [("pwrite64", True), ("fdatasync", True), ("pwrite64", False), ("ftruncate", False), ("unlink", False)]
"""The calls to be killed at; those of the database and its log alone, or those of opening before them."""


@pytest.mark.parametrize(("call", "inside"), WALK)
async def test_a_kill_at_any_call_of_an_append_loses_nothing(
    filled: Path, folder: Path, program: Callable[[str], str], call: str, inside: bool
) -> None:
    """An append of ten, another of one, and closing: killed at the first call, the second, until it gets through."""
    kept, number, status, said = set(), 0, -1, ""
    while status != 0 and (inside or "ok" not in said or call != "pwrite64"):
        number += 1
        copy = folder / "copy"
        shutil.copytree(filled, copy)
        under = injected(program, call, f"signal=KILL:when={number}", folder=copy if inside else None)
        status, said = run(copy, "batch", "p", 1, 10, under=under)
        found = await left(copy)
        assert judge(acknowledged("p", said), TRIED, found) == CLEAN, number
        assert {position: found[position] for position in BEFORE} == BEFORE
        await send_again(copy)
        shutil.rmtree(copy)
        kept.add(len(found))
    assert number > 1
    assert kept <= {5, 15, 16}
    if call == "pwrite64" and inside:
        assert kept == {5, 15, 16}


async def send_again(folder: Path) -> None:
    """No acknowledgement means unknown: the same again is stored once."""
    store = await SqliteStore.open(folder, reserve=0)
    entries = [Entry(b"p-%d" % n, 99) for n in range(1, 12)]
    receipt = await store.log.append("log", entries, producer=Producer(b"p", 1))
    await store.close()
    assert list(receipt.positions) == list(range(6, 17))
    assert judge({}, TRIED, await left(folder)) == CLEAN


@pytest.mark.parametrize("often", ["", "+"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
async def test_an_error_of_the_disk_stops_the_store(
    filled: Path, folder: Path, program: Callable[[str], str], call: str, often: str
) -> None:
    """Failing once or for ever, at each call: no acknowledgement after it, not even where the next would succeed."""
    number, errors = 0, [["-"]]
    while errors:
        number += 1
        copy = folder / "copy"
        shutil.copytree(filled, copy)
        under = injected(program, call, f"error=EIO:when={number}{often}", folder=copy)
        _, said = run(copy, "batch", "p", 1, 10, under=under)
        errors = [line.split() for line in said.splitlines() if line.startswith(("error", "closed"))]
        assert "ok" not in said[said.find("error") :].split() or "error" not in said
        assert all(line[:2] == ["error", "StoreFailed"] for line in errors[:-1])
        assert judge(acknowledged("p", said), TRIED, await left(copy)) == CLEAN
        await send_again(copy)
        shutil.rmtree(copy)
        if errors == [["closed", "closed"]]:
            break
        assert errors[-1] == ["closed", "failed"]
    assert number > 3


async def test_an_error_while_opening_is_told(filled: Path, program: Callable[[str], str]) -> None:
    for number in range(1, 6):
        _, said = run(filled, "batch", "p", 1, 10, under=injected(program, "pwrite64", f"error=EIO:when={number}"))
        assert said.startswith("error Store")
        assert said.endswith("opening\n")
    assert await left(filled) == BEFORE


async def test_the_sync_of_a_commit_is_what_an_acknowledgement_waits_for(
    filled: Path, program: Callable[[str], str]
) -> None:
    _, said = run(filled, "batch", "p", 1, 10, under=injected(program, "fdatasync", "error=EIO:when=1+", folder=filled))
    assert acknowledged("p", said) == {}
    assert "error StoreFailed failed" in said


async def test_no_room_refuses_and_goes_on_when_there_is_room(filled: Path, program: Callable[[str], str]) -> None:
    """ENOSPC once, at each write of three appends: one of them is refused, nothing of it is there, the rest is."""
    refused: list[int] = []
    for number in range(1, 40):
        under = injected(program, "pwrite64", f"error=ENOSPC:when={number}", folder=filled)
        _, said = run(filled, "many", "x", 1 + 3 * len(refused), 3, under=under)
        assert said.endswith("closed closed\n")
        lines = [line.split()[:2] for line in said.splitlines()[1:-1]]
        if ["error", "StoreFull"] not in lines:
            break
        refused.append(number)
        place = lines.index(["error", "StoreFull"])
        assert all(line[0] == "ok" for line in lines[:place])
        assert lines[place + 1 :] == [["error", "Gap"]] * (2 - place)
        store = await SqliteStore.open(filled, reserve=0)
        assert await store.log.watermark(b"x") == 3 * len(refused) - 3 + place
        entries = [Entry(b"x-%d" % n, n) for n in range(3 * len(refused) - 2 + place, 3 * len(refused) + 1)]
        await store.log.append("log", entries, producer=Producer(b"x", 3 * len(refused) - 2 + place))
        await store.close()
    assert len(refused) > 9
    assert judge({}, [*BEFORE.values(), *(f"x-{n}" for n in range(1, 130))], await left(filled)) == CLEAN
