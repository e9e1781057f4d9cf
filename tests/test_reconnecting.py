"""A conversation that outlives its connections: told of each break once, never said twice, over when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import Address, Backoff, Broken, Code, ConnectError, ConnectionClosed, Reconnected, Refused, Timeout
from anyplug.services.base import conversation, reply
from anyplug.store import MemoryStore
from tests.outbox.keeping import Keeper
from tests.server.serving import serve

if TYPE_CHECKING:
    from anyplug.connection import Connection
    from anyplug.services.base import Service

QUICK = Backoff(first=0.001, most=0.01)


class Room:
    """A conversation whose server ends are in the test's hand.

    Attributes:
        peers: the server's ends, in order.
        answers: whether each message is said back.
        heard: what was said, in order.
    """

    def __init__(self) -> None:
        self.peers: list[Connection[Any]] = []
        self.came: asyncio.Queue[Connection[Any]] = asyncio.Queue()
        self.answers = True
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hold(self, peer: Connection[Any]) -> None:
        self.peers.append(peer)
        self.came.put_nowait(peer)
        async for message in peer:
            self.heard.put_nowait(message)
            if self.answers:
                await peer.send(message)

    def service(self) -> Service:
        return conversation("room", self.hold, type=Any)

    async def guest(self) -> Connection[Any]:
        """The server's end of the next connection."""
        async with asyncio.timeout(10):
            return await self.came.get()


@pytest.fixture
async def room() -> Room:
    return Room()


def port_address(address: str) -> str:
    return str(Address.parse(address).with_service(""))


async def test_after_a_break_the_next_receive_tells_and_then_it_goes_on(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            first = await room.guest()
            await peer.send("before")
            assert await peer.receive(10) == "before"
            first.abort()
            with pytest.raises(Reconnected) as told:
                await peer.receive(10)
            assert told.value.same is True
            assert told.value.attempts == 1
            assert told.value.seconds >= 0
            assert peer.reconnections == 1
            await peer.send("after")
            assert await peer.receive(10) == "after"
            assert f"{peer.peer}, connected, 1 reconnections" in repr(peer)
            assert peer.peer == peer.connection.peer
        assert peer.closed
        assert "over" in repr(peer)


async def test_a_server_that_is_started_anew_on_the_same_port_is_another_incarnation(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        address = f"{server.addresses[0]}/room"
        peer = await anyplug.connect(address, reconnect=QUICK)
        await (await room.guest()).send("from the first")
    assert await peer.receive(10) == "from the first"
    hearing = asyncio.create_task(peer.receive(10))
    await asyncio.sleep(0)
    assert "reconnecting" in repr(peer)
    async with serve(port_address(address), services=(room.service(),)):
        with pytest.raises(Reconnected) as told:
            await hearing
        assert told.value.same is False
        await (await room.guest()).send("from the second")
        assert await peer.receive(10) == "from the second"
        async with peer:
            assert not peer.closed
        assert peer.closed


async def test_a_loop_ends_with_the_news_and_another_goes_on(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        heard: list[str] = []

        async def listen(peer: Any) -> None:
            while True:
                try:
                    async for message in peer:
                        heard.append(message)  # noqa: PERF401  all that came before the break counts
                    return
                except Reconnected:
                    heard.append("-")

        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            task = asyncio.create_task(listen(peer))
            for n in range(3):
                guest = await room.guest()
                await guest.send(str(n))
                if n < 2:
                    while len(heard) < 2 * n + 1:
                        await asyncio.sleep(0)
                    guest.abort()
                else:
                    await guest.close()
            async with asyncio.timeout(10):
                await task
        assert heard == ["0", "-", "1", "-", "2"]


async def test_what_came_before_the_break_is_received_before_the_news(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            guest = await room.guest()
            await guest.send_many(["1", "2", "3"])
            assert await peer.receive(10) == "1"
            guest.abort()
            while peer.connection.end is None:
                await asyncio.sleep(0)
            await peer.send("4")
            second = await room.guest()
            assert [await peer.receive(10), await peer.receive_many(10)] == ["2", ["3"]]
            second.abort()
            with pytest.raises(Reconnected) as told:
                await told_after(peer, ["4"])
            assert told.value.breaks in {1, 2}


async def told_after(peer: Any, maybe: list[str]) -> None:
    """Receive until the news; what is on its way at a break may come or not."""
    while await peer.receive(10) in maybe:
        pass


async def test_a_question_that_was_open_is_broken_and_is_not_asked_again(room: Room) -> None:
    room.answers = False
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            guest = await room.guest()
            asking = asyncio.create_task(peer.ask("once", 10))
            assert await room.heard.get() == "once"
            guest.abort()
            with pytest.raises(Broken):
                await asking
            room.answers = True
            assert await peer.ask("again", 10) == "again"
            assert await peer.ask_many(["1", "2"], 10) == ["1", "2"]
            with pytest.raises(Reconnected):
                await peer.receive(10)


async def test_a_question_that_the_server_leaves_open_when_it_goes_away_is_broken(room: Room) -> None:
    room.answers = False
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        address = f"{server.addresses[0]}/room"
        peer = await anyplug.connect(address, reconnect=QUICK)
        guest = await room.guest()
        asking = asyncio.create_task(peer.ask("once", 10))
        assert await room.heard.get() == "once"
        await guest.close(Code.GOING_AWAY, "bye")
        with pytest.raises(Broken, match=r"the peer went away before it answered: .*bye"):
            await asking
        await peer.close()


async def test_to_say_something_waits_for_a_connection_but_not_for_ever(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        address = f"{server.addresses[0]}/room"
        peer = await anyplug.connect(address, reconnect=QUICK)
        await room.guest()
    while peer.connection.end is None:
        await asyncio.sleep(0)
    for call in (
        peer.send("x", 0.01),
        peer.send_many(["x"], 0.01),
        peer.ask("x", 0.01),
        peer.receive(0.01),
        peer.receive_many(0.01),
        peer.send_eof(0.01),
    ):
        with pytest.raises(Timeout, match=r"a new connection: no answer within 0.01 s"):
            await call
    sending = asyncio.create_task(peer.send("x", 10))
    async with serve(port_address(address), services=(room.service(),)):
        await sending
        assert await told_then(peer) == "x"
        await peer.send_many(["y", "z"])
        assert [await peer.receive(10), await peer.receive(10)] == ["y", "z"]
        await peer.close()


async def told_then(peer: Any) -> Any:
    """The news, and the message behind it."""
    with pytest.raises(Reconnected):
        await peer.receive(10)
    return await peer.receive(10)


async def test_an_end_that_the_peer_wanted_is_an_end(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            guest = await room.guest()
            await guest.send("last")
            await guest.close(Code.OK, "that was all")
            while peer.connection.end is None:
                await asyncio.sleep(0)
            with pytest.raises(ConnectionClosed, match="that was all"):
                await peer.send("x")
            assert await peer.receive(10) == "last"
            for call in (peer.receive(10), peer.receive(10), peer.ask("x")):
                with pytest.raises(ConnectionClosed, match="that was all"):
                    await call
            assert peer.closed
            assert peer.reconnections == 0


async def test_a_question_is_told_of_an_end_that_the_peer_wanted(room: Room) -> None:
    room.answers = False
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            guest = await room.guest()
            asking = asyncio.create_task(peer.ask("once", 10))
            assert await room.heard.get() == "once"
            await guest.close(Code.OK, "that was all")
            with pytest.raises(ConnectionClosed, match="that was all"):
                await asking
            assert peer.reconnections == 0


async def test_after_the_own_end_a_break_is_the_end(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", reconnect=QUICK) as peer:
            await room.guest()
            await peer.send("x")
            await peer.send_eof()
            assert await peer.receive(10) == "x"
            with pytest.raises(ConnectionClosed):
                await peer.receive(10)
            assert peer.reconnections == 0


async def test_a_refusal_for_good_ends_the_attempts(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        address = f"{server.addresses[0]}/room"
        peer = await anyplug.connect(address, reconnect=QUICK)
        await room.guest()
    other = reply("other", lambda message: message)
    async with serve(port_address(address), services=(other,)):
        for _ in range(2):
            with pytest.raises(Refused, match="unknown_service"):
                await peer.receive(10)
        with pytest.raises(Refused, match="unknown_service"):
            await peer.send("x")
        assert peer.closed
        await peer.close()


async def test_patience_ends_the_attempts(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        peer = await anyplug.connect(
            f"{server.addresses[0]}/room", reconnect=Backoff(first=0.001, most=0.01, patience=0.05)
        )
        await room.guest()
    with pytest.raises(ConnectError):
        await peer.receive(10)
    await peer.close()


async def test_the_first_connection_is_tried_once(room: Room) -> None:
    with pytest.raises(ConnectError):
        await anyplug.connect("plug://127.0.0.1:1/room", reconnect=True)
    with pytest.raises(ConnectError):
        async with anyplug.connect("plug://127.0.0.1:1/room", reconnect=True):
            pass


async def test_closing_ends_the_attempts_and_who_waits(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/room", reconnect=Backoff(first=5.0, most=5.0))
        await room.guest()
    hearing = asyncio.create_task(peer.receive())
    while "reconnecting" not in repr(peer):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await peer.close()
    with pytest.raises(ConnectionClosed, match="closed on this side"):
        await hearing
    await peer.close()


async def test_a_message_that_is_refused_or_no_message_is_no_break(room: Room) -> None:
    async with serve("plug://127.0.0.1:0", services=(room.service(),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/room", type=int, reconnect=True) as peer:
            guest = await room.guest()
            await guest.send("no number")
            with pytest.raises(anyplug.DecodeError):
                await peer.receive(10)
            with pytest.raises(Timeout):
                await peer.receive(0.01)
            await peer.send(7)
            assert await peer.receive(10) == 7
            assert peer.reconnections == 0


async def test_posts_go_on_over_the_next_connection() -> None:
    keeper = Keeper(MemoryStore())
    async with serve("plug://127.0.0.1:0", services=(keeper.service(),)) as server:
        address = f"{server.addresses[0]}/inbox/log"
        peer = await anyplug.connect(address, reconnect=QUICK)
        assert await peer.post("1", 10) == 1
    while peer.connection.end is None:
        await asyncio.sleep(0)
    posting = asyncio.create_task(peer.post_many(["2", "3"], 10))
    async with serve(port_address(address), services=(keeper.service(),)):
        assert await posting == [2, 3]
        await peer.close()
