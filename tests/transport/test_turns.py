"""Turns: who floods others is read in helpings, and nobody else is."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from anyplug import Code, Limits
from anyplug.framing import make_framing
from anyplug.messages import Data, Ended, Event
from anyplug.transport.link import Link
from anyplug.transport.memory import memory_pair
from anyplug.transport.turns import FULL, HELPING, LEAST, MEAN, MOST, MUCH, Crowd, Helpings, crowded
from anyplug.wire import PlainSession, PlugSession, Role, Session, State
from anyplug.wire.frames import HEADER, SEQUENCE, Kind, encode_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

SMALL = b"s" * 99 + b"\n"
LARGE = b"l" * (MEAN * 2) + b"\n"


class Heard:
    """A sink that remembers how much came at once, and does something when all has come."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.bodies: list[bytes] = []
        self.wanted = 0
        self.whole = asyncio.Event()
        self.ended = asyncio.Event()
        self.gone = asyncio.Event()
        self.woken = 0

    def attach(self, link: Link) -> Heard:
        return self

    def messages(self, bodies: list[bytes]) -> None:
        self.sizes.append(sum(map(len, bodies)) + len(bodies))
        self.bodies += bodies
        if len(self.bodies) >= self.wanted:
            self.whole.set()

    def handle(self, event: Event) -> None:
        if isinstance(event, Data):
            self.messages(event.bodies)
        if isinstance(event, Ended):
            self.ended.set()

    def writable(self) -> None:
        self.woken += 1

    def lost(self) -> None:
        self.gone.set()

    def drain(self, code: Code, text: str) -> None:
        """Nothing to end."""


def a_link(session: Session | None = None, crowd: Crowd | None = None) -> tuple[Link, Heard]:
    sink = Heard()
    loop = asyncio.get_running_loop()
    link = Link(session or PlainSession(make_framing("lines")), sink.attach, limits=Limits(), loop=loop, links=crowd)
    return link, sink


def server_session() -> PlugSession:
    """A server in the open state."""
    session = PlugSession(Role.SERVER, Limits())
    session._open(State.OPEN)
    session._preface = None
    return session


@asynccontextmanager
async def streamed(crowd: Crowd) -> AsyncIterator[tuple[Link, Heard, socket.socket]]:
    """A link on a stream of the event loop, and the other end."""
    near, away = socket.socketpair()
    for sock in (near, away):
        sock.setblocking(False)
    link, sink = a_link(crowd=crowd)
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: link, near)
    with away:
        yield link, sink, away
    link.abort()
    await sink.gone.wait()


def joined(crowd: Crowd, session: Session | None = None) -> Link:
    """A link in memory."""
    link, _ = a_link(session, crowd)
    memory_pair(link, asyncio.Protocol())
    return link


async def say(sock: socket.socket, sink: Heard, message: bytes, count: int) -> None:
    """Say so many messages, and wait until all of them are there."""
    sink.wanted = len(sink.bodies) + count
    sink.whole.clear()
    await asyncio.get_running_loop().sock_sendall(sock, message * count)
    await sink.whole.wait()


def in_helpings(link: Link) -> bool:
    return isinstance(link.transport.get_protocol(), Helpings)


async def flooded(link: Link, sink: Heard, away: socket.socket) -> None:
    """So much at once, however the system cuts it, that the link is read in helpings."""
    link.data_received(SMALL * (MUCH // len(SMALL) + 1))
    assert in_helpings(link)


@both_loops
async def test_who_floods_talkers_is_read_in_helpings_and_loses_nothing() -> None:
    crowd = Crowd()
    async with streamed(crowd), streamed(crowd) as (link, sink, away):
        await flooded(link, sink, away)
        before = len(sink.sizes)
        numbered = [b"%07d\n" % number for number in range(40_000)]
        sink.bodies.clear()
        sink.wanted = len(numbered)
        sink.whole.clear()
        await asyncio.get_running_loop().sock_sendall(away, b"".join(numbered))
        await sink.whole.wait()
        assert [body + b"\n" for body in sink.bodies] == numbered
        assert max(sink.sizes[before:]) <= MOST + len(SMALL)
        assert in_helpings(link)


@both_loops
async def test_a_large_message_is_read_as_it_comes_again() -> None:
    crowd = Crowd()
    async with streamed(crowd), streamed(crowd) as (link, sink, away):
        await flooded(link, sink, away)
        await say(away, sink, b"x" * (4 * MOST) + b"\n", 1)
        assert link.transport.get_protocol() is link
        await say(away, sink, SMALL, 1)


@both_loops
async def test_a_stream_read_in_helpings_ends_as_any_other() -> None:
    crowd = Crowd()
    async with streamed(crowd), streamed(crowd) as (link, sink, away):
        await flooded(link, sink, away)
        away.shutdown(socket.SHUT_WR)
        await sink.ended.wait()
        link.finish()
        assert await asyncio.get_running_loop().sock_recv(away, 1) == b""
        await sink.gone.wait()
        assert link not in crowd


@both_loops
async def test_a_peer_that_takes_nothing_is_noticed_through_helpings_too() -> None:
    crowd = Crowd()
    async with streamed(crowd), streamed(crowd) as (link, sink, away):
        await flooded(link, sink, away)
        link.transport.set_write_buffer_limits(high=1000, low=100)
        while not link.writing_paused:
            link.session.send_data(b"x" * FULL)
            link.flush()
        while not sink.woken:
            await asyncio.get_running_loop().sock_recv(away, FULL)
        assert not link.writing_paused


async def test_a_link_in_memory_reads_on_behind_helpings() -> None:
    crowd = Crowd()
    joined(crowd)
    link, sink = a_link(crowd=crowd)
    _, away = memory_pair(link, asyncio.Protocol())
    await asyncio.sleep(0)
    link.data_received(SMALL * MUCH)
    assert in_helpings(link)
    sink.wanted = len(sink.bodies) + 1
    sink.whole.clear()
    away.write(SMALL)
    await sink.whole.wait()


async def test_nobody_is_read_in_helpings_where_the_others_are_silent_or_there_are_none() -> None:
    crowd = Crowd()
    other, link = joined(crowd), joined(crowd)
    await asyncio.sleep(0)
    crowd.note(other, talking=False)
    assert crowded(link)
    link.data_received(SMALL * MUCH)
    assert not in_helpings(link)
    other.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not crowded(link)
    link.data_received(SMALL * MUCH)
    assert not in_helpings(link)


async def test_large_messages_are_not_read_in_helpings() -> None:
    crowd = Crowd()
    joined(crowd)
    link = joined(crowd)
    await asyncio.sleep(0)
    link.data_received(LARGE * (FULL // len(LARGE)))
    assert not in_helpings(link)
    link.data_received(SMALL * (MUCH // len(SMALL) - 1))
    assert not in_helpings(link)


@pytest.mark.parametrize("kind", [Kind.DATA, Kind.REQUEST, Kind.POST])
async def test_messages_of_every_kind_count(kind: Kind) -> None:
    number = {Kind.DATA: b"", Kind.REQUEST: HEADER.pack(1), Kind.POST: SEQUENCE.pack(1)}[kind]
    crowd = Crowd()
    joined(crowd)
    link = joined(crowd, server_session())
    await asyncio.sleep(0)
    link.data_received(encode_frame(kind, number + b"x" * (2 * MEAN)) * (MUCH // MEAN))
    assert not in_helpings(link)
    link.data_received(encode_frame(kind, number + b"x" * 50) * (MUCH // 50))
    assert in_helpings(link)


async def test_other_events_are_no_messages() -> None:
    crowd = Crowd()
    joined(crowd)
    link = joined(crowd, server_session())
    await asyncio.sleep(0)
    link.data_received(encode_frame(Kind.PONG, b"") * MUCH)
    assert not in_helpings(link)


async def test_a_link_that_is_closed_by_then_is_left_alone() -> None:
    crowd = Crowd()
    joined(crowd)
    link = joined(crowd)
    await asyncio.sleep(0)
    link.transport.abort()
    link.data_received(SMALL * MUCH)
    assert not in_helpings(link)


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def serve_one(helpings: Helpings, clock: Clock, seconds: float) -> int:
    """A full helping that takes the turn so many seconds; returns how much it was."""
    buffer = helpings.get_buffer(-1)
    buffer[:] = (SMALL * MOST)[: len(buffer)]
    helpings.buffer_updated(len(buffer))
    clock.now += seconds
    await asyncio.sleep(0)
    return len(buffer)


async def test_the_clock_decides_how_much_a_helping_is() -> None:
    crowd, clock = Crowd(), Clock()
    joined(crowd)
    link = joined(crowd)
    await asyncio.sleep(0)
    helpings = Helpings(link, clock=clock)
    quick = [await serve_one(helpings, clock, HELPING / 4) for _ in range(6)]
    assert quick == [LEAST * 2, LEAST * 4, LEAST * 8, LEAST * 16, MOST, MOST]
    assert [await serve_one(helpings, clock, HELPING * 0.75) for _ in range(2)] == [MOST, MOST]
    slow = [await serve_one(helpings, clock, HELPING * 2) for _ in range(6)]
    assert slow == [MOST, LEAST * 8, LEAST * 4, LEAST * 2, LEAST, LEAST]


async def test_after_a_full_helping_the_link_rests_until_the_next_turn() -> None:
    crowd, clock = Crowd(), Clock()
    joined(crowd)
    link = joined(crowd)
    await asyncio.sleep(0)
    helpings = Helpings(link, clock=clock)
    helpings.get_buffer(-1)[:100] = SMALL
    helpings.buffer_updated(100)
    rests = [link.resting]
    buffer = helpings.get_buffer(-1)
    buffer[:] = (SMALL * MOST)[: len(buffer)]
    helpings.buffer_updated(len(buffer))
    rests.append(link.resting)
    await asyncio.sleep(0)
    rests.append(link.resting)
    assert rests == [False, True, False]


async def test_helpings_end_when_the_others_fall_silent() -> None:
    crowd, clock = Crowd(), Clock()
    other, link = joined(crowd), joined(crowd)
    await asyncio.sleep(0)
    helpings = Helpings(link, clock=clock)
    link.transport.set_protocol(helpings)
    await serve_one(helpings, clock, 0)
    assert in_helpings(link)
    crowd.note(other, talking=False)
    await serve_one(helpings, clock, 0)
    assert link.transport.get_protocol() is link


async def test_a_link_that_its_messages_close_is_given_no_more_helpings() -> None:
    crowd, clock = Crowd(), Clock()
    other, link = joined(crowd), joined(crowd)
    await asyncio.sleep(0)
    helpings = Helpings(link, clock=clock)
    link.transport.set_protocol(helpings)
    crowd.note(other, talking=False)
    link.transport.abort()
    await serve_one(helpings, clock, 0)
    assert in_helpings(link)
    assert not link.resting


async def test_a_link_talks_while_something_comes_between_two_looks_at_it() -> None:
    crowd = Crowd()
    link = joined(crowd)
    await asyncio.sleep(0)
    talking = [crowd.talking]  # it is new
    for second in range(5):
        link.tick(float(second))
        talking.append(crowd.talking)
        if second % 2:
            link.data_received(SMALL)
    assert talking == [1, 0, 0, 1, 0, 1]
    link.abort()
    await asyncio.sleep(0)
    assert crowd.talking == 0
    assert link not in crowd
