"""Servers with an inbox, on stores that do what a test wants."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyplug.services import InboxOptions, make_inbox
from anyplug.store import MemoryLog, MemoryStore
from tests.server.serving import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from anyplug.limits import Limits
    from anyplug.messages import Event
    from anyplug.server.server import Server
    from anyplug.store import Entry, Producer, Receipt
    from tests.server.serving import LogRecords, PlugClient

__all__ = ["PLUG", "TYPES", "MovableLog", "hear", "keeping", "movable", "wait_for_posts"]

PLUG = "plug://127.0.0.1:0"


class MovableLog(MemoryLog):
    """A log that fails as told, and whose appends can be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        """What the next calls raise."""
        self.gate = asyncio.Event()
        """Appends wait for it."""
        self.gate.set()
        self.begun = asyncio.Event()
        """An append has begun."""
        self._appending: set[asyncio.Task[None]] = set()

    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        self.begun.set()
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return await super().append(topic, entries, producer=producer)

    def append_soon(
        self,
        topic: str,
        entries: Sequence[Entry],
        done: Callable[[Receipt | Exception], None],
        *,
        producer: Producer | None = None,
    ) -> None:
        async def append() -> None:
            try:
                receipt = await self.append(topic, entries, producer=producer)
            except Exception as error:  # noqa: BLE001 - as the one that waits in no task
                done(error)
            else:
                done(receipt)

        task = asyncio.ensure_future(append())
        self._appending.add(task)
        task.add_done_callback(self._appending.discard)

    async def finish(self) -> None:
        """Wait for appends under way, as long as the gate is open."""
        if self.gate.is_set():
            await asyncio.gather(*self._appending)


def movable() -> tuple[MemoryStore, MovableLog]:
    """A store with such a log."""
    store, log = MemoryStore(), MovableLog()
    store.log = log
    return store, log


@asynccontextmanager
async def keeping(
    *addresses: str,
    store: MemoryStore | None = None,
    limits: Limits | None = None,
    records: LogRecords | None = None,
    spaces: Sequence[str] = (),
    **options: Any,
) -> AsyncIterator[tuple[Server, str]]:
    """A server with the service ``inbox``, and the address of its topic ``log``.

    ``spaces`` are further inboxes, by name, that share its topics.
    """

    def set_up(server: Server) -> None:
        server.add(make_inbox("inbox", InboxOptions(**options), server.facilities))
        for name in spaces:
            server.add(make_inbox(name, InboxOptions(space="inbox", **options), server.facilities))

    kept = store or MemoryStore()
    async with serve(PLUG, *addresses, limits=limits, set_up=set_up, records=records, store=kept) as server:
        yield server, f"{server.addresses[0]}/inbox/log"


TYPES = {
    "msgpack": "application/msgpack",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
    "objects": "application/vnd.anyplug.objects",
}


async def hear(client: PlugClient, count: int) -> list[Event]:
    """So many events."""
    events: list[Event] = []
    while len(events) < count:
        more = await client.events()
        assert more, events
        events += more
    return events


async def wait_for_posts(server: Server, count: int) -> None:
    """Until so many batches wait behind the one that is being kept."""
    async with asyncio.timeout(10):
        while all(len(link.sink._waiting) < count for link in server._context.links):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
