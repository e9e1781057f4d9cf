"""Opening a conversation, async: what works, and every way it can fail."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import AddressError, ConnectError, Connection, Limits, LocalError, Timeout
from anyplug.messages import Welcome
from anyplug.services import default_services
from anyplug.services.base import conversation
from anyplug.wire import PlugSession, Role
from tests.server.serving import serve

if TYPE_CHECKING:
    from pathlib import Path

PLUG = "plug://127.0.0.1:0"
SERVICES = tuple(default_services())


async def test_a_connection_can_be_awaited_or_entered() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        where = f"{server.addresses[0]}/echo"
        peer = await anyplug.connect(where)
        assert await peer.ask("a") == "a"
        await peer.close()
        async with anyplug.connect(anyplug.Address.parse(where)) as again:
            assert await again.ask("b") == "b"
        assert again.closed


async def test_the_welcome_and_both_addresses_are_facts_of_the_connection() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        async with anyplug.connect(f"{server.addresses[0]}/echo/deep/er") as peer:
            assert peer.welcome is not None
            assert peer.welcome.service == peer.service == "echo"
            assert peer.rest == "deep/er"
            assert peer.peer == server.addresses[0].removeprefix("plug://")
            assert peer.local.startswith("127.0.0.1:")


async def test_nothing_listens_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectError) as caught:
            await anyplug.connect(f"plug://127.0.0.1:{port}/echo")
    assert caught.value.step == "connect"
    assert str(caught.value) == (
        f"cannot connect to plug://127.0.0.1:{port}/echo: nothing listens on 127.0.0.1:{port} (step: connect); "
        "start the server, or check the port"
    )


async def test_there_is_no_such_unix_socket(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="start the server, or check the path"):
        await anyplug.connect(f"unix://{tmp_path}/none.sock")


BAD: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("tpc://127.0.0.1:1", {}, AddressError, "did you mean tcp://127.0.0.1:1"),
    ("tcp://127.0.0.1:1", {"framing": "line"}, LocalError, "lines"),
    ("tcp://127.0.0.1:1", {"codec": "jsn"}, LocalError, "json"),
    ("tcp://127.0.0.1:1", {"token": "x"}, LocalError, "carries no token"),
    ("plug://127.0.0.1/echo", {"framing": "lines"}, LocalError, "has its own frames"),
    ("plugs://127.0.0.1/echo", {}, AddressError, "TLS"),
    ("unix+dgram:///x", {"framing": "lines"}, LocalError, "each packet"),
]


@pytest.mark.parametrize(("address", "options", "kind", "word"), BAD)
def test_arguments_that_do_not_fit_are_found_before_the_network(
    address: str, options: dict[str, Any], kind: type[Exception], word: str
) -> None:
    with pytest.raises(kind, match=word):
        _ = anyplug.connect(address, **options)


async def test_a_server_that_ends_without_an_answer() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(ConnectError, match="ended it before it answered") as caught:
        await anyplug.connect(f"plug://127.0.0.1:{port}/echo")
    assert caught.value.step == "handshake"
    listener.close()


async def test_a_server_that_answers_in_another_codec_is_refused() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = PlugSession(Role.SERVER, Limits())
        session.receive_data(await reader.read(1000))
        session.send_welcome(Welcome(service="echo", codec="json"))
        writer.write(session.data_to_send())
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(
        ConnectError, match=r"answers in codec 'json', asked for was 'msgpack'.*connect with codec='json'"
    ):
        await anyplug.connect(f"plug://127.0.0.1:{port}/echo")
    listener.close()


async def test_cancelling_while_connecting_leaves_nothing_open() -> None:
    accepted: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        await accepted.put(reader)
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()

    listener = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    opening = asyncio.ensure_future(anyplug.connect(f"plug://127.0.0.1:{port}/echo"))
    reader = await accepted.get()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(5):
        while not reader.at_eof() and reader.exception() is None:
            await asyncio.sleep(0)
    listener.close()


async def test_limits_of_both_sides_hold() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(message=1000)) as server:
        where = f"{server.addresses[0]}/echo?codec=bytes"
        peer: Connection[bytes]
        async with anyplug.connect(where) as peer:
            assert await peer.ask(b"x" * 1000) == b"x" * 1000
            with pytest.raises(anyplug.TooLarge, match="the limit is 1,000 bytes"):
                await peer.ask(b"x" * 1001)
        async with anyplug.connect(where, limits=Limits(message=10)) as peer:
            with pytest.raises(anyplug.TooLarge, match="the limit is 10 bytes"):
                await peer.send(b"x" * 11)


async def test_a_server_killed_while_a_client_waits() -> None:
    """What a kill looks like from outside: the stream is cut, nothing is said."""
    async with serve(PLUG, services=SERVICES) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/echo")
        waiting = asyncio.create_task(peer.receive())
        await peer.ask("there")
        for link in tuple(server._context.links):
            link.abort()
        with pytest.raises(anyplug.Broken):
            await waiting
        await peer.close()


async def test_a_plain_server_of_the_standard_library_is_a_peer_too() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    listener = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with anyplug.connect(f"tcp://127.0.0.1:{port}") as peer:
        assert await peer.ask_many(["a", "b"]) == ["A", "B"]
        await peer.send("c")
        await peer.send_eof()
        assert [message async for message in peer] == ["C"]
    listener.close()


async def test_a_question_to_a_peer_that_takes_nothing_keeps_its_timeout() -> None:
    done = asyncio.Event()

    async def deaf(peer: anyplug.Connection[bytes]) -> None:
        await done.wait()

    async with serve("plug://127.0.0.1:0", services=(conversation("deaf", deaf),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/deaf", codec="bytes", type=bytes) as peer:
            filling = asyncio.ensure_future(peer.send_many([b"x" * 100_000] * 200))  # more than the network holds
            while not peer._link.writing_paused:
                await asyncio.sleep(0)
            with pytest.raises(Timeout, match="an answer"):
                await peer.ask(b"?", timeout=0.05)
            with pytest.raises(Timeout, match="an answer"):
                await peer.ask_many([b"?", b"?"], timeout=0.05)
            filling.cancel()
            peer.abort()
            done.set()
