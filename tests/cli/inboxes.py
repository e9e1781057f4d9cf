"""An Anyplug server with an inbox, in a thread, on a store in memory."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import anyplug.blocking
from anyplug import Server
from anyplug.server import Log
from anyplug.services import InboxOptions, make_inbox
from anyplug.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.store import Retention

__all__ = ["InboxServer", "inbox_server"]


class InboxServer(NamedTuple):
    """Such a server."""

    place: str
    """HOST:PORT/inbox/log."""
    store: MemoryStore
    loop: asyncio.AbstractEventLoop

    def kept(self) -> list[Any]:
        """The values in the topic."""
        with self.inbox() as inbox:
            return [each.value for each in inbox.read(limit=100_000)]

    def post(self, *messages: Any, **options: Any) -> None:
        """Put messages into the topic."""
        with self.inbox(**options) as inbox:
            inbox.post_many(messages)

    def inbox(self, **options: Any) -> anyplug.blocking.Inbox:
        """The topic."""
        return anyplug.blocking.Inbox(f"plug://{self.place}", **options)

    def trim(self, retention: Retention) -> None:
        """Remove what is not kept."""
        trimming = self.store.log.trim("inbox/log", retention, now=0)
        asyncio.run_coroutine_threadsafe(trimming, self.loop).result(20)


@contextmanager
def inbox_server(store: MemoryStore | None = None, **options: Any) -> Iterator[InboxServer]:
    """A running server; ended with the block."""
    ready: threading.Event = threading.Event()
    found: list[InboxServer] = []
    stop: list[asyncio.Event] = []
    kept = store or MemoryStore()

    async def main() -> None:
        logger = logging.Logger("quiet")  # noqa: LOG001 - a logger of its own
        server = Server(store=kept, log=Log(logger))
        server.add(make_inbox("inbox", InboxOptions(**options), server.facilities))
        await server.start("plug://127.0.0.1:0")
        stop.append(asyncio.Event())
        place = server.addresses[0].removeprefix("plug://")
        found.append(InboxServer(f"{place}/inbox/log", kept, asyncio.get_running_loop()))
        ready.set()
        await stop[0].wait()
        await server.drain(0)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(20), "the server did not start"
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(stop[0].set)
        thread.join(20)
