"""What a worker does: as its supervisor says, which the test is."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import BindError, Server
from anyplug.server.worker import obey
from anyplug.server.workers_line import Line
from tests.server.serving import RawClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyplug.server.lifecycle import End
    from anyplug.server.workers_line import Said


class Supervisor:
    """The other end of the line, and what happened at this one."""

    def __init__(self) -> None:
        self.line, self.theirs = Line.pair()
        self.server = Server()
        self.happened: list[Any] = []
        self.address = ""

        @self.server.service("hold")
        async def hold(peer: Any) -> None:
            await peer.send("held")
            async for _ in peer:
                pass

    async def hears(self, count: int) -> list[Said]:
        """The next words."""
        heard: list[Said] = []
        ready = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.line.fileno(), ready.set)
        async with asyncio.timeout(10):
            while len(heard) < count:
                await ready.wait()
                ready.clear()
                heard += self.line.hear()
        asyncio.get_running_loop().remove_reader(self.line.fileno())
        return heard

    def start(self) -> None:
        self.address = self.server.listen("tcp://127.0.0.1:0/hold?framing=lines")

    async def work(self) -> End:
        return await obey(
            self.server,
            self.theirs,
            start=self.start,
            orders={"sing": self.happened.append},
            stopping=lambda: self.happened.append("stopping"),
        )


@asynccontextmanager
async def working() -> AsyncIterator[tuple[Supervisor, asyncio.Task[End]]]:
    supervisor = Supervisor()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    task = asyncio.create_task(supervisor.work())
    assert await supervisor.hears(1) == [("listening", None)]
    try:
        yield supervisor, task
    finally:
        supervisor.line.close()
        async with asyncio.timeout(10):
            await task
        supervisor.theirs.close()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


async def test_it_does_what_it_is_told_until_it_is_told_to_stop() -> None:
    async with working() as (supervisor, task):
        supervisor.line.tell("sing", [1])
        supervisor.line.tell("stop")
        supervisor.line.tell("sing", [2])
        assert await supervisor.hears(2) == [("stopping", 0), ("stopped", 0)]
        assert await task == (False, 0)
        assert supervisor.happened == [[1], "stopping"]


async def test_its_conversations_may_end_and_are_cut_by_force() -> None:
    async with working() as (supervisor, task):
        client = await RawClient.to(supervisor.address)
        assert await client.hear_line() == b"held\n"
        supervisor.line.tell("stop")
        assert await supervisor.hears(1) == [("stopping", 1)]
        supervisor.line.tell("force")
        assert await supervisor.hears(1) == [("stopped", 1)]
        assert await task == (True, 1)
        await client.close()


@pytest.mark.parametrize("gone", [False, True])
async def test_a_supervisor_that_is_gone_and_a_signal_say_stop(gone: bool) -> None:
    async with working() as (supervisor, task):
        if gone:
            supervisor.line.close()
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        assert await task == (False, 0)
        assert supervisor.happened == ["stopping"]


async def test_another_signal_at_the_end_does_no_harm() -> None:
    async with working() as (supervisor, task):
        supervisor.line.tell("stop")
        await task
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])


async def test_it_needs_no_orders_of_its_own() -> None:
    ours, theirs = Line.pair()
    ours.tell("stop")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        assert await obey(Server(), theirs, start=lambda: None) == (False, 0)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert ours.hear() == [("listening", None), ("stopping", 0), ("stopped", 0)]
    ours.close()
    theirs.close()


async def test_what_prevents_its_start_is_raised() -> None:
    ours, theirs = Line.pair()

    def start() -> None:
        raise BindError("tcp://127.0.0.1:1", "no")

    with pytest.raises(BindError):
        await obey(Server(), theirs, start=start)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert ours.hear() == [], "it does not listen"
    ours.close()
    theirs.close()
