"""The blocking end against the server of this project, which runs in the test's event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from anyplug import Connection, Limits, Server
from anyplug.blocking import Broken, Code, ConnectionClosed, Refused, connect
from tests.server.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

PLUG = "plug://127.0.0.1:0"


def set_up(server: Server) -> None:
    @server.reply("shout")
    def shout(message: str) -> str:
        return message.upper()

    @server.reply("fail")
    def fail(message: str) -> str:
        raise ZeroDivisionError(message)

    @server.service("countdown")
    async def countdown(peer: Connection[int]) -> None:
        async for start in peer:
            for number in reversed(range(start)):
                await peer.send(number)

    @server.service("slow")
    async def slow(peer: Connection[Any]) -> None:
        async for message in peer:
            await peer.send(message)


async def in_thread(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)


async def test_a_reply_service_is_asked_on_plug_and_on_plain_sockets(tmp_path: Path) -> None:
    path = tmp_path / "s"
    plain = ("tcp://127.0.0.1:0/shout?framing=lines", f"unix://{path}?service=shout&framing=prefix")
    async with serve(PLUG, *plain, set_up=set_up) as server:

        def client() -> None:
            with connect(f"{server.addresses[0]}/shout", type=str) as peer:
                assert peer.ask("hello") == "HELLO"
                assert peer.ask_many([f"q{n}" for n in range(2000)]) == [f"Q{n}" for n in range(2000)]
                peer.send_many(["a", "b"])
                assert [peer.receive(), peer.receive()] == ["A", "B"]
                assert peer.welcome is not None
                assert peer.welcome.asks
            for address in server.addresses[1:]:
                with connect(address.split("?")[0], framing="lines" if "tcp" in address else "prefix") as peer:
                    assert peer.ask("hello") == "HELLO"
                    assert peer.ask_many(["x", "y"]) == ["X", "Y"]

        await in_thread(client)


async def test_the_plug_protocol_is_spoken_over_a_unix_socket(tmp_path: Path) -> None:
    async with serve(f"plug+unix://{tmp_path}/s", set_up=set_up) as server:

        def client() -> None:
            with connect(f"plug+unix://{tmp_path}/s?service=shout") as peer:
                assert peer.ask("hello") == "HELLO"
                assert peer.service == "shout"

        await in_thread(client)
        assert server.addresses


async def test_a_conversation_is_held() -> None:
    async with serve(PLUG, set_up=set_up) as server:

        def client() -> None:
            with connect(f"{server.addresses[0]}/countdown", type=int) as peer:
                peer.send(3)
                assert [peer.receive() for _ in range(3)] == [2, 1, 0]
                peer.send_many([2, 2])
                peer.send_eof()
                assert list(peer) == [1, 0, 1, 0]

        await in_thread(client)


async def test_failures_and_refusals_arrive_with_their_codes() -> None:
    async with serve(PLUG, set_up=set_up) as server:

        def client() -> None:
            with connect(f"{server.addresses[0]}/fail") as peer:
                with pytest.raises(Refused) as failed:
                    peer.ask("secret")
                assert failed.value.code is Code.FAILED
                assert "secret" not in str(failed.value)
                peer.send("secret")
                with pytest.raises(Refused):
                    peer.receive()
            with pytest.raises(Refused) as unknown:
                connect(f"{server.addresses[0]}/shuot")
            assert unknown.value.code is Code.UNKNOWN_SERVICE

        await in_thread(client)


async def test_a_large_message_goes_there_and_back() -> None:
    async with serve(PLUG, set_up=set_up) as server:

        def client() -> None:
            with connect(f"{server.addresses[0]}/shout") as peer:
                assert peer.ask("x" * 10_000_000) == "X" * 10_000_000

        await in_thread(client)


async def test_a_full_server_is_busy() -> None:
    async with serve(PLUG, set_up=set_up, limits=Limits(connections=1)) as server:

        def client() -> None:
            with connect(f"{server.addresses[0]}/shout") as peer:
                assert peer.ask("a") == "A"
                with pytest.raises(Refused) as busy:
                    connect(f"{server.addresses[0]}/shout")
                assert busy.value.code is Code.BUSY
                assert peer.ask("b") == "B"

        await in_thread(client)


async def test_a_server_that_drains_says_so() -> None:
    async with serve(PLUG, set_up=set_up) as server:
        peer = await in_thread(lambda: connect(f"{server.addresses[0]}/slow"))
        try:
            assert await in_thread(lambda: peer.ask("up")) == "up"
            receiving = asyncio.create_task(in_thread(lambda: list(peer)))
            await server.drain(0.1)
            assert await receiving == []
            with pytest.raises((ConnectionClosed, Broken)):
                peer.receive()
        finally:
            await in_thread(peer.close)


async def test_many_threads_share_one_connection_to_the_server() -> None:
    async with serve(PLUG, set_up=set_up) as server:
        peer = await in_thread(lambda: connect(f"{server.addresses[0]}/shout"))

        def client(number: int) -> list[str]:
            return [peer.ask(f"n{number}.{turn}") for turn in range(50)]

        try:
            results = await asyncio.gather(*(asyncio.to_thread(client, number) for number in range(6)))
            assert results == [[f"N{number}.{turn}" for turn in range(50)] for number in range(6)]
        finally:
            await in_thread(peer.close)
