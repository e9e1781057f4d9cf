"""The newest changes of a shelf, for its watchers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreError
from anyplug.services.shelf_feed import RECENT_BYTES, RECENT_MANY, Feed
from anyplug.store import MemoryShelf

if TYPE_CHECKING:
    from anyplug.store import Value


async def read(feed: Feed, after: int, *, limit: int = 10_000) -> tuple[list[int], int]:
    found, version = await feed.read(after, "s/", limit=limit, most=1 << 40)
    return versions(found), version


def versions(found: list[Value]) -> list[int]:
    return [value.version for value in found]


async def caught_up(feed: Feed, version: int) -> None:
    """Wait until the feed has seen this version."""
    while not await feed.wait(version - 1, 5):
        pass


async def test_what_is_read_is_the_same_with_and_without_watchers() -> None:
    shelf = MemoryShelf()
    feed = Feed(shelf, "s/")
    for n in range(5):
        await shelf.put(f"s/{n}", b"", time=0)
        await shelf.put(f"other/{n}", b"", time=0)
    before = [await read(feed, after, limit=limit) for after in range(11) for limit in (1, 2, 9)]
    feed.enter()
    await caught_up(feed, 10)
    assert [await read(feed, after, limit=limit) for after in range(11) for limit in (1, 2, 9)] == before
    await shelf.put("s/new", b"", time=0)
    await shelf.put("other/new", b"", time=0)
    await caught_up(feed, 12)
    assert [await read(feed, after) for after in (9, 10, 11, 12)] == [([11], 11), ([11], 11), ([], 12), ([], 12)]
    feed.leave()
    await shelf.put("s/later", b"", time=0)
    assert await read(feed, 11) == ([13], 13)


@pytest.mark.parametrize(("many", "size"), [(RECENT_MANY + 50, 0), (6, RECENT_BYTES // 4)])
async def test_what_is_kept_has_a_bound_and_older_changes_come_from_the_store(many: int, size: int) -> None:
    shelf = MemoryShelf()
    feed = Feed(shelf, "s/")
    feed.enter()
    await asyncio.sleep(0)
    for n in range(many):
        await shelf.put(f"s/{n}", bytes(size), time=0)
        if not n % 100:
            await asyncio.sleep(0)
    await caught_up(feed, many)
    assert len(feed._recent) <= RECENT_MANY
    assert feed._size == sum(len(value.body) for value in feed._recent) <= RECENT_BYTES
    assert feed._floor > 0
    assert await read(feed, 0) == (list(range(1, many + 1)), many)
    assert await read(feed, feed._floor) == (list(range(feed._floor + 1, many + 1)), many)
    feed.leave()


async def test_one_change_is_kept_however_large() -> None:
    shelf = MemoryShelf()
    feed = Feed(shelf, "s/")
    feed.enter()
    await asyncio.sleep(0)
    await shelf.put("s/a", bytes(RECENT_BYTES + 1), time=0)
    await caught_up(feed, 1)
    assert len(feed._recent) == 1
    feed.leave()


async def test_a_wait_ends_with_its_time_with_a_change_or_with_the_store() -> None:
    shelf = MemoryShelf()
    feed = Feed(shelf, "s/")
    feed.wake()
    feed.enter()
    await feed.wait(-1, 5)
    assert await feed.wait(0, 0.001) is False
    waiting = asyncio.ensure_future(feed.wait(0, 20))
    await asyncio.sleep(0)
    feed.wake()
    assert await waiting is False
    waiting = asyncio.ensure_future(feed.wait(0, 20))
    await asyncio.sleep(0)
    await shelf.put("other", b"", time=0)
    assert await waiting is True
    waiting = asyncio.ensure_future(feed.wait(1, 20))
    await asyncio.sleep(0)
    await shelf.close()
    with pytest.raises(StoreError, match="it is closed"):
        await waiting
    with pytest.raises(StoreError, match="it is closed"):
        await feed.wait(1, 20)
    with pytest.raises(StoreError, match="it is closed"):
        await read(feed, 0)
    feed.wake()
    feed.leave()


async def test_the_last_of_several_watchers_ends_the_following() -> None:
    shelf = MemoryShelf()
    feed = Feed(shelf, "s/")
    feed.enter()
    feed.enter()
    await caught_up(feed, 0)
    feed.leave()
    await shelf.put("s/a", b"", time=0)
    await caught_up(feed, 1)
    feed.leave()
    assert feed._task is None
    feed.enter()
    await caught_up(feed, 1)
    assert await read(feed, 1) == ([], 1)
    feed.leave()
