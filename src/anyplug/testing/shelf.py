"""The conformance suite of shelves, on disk or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from anyplug.errors import Changed, LocalError, StoreError
from anyplug.testing.store import PATIENCE, awaited, expect, fail, refused, turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store import Shelf, Value

__all__ = ["CrashShelf", "MakeShelf", "check_shelf"]

MakeShelf: TypeAlias = Callable[[], Awaitable["Shelf"]]
"""Opens an empty shelf that keeps 16 changes of a key."""

CrashShelf: TypeAlias = Callable[["Shelf"], Awaitable["Shelf"]]
"""As `CrashLog`."""


async def check_shelf(make: MakeShelf, *, crash: CrashShelf | None = None, patience: float = PATIENCE) -> None:
    """Check that a shelf keeps the contract of `Shelf`. The arguments are those of `check_message_log`.

    Raises:
        AssertionError: it does not; says what was done, what came and what was expected.
    """
    checks = [
        _check_values,
        _check_compare_and_set,
        _check_listing,
        _check_history,
        _check_changes,
        _check_watching,
        _check_tokens,
        _check_pages,
        _check_chain,
        _check_shelf_end,
    ]
    for check in checks:
        shelf = await make()
        try:
            await asyncio.wait_for(check(shelf), patience)
        except TimeoutError:
            fail(f"{check.__name__[1:]}: {check.__doc__}", got=f"nothing in {patience:g} s", expected="an end")
        finally:
            await shelf.close()
    if crash is not None:
        await _check_shelf_crash(make, crash)


def _facts(values: Sequence[Value]) -> list[tuple[str, int, bytes, bool]]:
    return [(value.key, value.version, value.body, value.deleted) for value in values]


async def _check_values(shelf: Shelf) -> None:
    """What was put is got, until it is put anew or deleted; every change has the next version."""
    expect("a key never put", await shelf.get("a"), None)
    expect("the version of an empty shelf", await shelf.version(), 0)
    expect("the first version", await shelf.put("a", b"1", time=5, content_type="t"), 1)
    value = await shelf.get("a")
    facts = value and (value.key, value.version, value.body, value.time, value.content_type, value.deleted)
    expect("a value", facts, ("a", 1, b"1", 5, "t", False))
    expect("the version of another key", await shelf.put("b", b"", time=0), 2)
    expect("the version of a new value", await shelf.put("a", b"2", time=0), 3)
    expect("the version of a deletion", await shelf.delete("b", time=0), 4)
    expect("a deleted value", await shelf.get("b"), None)
    expect("deleting what is not there", await shelf.delete("b", time=0), 0)
    expect("the version in the end", await shelf.version(), 4)
    for key in ("", "x" * 256, "a\0", "\ud800"):
        await refused(f"key {key[:10]!r}", shelf.put(key, b"", time=0), LocalError)
    await refused("a body that is no bytes", shelf.put("a", "text", time=0), LocalError)  # type: ignore[arg-type]


async def _check_compare_and_set(shelf: Shelf) -> None:
    """With a version expected, one of several writers wins, and the others change nothing."""
    await refused("version 1 expected of nothing", shelf.put("a", b"", time=0, expected=1), Changed, found=0)
    expect("nothing expected of nothing", await shelf.put("a", b"1", time=0, expected=0), 1)
    again = shelf.put("a", b"x", time=0, expected=0)
    await refused("nothing expected of a value", again, Changed, key="a", expected=0, found=1)
    expect("the right version expected", await shelf.put("a", b"2", time=0, expected=1), 2)
    await refused("an old version, to delete", shelf.delete("a", time=0, expected=1), Changed, found=2)
    tries = [shelf.put("a", b"%d" % n, time=0, expected=2) for n in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    won = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    expect("winners among eight", len(won), 1)
    head = await shelf.get("a")
    expect("the winner's value", head and head.body, b"%d" % won[0])
    expect("deleting the right version", await shelf.delete("a", time=0, expected=3), 4)
    expect("nothing expected after a deletion", await shelf.put("a", b"new", time=0, expected=0), 5)


async def _check_tokens(shelf: Shelf) -> None:
    """The same write with the same token is made once, whatever came between, as long as the history has it."""
    put = partial(shelf.put, "a", time=0)
    expect("a write with a token", await put(b"1", token=b"t1"), 1)
    expect("the same write again", await put(b"1", token=b"t1"), 1)
    expect("the same write again, with what it expected", await put(b"1", expected=0, token=b"t1"), 1)
    expect("another write", await put(b"2", token=b"t2"), 2)
    expect("the first write, after another", await put(b"1", expected=0, token=b"t1"), 1)
    head = await shelf.get("a")
    expect("the value after repeats", head and (head.body, head.version, head.token), (b"2", 2, b"t2"))
    expect("the same token with other content", await put(b"3", token=b"t2"), 3)
    expect("the same token at another key", await shelf.put("b", b"2", time=0, token=b"t2"), 4)
    expect("a deletion with a token", await shelf.delete("a", time=0, expected=3, token=b"t5"), 5)
    expect("the same deletion again", await shelf.delete("a", time=0, expected=3, token=b"t5"), 5)
    expect("writes without a token", [await put(b"x"), await put(b"x")], [6, 7])
    expect("the version after repeats", await shelf.version(), 7)
    await refused("a token that is too long", put(b"", token=b"t" * 65), LocalError)


async def _check_pages(shelf: Shelf) -> None:
    """What is read stays within the bytes that are wanted, and goes on from there."""
    for n in range(3):
        await shelf.put("a", b"%d" % n * 10, time=0)
        await shelf.put(f"b{n}", b"%d" % n * 10, time=0)
    bodies = [10, 10, 10, 10]
    expect("all values", [len(value.body) for value in await shelf.list()], bodies)
    expect("20 bytes of values", [value.key for value in await shelf.list(most=20)], ["a", "b0"])
    expect("one value, however large", [value.key for value in await shelf.list(after="a", most=1)], ["b0"])
    expect("19 bytes of changes", [value.version for value in await shelf.changes(2, most=19)], [3])
    expect("changes below a prefix", [value.version for value in await shelf.changes(0, prefix="b")], [2, 4, 6])
    expect("10 bytes of history", [value.version for value in await shelf.history("a", most=10)], [5])
    expect("older history", [value.version for value in await shelf.history("a", before=5)], [3, 1])


async def _check_chain(shelf: Shelf) -> None:
    """Each change names the one before it of its key, deletions among them, also where that is no longer kept."""
    for _ in range(18):
        await shelf.put("a", b"", time=0)
    await shelf.put("b", b"", time=0)
    await shelf.delete("a", time=0)
    chain = [(value.version, value.previous) for value in await shelf.changes(0)]
    wanted = [*((n, n - 1) for n in range(4, 19)), (19, 0), (20, 18)]
    expect("versions and those before them", chain, wanted)
    await shelf.put("a", b"", time=0)
    head = await shelf.get("a")
    expect("what is before a value put anew", head and head.previous, 20)


async def _check_listing(shelf: Shelf) -> None:
    """Keys are listed in order, by prefix, in pages, without the deleted ones."""
    for key in ("b/2", "a", "b/1", "c", "b/3", "b", "é", "b%"):
        await shelf.put(key, key.encode(), time=0)
    await shelf.delete("b/2", time=0)
    keys = ["a", "b", "b%", "b/1", "b/3", "c", "é"]
    expect("all keys", [value.key for value in await shelf.list()], keys)
    expect("all bodies", [value.body for value in await shelf.list()], [key.encode() for key in keys])
    expect("keys that begin with b/", [value.key for value in await shelf.list("b/")], ["b/1", "b/3"])
    expect("keys that begin with b%", [value.key for value in await shelf.list("b%")], ["b%"])
    expect("two keys after b", [value.key for value in await shelf.list(after="b", limit=2)], ["b%", "b/1"])


async def _check_history(shelf: Shelf) -> None:
    """The last 16 changes of a key are kept, the newest first."""
    for n in range(1, 21):
        await shelf.put("a", b"%d" % n, time=n)
    await shelf.delete("a", time=21)
    history = await shelf.history("a")
    expect("versions kept", [value.version for value in history], list(range(21, 5, -1)))
    expect("the newest", (history[0].deleted, history[1].body), (True, b"20"))
    expect("the last 2", [value.version for value in await shelf.history("a", limit=2)], [21, 20])
    expect("the history of nothing", list(await shelf.history("?")), [])


async def _check_changes(shelf: Shelf) -> None:
    """Changes come in order of versions, deletions among them."""
    await shelf.put("a", b"1", time=0)
    await shelf.put("b", b"2", time=0)
    await shelf.delete("a", time=0)
    everything = [("a", 1, b"1", False), ("b", 2, b"2", False), ("a", 3, b"", True)]
    expect("all changes", _facts(await shelf.changes(0)), everything)
    expect("changes past 1", _facts(await shelf.changes(1)), everything[1:])
    expect("one change past 1", _facts(await shelf.changes(1, limit=1)), everything[1:2])
    expect("changes past the last", _facts(await shelf.changes(3)), [])


async def _check_watching(shelf: Shelf) -> None:
    """Who watches sees each change, as it comes."""
    seen: list[int] = []

    async def watch() -> None:
        async for value in shelf.watch():
            seen.append(value.version)
            if value.version == 4:
                return

    watching = asyncio.ensure_future(watch())
    for n in range(4):
        await shelf.put("a" if n % 2 else "b", b"", time=0)
        await turns()
    await watching
    expect("versions seen", seen, [1, 2, 3, 4])
    expect("a wait for what is there", await shelf.wait(3), 4)


async def _check_shelf_end(shelf: Shelf) -> None:
    """After close nothing is taken, and who waits is told."""
    waiting = asyncio.ensure_future(shelf.wait(0))
    await turns()
    await shelf.close()
    await refused("wait at close", awaited(waiting), StoreError)
    await refused("put after close", shelf.put("a", b"", time=0), StoreError)
    await refused("get after close", shelf.get("a"), StoreError)


async def _check_shelf_crash(make: MakeShelf, crash: CrashShelf) -> None:
    """What was put is there after a crash, and versions go on."""
    shelf = await make()
    try:
        await shelf.put("a", b"1", time=0)
        await shelf.put("b", b"2", time=0)
        await shelf.delete("b", time=0)
        shelf = await crash(shelf)
        expect("values after a crash", _facts(await shelf.list()), [("a", 1, b"1", False)])
        expect("the version after a crash", await shelf.version(), 3)
        expect("the next version after a crash", await shelf.put("b", b"", time=0, expected=0), 4)
    finally:
        await shelf.close()
