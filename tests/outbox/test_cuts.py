"""The connection is cut all over a session, on either side, in every way: everything still arrives once.

Both programs are whole, the network is in memory. A short session is cut at every byte; one of ten kilobytes at some,
and by ``make cuts`` at every byte, too. `tests/outbox/test_cut_everywhere.py` does that quickly, with less of them.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import Connection, Limits, Server
from anyplug.backoff import Backoff
from anyplug.errors import AnyplugError, Code, ConnectError
from anyplug.intake import Intake
from anyplug.outbox import Outbox
from anyplug.server.reception import Reception
from anyplug.store import MemoryStore, Retention
from anyplug.transport.link import Link
from anyplug.transport.memory import Cut, memory_pair
from anyplug.wire import PlugSession, Role
from tests.outbox.keeping import Keeper, kept
from tests.server.serving import LogRecords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.address import Address
    from anyplug.plan import Plan

ADDRESS = "plug://127.0.0.1:7584/inbox/log"
LIMITS = Limits()
STRIDES = {"client": 149, "server": 13}
"""Bytes between two cuts of the long session."""
if "ANYPLUG_CUT_STRIDE" in os.environ:
    STRIDES = dict.fromkeys(STRIDES, int(os.environ["ANYPLUG_CUT_STRIDE"]))


class Wire:
    """Connections between an outbox and a server, in memory. The next one is cut where the test says."""

    def __init__(self, keeper: Keeper) -> None:
        server = Server(limits=LIMITS, log=LogRecords().log())
        server.add(keeper.service())
        self.keeper = keeper
        self.context = server._context
        self.cut: tuple[str, int, Cut] | None = None
        self.piece: int | None = None
        self.opened = 0
        self.links: list[Link] = []
        self.sizes = {"client": 0, "server": 0}

    async def connect(self, where: Address, plan: Plan[Any]) -> Connection[Any]:
        """As over TCP."""
        loop = asyncio.get_running_loop()
        self.opened += 1
        intake: Intake[Any] = Intake(plan.codec, first=plan.first)
        intake.opening = loop.create_future()
        near = Link(plan.session(), intake.attach, limits=LIMITS, loop=loop)
        context = self.context
        session = PlugSession(Role.SERVER, LIMITS)
        far = Link(
            session,
            lambda link: Reception(context, link),
            limits=LIMITS,
            loop=loop,
            links=context.links,
            on_lost=context.changed,
        )
        self.links += [near, far]
        ends = memory_pair(near, far, loop=loop, piece=self.piece)
        if self.cut is not None:
            side, after, how = self.cut
            ends[side != "client"].cut_after(after, how=how)
            self.cut = None
        try:
            await intake.opening
        except AnyplugError as error:
            near.abort()
            raise ConnectError(str(where), step="handshake", problem=str(error), remedy="none") from error
        intake.opening = None
        return Connection(near, intake, plan.codec, peer="memory")

    async def hurry(self) -> None:
        """Let time pass quickly for links: silence is found out in milliseconds."""
        now = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(0.001)
            now += LIMITS.ping + 1
            for link in self.links:
                link.tick(now)

    def measure(self) -> None:
        """Note what the last connection has carried."""
        near = self.links[-2]
        self.sizes = {"client": near.bytes_sent, "server": near.session.received}
        self.links.clear()


@pytest.fixture
async def wire() -> Wire:
    return Wire(Keeper(MemoryStore()))


@pytest.fixture
async def outbox(folder: Path, wire: Wire) -> AsyncIterator[Outbox]:
    box = Outbox(folder / "o.db", deliver=False, backoff=Backoff(first=0.0001, most=0.0002))
    box._means = box._means._replace(connect=wire.connect)
    async with box:
        yield box


async def session(outbox: Outbox, wire: Wire, bodies: list[bytes]) -> None:
    """Put these in, of which the server refuses the last but one; deliver; look."""
    keeper = wire.keeper
    keeper.refuses = {bodies[-2]: Code.BAD_MESSAGE}
    before = (await keeper.store.log.span("log")).last
    numbers = await outbox.post_many(ADDRESS, bodies, codec="bytes")
    await outbox.deliver(10)
    assert await kept(keeper.store, after=before) == [*bodies[:-2], bodies[-1]]
    assert [refusal.id for refusal in await outbox.refusals(numbers[0] - 1)] == [numbers[-2]]
    await outbox.forget(numbers[-2])
    (status,) = outbox.status()
    assert (status.waiting, status.renumbered) == (0, 0)
    wire.measure()
    keeper.guests.clear()  # there may be ten thousand sessions
    await keeper.store.log.trim("log", Retention(count=1), now=0)


def messages(mark: int, many: int, size: int) -> list[bytes]:
    return [b"%d-%d " % (mark, n) + bytes(size) for n in range(many)]


@pytest.mark.parametrize("how", ["reset", "eof", "silence"])
@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_cut_at_every_byte_of_a_short_session(outbox: Outbox, wire: Wire, side: str, how: Cut) -> None:
    await session(outbox, wire, messages(0, 4, 3))
    end = wire.sizes[side]
    assert end > 100
    hurry = asyncio.create_task(wire.hurry()) if how == "silence" else None
    for after in range(end):
        opened = wire.opened
        wire.cut = side, after, how
        await session(outbox, wire, messages(after, 4, 3))
        assert wire.opened > opened, after
    if hurry is not None:
        hurry.cancel()


@pytest.mark.timeout(0 if "ANYPLUG_CUT_STRIDE" in os.environ else 30)
@pytest.mark.parametrize("how", ["reset", "eof", "silence"])
@pytest.mark.parametrize("side", ["client", "server"])
async def test_cuts_all_over_a_session_of_ten_kilobytes_in_pieces(
    outbox: Outbox, wire: Wire, side: str, how: Cut
) -> None:
    wire.piece = 100
    await session(outbox, wire, messages(0, 25, 400))
    end = wire.sizes[side]
    hurry = asyncio.create_task(wire.hurry()) if how == "silence" else None
    for after in range(3 % STRIDES[side], end, STRIDES[side]):
        opened = wire.opened
        wire.cut = side, after, how
        await session(outbox, wire, messages(after, 25, 400))
        assert wire.opened > opened, after
    if hurry is not None:
        hurry.cancel()


async def test_each_connection_is_cut_a_little_later_and_still_all_arrives(outbox: Outbox, wire: Wire) -> None:
    """No connection lasts for long: each carries some 900 bytes from the client, and there are ten times as many."""

    async def connect(where: Address, plan: Plan[Any]) -> Connection[Any]:
        wire.cut = "client", 900, "reset"
        return await wire.connect(where, plan)

    outbox._means = outbox._means._replace(connect=connect)
    bodies = messages(1, 40, 200)
    await outbox.post_many(ADDRESS, bodies, codec="bytes")
    await outbox.deliver(10)
    assert await kept(wire.keeper.store) == bodies
    assert wire.opened > 10
