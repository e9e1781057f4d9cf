"""Both faces of an inbox: the same calls, the same answers."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
import anyplug.blocking
from anyplug import Broken, Code, ConnectionClosed, LocalError, Refused
from anyplug.messages import Kept
from anyplug.schemas.inbox import Acknowledged
from anyplug.services.base import reply
from anyplug.store import Retention
from tests.server.serving import serve
from tests.services.inboxes import PLUG, keeping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


class Blocking:
    """The blocking face behind the calls of the async one: each call in a thread."""

    def __init__(self, address: str, **options: Any) -> None:
        self._address = address
        self._options = options

    async def __aenter__(self) -> Any:
        self._inbox = await asyncio.to_thread(anyplug.blocking.Inbox, self._address, **self._options)
        self._inbox.__enter__()
        return _InThread(self._inbox)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._inbox.__exit__, kind, error, trace)


class _InThread:
    def __init__(self, subject: Any) -> None:
        self._subject = subject

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._subject, name)
        if not inspect.ismethod(found):
            return found
        if name == "follow":
            return lambda **options: _InThread(found(**options))

        async def call(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(found, *arguments, **options)

        return call

    def __aiter__(self) -> _InThread:
        return self

    async def __anext__(self) -> Any:
        return await asyncio.to_thread(next, self._subject)


FACES: list[Any] = [anyplug.Inbox, Blocking]


@pytest.mark.parametrize("face", FACES)
async def test_post_and_read_and_look(face: Any) -> None:
    async with keeping() as (_, address), face(address, name="ann") as inbox:
        assert [inbox.kept] == [None]
        assert await inbox.post("a") == 1
        assert await inbox.post_many(["b", "c", "d"]) == [2, 3, 4]
        assert inbox.kept is Kept.MEMORY
        assert [each.value for each in await inbox.read()] == ["a", "b", "c", "d"]
        assert [each.value for each in await inbox.read(3)] == ["c", "d"]
        assert [each.value for each in await inbox.read(limit=2)] == ["a", "b"]
        assert [each.value for each in await inbox.last(2)] == ["c", "d"]
        assert [each.value for each in await inbox.last(0)] == []
        assert [each.value for each in await inbox.since(0, limit=1)] == ["a"]
        assert len(await inbox.since(2**33)) == 0
        assert [each.name for each in await inbox.topics()] == ["log"]
        assert (await inbox.info()).last == 4
        assert {each.name for each in await inbox.read()} == {"ann"}
        with pytest.raises(Refused) as caught:
            await inbox.read(9)
        assert caught.value.code is Code.BEYOND_END


@pytest.mark.parametrize("face", FACES)
async def test_last_gives_all_of_many_messages(face: Any) -> None:
    async with keeping() as (_, address), face(address, codec="bytes") as inbox:
        await inbox.post_many([b"x"] * 2500)
        found = await inbox.last(2200)
        assert [each.position for each in found] == list(range(301, 2501))
        assert [each.position for each in await inbox.read(limit=10_000)] == list(range(1, 2501))


@pytest.mark.parametrize("face", FACES)
async def test_following_gives_what_is_there_and_then_what_comes(face: Any) -> None:
    async with keeping() as (_, address), face(address) as inbox, anyplug.Inbox(address) as poster:
        await poster.post_many(["a", "b"])
        follow = inbox.follow()
        assert [(await anext(follow)).value for _ in range(2)] == ["a", "b"]
        coming = asyncio.ensure_future(anext(follow))
        await poster.post("c")
        assert (await coming).value == "c"
        assert (follow.handed, follow.end, follow.missed) == (3, 3, 0)
        await poster.post_many(["d", "e", "f"])
        assert (await anext(follow)).value == "d"
        assert follow.handed == 4
        assert [each.value for each in await follow.batch()] == ["e", "f"]
        assert follow.handed == 6
        assert await follow.batch(wait=0) == []
        with pytest.raises(LocalError, match="no name"):
            await follow.acknowledge()


@pytest.mark.parametrize("face", FACES)
async def test_a_follower_says_how_much_it_has_missed(face: Any) -> None:
    async with keeping() as (server, address), face(address) as inbox:
        await inbox.post_many(list(range(10)))
        log = server.facilities.durable.log
        await log.trim("inbox/log", Retention(count=4), now=0)
        follow = inbox.follow(start=3)
        assert (await anext(follow)).position == 7
        assert follow.missed == 4


@pytest.mark.parametrize("face", FACES)
async def test_a_named_follower_acknowledges_and_goes_on_there_the_next_time(face: Any) -> None:
    async with keeping() as (_, address):
        async with face(address) as inbox:
            await inbox.post_many(["a", "b", "c", "d"])
            follow = inbox.follow(reader="r")
            with pytest.raises(LocalError, match="nothing was read yet"):
                await follow.acknowledge()
            for _ in range(2):
                await anext(follow)
            assert await follow.acknowledge() == 2
            assert (await anext(follow)).redelivered is False
        async with face(address) as inbox:
            follow = inbox.follow(reader="r")
            message = await anext(follow)
            assert (message.value, message.redelivered) == ("c", True)
            assert await follow.acknowledge(4) == 4
            assert await inbox.acknowledge("r", 1) == 4


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("place", "values"), [({"start": 2}, ["b", "c"]), ({"last": 1}, ["c"]), ({"since": 0}, ["a"])])
async def test_following_begins_where_it_is_told(face: Any, place: dict[str, Any], values: list[str]) -> None:
    async with keeping() as (_, address), face(address) as inbox:
        await inbox.post_many(["a", "b", "c"])
        found: list[Any] = []
        async for message in inbox.follow(**place):
            found.append(message.value)
            if len(found) == len(values):
                break
        assert found == values


@pytest.mark.parametrize("face", FACES)
async def test_a_server_that_stops_ends_a_follower(face: Any) -> None:
    async with keeping() as (server, address), face(address) as inbox:
        follow = inbox.follow()
        coming = asyncio.ensure_future(anext(follow))
        followers = server.facilities.durable.log._followers  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            while not followers._waiting:
                await asyncio.sleep(0)
        await server.drain()
        with pytest.raises((ConnectionClosed, Broken)):
            await coming


@pytest.mark.parametrize("face", FACES)
async def test_what_is_no_inbox_answers_otherwise(face: Any) -> None:
    async with serve(PLUG, services=(reply("back", answer_alike, type=Any),)) as server:
        async with face(f"{server.addresses[0]}/back") as inbox:
            with pytest.raises(LocalError, match="nothing is kept here"):
                await inbox.post("a")
            with pytest.raises(anyplug.ProtocolError, match="answers with Acknowledged where Facts was expected"):
                await inbox.info()


def answer_alike(message: Any) -> Any:
    """Answers everything in the same way."""
    return Acknowledged(position=1)


@pytest.mark.parametrize("open_inbox", [anyplug.Inbox, anyplug.blocking.Inbox])
def test_a_plain_address_is_no_inbox(open_inbox: Callable[..., Any]) -> None:
    with pytest.raises(LocalError, match="is a plain connection"):
        open_inbox("tcp://127.0.0.1:1")
    with pytest.raises(anyplug.AddressError):
        open_inbox("plug://127.0.0.1:x")


async def test_an_inbox_that_is_awaited_is_closed_by_hand() -> None:
    async with keeping() as (_, address):
        inbox = anyplug.Inbox(address)
        assert repr(inbox) == "<anyplug.Inbox, not open>"
        await inbox.close()
        with pytest.raises(LocalError, match="not open"):
            await inbox.post("a")
        opened: Awaitable[anyplug.Inbox] = inbox
        assert await opened is inbox
        assert repr(inbox).startswith("<anyplug.Inbox <anyplug.Connection 127.0.0.1:")
        assert await inbox.post("a") == 1
        await inbox.close()
        with pytest.raises(ConnectionClosed):
            await inbox.post("b")


async def test_a_blocking_inbox_tells_itself_and_closes() -> None:
    async with keeping() as (_, address):

        def work() -> str:
            inbox = anyplug.blocking.Inbox(address)
            inbox.post("a")
            assert [each.value for each in some_of(inbox.follow(), 1)] == ["a"]
            inbox.close()
            return repr(inbox)

        assert (await asyncio.to_thread(work)).startswith("<anyplug.blocking.Inbox <anyplug.blocking.Connection plug:")


def some_of(follow: Any, count: int) -> list[Any]:
    return [each for _, each in zip(range(count), follow, strict=False)]


async def test_a_follower_that_is_given_up_delays_no_end() -> None:
    async with keeping() as (_, address):
        async with anyplug.Inbox(address) as inbox:
            coming = asyncio.ensure_future(anext(inbox.follow()))
            await asyncio.sleep(0)
            coming.cancel()
        async with asyncio.timeout(1):
            async with anyplug.Inbox(address) as inbox:
                assert await inbox.post("a") == 1
