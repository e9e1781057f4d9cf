"""Both faces of a shelf, against a server: in memory and on disk."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import pytest

import anyplug
from anyplug import Changed, Code, EncodeError, LocalError, Refused
from anyplug.blocking import Shelf as BlockingShelf
from anyplug.messages import Kept
from anyplug.schemas import shelving
from anyplug.store import MemoryStore
from tests.services.shelves import shelf_server
from tests.store.conftest import folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anyplug.schemas.shelf import Entry

__all__ = ["folder"]

T = TypeVar("T")

VALUES: list[Any] = [
    None,
    {1: "Client", (2, 3): {"a", b"b"}, None: [1.5, -0.0, 1j]},
    (1, [2, (3,)]),
    frozenset({1, 2}),
    Decimal("1.10"),
    datetime(2026, 11, 20, tzinfo=UTC),
    UUID(int=7),
    10**100,
    "有内鬼\x00\x1b",
    b"\xff\x00",
    "",
    [],
]


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, folder: Path) -> Any:
    """What a server keeps values in."""
    return MemoryStore() if request.param == "memory" else folder


async def threaded(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def facts(entries: list[Entry]) -> list[tuple[str, int, Any, bool]]:
    return [(entry.key, entry.version, entry.value, entry.deleted) for entry in entries]


# Values.


async def test_values_come_back_equal_and_of_the_same_types(store: Any) -> None:
    async with shelf_server(store) as (_, address):
        async with anyplug.Shelf(address) as shelf:
            for n, value in enumerate(VALUES):
                assert await shelf.put(f"k{n}", value) == n + 1
            for n, value in enumerate(VALUES):
                found = await shelf.get(f"k{n}")
                assert (found, type(found), repr(found)) == (value, type(value), repr(value))

        def blocking() -> None:
            with BlockingShelf(address) as shelf:
                assert [shelf[f"k{n}"] for n in range(len(VALUES))] == VALUES

        await threaded(blocking)


async def test_how_a_write_is_kept_is_told(store: Any) -> None:
    kept = Kept.MEMORY if isinstance(store, MemoryStore) else Kept.SYNCED
    async with shelf_server(store) as (_, address):
        async with anyplug.Shelf(address) as shelf:
            assert [shelf.kept] == [None]
            await shelf.put("a", 1)
            assert shelf.kept is kept

        def blocking() -> None:
            with BlockingShelf(address) as same:
                assert [same.kept] == [None]
                del same["a"]
                assert same.kept is kept

        await threaded(blocking)


async def test_nan_comes_back() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        await shelf.put("nan", math.nan)
        assert math.isnan(await shelf.get("nan"))


async def test_a_value_that_cannot_travel_is_refused_at_the_sender_with_its_path() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        with pytest.raises(EncodeError, match=r"\.readings\[3\]|\['readings'\]\[3\]"):
            await shelf.put("k", {"readings": [1, 2, 3, asyncio.Lock()]})
        assert await shelf.version() == 0


async def test_what_is_there_and_what_is_not(store: Any) -> None:
    async with shelf_server(store) as (server, address), anyplug.Shelf(address) as shelf:
        server.facilities.clock = lambda: 1_700_000_000_123_456_789
        assert await shelf.get("a") is None
        assert await shelf.get("a", 5) == 5
        assert await shelf.entry("a") is None
        assert await shelf.put("a", None) == 1
        assert await shelf.get("a", 5) is None
        entry = await shelf.entry("a")
        assert entry is not None
        assert (entry.key, entry.version, entry.previous, entry.deleted) == ("a", 1, 0, False)
        assert entry.content_type == "application/vnd.anyplug.objects"
        assert entry.time.isoformat() == "2023-11-14T22:13:20.123456+00:00"
        assert await shelf.delete("a") == 2
        assert await shelf.delete("a") == 0
        assert await shelf.entry("a") is None
        assert await shelf.version() == 2


async def test_keys_and_items_are_listed_in_order_by_prefix_and_in_pages(store: Any) -> None:
    keys = [f"n/{number:04}" for number in range(1500)]
    async with shelf_server(store) as (_, address):
        async with anyplug.Shelf(address) as shelf:
            await asyncio.gather(*(shelf.put(key, key) for key in [*reversed(keys), "m", "n%"]))
            assert [key async for key in shelf] == ["m", "n%", *keys]
            assert [key async for key in shelf.keys("n/14")] == keys[1400:]
            assert [pair async for pair in shelf.items("n/")] == [(key, key) for key in keys]
            assert [entry.key async for entry in shelf.listed("m")] == ["m"]
            assert await shelf.get_many(["m", "?", "n%", "m", *keys]) == {key: key for key in ["m", "n%", *keys]}

        def blocking() -> None:
            with BlockingShelf(address) as same:
                assert list(same) == ["m", "n%", *keys]
                assert len(same) == 1502
                assert dict(same.items()) == {key: key for key in ["m", "n%", *keys]}
                assert list(same.values()) == ["m", "n%", *keys]
                assert [entry.key for entry in same.listed("n/14")] == keys[1400:]
                assert same.get_many(["m", "?"]) == {"m": "m"}

        await threaded(blocking)


async def test_the_rest_of_the_address_stands_before_each_key() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as whole:
        async with anyplug.Shelf(f"{address}/ann") as part:
            await part.put("a", 1)
            await whole.put("b", 2)
            assert [key async for key in part] == ["a"]
            assert [key async for key in whole] == ["ann/a", "b"]
            assert [entry.key for entry in await part.history("a")] == ["a"]


async def test_history_is_the_newest_first_with_deletions(store: Any) -> None:
    async with shelf_server(store) as (_, address):
        async with anyplug.Shelf(address) as shelf:
            for n in range(18):
                await shelf.put("a", n)
            await shelf.delete("a")
            found = await shelf.history("a")
            assert facts(found) == [("a", 19, None, True), *(("a", n + 1, n, False) for n in range(17, 2, -1))]
            assert [entry.previous for entry in found] == list(range(18, 2, -1))
            assert [entry.version for entry in await shelf.history("a", 3)] == [19, 18, 17]
            assert await shelf.history("?") == []
            with pytest.raises(LocalError, match="limit is 0"):
                await shelf.history("a", 0)

        def blocking() -> None:
            with BlockingShelf(address) as same:
                assert same.history("a") == found
                assert same.version() == 19

        await threaded(blocking)


async def test_a_history_of_large_values_comes_in_several_answers() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        for n in range(5):
            await shelf.put("a", bytes([n]) * 600_000)
        assert [entry.value[0] for entry in await shelf.history("a")] == [4, 3, 2, 1, 0]
        for n in range(3):
            await shelf.put(f"b{n}", bytes(600_000))
        assert len(await shelf.get_many(["a", "b0", "b1", "b2"])) == 4


# Comparing and setting.


async def test_a_write_that_expects_another_version_changes_nothing(store: Any) -> None:
    async with shelf_server(store) as (_, address):
        async with anyplug.Shelf(address) as shelf:
            assert await shelf.put("a", 1, expected=0) == 1
            with pytest.raises(Changed, match="key 'a' has version 1, expected 0") as caught:
                await shelf.put("a", 2, expected=0)
            assert (caught.value.key, caught.value.expected, caught.value.found) == ("a", 0, 1)
            with pytest.raises(Changed):
                await shelf.delete("a", expected=7)
            assert await shelf.put("a", 3, expected=1) == 2
            assert await shelf.delete("a", expected=2) == 3
            with pytest.raises(LocalError, match="is no version"):
                await shelf.put("a", 1, expected=-1)

        def blocking() -> None:
            with BlockingShelf(address) as same, pytest.raises(Changed) as caught:
                same.put("a", 2, expected=2)
            assert caught.value.found == 0

        await threaded(blocking)


async def test_of_twenty_clients_that_expect_the_same_version_one_wins(store: Any) -> None:
    async with shelf_server(store) as (_, address):

        async def attempt(n: int) -> int | None:
            async with anyplug.Shelf(address) as shelf:
                with suppress(Changed):
                    return await shelf.put("a", n, expected=0)
                return None

        results = await asyncio.gather(*map(attempt, range(20)))
        assert [each for each in results if each] == [1]
        async with anyplug.Shelf(address) as shelf:
            assert await shelf.get("a") == results.index(1)


async def test_twenty_clients_count_together_without_losing_one(store: Any) -> None:
    async with shelf_server(store) as (_, address):

        async def count(_: int) -> None:
            async with anyplug.Shelf(address) as shelf:
                for _ in range(3):
                    await shelf.update_with("n", lambda n: n + 1, default=0)

        await asyncio.gather(*map(count, range(20)))
        async with anyplug.Shelf(address) as shelf:
            assert await shelf.get("n") == 60
            assert await shelf.version() == 60


async def test_an_update_that_always_comes_too_late_gives_up() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        calls = 0

        def meanwhile(value: int) -> int:
            nonlocal calls
            calls += 1
            with BlockingShelf(address) as other:
                other["n"] = 0
            return value

        with pytest.raises(Changed):
            await asyncio.to_thread(lambda: _update(address, meanwhile))
        assert calls == shelving.TRIES
        assert await shelf.get("n") == 0


def _update(address: str, function: Callable[[int], int]) -> None:
    with BlockingShelf(address) as shelf:
        shelf.update_with("n", function)


# A dictionary.


async def test_the_blocking_shelf_is_a_dictionary(store: Any) -> None:
    async with shelf_server(store) as (_, address):

        def work() -> None:
            with BlockingShelf(address) as shelf:
                assert not shelf
                shelf["config"] = {"level": 3}
                assert shelf["config"] == {"level": 3}
                assert "config" in shelf
                assert "other" not in shelf
                assert len(shelf) == 1
                for missing in (lambda: shelf["?"], lambda: shelf.__delitem__("?"), lambda: shelf.pop("?")):
                    with pytest.raises(KeyError, match=r"\?"):
                        missing()
                assert shelf.pop("?", 5) == 5
                assert shelf.pop("config") == {"level": 3}
                assert shelf.setdefault("a", 1) == 1
                assert shelf.setdefault("a", 2) == 1
                shelf.update({"b": 2}, c=3)
                assert shelf == {"a": 1, "b": 2, "c": 3}
                del shelf["b"]
                assert shelf.popitem() == ("a", 1)
                assert shelf.update_with("c", lambda c: c * 2) == 6
                assert shelf.get("c") == 6
                assert shelf.get("?") is None
                assert shelf.entry("?") is None
                shelf.clear()
                assert dict(shelf) == {}
                assert repr(shelf) == f"<anyplug.blocking.Shelf {address}>"
            assert repr(shelf) == f"<anyplug.blocking.Shelf {address}, closed>"

        await threaded(work)


async def test_threads_share_a_blocking_shelf() -> None:
    async with shelf_server() as (_, address):
        shelf = await threaded(lambda: BlockingShelf(address))

        def count() -> None:
            for _ in range(5):
                shelf.update_with("n", lambda n: n + 1, 0)

        await asyncio.gather(*(threaded(count) for _ in range(4)))
        assert await threaded(lambda: shelf["n"]) == 20
        await threaded(shelf.close)


@pytest.mark.parametrize("key", [5, None, b"a"])
async def test_a_key_that_is_no_text_is_a_mistake_of_the_caller(key: Any) -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        for call in (shelf.get(key), shelf.put(key, 1), shelf.delete(key), shelf.history(key), shelf.get_many([key])):
            with pytest.raises(LocalError, match="a key of a shelf is a str"):
                await call
        with pytest.raises(LocalError):
            async for _ in shelf.keys(key):
                pass

        def blocking() -> None:
            with BlockingShelf(address) as same, pytest.raises(LocalError):
                assert key in same

        await threaded(blocking)


# Watching.


async def test_watchers_see_each_change_in_order(store: Any) -> None:
    async with shelf_server(store) as (_, address), anyplug.Shelf(address) as shelf:
        await shelf.put("old", 0)

        async def watch(prefix: str, after: int | None, count: int) -> list[tuple[str, int, Any, bool]]:
            seen: list[Entry] = []
            async with aclosing(shelf.watch(prefix, after=after)) as changes:
                async for entry in changes:
                    assert not entry.missed
                    seen.append(entry)
                    if len(seen) == count:
                        break
            return facts(seen)

        watching = [
            asyncio.ensure_future(watch("", 0, 5)),
            asyncio.ensure_future(watch("a/", 1, 2)),
            *(asyncio.ensure_future(watch("", 1, 4)) for _ in range(10)),
        ]
        await asyncio.sleep(0)
        await shelf.put("a/1", 1)
        await shelf.put("b", 2)
        await shelf.delete("b")
        await shelf.put("a/2", 3)
        everything = [("a/1", 2, 1, False), ("b", 3, 2, False), ("b", 4, None, True), ("a/2", 5, 3, False)]
        results = await asyncio.gather(*watching)
        assert results[0] == [("old", 1, 0, False), *everything]
        assert results[1] == [everything[0], everything[3]]
        assert results[2:] == [everything] * 10


async def test_a_watch_without_a_version_begins_now() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        await shelf.put("a", "before")
        async with aclosing(shelf.watch()) as changes:
            first = asyncio.ensure_future(anext(changes))
            n = 0
            while not first.done():
                n += 1
                await shelf.put("a", n)
                await asyncio.sleep(0)
            assert (await first).value in range(1, n + 1)


async def test_a_blocking_watch_sees_changes() -> None:
    async with shelf_server() as (_, address):

        def work() -> list[tuple[str, int, Any, bool]]:
            with BlockingShelf(address) as shelf:
                shelf["a"] = 1
                changes = shelf.watch(after=0)
                seen = [next(changes)]
                shelf["b"] = 2
                del shelf["a"]
                seen += islice(changes, 2)
                changes.close()  # type: ignore[attr-defined]
                return facts(seen)

        assert await threaded(work) == [("a", 1, 1, False), ("b", 2, 2, False), ("a", 3, None, True)]


async def test_a_watcher_is_told_what_it_has_missed(store: Any) -> None:
    async with shelf_server(store) as (_, address), anyplug.Shelf(address) as shelf:
        await shelf.put("a", 0)
        await shelf.put("b", 0)
        for n in range(1, 20):
            await shelf.put("a", n)
        async with aclosing(shelf.watch(after=1)) as changes:
            seen = [await anext(changes) for _ in range(17)]
        assert [(entry.key, entry.version, entry.missed) for entry in seen] == [
            ("b", 2, False),
            ("a", 6, True),
            *(("a", n, False) for n in range(7, 22)),
        ]


async def test_a_watch_goes_on_when_the_server_is_started_anew(folder: Path) -> None:
    async with shelf_server(folder) as (server, address):
        shelf = await anyplug.Shelf(address)
        changes = shelf.watch(after=0)
        await shelf.put("a", 1)
        assert (await anext(changes)).version == 1
        waiting = asyncio.ensure_future(anext(changes))
        place = server.addresses[0]
    async with shelf_server(folder, at=place):
        assert await shelf.put("a", 2) == 2
        entry = await waiting
        assert (entry.version, entry.value, entry.missed) == (2, 2, False)
        await changes.aclose()
        await shelf.close()


async def test_a_watch_from_a_version_that_does_not_exist_is_refused() -> None:
    async with shelf_server() as (_, address), anyplug.Shelf(address) as shelf:
        with pytest.raises(Refused, match="version 9 does not exist yet, the newest is 0") as caught:
            await anext(shelf.watch(after=9))
        assert caught.value.code is Code.BEYOND_END
