"""People with nc: the first line names the service, anything else gets the menu."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyplug
from anyplug import Limits
from anyplug.services import default_services
from anyplug.services.base import conversation
from tests.server.serving import PATIENCE, RawClient, port_of, serve

if TYPE_CHECKING:
    from collections.abc import Callable

PLUG = "plug://127.0.0.1:0"
SERVICES = tuple(each for each in default_services() if each.name in {"greet", "reply", "echo"})
TITLE = f"anyplug {anyplug.__version__}: name a service, then say what you have to say\n".encode()
MENU = [
    TITLE,
    b"  echo   Answers every message with itself\n",
    b"  greet  Says a greeting and ends\n",
    b"  reply  Answers every message from a table\n",
]


async def test_the_first_line_names_the_service_and_the_rest_are_messages() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        for opening in (b"echo\nhello\n", b"echo\r\nhello\r\n", b"  echo  \nhello"):
            client = await RawClient.to(server.addresses[0])
            await client.say(opening)
            client.end()
            assert await client.hear_all() == b"hello\n"
            await client.close()


async def test_it_works_byte_by_byte() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await RawClient.to(server.addresses[0])
        for byte in b"echo\nGET it\n":
            await client.say(bytes([byte]))
        assert await client.hear_line() == b"GET it\n"
        await client.close()


async def test_anything_else_gets_the_menu_and_another_try() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"help\n")
        assert [await client.hear_line() for _ in MENU] == MENU
        await client.say(b"echo\nnow\n")
        assert await client.hear_line() == b"now\n"
        await client.close()


async def test_somebody_who_says_nothing_is_shown_the_menu() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(handshake=0.05)) as server:
        client = await RawClient.to(server.addresses[0])
        assert [await client.hear_line() for _ in MENU] == MENU
        await client.say(b"greet\n")
        assert await client.hear_all() == b"Welcome to Anyplug!\n"
        await client.close()


async def test_half_a_line_and_then_silence_is_ended() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(handshake=0.05)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"ech")
        assert await client.hear_all() == b"slow: no service was named within 0.05 s\n"
        await client.close()


async def test_too_many_tries_end_it() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"?\n" * 100)
        answer = await client.hear_all()
        assert answer.endswith(b"unknown_service: too many lines that name no service\n")
        assert answer.count(TITLE) == 7
        await client.close()


async def test_a_line_without_an_end_is_bounded() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(message=1000)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"x" * 5000)
        await client.hear_all()
        await client.close()


async def test_what_follows_the_name_is_the_rest_of_the_address() -> None:
    found = []

    async def room(peer: anyplug.Connection[Any]) -> None:
        found.append(peer.rest)

    async with serve(PLUG, services=(conversation("talk", room, type=str),)) as server:
        for line in (b"talk lobby\n", b"talk/lobby\n", b"talk\n"):
            client = await RawClient.to(server.addresses[0])
            await client.say(line)
            await client.hear_all()
            await client.close()
    assert found == ["lobby", "lobby", ""]


async def test_typed_services_speak_json_to_people() -> None:
    async def countdown(peer: anyplug.Connection[int]) -> None:
        async for n in peer:
            for i in reversed(range(n)):
                await peer.send(i)

    async with serve(PLUG, services=(conversation("countdown", countdown, type=int),)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"countdown\n3\n")
        client.end()
        assert await client.hear_all() == b"2\n1\n0\n"
        await client.close()


async def test_nc_reaches_the_echo(program: Callable[[str], str]) -> None:
    async with serve(PLUG, services=SERVICES) as server:
        nc = await asyncio.create_subprocess_exec(
            *(program("nc"), "-q1", "127.0.0.1", str(port_of(server.addresses[0]))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, _ = await nc.communicate(b"echo\nhello\n")
        assert out == b"hello\n"
