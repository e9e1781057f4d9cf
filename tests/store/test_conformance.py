"""Every store keeps the contract, and so does what is left of it after a crash."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from anyplug.store import MemoryLog, MemoryShelf, SqliteStore
from anyplug.testing import check_message_log, check_shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyplug.store import MessageLog, Shelf


class Folders:
    """Opens stores in folders of their own, and knows which is whose."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stores: list[tuple[Path, SqliteStore]] = []

    async def open(self, source: Path | None = None) -> SqliteStore:
        """A new store, or one on a copy of what another has on disk at this moment."""
        folder = self.root / str(len(self.stores))
        if source is not None:
            shutil.copytree(source, folder)
        store = await SqliteStore.open(folder, reserve=0)
        self.stores.append((folder, store))
        return store

    async def log(self) -> MessageLog:
        return (await self.open()).log

    async def shelf(self) -> Shelf:
        return (await self.open()).shelf

    async def crashed(self, part: MessageLog | Shelf) -> SqliteStore:
        """What a crash leaves. The index beside the log is not durable, and may be anything."""
        ((folder, old),) = [each for each in self.stores if part in (each[1].log, each[1].shelf)]
        store = await self.open(folder)
        await old.close()
        return store

    async def crash_log(self, log: MessageLog) -> MessageLog:
        return (await self.crashed(log)).log

    async def crash_shelf(self, shelf: Shelf) -> Shelf:
        return (await self.crashed(shelf)).shelf


@pytest.fixture
def folders(folder: Path) -> Iterator[Folders]:
    folders = Folders(folder)
    yield folders
    assert all(store.state == "closed" for _, store in folders.stores)


async def test_a_log_in_memory() -> None:
    async def make() -> MessageLog:
        return MemoryLog()

    await check_message_log(make)


async def test_a_shelf_in_memory() -> None:
    async def make() -> Shelf:
        return MemoryShelf()

    await check_shelf(make)


async def test_a_log_on_disk(folders: Folders) -> None:
    await check_message_log(folders.log, crash=folders.crash_log)


async def test_a_shelf_on_disk(folders: Folders) -> None:
    await check_shelf(folders.shelf, crash=folders.crash_shelf)
