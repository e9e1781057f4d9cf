"""Posts that a visit takes without a task: it says later, or at once, what became of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from anyplug import Code, Refused
from anyplug.errors import StoreFull
from anyplug.messages import Acked, Failed, Nacked, Posts, Refusal
from anyplug.services.base import visited
from anyplug.services.visits import Visit
from tests.server.serving import PATIENCE, serve
from tests.server.visits import PLUG, hear, opened, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.transport.link import Link


class Handing(Visit):
    """Takes posts without a task, and says what became of them when the test wants it to."""

    def __init__(self) -> None:
        self.runs: list[tuple[list[bytes], Callable[[list[Acked | Nacked] | Exception], None]]] = []
        self.came = asyncio.Event()
        self.decided: list[Acked | Nacked] | Exception | None = None
        self.endings = 0

    async def say(self, bodies: list[bytes]) -> None:
        """Not kept."""

    def post_soon(
        self, items: list[tuple[int, bytes]], done: Callable[[list[Acked | Nacked] | Exception], None]
    ) -> bool:
        self.runs.append(([body for _, body in items], done))
        self.came.set()
        if isinstance(self.decided, Exception):
            raise self.decided
        if self.decided is not None:
            done(self.decided)
        return True

    def ended(self) -> None:
        self.endings += 1

    async def until(self, count: int) -> None:
        """Wait until so many runs have come."""
        async with asyncio.timeout(PATIENCE):
            while len(self.runs) < count:
                self.came.clear()
                await self.came.wait()


async def test_posts_that_need_no_task_are_handed_over_one_run_at_a_time() -> None:
    visit = Handing()
    async with serve(PLUG, services=(visited("keeper", lambda _: visit),)) as server:
        client = await opened(server)
        await post(client, 1, b"a")
        await visit.until(1)
        await post(client, 2, b"b")
        await post(client, 3, b"c")
        client.session.send_request(1, b"all here?")
        await client.flush()
        assert isinstance((await hear(client, 1))[0], Failed)  # it came behind them
        assert [bodies for bodies, _ in visit.runs] == [[b"a"]]
        visit.runs[0][1]([Acked(1, 1, 1)])
        assert [bodies for bodies, _ in visit.runs] == [[b"a"], [b"b", b"c"]]
        assert await hear(client, 1) == [Acked(1, 1, 1)]
        visit.runs[1][1](StoreFull("/secret", ""))
        (nacked,) = await hear(client, 1)
        assert isinstance(nacked, Nacked)
        assert (nacked.sequence, nacked.refusal.reason) == (2, Code.STORE_FULL)
        await client.close()


async def test_posts_that_come_right_after_a_message_is_kept_stay_behind_those_that_wait() -> None:
    class Between(Handing):
        """Lets something happen between its end and what is done then."""

        link: Link

        async def say(self, bodies: list[bytes]) -> None:
            self.runs.append((bodies, lambda _: None))
            self.came.set()
            await gate.wait()
            self.link.loop.call_soon(self.link.sink.handle, Posts([(2, b"b")]))

    gate = asyncio.Event()
    visit = Between()
    async with serve(PLUG, services=(visited("keeper", lambda _: visit),)) as server:
        client = await opened(server)
        (visit.link,) = server._context.links
        client.session.send_data(b"said")
        await client.flush()
        await visit.until(1)
        await post(client, 1, b"a")
        client.session.send_request(1, b"all here?")
        await client.flush()
        assert isinstance((await hear(client, 1))[0], Failed)  # it came behind them
        gate.set()
        await visit.until(2)
        assert visit.runs[1][0] == [b"a", b"b"]
        visit.runs[1][1]([Acked(1, 2, 1)])
        assert await hear(client, 1) == [Acked(1, 2, 1)]
        await client.close()


async def test_posts_may_be_decided_or_refused_at_once() -> None:
    visit = Handing()
    async with serve(PLUG, services=(visited("keeper", lambda _: visit),)) as server:
        client = await opened(server)
        visit.decided = [Acked(1, 2, 7)]
        await post(client, 1, b"a", b"b")
        assert await hear(client, 1) == [Acked(1, 2, 7)]
        visit.decided = Refused(Code.NOT_ALLOWED, "not you")
        await post(client, 3, b"c")
        assert await hear(client, 1) == [Nacked(3, Refusal(Code.NOT_ALLOWED, "not you"))]
        await post(client, 4, b"said before that was heard")
        visit.decided = [Acked(3, 1, 9)]
        await post(client, 3, b"another")
        assert await hear(client, 1) == [Acked(3, 1, 9)]
        await post(client, 9, b"skips some")
        (nacked,) = await hear(client, 1)
        assert isinstance(nacked, Nacked)
        assert (nacked.sequence, nacked.refusal.reason) == (4, Code.GAP)
        await client.close()
    assert [bodies for bodies, _ in visit.runs] == [[b"a", b"b"], [b"c"], [b"another"]]


async def test_a_server_ends_after_the_posts_of_one_that_is_gone_are_at_once() -> None:
    visit = Handing()
    async with serve(PLUG, services=(visited("keeper", lambda _: visit),)) as server:
        client = await opened(server)
        await post(client, 1, b"a")
        await visit.until(1)
        await post(client, 2, b"b")
        client.session.send_request(1, b"all here?")
        await client.flush()
        assert isinstance((await hear(client, 1))[0], Failed)
        client.reset()
        async with asyncio.timeout(PATIENCE):
            while server.connections:
                await asyncio.sleep(0)
        draining = asyncio.ensure_future(server.drain(PATIENCE))
        async with asyncio.timeout(PATIENCE):
            while not server._context.draining:
                await asyncio.sleep(0)
        assert visit.endings == 0
        visit.runs[0][1]([Acked(1, 1, 1)])
        assert not draining.done()
        visit.runs[1][1]([Acked(2, 1, 2)])
        assert visit.endings == 1
        async with asyncio.timeout(PATIENCE / 2):
            assert await draining == 0
    assert [bodies for bodies, _ in visit.runs] == [[b"a"], [b"b"]]


async def test_any_number_of_runs_that_are_kept_at_once_is_no_depth() -> None:
    """The same post again and again, in one read: each is a run of its own."""
    visit = Handing()
    visit.decided = [Acked(1, 1, 1)]
    async with serve(PLUG, services=(visited("keeper", lambda _: visit),)) as server:
        client = await opened(server, producer=b"p")
        client.session.send_posts(1, [b"a"])
        await client.say(client.session.data_to_send() * 3_000)
        assert await hear(client, 3_000) == [Acked(1, 1, 1)] * 3_000
        await client.close()
