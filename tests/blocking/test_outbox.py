"""The outbox of threads: what it does is the async one's; here is how a thread waits for it."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.backoff import Backoff
from anyplug.blocking import Outbox
from anyplug.errors import Code, LocalError, Timeout
from anyplug.outbox import OutboxBusy, OutboxError
from anyplug.store import MemoryStore
from tests.outbox.conftest import folder
from tests.outbox.keeping import Keeper, kept, serve
from tests.store.test_crash import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["folder"]

NOBODY = "plug://127.0.0.1:1/inbox/log"


def box(folder: Path, **options: Any) -> Outbox:
    return Outbox(folder / "o.db", **{"backoff": Backoff(first=0.001, most=0.01), **options})


async def with_server(work: Callable[[str, Keeper], None]) -> list[bytes]:
    """Do this in a thread, beside a server; what the server has kept then."""
    keeper = Keeper(MemoryStore())
    async with serve(keeper) as address:
        await asyncio.to_thread(work, address, keeper)
    return await kept(keeper.store)


async def test_what_is_posted_is_delivered(folder: Path) -> None:
    def work(address: str, keeper: Keeper) -> None:
        with box(folder) as outbox:
            assert outbox.post(address, "1", codec="text") == 1
            assert outbox.post_many(address, ["2", "3"], codec="text") == [2, 3]
            outbox.drained(10)
            (status,) = outbox.status()
            assert (status.address, status.waiting, status.delivered) == (address, 0, 3)

    assert await with_server(work) == [b"1", b"2", b"3"]


async def test_it_delivers_when_it_is_told_to(folder: Path) -> None:
    def work(address: str, keeper: Keeper) -> None:
        with box(folder, deliver=False) as outbox:
            outbox.post(address, b"x", codec="bytes")
            with pytest.raises(LocalError, match=r"call deliver\(\)"):
                outbox.drained()
            outbox.deliver(10)

    assert await with_server(work) == [b"x"]


async def test_what_is_refused_can_be_seen_tried_again_and_forgotten(folder: Path) -> None:
    def work(address: str, keeper: Keeper) -> None:
        keeper.refuses = {b"a": Code.BAD_MESSAGE, b"b": Code.BAD_MESSAGE}
        with box(folder) as outbox:
            outbox.post_many(address, [b"a", b"b"], codec="bytes")
            outbox.drained(10)
            assert [each.id for each in outbox.refusals()] == [1, 2]
            assert [each.id for each in outbox.refusals(1, many=1)] == [2]
            keeper.refuses = {}
            outbox.forget(1)
            outbox.retry(2)
            outbox.resume(address)
            outbox.drained(10)

    assert await with_server(work) == [b"b"]


async def test_many_threads_may_post(folder: Path) -> None:
    def work(address: str, keeper: Keeper) -> None:
        with box(folder) as outbox:
            threads = [
                threading.Thread(target=lambda n=n: [outbox.post(address, f"{n} {k}", codec="text") for k in range(20)])
                for n in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            outbox.drained(10)

    found = [body.decode().split() for body in await with_server(work)]
    assert len(found) == 160
    assert all([int(k) for who, k in found if who == str(n)] == [*range(20)] for n in range(8))


def test_errors_reach_the_caller(folder: Path) -> None:
    with box(folder) as outbox:
        with pytest.raises(OutboxBusy):
            box(folder).open()
        outbox.post(NOBODY, 1)
        with pytest.raises(Timeout):
            outbox.drained(0.01)
        with pytest.raises(OutboxError, match="it was opened before"):
            outbox.open()


def test_it_is_used_in_a_block_and_leaves_no_thread(folder: Path) -> None:
    outbox = box(folder)
    assert "closed" in repr(outbox)
    with pytest.raises(OutboxError, match="it is not open"):
        outbox.post(NOBODY, 1)
    before = {*threading.enumerate()}
    with outbox:
        assert "open" in repr(outbox)
        outbox.post(NOBODY, 1)
        assert any(thread.name == "anyplug-outbox" for thread in {*threading.enumerate()} - before)
    assert not any(thread.name.startswith("anyplug") for thread in {*threading.enumerate()} - before)
    with pytest.raises(OutboxError, match="it is closed"):
        outbox.post(NOBODY, 1)
    outbox.close()


def test_it_cannot_be_copied(folder: Path) -> None:
    with pytest.raises(LocalError, match="cannot be copied or pickled"):
        copy.copy(box(folder))


def test_one_that_is_forgotten_open_is_told_and_closed(folder: Path) -> None:
    outbox = box(folder).open()
    thread = outbox._thread
    assert thread is not None
    with pytest.warns(ResourceWarning, match=r"unclosed <anyplug.blocking.Outbox .*o\.db, open>"):  # noqa: PT031
        del outbox
        gc.collect()
    thread.join(10)
    box(folder).open().close()


def test_a_child_of_a_fork_is_told_to_open_its_own(folder: Path) -> None:
    with box(folder) as outbox:
        outbox._pid = os.getpid() + 1  # as a child sees it
        with pytest.raises(OutboxError, match="before a fork"):
            outbox.post(NOBODY, 1)
        outbox.close()
        assert outbox._thread is not None
        outbox._pid = os.getpid()


def test_an_interrupt_ends_the_wait_and_what_was_put_in_is_safe(folder: Path) -> None:
    script = f"""
import sys
from anyplug.blocking import Outbox
with Outbox(sys.argv[1]) as outbox:
    outbox.post({NOBODY!r}, 1)
    try:
        print("waiting", flush=True)
        outbox.drained()
    except KeyboardInterrupt:
        print("interrupted", outbox.status()[0].waiting, flush=True)
"""
    command = [sys.executable, "-c", script, str(folder / "o.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "interrupted 1\n"
    with box(folder, deliver=False) as outbox:
        assert [status.waiting for status in outbox.status()] == [1]
