"""On what a store of files is opened, and what it makes of an index or a folder that is not what it should be."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreDamaged, StoreError, StoreFailed
from anyplug.store import FileLimits, FolderFiles, Offer, Small

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FREE = FileLimits(free=0)


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[FolderFiles]:
    store = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
    yield store
    await store.close()


async def put(store: FolderFiles, label: str, data: bytes = b"x") -> str:
    (result,) = await store.put_many([Small(Offer(label=label), data)], now=1)
    assert not isinstance(result, Exception), result
    return result.name


async def test_a_folder_that_cannot_be_used_is_told(folder: Path) -> None:
    (folder / "file").write_text("a file")
    with pytest.raises(StoreError):
        await FolderFiles.open(folder / "file")
    await (await FolderFiles.open(folder / "store", limits=FREE, reserve=0)).close()
    hidden = folder / "store" / ".anyplug"
    shutil.rmtree(hidden / "staging")
    (hidden / "staging").write_text("in the way")
    with pytest.raises(StoreError):
        await FolderFiles.open(folder / "store")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("PRAGMA user_version = 9", "it has version 9"),
        ("PRAGMA application_id = 1", "another program"),
        ("UPDATE file SET name = 'y'", "is not what was written"),
        ("UPDATE file SET digest = zeroblob(32)", "is not what was written"),
    ],
)
async def test_an_index_that_is_not_as_it_was_written_is_told(
    store: FolderFiles, folder: Path, statement: str, says: str
) -> None:
    await put(store, "x")
    await store.close()
    with sqlite3.connect(folder / "store" / ".anyplug" / "anyplug.db") as database:
        database.execute(statement)
    database.close()
    with pytest.raises(StoreError, match=says):
        again = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
        try:
            await again.list()
        finally:
            await again.close()


async def test_digests_that_are_not_what_was_written_are_found(store: FolderFiles, folder: Path) -> None:
    await put(store, "x")
    await store.close()
    with sqlite3.connect(folder / "store" / ".anyplug" / "anyplug.db") as database:
        database.execute("UPDATE piece SET digests = zeroblob(32)")
    database.close()
    again = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
    with pytest.raises(StoreDamaged, match="digests"):
        await again.reader("x")
    await again.close()


async def test_a_folder_that_vanishes_stops_the_store(store: FolderFiles, folder: Path) -> None:
    shutil.rmtree(folder / "store")
    with pytest.raises(StoreFailed):
        await store.begin(Offer(label="x"), now=1)
    assert store.state == "failed"
    with pytest.raises(StoreFailed):
        await store.list()
    with pytest.raises(StoreFailed):
        await store.put_many([], now=1)


async def test_an_index_that_is_no_database_is_told(store: FolderFiles, folder: Path) -> None:
    await store.close()
    database = folder / "store" / ".anyplug" / "anyplug.db"
    good = database.read_bytes()
    for damaged in (b"no database" * 1000, good[:4096] + bytes(len(good) - 4096)):
        database.write_bytes(damaged)
        with pytest.raises(StoreDamaged, match=r"anyplug\.db"):
            await FolderFiles.open(folder / "store", limits=FREE, reserve=0)


async def test_a_damaged_row_refuses_its_batch_and_leaves_nothing_of_it(store: FolderFiles, folder: Path) -> None:
    await put(store, "x")
    with sqlite3.connect(folder / "store" / ".anyplug" / "anyplug.db") as database:
        database.execute("UPDATE file SET size = 99")
    database.close()
    smalls = [Small(Offer(label=label), b"new") for label in ("y", "x")]
    results = await store.put_many(smalls, now=1)
    assert [type(each) for each in results] == [StoreDamaged, StoreDamaged]
    assert await put(store, "y", b"new") == "y"
    assert sorted(path.name for path in (folder / "store").glob("[!.]*")) == ["x", "y"]


async def test_a_transfer_that_cannot_be_read_is_told_and_the_folder_let_go(store: FolderFiles, folder: Path) -> None:
    lease = await store.begin(Offer(label="x"), now=1)
    await store.close()
    journal = folder / "store" / ".anyplug" / "staging" / f"{lease.id}.journal"
    journal.unlink()
    journal.mkdir()
    for _ in range(2):
        with pytest.raises(StoreFailed, match="EISDIR"):
            await FolderFiles.open(folder / "store", limits=FREE, reserve=0)


async def test_a_large_index_is_written_back_on_its_way(store: FolderFiles, folder: Path) -> None:
    for turn in range(4):
        smalls = [Small(Offer(label=f"{turn}/{number}"), b"x") for number in range(700)]
        assert not [each for each in await store.put_many(smalls, now=1) if isinstance(each, Exception)]
    assert (folder / "store" / ".anyplug" / "anyplug.db").stat().st_size > 200_000
    assert len(await store.list(limit=5000)) == 2800
