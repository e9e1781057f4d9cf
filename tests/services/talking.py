"""Rooms for tests, and ways into them."""

from __future__ import annotations

from typing import Any

import msgspec

import anyplug
from anyplug.schemas.talk import Event
from anyplug.services import Facilities, TalkOptions, make_talk
from tests.server.serving import RawClient

__all__ = ["LINES", "NOW", "PLUG", "enter", "enter_lines", "hear", "rooms"]

PLUG = "plug://127.0.0.1:0"
LINES = "tcp://127.0.0.1:0/talk"
NOW = 1_000


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
