"""Servers with files, for tests, and somebody who asks them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyplug
from anyplug.schemas.files import Answer
from anyplug.services.files import FilesOptions, make_files
from anyplug.store import MemoryStore
from anyplug.store.chunks import chunk_digest, file_digest, split
from anyplug.transfers.carriage import Carriage
from tests.server.serving import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug import Limits, Server
    from tests.server.serving import LogRecords

__all__ = ["PLAIN", "PLUG", "Shown", "asking", "digest_of", "file_server", "names"]

PLUG = "plug://127.0.0.1:0"
PLAIN = "tcp://127.0.0.1:0/files?framing=raw"


class Shown:
    """What a server shows on its terminal."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, topic: str, text: str) -> None:
        self.lines.append((topic, text))
        self._news.set()

    async def until(self, count: int) -> list[str]:
        """So many texts, now or later."""
        async with asyncio.timeout(10):
            while len(self.lines) < count:
                self._news.clear()
                await self._news.wait()
        return [text for _, text in self.lines]


@asynccontextmanager
async def file_server(
    store: Path | None = None,
    *more: str,
    limits: Limits | None = None,
    records: LogRecords | None = None,
    shown: Shown | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Server, str]]:
    """A server with one files service, and the service's address. Files are in memory where no store is given."""

    def set_up(server: Server) -> None:
        server.facilities.show = shown
        server.add(make_files("files", FilesOptions(**options), server.facilities))

    kept: Any = MemoryStore() if store is None else store
    async with serve(PLUG, *more, set_up=set_up, store=kept, limits=limits, records=records) as server:
        yield server, f"{server.addresses[0]}/files"


@asynccontextmanager
async def asking(address: str, **options: Any) -> AsyncIterator[Carriage]:
    """A connection to a files service, to ask it whatever."""
    connection = await anyplug.connect(address, type=Answer, **options)
    try:
        yield Carriage(connection)
    finally:
        await connection.close()


def digest_of(content: bytes) -> bytes:
    return file_digest(b"".join(chunk_digest([chunk]) for chunk in split(content)), len(content))


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())
