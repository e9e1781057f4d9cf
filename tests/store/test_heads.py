"""The newest values of a shelf, at hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreError
from anyplug.store import SqliteStore, Value
from anyplug.store.heads import Heads

if TYPE_CHECKING:
    from pathlib import Path


def value(key: str, version: int, size: int = 0) -> Value:
    return Value(key, version, bytes(size), 0)


def test_what_was_committed_or_read_is_known() -> None:
    heads = Heads()
    assert heads.get("a") is None
    heads.committed([value("a", 1)])
    heads.offer(value("b", 2), heads.moves)
    assert [heads.get(key) for key in "abc"] == [value("a", 1), value("b", 2), None]
    heads.committed([value("a", 3)])
    assert heads.get("a") == value("a", 3)


def test_what_was_read_before_a_commit_is_not_taken_after_it() -> None:
    heads = Heads()
    before = heads.moves
    heads.committing(["a"])
    heads.offer(value("a", 1), before)
    assert heads.get("a") is None
    between = heads.moves
    heads.offer(value("a", 1), between)  # the commit may have been seen on disk by others already
    assert heads.get("a") is None
    heads.committed([value("a", 2)])
    heads.offer(value("a", 1), between)
    assert heads.get("a") == value("a", 2)


def test_after_a_commit_that_failed_what_is_read_is_taken_again() -> None:
    heads = Heads()
    heads.committing(["a"])
    heads.abandoned()
    heads.offer(value("a", 1), heads.moves)
    assert heads.get("a") == value("a", 1)


def test_while_a_key_is_committed_nothing_is_known_of_it() -> None:
    heads = Heads()
    heads.committed([value("a", 1), value("b", 2)])
    heads.committing(["a"])
    assert (heads.get("a"), heads.get("b")) == (None, value("b", 2))


def test_the_least_used_is_forgotten_first() -> None:
    heads = Heads(many=2)
    heads.committed([value("a", 1), value("b", 2)])
    assert heads.get("a")
    heads.committed([value("c", 3)])
    assert [bool(heads.get(key)) for key in "abc"] == [True, False, True]


def test_bytes_have_a_bound_too() -> None:
    heads = Heads(size=100)
    for n in range(20):
        heads.committed([value(f"k{n % 7}", n, 1 + n)])
        assert heads._size == sum(len(each.body) for each in heads._values.values()) <= 100
    heads.committed([value("large", 30, 26)])
    assert heads.get("large") is None
    heads.committed([value("k1", 31, 26)])
    assert heads.get("k1") is None


async def test_a_value_that_was_put_or_read_is_at_hand(folder: Path) -> None:
    store = await SqliteStore.open(folder)
    shelf = store.shelf
    assert shelf.known("a") is None
    await shelf.put("a", b"1", time=0)
    assert shelf.known("a") == await shelf.get("a") == (await shelf.history("a"))[0]
    await shelf.delete("a", time=0)
    known = shelf.known("a")
    assert known is not None
    assert (known.deleted, known.version) == (True, 2)
    assert await shelf.get("a") is None
    await store.close()
    assert shelf.known("a") is None
    with pytest.raises(StoreError):
        await shelf.get("a")
    store = await SqliteStore.open(folder)
    await store.shelf.put("b", b"2", time=0)
    assert store.shelf.known("a") is None
    assert await store.shelf.get("a") is None
    assert store.shelf.known("a") == known
    await store.close()


async def test_a_refused_write_is_not_at_hand(folder: Path) -> None:
    store = await SqliteStore.open(folder, reserve=0)
    await store.shelf.put("a", b"1", time=0)
    store._files._free = 1 << 62
    results = await asyncio.gather(
        store.shelf.put("a", b"2", time=0), store.shelf.put("b", b"2", time=0), return_exceptions=True
    )
    assert [type(each).__name__ for each in results] == ["StoreFull", "StoreFull"]
    known = await store.shelf.get("a")
    assert known is not None
    assert (known.version, known.body) == (1, b"1")
    assert store.shelf.known("b") is None
    await store.close()


async def test_reads_never_go_back_while_others_write(folder: Path) -> None:
    store = await SqliteStore.open(folder)
    done = False

    async def read() -> int:
        last = reads = 0
        while not done:
            found = await store.shelf.get("a")
            listed = await store.shelf.list()
            for value in (found, *listed):
                version = value.version if value else 0
                assert version >= last
                last = version
            reads += 1
        return reads

    reading = [asyncio.ensure_future(read()) for _ in range(4)]
    for n in range(200):
        assert await store.shelf.put("a", b"", time=0) == n + 1
        newest = await store.shelf.get("a")
        assert newest is not None
        assert newest.version == n + 1
    done = True
    assert all([await each for each in reading])
    await store.close()
