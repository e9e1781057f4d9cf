"""Rooms for tests, and ways into them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

import anyplug
from anyplug.schemas.talk import Event
from anyplug.services import Facilities, TalkOptions, make_talk
from tests.server.serving import RawClient

__all__ = ["LINES", "NOW", "PLUG", "Remembered", "enter", "enter_lines", "hear", "rooms"]

PLUG = "plug://127.0.0.1:0"
LINES = "tcp://127.0.0.1:0/talk"
NOW = 1_000


class Remembered(dict[str, Any]):
    """The rooms that a service remembers, in place of its own dictionary: it tells when there are none any more."""

    def __init__(self, facilities: Facilities) -> None:
        halls: Any = facilities.shared("talk talk", lambda: None)
        super().__init__(halls._halls)
        halls._halls = self
        self._news = asyncio.Event()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._news.set()

    async def gone(self) -> None:
        """Wait until no room is remembered."""
        async with asyncio.timeout(10):
            while self:
                self._news.clear()
                await self._news.wait()


def rooms(facilities: Facilities | None = None, **options: Any) -> anyplug.server.Service:
    return make_talk("talk", TalkOptions(**options), facilities or Facilities(clock=lambda: NOW))


async def enter(address: str, rest: str = "lobby") -> anyplug.Connection[Any]:
    """Somebody in a room, over plug."""
    where = msgspec.structs.replace(anyplug.Address.parse(address), service="talk", rest=rest)
    peer: anyplug.Connection[Any] = await anyplug.connect(where, type=Event)
    return peer


async def enter_lines(address: str, first: str = "") -> RawClient:
    """Somebody with nc."""
    client = await RawClient.to(address)
    if first:
        await client.say(first.encode())
    return client


async def hear(client: RawClient, *lines: str) -> None:
    """These lines come next."""
    assert [(await client.hear_line()).decode() for _ in lines] == [f"{line}\n" for line in lines]
