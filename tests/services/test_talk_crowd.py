"""Many in one room."""

from __future__ import annotations

import asyncio
from typing import Any

from anyplug import Limits
from anyplug.services import Facilities, TalkOptions, make_talk
from tests.joined import Joined
from tests.server.serving import serve

CROWD = 1_000


async def test_a_crowd_hears_the_same_but_the_own_words() -> None:
    service = make_talk("talk", TalkOptions(), Facilities())
    crowd = [Joined(service, plain="lines") for _ in range(200)]
    for both in crowd:
        assert (await both.peer.receive(20)).startswith("* you are guest-")
    for both in crowd[::20]:
        for number in range(10):
            await both.peer.send(f"message {number}")
    heard: dict[int, list[str]] = {}
    for number, both in enumerate(crowd):
        heard[number] = []
        while len(heard[number]) < (90 if number % 20 == 0 else 100):
            heard[number] += [line for line in await both.peer.receive_many(20) if not line.startswith("*")]
    order = heard[1]
    assert len(order) == 100
    for number, lines in heard.items():
        assert lines == [line for line in order if not line.startswith(f"guest-{number + 1}:")]
    for both in crowd:
        both.client.abort()
    for both in crowd:
        await both.over()


class Member(asyncio.Protocol):
    """A socket that counts."""

    def __init__(self) -> None:
        self.heard = b""
        self.news = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.news.set()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(20):
            while text not in self.heard:
                self.news.clear()
                await self.news.wait()


async def test_a_thousand_on_sockets_hear_each_other() -> None:
    limits = Limits(connections_per_address=2 * CROWD)
    service = make_talk("talk", TalkOptions(), Facilities())
    async with serve("tcp://127.0.0.1:0/talk", services=(service,), limits=limits) as server:
        loop = asyncio.get_running_loop()
        port = int(server.addresses[0].partition("?")[0].rpartition("/")[0].rpartition(":")[2])
        crowd = [(await loop.create_connection(Member, "127.0.0.1", port))[1] for _ in range(CROWD)]
        for member in crowd:
            await member.until(b"* you are guest-")
        await crowd[0].until(b"(1,000 here)")
        crowd[0].transport.write(b"hello\n")
        crowd[-1].transport.write(b"hello\n")
        for member in crowd[1:-1]:
            await member.until(b"guest-1: hello\n")
            await member.until(b"guest-1000: hello\n")
        for member in crowd:
            member.transport.close()
        async with asyncio.timeout(20):
            while server.connections:
                await asyncio.sleep(0)
