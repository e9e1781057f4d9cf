"""A flipped byte or a cut in a store's files is found when it is opened or read; no wrong value ever comes out."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Gap, StoreBusy, StoreDamaged, StoreError, StoreFailed
from anyplug.store import Entry, Producer, SqliteStore
from anyplug.store.wal import check_wal

if TYPE_CHECKING:
    from pathlib import Path

BODIES = [b"p-%d " % n * n for n in range(1, 60)]


async def fill(store: SqliteStore) -> None:
    for n, body in enumerate(BODIES, 1):
        await store.log.append(f"topic {n % 3}", [Entry(body, n, "t", "s", "n")], producer=Producer(b"p", n))
    await store.log.acknowledge("topic 1", "r", 3)
    for n in range(20):
        await store.shelf.put(f"key {n % 4}", b"value %d" % n, time=n)


async def look(store: SqliteStore) -> dict[str, Any]:
    """All that a store answers; a part that it says is damaged is left out."""
    shelf, log = store.shelf, store.log

    async def topics() -> object:
        return sorted((await log.topics()).items())

    async def read(n: int) -> object:
        return [(m.position, m.body, m.received, m.name) for m in (await log.read(f"topic {n}", 1)).messages]

    async def values() -> object:
        return [(v.key, v.version, v.body) for v in await shelf.list()]

    async def changes() -> object:
        return [(v.key, v.version, v.body) for v in await shelf.changes(0)]

    parts: dict[str, Any] = {
        "topics": topics(),
        **{f"read {n}": read(n) for n in range(3)},
        "values": values(),
        "changes": changes(),
        "cursor": log.cursor("topic 1", "r"),
        "watermark": log.watermark(b"p"),
        "version": shelf.version(),
    }
    answers = await asyncio.gather(*parts.values(), return_exceptions=True)
    found = dict(zip(parts, answers, strict=True))
    for name, answer in [*found.items()]:
        if isinstance(answer, BaseException):
            assert isinstance(answer, StoreDamaged), answer
            assert "anyplug.db" in answer.path
            del found[name]
    return found


async def opened(folder: Path, look_at: int = 0) -> dict[str, Any] | StoreError:
    try:
        store = await SqliteStore.open(folder, reserve=0, look_at=look_at)
    except StoreError as error:
        return error
    try:
        return await look(store)
    finally:
        await store.close()


async def test_a_flipped_byte_in_the_database_is_found_and_never_served(folder: Path) -> None:
    store = await SqliteStore.open(folder / "good", reserve=0)
    await fill(store)
    right = await look(store)
    await store.close()
    good = (folder / "good" / "anyplug.db").read_bytes()
    refused = partly = early = 0
    for place in [*range(0, 100, 9), *range(100, len(good), 149)]:
        damaged = folder / "bad"
        damaged.mkdir()
        data = bytearray(good)
        data[place] ^= 0x55
        (damaged / "anyplug.db").write_bytes(data)
        found = await opened(damaged)
        if isinstance(found, StoreError):
            refused += 1
            assert "anyplug.db" in found.path
        else:
            assert found == {name: right[name] for name in found}, place
            if len(found) < len(right):
                partly += 1
                early += isinstance(await opened(damaged, look_at=1000), StoreDamaged)
        shutil.rmtree(damaged)
    assert refused > 20
    assert partly > 20
    assert early == partly  # what is looked at when it is opened is known before anybody asks


async def test_a_database_cut_short_is_refused(folder: Path) -> None:
    store = await SqliteStore.open(folder / "good", reserve=0)
    await fill(store)
    await store.close()
    database = folder / "good" / "anyplug.db"
    good = database.read_bytes()
    for size in (10, 99, 4096, len(good) // 2, len(good) - 4096, len(good) - 1):
        database.write_bytes(good[:size])
        found = await opened(folder / "good")
        assert isinstance(found, StoreDamaged), size
        assert found.path == str(database)


async def crashed(folder: Path) -> tuple[Path, Path]:
    """A store as a kill leaves it, with ten commits in its write-ahead log, and that log."""
    store = await SqliteStore.open(folder / "live", reserve=0)
    for n in range(1, 11):
        await store.log.append("a", [Entry(b"p-%d" % n, n)], producer=Producer(b"p", n))
    shutil.copytree(folder / "live", folder / "killed")
    await store.close()
    return folder / "killed", folder / "killed" / "anyplug.db-wal"


async def left(folder: Path) -> list[bytes]:
    store = await SqliteStore.open(folder, reserve=0)
    bodies = [message.body for message in (await store.log.read("a", 1)).messages]
    if len(bodies) < 10:
        with pytest.raises(Gap):
            await store.log.append("a", [Entry(b"p-11", 0)], producer=Producer(b"p", 11))
    assert await store.log.watermark(b"p") == len(bodies)
    await store.close()
    return bodies


async def test_a_torn_end_of_the_log_is_forgiven_and_what_is_before_it_kept(folder: Path) -> None:
    killed, log = await crashed(folder)
    good = log.read_bytes()
    kept = set()
    for size in range(0, len(good) + 1, 1023):
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(killed, folder / "copy")
        (folder / "copy" / "anyplug.db-wal").write_bytes(good[:size])
        bodies = await left(folder / "copy")
        assert bodies == [b"p-%d" % n for n in range(1, len(bodies) + 1)]
        kept.add(len(bodies))
    assert kept == set(range(10))


async def test_a_flipped_byte_in_the_log_is_refused_unless_nothing_acknowledged_can_follow_it(folder: Path) -> None:
    killed, log = await crashed(folder)
    good = log.read_bytes()
    frames = (len(good) - 32) // 4120
    outcomes = []
    for frame in range(frames):
        for within in (0, 9, 17, 24, 3000):
            shutil.rmtree(folder / "copy", ignore_errors=True)
            shutil.copytree(killed, folder / "copy")
            data = bytearray(good)
            data[32 + frame * 4120 + within] ^= 1
            (folder / "copy" / "anyplug.db-wal").write_bytes(data)
            found = await opened(folder / "copy")
            outcomes.append(isinstance(found, StoreDamaged))
            if isinstance(found, StoreError):
                assert "anyplug.db-wal" in str(found)
            else:
                assert await left(folder / "copy") == [b"p-%d" % n for n in range(1, 10)]
    last = outcomes.index(False)
    assert all(outcomes[:last])
    assert not any(outcomes[last:])
    assert last // 5 >= frames - 5


async def test_a_damaged_head_of_the_log_is_refused(folder: Path) -> None:
    _, log = await crashed(folder)
    good = log.read_bytes()
    check_wal(log)
    for place in range(32):
        data = bytearray(good)
        data[place] ^= 1
        log.write_bytes(data)
        with pytest.raises(StoreDamaged, match="its head is not what was written"):
            check_wal(log)
    for harmless in (b"", good[:31], bytes(32), bytes(5000), good[:32], good[:100]):
        log.write_bytes(harmless)
        check_wal(log)


async def test_damage_met_while_writing_stops_the_store(folder: Path) -> None:
    store = await SqliteStore.open(folder, reserve=0)
    await fill(store)
    connection = store.log._ledger.connection  # type: ignore[attr-defined]
    connection.execute("DROP TABLE reader")
    with pytest.raises(StoreFailed):
        await store.log.acknowledge("topic 1", "r", 4)
    assert store.state == "failed"
    log = (folder / "anyplug.db-wal").read_bytes()
    assert len(log) > 4096
    await store.close()
    assert (folder / "anyplug.db-wal").read_bytes() == log, "left for the next start to look at"
    with pytest.raises(StoreBusy):
        await SqliteStore.open(folder)
