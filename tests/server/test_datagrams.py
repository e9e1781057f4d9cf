"""Datagrams: answered, but never amplified, never for ever, never a flood."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from anyplug import Limits
from anyplug.limits import SOURCES_MAX
from anyplug.server.datagrams import BOUNCES, QUIET, DatagramListener, Sources
from anyplug.services.base import reply
from tests.server.serving import PATIENCE, LogRecords, port_of, serve

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from anyplug import Server

A = ("192.0.2.1", 5000)
UDP = "udp://127.0.0.1:0/echo?codec=bytes"


def same(body: bytes) -> bytes:
    return body


def listener_of(server: Server) -> DatagramListener:
    listener = next(iter(server._listeners))
    assert isinstance(listener, DatagramListener)
    return listener


class Udp:
    """A client that is nothing but a datagram socket."""

    def __init__(self, server: Server) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port_of(server.addresses[0])))
        self.sock.setblocking(False)

    async def ask(self, body: bytes) -> bytes:
        self.sock.send(body)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65_536)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


@pytest.mark.parametrize("size", [0, 1, 1200, 65_507])
async def test_a_datagram_of_any_size_is_answered_whole(size: int) -> None:
    async with serve(UDP, services=(reply("echo", same, opaque=True),)) as server:
        with Udp(server) as client:
            assert await client.ask(b"x" * size) == b"x" * size


@pytest.mark.parametrize("kind", ["def", "async", "blocking"])
async def test_every_kind_of_handler_answers(kind: str) -> None:
    async def later(body: bytes) -> bytes:
        return body

    handler = later if kind == "async" else same
    service = reply("echo", handler, blocking=kind == "blocking", type=bytes)
    async with serve(UDP, services=(service,)) as server:
        with Udp(server) as client:
            assert await client.ask(b"hello") == b"hello"


async def test_an_answer_is_never_larger_than_its_question() -> None:
    service = reply("echo", lambda body: body * (1 + body.startswith(b"amplify")), type=bytes)
    async with serve(UDP, services=(service,)) as server:
        with Udp(server) as client:
            client.sock.send(b"amplify me")
            assert await client.ask(b"just say it") == b"just say it"
            assert listener_of(server).dropped == {"larger_than_question": 1}


async def test_two_echoes_do_not_talk_for_ever() -> None:
    """One echo is ours, the other a socket that sends everything back, as an echo server would."""
    async with serve(UDP, services=(reply("echo", same, opaque=True),)) as server:
        with Udp(server) as other:
            exchanges = 0
            answer = await other.ask(b"spoofed")
            listener = listener_of(server)
            while True:
                other.sock.send(answer)
                reading = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(other.sock, 100))
                while not reading.done() and not listener.dropped["looks_like_our_answer"]:
                    await asyncio.sleep(0)
                if not reading.done():
                    reading.cancel()
                    break
                answer = reading.result()
                exchanges += 1
            assert exchanges == BOUNCES
            assert await other.ask(b"something else") == b"something else"


async def test_two_of_our_own_echoes_fall_silent() -> None:
    service = reply("echo", same, opaque=True)
    async with serve(UDP, services=(service,)) as one, serve(UDP, services=(service,)) as two:
        first, second = listener_of(one), listener_of(two)
        port = first._ports[0]
        port.send(b"spoofed", ("127.0.0.1", port_of(two.addresses[0])))
        async with asyncio.timeout(PATIENCE):
            while not first.dropped["looks_like_our_answer"] and not second.dropped["looks_like_our_answer"]:
                await asyncio.sleep(0)


async def test_a_flood_from_one_source_is_bounded_and_counted() -> None:
    records = LogRecords()
    limits = Limits(datagrams_per_source=50)
    async with serve(UDP, services=(reply("echo", same, opaque=True),), limits=limits, records=records) as server:
        with Udp(server) as flood, Udp(server) as polite:
            for n in range(200):
                flood.sock.send(b"%d" % n)
            listener = listener_of(server)
            async with asyncio.timeout(PATIENCE):
                while not listener.dropped["rate"]:
                    await asyncio.sleep(0)
            assert await polite.ask(b"me too") == b"me too"
        assert set(listener.dropped) == {"rate"}
    assert records.events("datagram_dropped")[0]["why"] == "rate"


async def test_bad_text_and_failing_handlers_are_dropped_and_counted() -> None:
    records = LogRecords()

    def fail(message: str) -> str:
        raise ValueError(message)

    async with serve("udp://127.0.0.1:0/fail", services=(reply("fail", fail),), records=records) as server:
        with Udp(server) as client:
            client.sock.send(b"\xff")
            client.sock.send(b"text")
            await records.wait_for("handler_failed")
        assert listener_of(server).dropped == {"bad_message": 1, "failed": 1}


async def test_a_unix_datagram_without_a_return_address_is_heard_and_not_answered(tmp_path: Path) -> None:
    heard = asyncio.Event()

    def note(body: bytes) -> bytes:
        heard.set()
        return body

    path = tmp_path / "d.sock"
    async with serve(f"unix+dgram://{path}?service=note&codec=bytes", services=(reply("note", note, type=bytes),)) as s:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", str(path))
            async with asyncio.timeout(PATIENCE):
                await heard.wait()
        assert listener_of(s).dropped == {"no_return_address": 1}


async def test_more_than_can_be_answered_at_once_is_dropped_and_counted() -> None:
    release = asyncio.Event()

    async def wait(body: bytes) -> bytes:
        await release.wait()
        return body

    limits = Limits(requests=2)
    service = reply("echo", wait, type=bytes)
    async with serve(UDP, services=(service,), limits=limits) as server:
        with Udp(server) as client:
            for n in range(3):
                client.sock.send(b"%d" % n)
            listener = listener_of(server)
            async with asyncio.timeout(PATIENCE):
                while not listener.dropped["overload"]:
                    await asyncio.sleep(0)
            client.sock.send(b"one more")
            release.set()
            assert await asyncio.get_running_loop().sock_recv(client.sock, 10) in {b"0", b"1"}


async def test_a_service_may_answer_nothing_or_fail_in_a_task() -> None:
    records = LogRecords()

    async def fail(body: bytes) -> None:
        if body == b"fail":
            raise ValueError

    service = reply("echo", fail, type=bytes)
    async with serve(UDP, services=(service,), records=records) as server:
        with Udp(server) as client:
            client.sock.send(b"nothing")
            client.sock.send(b"fail")
            await records.wait_for("handler_failed")
        assert listener_of(server).dropped == {"failed": 1}


async def test_a_listener_that_closes_cancels_what_is_being_answered() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang(body: bytes) -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return body

    async with serve(UDP, services=(reply("echo", hang, type=bytes),)) as server:
        with Udp(server) as client:
            client.sock.send(b"x")
            await started.wait()
            server.unlisten(server.addresses[0])
            async with asyncio.timeout(PATIENCE):
                await ended.wait()


# The rules by themselves, in virtual time.


def test_the_same_thing_said_a_few_times_is_answered() -> None:
    sources = Sources(1000)
    for _ in range(BOUNCES + 1):
        assert sources.hear(A, b"ping", 0.0) == ""
        sources.answered(A, b"ping")
    assert sources.hear(A, b"ping", 0.0) == "looks_like_our_answer"
    assert sources.hear(A, b"pong", 0.0) == ""
    sources.answered(A, b"ping")
    assert sources.hear(A, b"ping", 0.0) == ""


def test_after_a_while_of_silence_a_source_is_a_new_one() -> None:
    sources = Sources(1000)
    for _ in range(BOUNCES + 5):
        sources.hear(A, b"ping", 0.0)
        sources.answered(A, b"ping")
    assert sources.hear(A, b"ping", QUIET - 1) == "looks_like_our_answer"
    assert sources.hear(A, b"ping", QUIET - 1 + QUIET) == ""


def test_an_allowance_comes_back_with_time() -> None:
    sources = Sources(2)
    found = [sources.hear(A, b"%d" % n, 0.0) for n in range(4)]
    assert found == ["", "", "rate", "rate"]
    assert sources.hear(A, b"x", 0.5) == ""
    assert sources.hear(A, b"y", 0.5) == "rate"
    assert sources.hear(("192.0.2.2", 5000), b"x", 0.5) == ""


@pytest.mark.parametrize("port", [7, 19, 53, 123])
def test_services_that_answer_anything_are_not_answered(port: int) -> None:
    assert Sources(10).hear(("192.0.2.1", port), b"x", 0.0) == "looping_port"


def test_the_memory_of_sources_is_bounded() -> None:
    sources = Sources(10)
    for n in range(SOURCES_MAX + 100):
        sources.hear(("192.0.2.1", 1024 + n), b"x", 0.0)
    assert len(sources) == SOURCES_MAX
