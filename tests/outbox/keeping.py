"""A service that keeps posts in a store's log, as an inbox does, and nothing more; and servers that offer it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyplug import Server
from anyplug.messages import Acked, Kept, Nacked, Producer, Refusal
from anyplug.services.base import visited
from anyplug.services.visits import Guest, Visit
from anyplug.store import Entry
from tests.server.serving import LogRecords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyplug.errors import Code
    from anyplug.services.base import Service
    from anyplug.store import Store

__all__ = ["Keeper", "kept", "serve"]


class Keeper:
    """The service. Tests set what it refuses, and see who came.

    Attributes:
        refuses: body to code: these are never taken.
        refusal: what every post is refused with while it is set.
        most: posts that are taken before the rest of a batch is refused as `busy`; 0 for any number.
        guests: who came, in order.
        weak: whether acknowledgements say that it is kept in memory.
        batches: how many posts came together.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.refuses: dict[bytes, Code] = {}
        self.refusal: Code | None = None
        self.guests: list[Guest] = []
        self.weak = False
        self.batches: list[int] = []
        self.came = asyncio.Event()

    def service(self, name: str = "inbox") -> Service:
        """To be added to a server."""
        return visited(name, self.open)

    def open(self, guest: Guest) -> Visit:
        """Somebody comes."""
        self.guests.append(guest)
        self.came.set()
        return _Keeping(self, guest)


class _Keeping(Visit):
    def __init__(self, keeper: Keeper, guest: Guest) -> None:
        self._keeper = keeper
        self._guest = guest

    async def say(self, bodies: list[bytes]) -> None:
        """Nothing is kept that wants no acknowledgement."""

    async def post(self, items: list[tuple[int, bytes]]) -> list[Acked | Nacked]:
        """Append what is not refused."""
        keeper = self._keeper
        keeper.batches.append(len(items))
        if keeper.refusal is not None:
            return [Nacked(items[0][0], Refusal(keeper.refusal, "the test says so"))]
        bad = next((place for place, (_, body) in enumerate(items) if body in keeper.refuses), None)
        good = items[:bad]
        verdicts: list[Acked | Nacked] = []
        if good:
            producer = Producer(self._guest.producer, good[0][0]) if self._guest.producer else None
            entries = [Entry(body, 1, self._guest.codec.name) for _, body in good]
            receipt = await keeper.store.log.append(self._guest.rest or "log", entries, producer=producer)
            how = Kept.MEMORY if keeper.weak else Kept.SYNCED
            verdicts.append(Acked(good[0][0], len(good), receipt.positions[0], how))
        if bad is not None:
            sequence, body = items[bad]
            verdicts.append(Nacked(sequence, Refusal(keeper.refuses[body], "the test says so")))
        return verdicts


@asynccontextmanager
async def serve(keeper: Keeper, address: str = "plug://127.0.0.1:0", **options: object) -> AsyncIterator[str]:
    """A server with the service; the address of its topic."""
    server = Server(log=LogRecords().log(), **options)  # type: ignore[arg-type]
    server.add(keeper.service())
    await server.start(address)
    try:
        yield f"{server.addresses[0]}/inbox/log"
    finally:
        await server.drain(0)


async def kept(store: Store, topic: str = "log", *, after: int = 0) -> list[bytes]:
    """What a topic holds behind a position, in order."""
    found: list[bytes] = []
    while messages := (await store.log.read(topic, after + len(found) + 1)).messages:
        found += [message.body for message in messages]
    return found
