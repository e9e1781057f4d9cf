"""A conversation that outlives its connections, for threads: the rules are those of the async face."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import Backoff, Broken, Code, ConnectError, ConnectionClosed, Reconnected, Refused, Timeout
from anyplug.blocking import connect
from anyplug.services.base import reply
from anyplug.store import MemoryStore
from tests.outbox.keeping import Keeper
from tests.server.serving import serve
from tests.test_reconnecting import Room, port_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.connection import Connection

QUICK = Backoff(first=0.001, most=0.01)


class Desk:
    """What a test in a thread can do to the server in the loop."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.loop = asyncio.get_running_loop()
        self.address = ""
        self._server: Any = None

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def go(self, work: Any) -> None:
        """Begin this in the loop, and do not wait for it."""
        asyncio.run_coroutine_threadsafe(work, self.loop)

    def guest(self) -> Connection[Any]:
        """The server's end of the next connection."""
        guest: Connection[Any] = self.do(self.room.guest())
        return guest

    def cut(self, guest: Connection[Any]) -> None:
        self.loop.call_soon_threadsafe(guest.abort)

    def start(self, *services: Any) -> None:
        """Start a server, on the port of the one before."""
        address = port_address(self.address) if self.address else "plug://127.0.0.1:0"
        self._server = serve(address, services=services or (self.room.service(),))
        server = self.do(self._server.__aenter__())
        self.address = f"{server.addresses[0]}/room"

    def stop(self) -> None:
        self.do(self._server.__aexit__(None, None, None))
        self._server = None

    async def run(self, work: Callable[[Desk], None]) -> None:
        def begin() -> None:
            self.start()
            work(self)

        try:
            await asyncio.to_thread(begin)
        finally:
            if self._server is not None:
                await self._server.__aexit__(None, None, None)


@pytest.fixture
async def desk() -> Desk:
    return Desk(Room())


def news(peer: Any) -> Reconnected:
    with pytest.raises(Reconnected) as told:
        peer.receive(10)
    return told.value


async def test_after_a_break_the_next_receive_tells_and_then_it_goes_on(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            peer.send("before")
            assert peer.receive(10) == "before"
            desk.cut(guest)
            told = news(peer)
            assert (told.same, told.attempts) == (True, 1)
            peer.send_many(["after", "it"])
            assert [peer.receive(10), peer.receive_many(10)] == ["after", ["it"]]
            assert peer.reconnections == 1
            assert "connected, 1 reconnections" in repr(peer)
        assert peer.closed
        assert "over" in repr(peer)

    await desk.run(work)


async def test_a_server_that_is_started_anew_is_another_incarnation(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=True) as peer:
            desk.guest()
            desk.stop()
            for call in (peer.receive, peer.receive_many):
                with pytest.raises(Timeout, match="a new connection"):
                    call(0.05)
            assert "reconnecting" in repr(peer)
            for say in (lambda: peer.send("x", 0.01), lambda: peer.ask("x", 0.01), lambda: peer.send_eof(0.01)):
                with pytest.raises(Timeout, match="a new connection"):
                    say()
            desk.start()
            assert news(peer).same is False
            assert peer.ask("x", 10) == "x"
            assert peer.ask_many(["1", "2"], 10) == ["1", "2"]
            assert peer.peer == peer.connection.peer

    await desk.run(work)


async def test_a_loop_ends_with_the_news_and_another_goes_on(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        heard = []
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            desk.do(guest.send("1"))
            with pytest.raises(Reconnected):
                for message in peer:
                    heard.append(message)
                    desk.cut(guest)
            guest = desk.guest()
            desk.do(guest.send("2"))
            desk.go(guest.close())
            heard += list(peer)
        assert heard == ["1", "2"]

    await desk.run(work)


async def test_what_came_before_the_break_is_received_before_the_news(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            desk.do(guest.send_many(["1", "2", "3"]))
            assert peer.receive(10) == "1"
            desk.cut(guest)
            with pytest.raises((Broken, Timeout)):
                peer.connection.ask("?", 10)
            peer.send("4", 10)
            desk.guest()
            assert [peer.receive(10), peer.receive(10)] == ["2", "3"]
            assert news(peer).breaks == 1
            assert peer.receive(10) == "4"

    await desk.run(work)


async def test_a_question_that_was_open_is_broken_and_is_not_asked_again(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        desk.room.answers = False
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            desk.go(after_hearing(desk.room, "once", guest.abort))
            with pytest.raises(Broken):
                peer.ask("once", 10)
            desk.room.answers = True
            assert peer.ask("again", 10) == "again"
            guest = desk.guest()
            desk.room.answers = False
            desk.go(after_hearing(desk.room, "last", lambda: desk.go(guest.close(Code.GOING_AWAY, "bye"))))
            with pytest.raises(Broken, match=r"the peer went away before this was done: .*bye"):
                peer.ask("last", 10)

    await desk.run(work)


async def after_hearing(room: Room, message: str, work: Callable[[], None]) -> None:
    """Do this once the server has heard a message."""
    while await room.heard.get() != message:
        pass
    work()


async def test_an_end_that_somebody_wanted_is_an_end(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            desk.do(guest.send("last"))
            desk.go(guest.close(Code.OK, "that was all"))
            assert peer.receive(10) == "last"
            for call in (lambda: peer.receive(10), lambda: peer.send("x"), lambda: peer.ask("x")):
                with pytest.raises(ConnectionClosed, match="that was all"):
                    call()
            assert peer.reconnections == 0
        desk.room.answers = False
        with connect(desk.address, reconnect=QUICK) as peer:
            guest = desk.guest()
            desk.go(after_hearing(desk.room, "?", lambda: desk.go(guest.close(Code.OK, "that was all"))))
            with pytest.raises(ConnectionClosed, match="that was all"):
                peer.ask("?", 10)
            assert peer.reconnections == 0
        desk.room.answers = True
        with connect(desk.address, reconnect=QUICK) as peer:
            desk.guest()
            peer.send("x")
            peer.send_eof()
            assert list(peer) == ["x"]
            assert peer.reconnections == 0

    await desk.run(work)


async def test_a_refusal_for_good_ends_the_attempts(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=QUICK) as peer:
            desk.guest()
            desk.stop()
            desk.start(reply("other", lambda message: message))
            for call in (lambda: peer.receive(10), lambda: peer.receive(10), lambda: peer.send("x")):
                with pytest.raises(Refused, match="unknown_service"):
                    call()

    await desk.run(work)


async def test_patience_ends_the_attempts(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, reconnect=Backoff(first=0.001, most=0.01, patience=0.05)) as peer:
            desk.guest()
            desk.stop()
            with pytest.raises(ConnectError):
                peer.receive(10)

    await desk.run(work)


async def test_closing_ends_the_attempts_and_who_waits(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        peer = connect(desk.address, reconnect=Backoff(first=9.0, most=9.0))
        desk.guest()
        desk.stop()
        raised: list[Exception] = []

        def hear() -> None:
            try:
                peer.receive()
            except ConnectionClosed as error:
                raised.append(error)

        thread = threading.Thread(target=hear)
        thread.start()
        while "reconnecting" not in repr(peer):
            pass
        with pytest.raises(Timeout):
            peer.send("x", 0.05)
        peer.close()
        thread.join(10)
        assert [str(error) for error in raised] == ["the connection is closed: it was closed on this side"]
        assert peer.closed

    await desk.run(work)


async def test_a_connection_that_comes_too_late_is_closed(desk: Desk) -> None:
    """Closed while the next one is being opened: it is not kept."""

    def work(desk: Desk) -> None:
        line = connect(desk.address, reconnect=QUICK)._line
        guest = desk.guest()
        opened, go_on = threading.Event(), threading.Event()
        opener = line._opener
        late: list[Any] = []

        def slow() -> Any:
            opened.set()
            go_on.wait(10)
            late.append(opener())
            return late[0]

        line._opener = slow
        desk.cut(guest)
        with pytest.raises(Timeout):
            line.hear(0.2, lambda connection, left: connection.receive(left))
        assert opened.wait(10)
        line.finish()
        before = line.connection
        go_on.set()
        while not late or not late[0].closed:
            pass
        assert line.connection is before
        assert late[0].closed

    await desk.run(work)


async def test_a_mistake_in_one_message_is_no_break(desk: Desk) -> None:
    def work(desk: Desk) -> None:
        with connect(desk.address, type=int, reconnect=True) as peer:
            guest = desk.guest()
            desk.do(guest.send("no number"))
            with pytest.raises(Exception, match="not a valid msgpack message"):
                peer.receive(10)
            with pytest.raises(Timeout, match="a message"):
                peer.receive(0.01)
            assert peer.ask(7) == 7
            assert peer.reconnections == 0

    await desk.run(work)


async def test_posts_go_on_over_the_next_connection(desk: Desk) -> None:
    keeper = Keeper(MemoryStore())

    def work(desk: Desk) -> None:
        desk.stop()
        desk.start(keeper.service("room"))
        with connect(desk.address, reconnect=QUICK) as peer:
            assert peer.post("1", 10) == 1
            desk.stop()
            with pytest.raises(Timeout):
                peer.receive(0.05)
            desk.start(keeper.service("room"))
            assert peer.post_many(["2", "3"], 10) == [2, 3]

    await desk.run(work)


async def test_the_first_connection_is_tried_once() -> None:
    with pytest.raises(ConnectError):
        connect("plug://127.0.0.1:1/room", reconnect=True)
