"""A visited service in the hands of a test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from anyplug.messages import Acked, Nacked, Refusal
from anyplug.services.base import visited
from anyplug.services.visits import Visit
from tests.server.serving import PlugClient

if TYPE_CHECKING:
    from anyplug.codes import Code
    from anyplug.messages import Event
    from anyplug.services.base import Service
    from anyplug.services.visits import Guest

__all__ = ["PLUG", "Keeper", "hear", "opened", "post"]

PLUG = "plug://127.0.0.1:0"


class Keeper:
    """A service that keeps posts and messages in lists, and does as it is told.

    Attributes:
        said: batches of messages.
        posted: runs of posts.
        asked: requests, from when they are being answered.
        gate: what everything waits for before it is done.
        raising: raised in place of the next thing that is done.
        refuse: sequences that are not taken, and why.
        ended: how many visits have ended.
        guests: who came.
    """

    def __init__(self) -> None:
        self.said: list[list[bytes]] = []
        self.posted: list[list[tuple[int, bytes]]] = []
        self.asked: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.raising: Exception | None = None
        self.refuse: dict[int, tuple[Code, str]] = {}
        self.ended = 0
        self.guests: list[Guest] = []
        self.news = asyncio.Event()

    def service(self, *, type: Any = str) -> Service:
        return visited("keeper", self.open, type=type, about="Keeps what is posted")

    def open(self, guest: Guest) -> Visit:
        self.guests.append(guest)
        self.check()
        return _Visit(self)

    def check(self) -> None:
        if self.raising is not None:
            raising, self.raising = self.raising, None
            raise raising

    async def pass_gate(self) -> None:
        self.news.set()
        await self.gate.wait()
        self.check()

    async def until(self, count: int, things: list[bytes] | list[list[bytes]] | list[list[tuple[int, bytes]]]) -> None:
        """Wait until so many things have begun to be done."""
        async with asyncio.timeout(10):
            while len(things) < count:
                self.news.clear()
                await self.news.wait()


class _Visit(Visit):
    at_once = 2

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    async def say(self, bodies: list[bytes]) -> None:
        self.keeper.said.append(bodies)
        await self.keeper.pass_gate()

    async def answer(self, body: bytes) -> bytes:
        self.keeper.asked.append(body)
        await self.keeper.pass_gate()
        return b"re: " + body

    async def post(self, items: list[tuple[int, bytes]]) -> list[Acked | Nacked]:
        self.keeper.posted.append(items)
        await self.keeper.pass_gate()
        first = items[0][0]
        for at, (sequence, _) in enumerate(items):
            if sequence in self.keeper.refuse:
                refusal = Refusal(*self.keeper.refuse[sequence])
                return [*([Acked(first, at, first)] if at else []), Nacked(sequence, refusal)]
        return [Acked(first, len(items), first)]

    def ended(self) -> None:
        self.keeper.ended += 1


async def hear(client: PlugClient, count: int) -> list[Event]:
    """So many events, or fewer at the end."""
    events: list[Event] = []
    while len(events) < count and (more := await client.events()):
        events += more
    return events


async def opened(server: Any, **fields: Any) -> PlugClient:
    client = await PlugClient.to(server.addresses[0])
    welcome = await client.open("keeper", codec="text", **fields)
    assert (welcome.asks, welcome.posts) == (True, True)
    return client


async def post(client: PlugClient, first: int, *bodies: bytes) -> None:
    client.session.send_posts(first, bodies)
    await client.flush()
