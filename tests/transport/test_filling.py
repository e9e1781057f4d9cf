"""Filling: chunks are read right into their buffers, and all else is heard as ever."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from anyplug import Code, Limits
from anyplug.limits import CHUNK_MAX
from anyplug.messages import Content, Ended, Event, Fault, Requests
from anyplug.transport.filling import LOOK, SHARE, Filling, fill
from anyplug.transport.link import Link
from anyplug.transport.memory import memory_pair
from anyplug.transport.turns import Crowd
from anyplug.wire import PlugSession, Role, State
from anyplug.wire.arriving import Buffers
from tests.wire.network import BYE, CONTENT, DATA, REQUEST, frame, in_state, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

HEAD = bytes(8) + b"d" * 32
BODIES = [os.urandom(CHUNK_MAX) for _ in range(3)]


class Heard:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.bodies: list[bytes] = []
        self.came = asyncio.Event()
        self.gone = asyncio.Event()

    def attach(self, link: Link) -> Heard:
        return self

    def messages(self, bodies: list[bytes]) -> None:
        self.bodies += bodies
        self.came.set()

    def handle(self, event: Event) -> None:
        self.events.append(event)
        self.came.set()

    def writable(self) -> None:
        """Nobody waits for it."""

    def lost(self) -> None:
        self.gone.set()
        self.came.set()

    def drain(self, code: Code, text: str) -> None:
        """Nothing to end."""

    async def until(self, events: int, bodies: int = 0) -> None:
        """Wait until so many came."""
        while len(self.events) < events or len(self.bodies) < bodies:
            self.came.clear()
            await self.came.wait()


def a_session(buffers: int = 4) -> PlugSession:
    session = in_state(Role.SERVER, State.OPEN)
    session.lend(Buffers(buffers))
    return session


def a_link(session: PlugSession, crowd: Crowd | None = None) -> tuple[Link, Heard]:
    sink = Heard()
    return Link(session, sink.attach, limits=Limits(), loop=asyncio.get_running_loop(), links=crowd), sink


@asynccontextmanager
async def streamed(
    session: PlugSession, crowd: Crowd | None = None
) -> AsyncIterator[tuple[Link, Heard, socket.socket]]:
    """A link on a stream of the event loop, and the other end."""
    near, away = socket.socketpair()
    for sock in (near, away):
        sock.setblocking(False)
    link, sink = a_link(session, crowd)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: link, near)
    with away:
        yield link, sink, away
    link.abort()
    await sink.gone.wait()


def filling(link: Link) -> bool:
    return isinstance(link.transport.get_protocol(), Filling)


def held_back(link: Link) -> bool:
    return link.writing_paused


def begun(link: Link) -> None:
    """The head of a chunk came with much behind it, however the system cuts what follows."""
    link.data_received(frame(CONTENT, HEAD + BODIES[0])[: 44 + 10_000])


def content(event: Event) -> bytes:
    assert isinstance(event, Content)
    return b"".join(event.pieces)


async def say(sock: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, data)


@both_loops
@pytest.mark.parametrize("others", [0, 1])
async def test_chunks_are_read_into_their_buffers_and_what_follows_them_is_heard(others: int) -> None:
    crowd = Crowd()
    for _ in range(others):
        other, _ = a_link(a_session(), crowd)
        memory_pair(other, asyncio.Protocol())
    session = a_session()
    async with streamed(session, crowd) as (link, sink, away):
        begun(link)
        assert filling(link)
        rest = BODIES[0][10_000:] + b"".join(frame(CONTENT, HEAD + body) for body in BODIES[1:])
        await say(away, rest + frame(REQUEST, b"\0\0\0\1ask") + frame(DATA, b"message"))
        await sink.until(events=4, bodies=1)
        *chunks, request = sink.events
        assert [content(each) for each in chunks] == BODIES
        assert isinstance(request, Requests)
        assert sink.bodies == [b"message"]
        assert {type(piece) for each in chunks if isinstance(each, Content) for piece in each.pieces} == {memoryview}
        await say(away, frame(DATA, b"more"))
        await sink.until(events=4, bodies=2)
        assert not filling(link)


@both_loops
async def test_a_chunk_that_comes_alone_is_looked_behind_once() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        await say(away, BODIES[0][10_000:])
        await sink.until(events=1)
        assert filling(link)  # the next chunk may follow
        await say(away, frame(DATA, b"message"))
        await sink.until(events=1, bodies=1)
        assert not filling(link)


@both_loops
async def test_a_chunk_that_follows_later_is_read_into_its_buffer_too() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        await say(away, BODIES[0][10_000:])
        await sink.until(events=1)
        await say(away, frame(CONTENT, HEAD + BODIES[1]))
        await sink.until(events=2)
        assert content(sink.events[1]) == BODIES[1]
        assert filling(link)


async def test_where_there_are_others_less_is_read_at_once() -> None:
    crowd = Crowd()
    link, _ = a_link(a_session(), crowd)
    memory_pair(link, asyncio.Protocol())
    begun(link)
    alone = len(Filling(link).get_buffer(-1))
    assert alone > CHUNK_MAX - 10_000
    other, _ = a_link(a_session(), crowd)
    memory_pair(other, asyncio.Protocol())
    assert len(Filling(link).get_buffer(-1)) == SHARE


async def test_a_connection_among_others_has_its_turn_and_rests() -> None:
    crowd = Crowd()
    async with streamed(a_session(), crowd) as (link, _, _), streamed(a_session(), crowd):
        begun(link)
        protocol = link.transport.get_protocol()
        assert isinstance(protocol, Filling)
        count = len(protocol.get_buffer(-1))
        protocol.buffer_updated(count)
        assert link.resting


async def test_streams_that_are_no_sockets_are_read_as_ever() -> None:
    link, sink = a_link(a_session())
    near, away = memory_pair(link, asyncio.Protocol())
    begun(link)
    assert near.get_protocol() is link
    away.write(BODIES[0][10_000:])
    await sink.until(events=1)
    assert content(sink.events[0]) == BODIES[0]


async def test_without_room_or_on_a_stream_that_closes_nothing_changes() -> None:
    async with streamed(a_session(buffers=0)) as (link, _, _):
        begun(link)
        assert not filling(link)
        link.transport.close()
        fill(link)
        assert not filling(link)


@both_loops
async def test_the_end_of_the_stream_within_a_chunk_is_a_fault() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        await say(away, BODIES[0][10_000:20_000])
        away.shutdown(socket.SHUT_WR)
        await sink.until(events=1)
        assert isinstance(sink.events[0], Fault)
        assert "inside a message" in str(sink.events[0].error)


@both_loops
async def test_a_stream_that_is_cut_within_a_chunk_is_lost_once() -> None:
    async with streamed(a_session()) as (link, sink, _):
        begun(link)
        link.abort()
        await sink.gone.wait()
        assert [type(event) for event in sink.events] == [Fault]


@both_loops
async def test_after_goodbye_what_still_comes_is_dropped_and_read_by_the_link_again() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        assert filling(link)
        link.finish()
        await say(away, BODIES[0][10_000:])
        away.shutdown(socket.SHUT_WR)
        await sink.gone.wait()
        assert not any(isinstance(event, Content) for event in sink.events)
        assert not filling(link)


@both_loops
async def test_the_goodbye_behind_a_chunk_is_heard() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        await say(away, BODIES[0][10_000:] + frame(BYE, refusal(0)))
        await sink.until(events=2)
        assert content(sink.events[0]) == BODIES[0]
        assert isinstance(sink.events[1], Ended)


@both_loops
async def test_a_peer_that_takes_nothing_holds_the_link_back_and_frees_it() -> None:
    async with streamed(a_session()) as (link, sink, away):
        begun(link)
        link.transport.set_write_buffer_limits(high=0)
        link.transport.write(bytes(1 << 22))
        assert held_back(link)
        loop = asyncio.get_running_loop()
        room = asyncio.ensure_future(link.room())
        while not room.done():
            await loop.sock_recv(away, 1 << 20)
        assert not held_back(link)
        assert not sink.events


async def test_streams_that_know_no_buffers_give_bytes() -> None:
    link, sink = a_link(a_session())
    memory_pair(link, asyncio.Protocol())
    Filling(link).data_received(frame(DATA, b"message"))
    assert sink.bodies == [b"message"]
    assert len(Filling(link).get_buffer(-1)) == LOOK
