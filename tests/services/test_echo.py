"""The echo, and the echo of the tutorials."""

from __future__ import annotations

import re
import time

import pytest

import anyplug
from anyplug.services import EchoOptions, make_echo
from tests.server.serving import RawClient, serve

PLUG = "plug://127.0.0.1:0"


@pytest.mark.parametrize("codec", ["msgpack", "json", "text", "bytes"])
async def test_an_echo_gives_back_what_it_got_in_any_codec(codec: str) -> None:
    message = {"msgpack": {"a": [1, b"x", None]}, "json": [1, "x"], "text": "世界", "bytes": b"\x00\xff"}[codec]
    async with serve(PLUG, services=(make_echo("echo", EchoOptions()),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/echo?codec={codec}") as peer:
            assert await peer.ask(message) == message
            await peer.send(message)
            assert await peer.receive(5) == message


async def test_a_stamped_echo_puts_the_time_of_c_before_each_chunk() -> None:
    service = make_echo("echo", EchoOptions(timestamp=True))
    async with serve("tcp://127.0.0.1:0/echo?framing=raw", PLUG, services=(service,)) as server:
        plain, plug = server.addresses
        client = await RawClient.to(plain)
        before = time.time()
        await client.say("héllo".encode())
        found = re.fullmatch(r"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\] héllo", (await client.hear()).decode())
        assert found
        assert before - 1 <= time.mktime(time.strptime(found[1])) <= time.time()
        await client.close()
        async with anyplug.connect(f"{plug}/echo") as peer:
            assert re.fullmatch(r"\[.{24}\] \[1, 2\]", await peer.ask([1, 2]))


async def test_a_character_split_over_two_chunks_comes_back_whole() -> None:
    service = make_echo("echo", EchoOptions(timestamp=True))
    async with serve("tcp://127.0.0.1:0/echo?framing=raw", services=(service,)) as server:
        client = await RawClient.to(server.addresses[0])
        whole = "世".encode()
        await client.say(whole[:1])
        await client.say(whole[1:])
        assert (await client.hear()).decode().endswith("] 世")
        await client.close()
