"""Listeners: every transport, places and busy, drain, and the ends of conversations."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import BindError, Code, ConnectionClosed, Limits, LocalError, Refused
from anyplug.server.lifecycle import new_loop
from anyplug.server.listener import TURN_AWAY_MOST
from anyplug.services import default_services
from anyplug.services.base import conversation, reply
from anyplug.wire import Kind, encode_frame
from anyplug.wire.frames import HEADER, PREFACE
from tests.server.serving import LogRecords, PlugClient, RawClient, port_of, serve

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug import Server

PLUG = "plug://127.0.0.1:0"
SERVICES = tuple(default_services())


def up(message: str) -> str:
    return message.upper()


async def mirror(peer: anyplug.Connection[Any]) -> None:
    async for message in peer:
        await peer.send(message)


async def test_the_same_service_is_reached_over_every_transport(tmp_path: Path) -> None:
    addresses = [
        PLUG,
        "tcp://127.0.0.1:0/up",
        "tcp6://[::1]:0/up",
        "tcp://localhost:0/up?framing=header",
        "tcp://127.0.0.1:0/up?framing=prefix&codec=json",
        f"unix://{tmp_path}/s.sock?service=up",
        f"unix://@anyplug-{os.getpid()}?service=up",
        f"unix+seqpacket://{tmp_path}/p.sock?service=up",
        f"plug+unix://{tmp_path}/n.sock",
        "udp://127.0.0.1:0/up",
        f"unix+dgram://{tmp_path}/d.sock?service=up",
    ]
    async with serve(*addresses, services=(reply("up", up),)) as server:
        for address in server.addresses:
            where = anyplug.Address.parse(address)
            if where.is_plug:
                where = where.with_service("up")
            async with anyplug.connect(where, type=str) as peer:
                assert await peer.ask("hello, 世界", timeout=5) == "HELLO, 世界", address


async def test_a_conversation_of_many_messages_over_packets(tmp_path: Path) -> None:
    service = conversation("mirror", mirror, type=str)
    async with serve(f"unix+seqpacket://{tmp_path}/p.sock?service=mirror", services=(service,)) as server:
        async with anyplug.connect(server.addresses[0]) as peer:
            sent = [f"{n} " * n for n in range(1, 300)]
            await peer.send_many(sent)
            assert [await peer.receive(5) for _ in sent] == sent


async def test_one_too_many_is_told_busy_in_its_own_protocol_and_a_place_comes_free() -> None:
    limits = Limits(connections=2)
    async with serve(PLUG, "tcp://127.0.0.1:0/echo", services=SERVICES, limits=limits) as server:
        plug, plain = server.addresses
        first = await anyplug.connect(f"{plug}/echo")
        second = await anyplug.connect(f"{plug}/echo")
        with pytest.raises(Refused) as caught:
            await anyplug.connect(f"{plug}/echo")
        assert caught.value.code is Code.BUSY
        assert caught.value.text == "all 2 places are taken; try again later"
        for address, opening in ((plain, b""), (plain, b"x\n"), (plug, b"echo\nx\n")):
            client = await RawClient.to(address)
            await client.say(opening)
            assert await client.hear_all() == b"busy: all 2 places are taken; try again later\n"
            await client.close()
        await first.close()
        async with anyplug.connect(f"{plug}/echo") as third:
            assert await third.ask("in") == "in"
        await second.close()
    assert server.connections == 0


async def test_one_too_many_that_says_nothing_is_told_busy_too() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(connections=1)) as server:
        inside = await anyplug.connect(f"{server.addresses[0]}/echo")
        client = await RawClient.to(server.addresses[0])
        assert await client.hear_all() == b"busy: all 1 places are taken; try again later\n"
        await client.close()
        await inside.close()


async def test_places_per_address_and_per_listener() -> None:
    records = LogRecords()
    limits = Limits(connections_per_address=3)
    async with serve(services=SERVICES, limits=limits, records=records) as server:
        small = server.listen("tcp://127.0.0.1:0/echo", most=1)
        large = server.listen("tcp://127.0.0.1:0/echo")
        inside = [await RawClient.to(small), await RawClient.to(large)]
        for client in inside:
            await client.say(b"x\n")
            assert await client.hear_line() == b"x\n"
        turned_away = await RawClient.to(small)
        assert await turned_away.hear_all() == b"busy: all 1 places are taken; try again later\n"
        inside.append(await RawClient.to(large))
        await inside[-1].say(b"x\n")
        assert await inside[-1].hear_line() == b"x\n"
        again = await RawClient.to(large)
        assert b"busy: all 3 places for 127.0.0.1 are taken" in await again.hear_all()
        for client in (*inside, turned_away, again):
            await client.close()
    assert len(records.events("busy")) == 2


async def test_port_zero_is_printed_as_bound_and_taken_ports_are_named() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        assert port_of(server.addresses[0]) > 0
        with pytest.raises(BindError, match=r"cannot listen on plug://127\.0\.0\.1:\d+: port \d+ is taken"):
            server.listen(server.addresses[0])


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("tcp://127.0.0.1:0", "a plain listener carries one service: name it, as in tcp://127.0.0.1:0/echo"),
        ("unix:///tmp/x.sock", "name it, as in unix:///tmp/x.sock?service=echo"),
        ("tcp://127.0.0.1:0/ecko", "no service 'ecko' here; did you mean echo?"),
        ("tcp://127.0.0.1:0/echo?framing=line", "lines"),
        ("tcp://127.0.0.1:0/echo?codec=jsn", "json"),
        ("udp://127.0.0.1:0/greet", "datagrams are single messages, and 'greet' holds conversations"),
        ("udp://127.0.0.1:0/ecko", "did you mean echo?"),
        ("udp://127.0.0.1:0/echo?codec=jsn", "json"),
    ],
)
async def test_a_listener_that_cannot_work_is_refused_at_once(address: str, sentence: str) -> None:
    async with serve(services=SERVICES) as server:
        with pytest.raises((BindError, LocalError)) as caught:
            await server.start(PLUG, address)
        assert sentence in str(caught.value)
        assert server.addresses == []


async def test_an_address_that_is_not_listened_on_cannot_be_closed() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        with pytest.raises(LocalError, match=r"not listening on tcp://x; listening on: plug://"):
            server.unlisten("tcp://x")


async def test_ends_are_told_apart_by_the_handler() -> None:
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def listen(peer: anyplug.Connection[Any]) -> None:
        try:
            while True:
                await peer.receive()
        except anyplug.AnyplugError as error:
            await ends.put(type(error).__name__)

    async def next_end() -> str:
        async with asyncio.timeout(5):
            return await ends.get()

    service = conversation("listen", listen, type=str)
    async with serve(PLUG, "tcp://127.0.0.1:0/listen", services=(service,)) as server:
        plug, plain = server.addresses
        async with anyplug.connect(f"{plug}/listen") as peer:
            await peer.send("x")
        assert await next_end() == "ConnectionClosed"
        peer = await anyplug.connect(f"{plug}/listen")
        peer.abort()
        assert await next_end() == "Broken"
        inside = await PlugClient.to(plug)
        await inside.open("listen")
        await inside.say(HEADER.pack(100) + b"half")
        await inside.close()
        assert await next_end() == "Broken"
        client = await RawClient.to(plain)
        await client.say(b"whole\n")
        await client.close()
        assert await next_end() == "ConnectionClosed"
        client = await RawClient.to(plain)
        await client.say(b"half")
        client.reset()
        assert await next_end() == "Broken"


async def test_a_failing_conversation_is_logged_here_and_is_a_code_there() -> None:
    records = LogRecords()

    async def fail(peer: anyplug.Connection[str]) -> None:
        raise ValueError("secret")

    service = conversation("fail", fail, type=str)
    async with serve(PLUG, "tcp://127.0.0.1:0/fail", services=(service,), records=records) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/fail")
        with pytest.raises(ConnectionClosed) as caught:
            await peer.receive(5)
        assert (caught.value.code, caught.value.text) == (Code.FAILED, "the service failed in this conversation")
        await peer.close()
        client = await RawClient.to(server.addresses[1])
        assert await client.hear_all() == b"failed: the service failed in this conversation\n"
        await client.close()
    assert [event["service"] for event in records.events("handler_failed")] == ["fail", "fail"]


async def test_a_bad_message_that_the_handler_does_not_catch_is_the_peers_fault() -> None:
    records = LogRecords()
    service = conversation("mirror", mirror, type=int)
    async with serve(PLUG, services=(service,), records=records) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/mirror")
        await peer.send("no number")
        with pytest.raises(ConnectionClosed, match="Expected `int`"):
            await peer.receive(5)
        await peer.close()
    assert records.events("handler_failed") == []
    assert "Expected `int`" in records.events("peer_error")[0]["problem"]


async def test_half_close_lets_the_server_finish() -> None:
    service = conversation("mirror", mirror, type=str)
    async with serve(PLUG, "tcp://127.0.0.1:0/mirror", services=(service,)) as server:
        for address in (f"{server.addresses[0]}/mirror", server.addresses[1]):
            async with anyplug.connect(address, type=str) as peer:
                await peer.send_many(["a", "b"])
                await peer.send_eof()
                with pytest.raises(ConnectionClosed, match="this side has ended"):
                    await peer.send("c")
                assert [message async for message in peer] == ["a", "b"]


# Draining.


async def test_drain_lets_running_requests_finish_and_refuses_new_ones() -> None:
    release, running = asyncio.Event(), asyncio.Event()

    async def wait(message: str) -> str:
        running.set()
        await release.wait()
        return message

    async with serve(PLUG, services=(reply("wait", wait),)) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/wait")
        asking = asyncio.create_task(peer.ask("last"))
        await running.wait()
        draining = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0)
        with pytest.raises(anyplug.ConnectError):
            await anyplug.connect(f"{server.addresses}/wait" if server.addresses else "plug://127.0.0.1:1/wait")
        release.set()
        assert await asking == "last"
        assert await draining == 0
        with pytest.raises(ConnectionClosed):
            await peer.ask("more")
        await peer.close()


async def test_drain_tells_idle_clients_that_the_server_goes_away() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/echo")
        waiting = asyncio.create_task(peer.receive())
        await asyncio.sleep(0)
        assert await server.drain(5) == 0
        with pytest.raises(ConnectionClosed) as caught:
            await waiting
        assert caught.value.code is Code.GOING_AWAY
        await peer.close()


async def test_a_conversation_may_end_by_itself_and_is_cut_after_the_time() -> None:
    asked = asyncio.Event()

    async def stubborn(peer: anyplug.Connection[str]) -> None:
        asked.set()
        async for _ in peer:
            pass

    records = LogRecords()
    service = conversation("stubborn", stubborn, type=str)
    async with serve(PLUG, services=(service,), records=records) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/stubborn")
        await asked.wait()
        draining = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0)
        await peer.close()
        assert await draining == 0
        other = await anyplug_again(server, service)
        assert await server.drain(0.01) == 1
        with pytest.raises(ConnectionClosed) as caught:
            await other.receive(5)
        assert caught.value.code is Code.GOING_AWAY
        await other.close()
    assert records.events("drain_cut") == [{"conversations": 1, "seconds": 0.01}]


async def anyplug_again(server: anyplug.Server, service: Any) -> anyplug.Connection[Any]:
    """Listen once more on a server that was drained, and connect."""
    await server.start(PLUG)
    return await anyplug.connect(f"{server.addresses[0]}/{service.name}")


async def test_a_peer_that_does_not_read_is_cut_in_the_end() -> None:
    async def flood(peer: anyplug.Connection[bytes]) -> None:
        while True:
            await peer.send(b"x" * 60_000)

    service = conversation("flood", flood, type=bytes)
    async with serve("tcp://127.0.0.1:0/flood", services=(service,)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.hear_line()
        assert await server.drain(0.01) == 1
        assert server.connections == 0
        client.reset()


async def test_bytes_after_the_goodbye_do_not_cost_the_peer_what_it_was_told() -> None:
    """A server that closes while bytes wait unread would send a reset, and the client would lose the answer."""

    async def once(peer: anyplug.Connection[bytes]) -> None:
        await peer.receive()
        await peer.send(b"the answer")

    service = conversation("once", once, type=bytes)
    async with serve("tcp://127.0.0.1:0/once?framing=raw&codec=bytes", services=(service,)) as server:
        for _ in range(20):
            client = await RawClient.to(server.addresses[0])
            await client.say(b"question")
            await client.say(b"more" * 50_000)
            assert await client.hear_all() == b"the answer"
            await client.close()


async def test_a_frame_of_an_unknown_kind_in_a_conversation() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await PlugClient.to(server.addresses[0])
        await client.open("echo", codec="bytes")
        await client.say(encode_frame(Kind.DATA, b"good") + HEADER.pack(99 << 24))
        events = await client.events()
        assert "good" in str(events[0])
        assert "unknown frame kind 99" in str(events + await client.events())
        await client.close()


async def test_a_flood_of_requests_to_a_conversation_that_takes_no_refusals_is_ended() -> None:
    async def stay(peer: anyplug.Connection[str]) -> None:
        async for _ in peer:
            pass

    service = conversation("stay", stay, type=str)
    async with serve(PLUG, services=(service,), limits=Limits(queue=64 * 1024)) as server:
        client = await PlugClient.to(server.addresses[0])
        await client.open("stay", codec="text")
        flood = b"".join(encode_frame(Kind.REQUEST, HEADER.pack(n + 1) + b"?") for n in range(20_000))
        try:
            async with asyncio.timeout(5):
                while server.connections:
                    client.writer.write(flood)
                    await asyncio.wait([asyncio.ensure_future(client.writer.drain())], timeout=0.05)
        except ConnectionError:
            pass
        client.reset()


async def test_only_so_many_are_told_busy_at_once_and_the_others_are_closed() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(connections=1)) as server:
        inside = await anyplug.connect(f"{server.addresses[0]}/echo")
        clients = [await RawClient.to(server.addresses[0]) for _ in range(TURN_AWAY_MOST + 20)]
        answers = await asyncio.gather(*(client.hear_all() for client in clients), return_exceptions=True)
        told = [answer for answer in answers if answer == b"busy: all 1 places are taken; try again later\n"]
        assert len(told) >= TURN_AWAY_MOST
        assert len(told) < len(clients)
        for client in clients:
            await client.close()
        await inside.close()


async def test_a_listener_that_closes_ends_those_at_the_door() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await RawClient.to(server.addresses[0])
        async with asyncio.timeout(5):
            while not server.connections:
                await asyncio.sleep(0)
        server.unlisten(server.addresses[0])
        assert await client.hear_all() == b""
        await client.close()
        async with asyncio.timeout(5):
            while server.connections:
                await asyncio.sleep(0)


async def test_who_has_not_said_what_it_wants_is_told_when_the_server_stops() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        halfway, menu = await RawClient.to(server.addresses[0]), await RawClient.to(server.addresses[0])
        await halfway.say(PREFACE)
        await menu.say(b"help\n")
        assert b"name a service" in await menu.hear_line()
        async with asyncio.timeout(5):
            while len(server._context.links) < 2:
                await asyncio.sleep(0)
        draining = asyncio.create_task(server.drain(5))
        assert b"the server is stopping" in await halfway.hear_all()
        assert (await menu.hear_all()).endswith(b"going_away: the server is stopping\n")
        await halfway.close()
        await menu.close()
        assert await draining == 0


async def test_a_hello_or_a_name_that_comes_while_draining_is_refused() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client, menu = await PlugClient.to(server.addresses[0]), await RawClient.to(server.addresses[0])
        server._context.draining = True
        events = await client.hello("echo")
        assert "try again in a while" in str(events)
        await menu.say(b"echo\n")
        assert await menu.hear_all() == b"going_away: this server is stopping; try again in a while\n"
        await client.close()
        await menu.close()


def options_of(server: Server) -> tuple[int, ...]:
    """What is set on the server's end of its only connection."""
    (link,) = server._context.links
    sock = link.transport.get_extra_info("socket")
    return (
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    )


@pytest.mark.parametrize("adopted", [False, True])
async def test_every_connection_has_the_options_whoever_opened_the_listener(adopted: bool) -> None:
    service = reply("up", up)
    passed = socket.create_server(("127.0.0.1", 0))
    passed.setblocking(False)
    address = f"tcp://127.0.0.1:{passed.getsockname()[1]}/up"

    def adopt(server: Server) -> None:
        server.adopt([("", passed)])

    if not adopted:
        passed.close()
        address = "tcp://127.0.0.1:0/up"
    async with serve(address, services=(service,), set_up=adopt if adopted else None) as server:
        async with anyplug.connect(f"{server.addresses[0]}", type=str) as peer:
            assert await peer.ask("x") == "X"
            assert options_of(server) == (1, 1, 20, 5, 4, 40_000)


@pytest.mark.parametrize("turns", range(7))
def test_a_connection_that_comes_and_goes_while_the_server_drains_does_not_hold_it_up(turns: int) -> None:
    """At each turn of the loop a connection is another step further in."""

    async def drained() -> int:
        server = anyplug.Server()
        server.add(reply("up", up))
        address = server.listen("tcp://127.0.0.1:0/up?framing=lines")
        socket.create_connection(("127.0.0.1", port_of(address))).close()
        for _ in range(turns):
            await asyncio.sleep(0)
        return await server.drain(2.0)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(drained()) == 0
