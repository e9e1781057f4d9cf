"""Servers with a shelf, for tests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyplug.services.shelf import ShelfOptions, make_shelf
from anyplug.store import MemoryStore
from tests.server.serving import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyplug import Limits, Server
    from tests.server.serving import LogRecords

__all__ = ["PLUG", "shelf_server"]

PLUG = "plug://127.0.0.1:0"


@asynccontextmanager
async def shelf_server(
    store: Any = None,
    *more: str,
    at: str = PLUG,
    limits: Limits | None = None,
    records: LogRecords | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Server, str]]:
    """A server with one shelf, and the shelf's address.

    Args:
        store: where values are; by default in memory.
        more: other addresses to listen on.
        at: the first address to listen on.
        limits: of the server.
        records: where its log goes.
        options: of the shelf.
    """

    def set_up(server: Server) -> None:
        server.add(make_shelf("shelf", ShelfOptions(**options), server.facilities))

    kept = MemoryStore() if store is None else store
    async with serve(at, *more, set_up=set_up, store=kept, limits=limits, records=records) as server:
        yield server, f"{server.addresses[0]}/shelf"
