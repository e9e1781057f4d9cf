"""A connected socket goes to the loop whole: whatever the peer does in that moment, its descriptor is closed once."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from anyplug import Limits
from anyplug.framing import make_framing
from anyplug.messages import Event, Fault
from anyplug.transport.join import join
from anyplug.transport.link import Link
from anyplug.wire import PlainSession, PlugSession, Role, Session


class Recorder:
    """A sink that notes the end."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self.events: list[Event] = []

    def attach(self, link: Link) -> Recorder:
        self.opened.set()
        return self

    def messages(self, bodies: list[bytes]) -> None:
        raise AssertionError(bodies)

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def writable(self) -> None:
        """Nothing waits."""

    def lost(self) -> None:
        self.ended.set()

    def drain(self, code: object, text: str) -> None:
        """Nothing to end."""


def made(sink: Recorder, session: Session | None = None) -> Link:
    loop = asyncio.get_running_loop()
    return Link(session or PlainSession(make_framing("lines")), sink.attach, limits=Limits(), loop=loop)


def pair(kind: int = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setblocking(False)
    return ours, theirs


@pytest.mark.parametrize("packets", [False, True])
async def test_the_link_is_open_afterwards(packets: bool) -> None:
    ours, theirs = pair(socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM)
    sink = Recorder()
    link = made(sink)
    with theirs:
        await join(asyncio.get_running_loop(), ours, link, packets=packets)
        assert sink.opened.is_set()
        link.abort()
        await sink.ended.wait()
    assert ours.fileno() == -1


async def test_a_peer_that_is_gone_before_the_greeting_leaves_no_descriptor_behind() -> None:
    """The greeting fails in the turn in which the stream opens, so that the loop closes it before anybody is told."""
    ours, theirs = pair()
    theirs.close()
    sink = Recorder()
    await join(asyncio.get_running_loop(), ours, made(sink, PlugSession(Role.CLIENT, Limits())), packets=False)
    await sink.ended.wait()
    assert [type(event) for event in sink.events] == [Fault]
    number = ours.fileno()
    if number != -1:
        ours.detach()
    assert number == -1


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("packets", [False, True])
async def test_a_stream_nobody_waits_for_any_more_is_cut(turns: int, packets: bool) -> None:
    ours, theirs = pair(socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM)
    sink = Recorder()
    link = made(sink)
    loop = asyncio.get_running_loop()
    theirs.setblocking(False)
    with theirs:
        joining = asyncio.create_task(join(loop, ours, link, packets=packets))
        for _ in range(turns):
            await asyncio.sleep(0)
        opened = joining.done()
        joining.cancel()
        if opened:
            link.abort()
        else:
            with pytest.raises(asyncio.CancelledError):
                await joining
        if sink.opened.is_set() or turns:
            await sink.ended.wait()
            assert ours.fileno() == -1
            assert await loop.sock_recv(theirs, 1) == b""
        else:
            ours.close()


@pytest.mark.parametrize("packets", [False, True])
async def test_a_socket_the_loop_does_not_take_is_closed(packets: bool) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if packets else socket.SOCK_DGRAM)
    sock.setblocking(False)
    if packets:
        os.close(sock.detach())
    with pytest.raises((OSError, ValueError)):
        await join(asyncio.get_running_loop(), sock, made(Recorder()), packets=packets)
    assert sock.fileno() == -1
