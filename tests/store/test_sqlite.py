"""The store on disk: how it is set, who may have it, how commits gather, and what it does when it is reopened."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreBusy, StoreError, StoreFull
from anyplug.store import Entry, Producer, Retention, SqliteStore
from anyplug.store.sqlite_files import Files
from anyplug.store.sqlite_readers import open_connection
from anyplug.store.sqlite_schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(folder, reserve=0)
    yield store
    await store.close()


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    return store.log._ledger.connection  # type: ignore[attr-defined,no-any-return]


async def test_every_commit_is_synced_and_the_writer_alone_writes_the_log_back(store: SqliteStore) -> None:
    settings = ("journal_mode", "synchronous", "wal_autocheckpoint", "application_id", "user_version")
    found = [connection_of(store).execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert found == ["wal", 2, 0, 0x506C7567, len(VERSIONS)]


async def test_readers_cannot_write(store: SqliteStore, folder: Path) -> None:
    reader = open_connection(folder / "anyplug.db", mode="ro")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM message")
    reader.close()


async def test_a_second_store_in_the_same_folder_is_refused_with_the_reason(store: SqliteStore, folder: Path) -> None:
    with pytest.raises(StoreBusy, match=f"process {os.getpid()} holds it"):
        await SqliteStore.open(folder)
    await store.log.append("a", [Entry(b"still there", 0)])


async def test_a_second_process_is_refused_with_the_reason(store: SqliteStore, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.store.worker", str(folder), "batch", "p", "1", "1"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "error StoreBusy opening\n"


async def test_a_store_that_was_closed_is_as_it_was_and_keeps_its_generation(folder: Path) -> None:
    first = await SqliteStore.open(folder / "new" / "deep", reserve=0)
    await first.log.append("a", [Entry(b"x", 5)], producer=Producer(b"p", 1))
    await first.shelf.put("k", b"v", time=1)
    await first.close()
    await first.close()
    assert first.state == "closed"
    second = await SqliteStore.open(folder / "new" / "deep", reserve=0)
    assert second.generation == first.generation
    assert [each.body for each in (await second.log.read("a", 1)).messages] == [b"x"]
    assert await second.log.wait("a", 0) == 1
    assert await second.shelf.wait(0) == 1
    assert (folder / "new" / "deep").stat().st_mode & 0o777 == 0o700
    assert {each.name for each in (folder / "new" / "deep").iterdir()} >= {"anyplug.db", "lock"}
    await second.close()
    assert {each.name for each in (folder / "new" / "deep").iterdir()} == {"anyplug.db", "lock"}
    other = await SqliteStore.open(folder / "other", reserve=0)
    assert other.generation != first.generation
    await other.close()


async def test_appends_at_the_same_time_share_commits(store: SqliteStore) -> None:
    await store.log.append("a", [Entry(b"", 0)])
    before = store.commits
    await asyncio.gather(*(store.log.append("a", [Entry(b"", 0)]) for _ in range(500)))
    assert store.commits - before <= 5
    before = store.commits
    await asyncio.gather(*(store.log.append("a", [Entry(b"", 0)] * 400) for _ in range(5)))
    assert store.commits - before >= 3, "at most 1,000 messages a commit"
    before = store.commits
    await asyncio.gather(*(store.log.append("a", [Entry(bytes(600_000), 0)]) for _ in range(4)))
    assert store.commits - before == 4, "at most 1 MiB a commit"


async def test_a_refused_append_does_not_hurt_those_it_shares_a_commit_with(store: SqliteStore) -> None:
    good = [store.log.append("a", [Entry(b"%d" % n, 0)], producer=Producer(b"p", n)) for n in range(1, 11)]
    bad = [store.log.append("a", [Entry(b"bad", 0)], producer=Producer(b"q", n)) for n in range(2, 12)]
    mixed = [each for pair in zip(good, bad, strict=True) for each in pair]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    assert [type(each).__name__ for each in results] == ["Receipt", "Gap"] * 10
    assert [each.body for each in (await store.log.read("a", 1)).messages] == [b"%d" % n for n in range(1, 11)]


async def test_an_append_whose_caller_left_hurts_nobody(store: SqliteStore) -> None:
    tasks = [asyncio.ensure_future(store.log.append("a", [Entry(b"%d" % n, 0)])) for n in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[3], asyncio.CancelledError)
    positions = [each.positions[0] for each in done if not isinstance(each, BaseException)]
    assert positions == sorted(set(positions))


async def test_the_log_of_a_long_life_is_written_back(store: SqliteStore, folder: Path) -> None:
    for _ in range(40):
        await store.log.append("a", [Entry(bytes(1024 * 1024), 0)])
    assert (folder / "anyplug.db-wal").stat().st_size < 16 * 1024 * 1024


async def test_a_trim_of_more_than_a_slice(store: SqliteStore) -> None:
    await store.log.append("a", [Entry(b"x", n) for n in range(2_500)])
    span = await store.log.trim("a", Retention(bytes=10), now=0)
    assert (span.first, span.last) == (2_491, 2_500)


async def test_below_the_free_room_writes_are_refused_and_reads_and_deletions_go_on(folder: Path) -> None:
    store = await SqliteStore.open(folder, reserve=0)
    await store.log.append("a", [Entry(b"x", 0)] * 3)
    await store.shelf.put("k", b"v", time=0)
    await store.close()
    room = Files(folder).room()
    files = store._files
    store = await SqliteStore.open(folder, reserve=0)
    files = store._files
    files._free = 2 * room
    with pytest.raises(StoreFull, match="bytes of the disk are free"):
        await store.log.append("a", [Entry(b"y", 0)])
    with pytest.raises(StoreFull):
        await store.shelf.put("k", b"w", time=0)
    assert store.state == "full"
    assert len((await store.log.read("a", 1)).messages) == 3
    assert (await store.log.acknowledge("a", "r", 2)).acknowledged == 2
    assert (await store.log.trim("a", Retention(count=1), now=0)).first == 3
    assert await store.shelf.delete("k", time=0) == 2
    files._free = 0
    assert (await store.log.append("a", [Entry(b"y", 0)])).positions == [4]
    assert store.state == "open"
    await store.close()


async def test_a_database_that_cannot_grow_refuses_and_resumes(store: SqliteStore) -> None:
    """As on a disk without any room: what would need more pages is refused, what needs none is not."""
    await store.log.append("a", [Entry(b"x" * 1000, 0)] * 10)
    connection = connection_of(store)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        await store.log.append("a", [Entry(bytes(100_000), 0)])
    assert store.state == "full"
    assert (await store.log.read("a", 10)).span.last == 10
    await store.log.acknowledge("a", "r", 10)
    await store.log.trim("a", Retention(count=0), now=0)
    connection.execute("PRAGMA max_page_count = 1000000")
    receipt = await store.log.append("a", [Entry(bytes(100_000), 0)])
    assert receipt.positions == [11]
    assert store.state == "open"


async def test_the_reserve_is_given_up_for_what_makes_room_and_made_again(folder: Path) -> None:
    store = await SqliteStore.open(folder, reserve=1024 * 1024)
    reserve = folder / "reserve"
    assert reserve.stat().st_size == 1024 * 1024
    connection = connection_of(store)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    await store.log.append("a", [Entry(b"x", 0)])
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for n in range(200):
        try:
            await store.log.append("a", [Entry(b"x" * 100, 0)])
            await store.log.delivered("a", "r" * 200 + str(n), 1)
        except StoreFull:
            pass
    assert not reserve.exists()
    connection.execute("PRAGMA max_page_count = 1000000")
    while not reserve.exists():
        await store.log.append("a", [Entry(bytes(1024 * 1024), 0)])
    await store.close()


async def test_a_folder_that_cannot_be_used_is_named(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="it cannot be used"):
        await SqliteStore.open(folder / "file")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("PRAGMA user_version = 99", "it has version 99, this program knows 2"),
        ("PRAGMA application_id = 1", "a database of another program"),
    ],
)
async def test_a_database_of_somebody_else_is_left_alone(folder: Path, statement: str, says: str) -> None:
    store = await SqliteStore.open(folder, reserve=0)
    await store.close()
    connection = sqlite3.connect(folder / "anyplug.db")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=says):
        await SqliteStore.open(folder)


async def test_another_programs_tables_are_left_alone(folder: Path) -> None:
    connection = sqlite3.connect(folder / "anyplug.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreError, match="a database of another program"):
        await SqliteStore.open(folder)


async def test_a_folder_that_vanishes_stops_the_store(folder: Path) -> None:
    store = await SqliteStore.open(folder / "gone", reserve=0)
    shutil.rmtree(folder / "gone")
    waiting = asyncio.ensure_future(store.log.wait("a", 0))
    await asyncio.sleep(0)
    tried = [store.log.append("a", [Entry(b"x", 0)]), store.log.append("a", [Entry(b"y", 0)]), waiting]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert [type(each).__name__ for each in results] == ["StoreFailed"] * 3
    assert store.state == "failed"
    with pytest.raises(StoreError, match="has stopped"):
        await store.shelf.put("k", b"", time=0)
    await store.close()
    assert store.state == "failed"
