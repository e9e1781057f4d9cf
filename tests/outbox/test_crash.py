"""Processes are killed, disks fail: what an outbox took arrives once and in order, whoever dies and whenever."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from anyplug.backoff import Backoff
from anyplug.outbox import Outbox, OutboxError
from anyplug.outbox.queue import Queue
from anyplug.store import MemoryStore, SqliteStore
from tests.outbox.keeping import Keeper, kept, serve
from tests.store.checker import Verdict, judge
from tests.store.test_crash import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CLEAN = Verdict([], [], [], [], [])
NOBODY = "plug://127.0.0.1:1/inbox/log"
QUICK = Backoff(first=0.001, most=0.02)


def start(module: str, *arguments: object, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [*under, sys.executable, "-m", f"tests.outbox.{module}", *map(str, arguments)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environ)


def run(*arguments: object, under: Sequence[str] = ()) -> tuple[int, str]:
    """The exit status and what was said."""
    with start("worker", *arguments, under=under) as process:
        said, complaint = process.communicate(timeout=25)
    assert process.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}, complaint
    return process.returncode, said


def injected(program: Callable[[str], str], path: Path, call: str, fault: str) -> list[str]:
    """strace with a fault at a system call on the database or its log."""
    only = [word for name in (path, f"{path}-wal") for word in ("-P", str(name))]
    quick = [] if "signal" in fault else ["--seccomp-bpf"]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fault}"]
    return [program("strace"), "-f", "-qqq", "-o", "/dev/null", *quick, *only, *inject]


def sure(said: str) -> list[str]:
    """What was put in for certain; a line cut short says nothing."""
    words = [line.split() for line in said.splitlines(keepends=True) if line.endswith("\n")]
    return [f"p-{line[1]}" for line in words if line[0] == "ok"]


async def waiting(path: Path) -> list[str]:
    """What an outbox holds, in order."""
    queue = await Queue.open(path, many=1 << 20, size=1 << 30, news=lambda _: None)
    parcels = await queue.load(NOBODY, 0, many=1 << 20, size=1 << 30) if NOBODY in queue.targets else []
    await queue.close()
    return [parcel.body.decode() for parcel in parcels]


def verdict(said: Sequence[str], attempted: Sequence[str], found: Sequence[str]) -> Verdict:
    """As `judge`, where nobody was told a position."""
    places = dict(enumerate(found, 1))
    told = {value: found.index(value) + 1 if value in found else 0 for value in said}
    return judge(told, attempted, places)


def numbered(first: int, last: int) -> list[str]:
    return [f"p-{n}" for n in range(first, last + 1)]


# Putting in.


@pytest.mark.parametrize("after", [1, 40])
async def test_what_a_killed_process_had_put_in_is_there(folder: Path, after: int) -> None:
    with start("worker", "put", folder / "o.db", NOBODY, 1, 100_000, 8) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after + 1)]
        process.kill()
        said = sure("".join(lines) + process.stdout.read())
    assert len(said) >= after
    found = await waiting(folder / "o.db")
    assert verdict(said, numbered(1, len(said) + 16), found) == CLEAN
    assert found == numbered(1, len(found))


@pytest.fixture
async def filled(folder: Path) -> Path:
    """An outbox with five messages, closed."""
    async with Outbox(folder / "filled.db", deliver=False) as outbox:
        await outbox.post_many(NOBODY, numbered(1, 5), codec="text")
    return folder / "filled.db"


WALK = [("pwrite64", 1), ("pwrite64", 2), ("fdatasync", 1), ("fdatasync", 2)]
"""Calls to be killed at: all the odd ones of a kind, and all the even ones."""


@pytest.mark.parametrize(("call", "first"), WALK)
async def test_a_kill_at_any_call_of_putting_in_loses_nothing(
    filled: Path, folder: Path, program: Callable[[str], str], call: str, first: int
) -> None:
    """Opening, three messages at once, three more, and closing: killed at the first call, the third, until the end."""
    number, status, left = first, -1, set()
    copy = folder / "copy" / "o.db"
    while status != 0:
        copy.parent.mkdir()
        shutil.copy(filled, copy)
        under = injected(program, copy, call, f"signal=KILL:when={number}")
        status, said = run("put", copy, NOBODY, 6, 6, 3, under=under)
        found = await waiting(copy)
        assert verdict([*numbered(1, 5), *sure(said)], numbered(1, 11), found) == CLEAN, number
        assert found == numbered(1, len(found))
        left.add(len(found))
        shutil.rmtree(copy.parent)
        number += 2
    assert number > 3
    assert {11} < left <= {5, 8, 11}


@pytest.mark.parametrize("often", ["", "+"])
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
async def test_an_error_of_the_disk_is_never_followed_by_a_yes(
    filled: Path, folder: Path, program: Callable[[str], str], call: str, often: str
) -> None:
    """Failing once or for ever, at each call: nothing is said to be there after it, and all that was said is there."""
    number, said = 0, "error"
    copy = folder / "copy" / "o.db"
    while "error" in said:
        number += 1
        copy.parent.mkdir()
        shutil.copy(filled, copy)
        under = injected(program, copy, call, f"error=EIO:when={number}{often}")
        _, said = run("put", copy, NOBODY, 6, 4, 2, under=under)
        assert "ok" not in said[said.find("error") :].split() or "error" not in said, said
        assert verdict([*numbered(1, 5), *sure(said)], numbered(1, 9), await waiting(copy)) == CLEAN, number
        shutil.rmtree(copy.parent)
        if number > 60:
            raise AssertionError("it never gets through")
    assert said.endswith("closed\n")
    assert number > 3


async def test_no_room_is_said_and_what_is_there_stays(
    filled: Path, folder: Path, program: Callable[[str], str]
) -> None:
    """ENOSPC once, at each write: one message is refused, or none, and all the others are put in."""
    refused = 0
    copy = folder / "copy" / "o.db"
    for number in range(1, 40):
        copy.parent.mkdir()
        shutil.copy(filled, copy)
        under = injected(program, copy, "pwrite64", f"error=ENOSPC:when={number}")
        _, said = run("put", copy, NOBODY, 6, 2, 1, under=under)
        told = [line.split() for line in said.splitlines()]
        errors = [line for line in told if line[0] == "error"]
        assert errors in ([], [["error", "OutboxFull"]]), said
        if told[0][0] == "open":
            assert told[-1] == ["closed"]
            assert await waiting(copy) == [*numbered(1, 5), *sure(said)]
            assert len(sure(said)) == 2 - len(errors)
        refused += len(errors)
        shutil.rmtree(copy.parent)
        if not errors:
            break
    assert refused > 4


# Delivering.


async def test_a_client_killed_again_and_again_delivers_everything_once(folder: Path) -> None:
    """Each run goes on behind what the outbox took in the run before."""
    store = await SqliteStore.open(folder / "store", reserve=0)
    dice = random.Random(20_26)
    put: list[str] = []
    async with serve(Keeper(store)) as address:
        following = 1
        for _ in range(6):
            said = await asyncio.to_thread(killed, folder / "o.db", address, following, dice.randint(1, 60))
            put += sure(said)
            found = await total(folder / "o.db", store)
            assert verdict(put, numbered(1, following + len(sure(said)) + 16), found) == CLEAN
            following = int(found[-1].removeprefix("p-")) + 1 if found else 1
        async with Outbox(folder / "o.db", backoff=QUICK) as outbox:
            await outbox.drained(20)
            assert [status.refused for status in outbox.status()] == [0]
            assert [status.renumbered for status in outbox.status()] == [0]
        found = [body.decode() for body in await kept(store)]
        assert verdict(put, numbered(1, following + 16), found) == CLEAN
        assert found == numbered(1, len(found))
    await store.close()


def killed(path: Path, address: str, first: int, after: int) -> str:
    """Run a client that posts and delivers, kill it after so many lines; what it said."""
    with start("worker", "post", path, address, first, 100_000, 8) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after + 1)]
        process.kill()
        return "".join(lines) + process.stdout.read()


async def total(path: Path, store: SqliteStore) -> list[str]:
    """What the store has and what still waits, but for what waits and is there already."""
    there = [body.decode() for body in await kept(store)]
    queue = await Queue.open(path, many=1 << 20, size=1 << 30, news=lambda _: None)
    for target in queue.targets.values():
        parcels = await queue.load(target.address, 0, many=1 << 20, size=1 << 30)
        there += [body for parcel in parcels if (body := parcel.body.decode()) not in there]
    await queue.close()
    return there


@pytest.mark.parametrize(("call", "first"), WALK)
async def test_a_client_killed_at_any_call_of_delivering_delivers_once(
    folder: Path, program: Callable[[str], str], call: str, first: int
) -> None:
    """Two messages and one that waits, delivery of all, closing: killed at the first call on its file, the next..."""
    number, status = first, -1
    path = folder / "copy" / "o.db"
    keeper = Keeper(MemoryStore())
    async with serve(keeper) as address:
        async with Outbox(folder / "o.db", deliver=False) as outbox:
            await outbox.post(address, "p-1", codec="text")
        while status != 0:
            keeper.store = MemoryStore()
            path.parent.mkdir()
            shutil.copy(folder / "o.db", path)
            under = injected(program, path, call, f"signal=KILL:when={number}")
            status, said = await asyncio.to_thread(run, "post", path, address, 2, 2, 2, under=under)
            async with Outbox(path, backoff=QUICK) as outbox:
                await outbox.drained(20)
                assert [status.renumbered for status in outbox.status()] == [0]
            found = [body.decode() for body in await kept(keeper.store)]
            assert verdict(["p-1", *sure(said)], numbered(1, 3), found) == CLEAN, number
            shutil.rmtree(path.parent)
            number += 2
    assert number > 3


async def test_a_server_killed_again_and_again_gets_everything_once(folder: Path) -> None:
    dice = random.Random(886)
    address, port = "", "0"
    put: list[str] = []
    async with Outbox(folder / "o.db", backoff=QUICK) as outbox:
        for _ in range(6):
            server = start("server", folder / "store", port)
            assert server.stdout is not None
            address = (await asyncio.to_thread(server.stdout.readline)).strip()
            port = address.split(":")[2].split("/")[0]
            aim = len(put) + dice.randint(5, 200)
            while len(put) < aim:
                more = numbered(len(put) + 1, len(put) + dice.randint(1, 20))
                await outbox.post_many(address, more, codec="text")
                put += more
            done = dice.randint(0, aim)
            async with asyncio.timeout(20):
                while outbox.status()[0].delivered < done:
                    outbox._change.clear()
                    await outbox._change.wait()
            server.kill()
            await asyncio.to_thread(server.communicate)
        server = start("server", folder / "store", port)
        await outbox.drained(20)
        await asyncio.to_thread(server.communicate)
        (status,) = outbox.status()
        assert (status.delivered, status.refused, status.renumbered) == (len(put), 0, 0)
    store = await SqliteStore.open(folder / "store", reserve=0)
    assert [body.decode() for body in await kept(store)] == put
    await store.close()


async def test_an_outbox_that_cannot_be_opened_says_why(folder: Path, program: Callable[[str], str]) -> None:
    under = injected(program, folder / "o.db", "pwrite64", "error=EIO:when=1")
    _, said = run("put", folder / "o.db", NOBODY, 1, 1, 1, under=under)
    assert said == "error OutboxFailed\n"
    with pytest.raises(OutboxError, match="it cannot be used"):
        await Outbox(folder).open()
