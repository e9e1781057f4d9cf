"""The conformance suites of stores: a message log and a shelf, on disk or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from anyplug.errors import BeyondEnd, Changed, Conflict, Gap, LocalError, StoreError
from anyplug.store import Cursor, Entry, Producer, Retention, Span

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from anyplug.store import Batch, MessageLog, Receipt, Shelf, Value

__all__ = ["CrashLog", "CrashShelf", "MakeLog", "MakeShelf", "check_message_log", "check_shelf"]

MakeLog: TypeAlias = Callable[[], Awaitable["MessageLog"]]
"""Opens an empty message log."""

CrashLog: TypeAlias = Callable[["MessageLog"], Awaitable["MessageLog"]]
"""What is left of a log that is killed at this moment, opened anew. The old one may be closed, but only afterwards."""

MakeShelf: TypeAlias = Callable[[], Awaitable["Shelf"]]
"""Opens an empty shelf that keeps 16 changes of a key."""

CrashShelf: TypeAlias = Callable[["Shelf"], Awaitable["Shelf"]]
"""As `CrashLog`."""

PATIENCE: Final = 10.0
"""How long the suites wait for something that has to happen, seconds, where nothing else is said."""

SECOND: Final = 1_000_000_000


async def check_message_log(make: MakeLog, *, crash: CrashLog | None = None, patience: float = PATIENCE) -> None:
    """Check that a message log keeps the contract of `MessageLog`.

    Args:
        make: opens an empty one; called once for each check.
        crash: kills one and opens it anew; None for a log that promises nothing beyond the process.
        patience: how long to wait for something that has to happen, seconds.

    Raises:
        AssertionError: it does not; says what was done, what came and what was expected.
    """
    checks = [
        _check_positions,
        _check_reading,
        _check_times,
        _check_once,
        _check_gap_and_conflict,
        _check_producers_apart,
        _check_concurrent_appends,
        _check_retention,
        _check_cursors,
        _check_waiting,
        _check_log_labels,
        _check_log_end,
    ]
    for check in checks:
        log = await make()
        try:
            await asyncio.wait_for(check(log), patience)
        except TimeoutError:
            _fail(f"{check.__name__[1:]}: {check.__doc__}", got=f"nothing in {patience:g} s", expected="an end")
        finally:
            await log.close()
    if crash is not None:
        await _check_log_crash(make, crash)


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
        _check_shelf_end,
    ]
    for check in checks:
        shelf = await make()
        try:
            await asyncio.wait_for(check(shelf), patience)
        except TimeoutError:
            _fail(f"{check.__name__[1:]}: {check.__doc__}", got=f"nothing in {patience:g} s", expected="an end")
        finally:
            await shelf.close()
    if crash is not None:
        await _check_shelf_crash(make, crash)


def _fail(told: str, *, got: object, expected: object) -> NoReturn:
    raise AssertionError(f"{told}: got {got!r}, expected {expected!r}")


def _expect(told: str, got: object, expected: object) -> None:
    if got != expected:
        _fail(told, got=got, expected=expected)


async def _refused(told: str, call: Coroutine[object, object, object], kind: type[Exception], **facts: object) -> None:
    try:
        got = await call
    except kind as error:
        for name, value in facts.items():
            _expect(f"{told}: {name} of the {kind.__name__}", getattr(error, name), value)
        return
    _fail(told, got=got, expected=kind.__name__)


def _entries(*bodies: str, time: int = 0) -> list[Entry]:
    return [Entry(body.encode(), time, "text/plain", "127.0.0.1:7", "ann") for body in bodies]


def _bodies(batch: Batch) -> list[str]:
    return [message.body.decode() for message in batch.messages]


def _expect_receipt(told: str, receipt: Receipt, positions: Sequence[int], duplicates: int = 0) -> None:
    _expect(f"positions of {told}", list(receipt.positions), list(positions))
    _expect(f"duplicates of {told}", receipt.duplicates, duplicates)


# The message log.


async def _check_positions(log: MessageLog) -> None:
    """Positions start at 1, have no gap, and each topic has its own."""
    _expect("the span of a topic never written to", await log.span("new"), Span(1, 0))
    _expect("the topics of an empty log", dict(await log.topics()), {})
    _expect_receipt("an append of three", await log.append("a", _entries("1", "2", "3")), [1, 2, 3])
    _expect_receipt("an append to another topic", await log.append("b", _entries("x")), [1])
    _expect_receipt("the next append", await log.append("a", _entries("4")), [4])
    _expect_receipt("an append of nothing", await log.append("c", []), [])
    _expect("topics", dict(await log.topics()), {"a": Span(1, 4), "b": Span(1, 1)})


async def _check_reading(log: MessageLog) -> None:
    """What was appended is read, whole, in order, from any position, in batches."""
    entries = [Entry(bytes((n,)) * (n % 7), n, f"type/{n}", f"sender {n}", "é\u202e" * (n % 3)) for n in range(50)]
    await log.append("a", entries[:20])
    await log.append("a", entries[20:])
    got = await log.read("a", 1)
    facts = [(m.body, m.received, m.content_type, m.sender, m.name) for m in got.messages]
    _expect("all fields read", facts, [(e.body, e.received, e.content_type, e.sender, e.name) for e in entries])
    _expect("positions read", [m.position for m in got.messages], list(range(1, 51)))
    _expect("the span read", got.span, Span(1, 50))
    _expect("positions missed", got.missed, 0)
    part = await log.read("a", 18, limit=5)
    _expect("positions read from 18, 5 at most", [m.position for m in part.messages], [18, 19, 20, 21, 22])
    _expect("read from one past the end", list((await log.read("a", 51)).messages), [])
    _expect("read from the first of an unknown topic", list((await log.read("?", 1)).messages), [])
    _expect("the last 3", [m.position for m in (await log.last("a", 3)).messages], [48, 49, 50])
    _expect("the last 99", [m.position for m in (await log.last("a", 99)).messages], list(range(1, 51)))
    await _refused("read from 2 past the end", log.read("a", 52), BeyondEnd, position=52, last=50)
    await _refused("read from 0", log.read("a", 0), LocalError)
    await log.append("big", [Entry(b"x" * 600, 0), Entry(b"y" * 600, 0), Entry(b"", 0)])
    _expect("messages within 700 bytes", len((await log.read("big", 1, most=700)).messages), 1)
    _expect("messages within 1 byte", len((await log.read("big", 1, most=1)).messages), 1)
    _expect("messages within 1200 bytes", len((await log.read("big", 1, most=1200)).messages), 3)


async def _check_times(log: MessageLog) -> None:
    """A time finds the first message received then or later."""
    _expect("since, in an empty topic", await log.since("a", 5), 1)
    await log.append("a", [Entry(b"", time) for time in (10, 20, 20, 20, 30)])
    found = [await log.since("a", time) for time in (0, 10, 11, 20, 21, 30, 31)]
    _expect("since 0, 10, 11, 20, 21, 30, 31", found, [1, 1, 2, 2, 5, 5, 6])


async def _check_once(log: MessageLog) -> None:
    """A sequence is stored once; sent again it gets the position it has, however it is cut into appends."""
    await log.append("a", _entries("other"))
    one = _entries("1", "2", "3")
    _expect_receipt("sequences 1 to 3", await log.append("a", one, producer=Producer(b"p", 1)), [2, 3, 4])
    again = await log.append("a", _entries("1", "2", "3", time=99), producer=Producer(b"p", 1))
    _expect_receipt("sequences 1 to 3, again, at another time", again, [2, 3, 4], 3)
    await log.append("a", _entries("between"))
    mixed = await log.append("a", _entries("2", "3", "4", "5"), producer=Producer(b"p", 2))
    _expect_receipt("sequences 2 to 5, of which 2 and 3 are known", mixed, [3, 4, 6, 7], 2)
    _expect("the watermark", await log.watermark(b"p"), 5)
    _expect("the watermark of an unknown producer", await log.watermark(b"?"), 0)
    _expect("bodies", _bodies(await log.read("a", 1)), ["other", "1", "2", "3", "between", "4", "5"])
    many = _entries(*map(str, range(6, 1006)))
    first = await log.append("a", many, producer=Producer(b"p", 6))
    again = await log.append("a", many, producer=Producer(b"p", 6))
    _expect_receipt("a thousand sequences again", again, first.positions, 1000)
    _expect("messages after all that was sent twice", (await log.span("a")).last, 1007)


async def _check_gap_and_conflict(log: MessageLog) -> None:
    """A sequence that skips some, or that came with other content, is refused whole, with nothing stored."""
    unknown = log.append("a", _entries("x"), producer=Producer(b"p", 2))
    await _refused("sequence 2 of an unknown producer", unknown, Gap, expected=1, found=2)
    _expect("topics after a refusal", dict(await log.topics()), {})
    await log.append("a", _entries("1", "2"), producer=Producer(b"p", 1))
    skipping = log.append("a", _entries("4"), producer=Producer(b"p", 4))
    await _refused("sequence 4 after 2", skipping, Gap, expected=3, found=4, producer=b"p".hex())
    other = log.append("a", _entries("2", "other"), producer=Producer(b"p", 1))
    await _refused("sequence 1 with another body", other, Conflict, sequence=1)
    half = log.append("a", _entries("other", "3"), producer=Producer(b"p", 2))
    await _refused("sequence 2 with another body, and 3", half, Conflict, sequence=2)
    elsewhere = log.append("b", _entries("2"), producer=Producer(b"p", 2))
    await _refused("sequence 2 for another topic", elsewhere, Conflict, sequence=2)
    typed = log.append("a", [Entry(b"2", 0, "text/other")], producer=Producer(b"p", 2))
    await _refused("sequence 2 with another content type", typed, Conflict, sequence=2)
    _expect("the watermark after refusals", await log.watermark(b"p"), 2)
    _expect_receipt("sequence 3", await log.append("a", _entries("3"), producer=Producer(b"p", 3)), [3])
    _expect("bodies after refusals", _bodies(await log.read("a", 1)), ["1", "2", "3"])
    await _refused("sequence 0", log.append("a", [], producer=Producer(b"p", 0)), LocalError)
    await _refused("a producer without a name", log.append("a", [], producer=Producer(b"", 1)), LocalError)


async def _check_producers_apart(log: MessageLog) -> None:
    """Each producer counts for itself, over all topics."""
    await asyncio.gather(
        *(
            log.append("odd" if n % 2 else "even", _entries(f"{producer!r}{n}"), producer=Producer(producer, n))
            for n in range(1, 101)
            for producer in (b"p", b"q", b"r")
        )
    )
    again = await log.append("odd", _entries("b'q'99"), producer=Producer(b"q", 99))
    _expect_receipt("sequence 99 of q again", again, [149], 1)
    _expect("watermarks", [await log.watermark(each) for each in (b"p", b"q", b"r")], [100, 100, 100])
    span = await log.span("odd")
    _expect("messages in the odd topic", span, Span(1, 150))


async def _check_concurrent_appends(log: MessageLog) -> None:
    """Appends at the same time get positions of their own; each task's own are in its order."""

    async def produce(name: str) -> list[int]:
        receipts = [await log.append("a", _entries(f"{name}-{n}")) for n in range(10)]
        return [receipt.positions[0] for receipt in receipts]

    positions = await asyncio.gather(*(produce(f"p{k}") for k in range(8)))
    _expect("all positions", sorted(p for mine in positions for p in mine), list(range(1, 81)))
    bodies = _bodies(await log.read("a", 1))
    for k, mine in enumerate(positions):
        _expect("positions of one task, in order", mine, sorted(mine))
        _expect("bodies at these positions", [bodies[p - 1] for p in mine], [f"p{k}-{n}" for n in range(10)])
    sent = [log.append("b", _entries(f"{n}"), producer=Producer(b"p", n)) for n in range(1, 101)]
    receipts = await asyncio.gather(*sent)
    _expect("positions of appends under way together", [r.positions[0] for r in receipts], list(range(1, 101)))


async def _check_retention(log: MessageLog) -> None:
    """What is trimmed is gone from the front, positions stay, and a read says what it misses."""
    await log.append("a", [Entry(b"12345", n * SECOND) for n in range(1, 21)])
    _expect("nothing to trim", await log.trim("a", Retention(), now=99 * SECOND), Span(1, 20))
    _expect("trim to 15 messages", await log.trim("a", Retention(count=15), now=0), Span(6, 20))
    _expect("trim to 10 s", await log.trim("a", Retention(age=10), now=20 * SECOND), Span(10, 20))
    _expect("trim to 24 bytes", await log.trim("a", Retention(bytes=24), now=0), Span(17, 20))
    _expect("trim to more than there is", await log.trim("a", Retention(count=9, bytes=999), now=0), Span(17, 20))
    batch = await log.read("a", 3)
    _expect("positions read from 3", [m.position for m in batch.messages], [17, 18, 19, 20])
    _expect("positions missed from 3 on", batch.missed, 14)
    _expect("since a time that is gone", await log.since("a", 0), 17)
    _expect("trim to nothing", await log.trim("a", Retention(count=0), now=0), Span(21, 20))
    _expect("topics", dict(await log.topics()), {"a": Span(21, 20)})
    _expect_receipt("an append after all is gone", await log.append("a", _entries("new")), [21])
    _expect("trim of an unknown topic", await log.trim("?", Retention(count=0), now=0), Span(1, 0))


async def _check_cursors(log: MessageLog) -> None:
    """A named reader's cursor moves on, never back and never past the end."""
    await log.append("a", _entries(*map(str, range(10))))
    _expect("a new cursor", await log.cursor("a", "r"), Cursor(0, 0))
    _expect("after delivery", await log.delivered("a", "r", 6), Cursor(0, 6))
    _expect("after acknowledging", await log.acknowledge("a", "r", 4), Cursor(4, 6))
    _expect("after acknowledging less", await log.acknowledge("a", "r", 2), Cursor(4, 6))
    _expect("after acknowledging more than was delivered", await log.acknowledge("a", "r", 8), Cursor(8, 8))
    await _refused("a cursor from the future", log.acknowledge("a", "r", 11), BeyondEnd, position=11, last=10)
    await _refused("a delivery from the future", log.delivered("a", "r", 11), BeyondEnd)
    await _refused("a cursor in an unknown topic", log.acknowledge("?", "r", 1), BeyondEnd)
    _expect("the cursor in the end", await log.cursor("a", "r"), Cursor(8, 8))
    _expect("another reader's", await log.cursor("a", "s"), Cursor(0, 0))
    _expect("the same name in another topic", await log.cursor("b", "r"), Cursor(0, 0))


async def _check_waiting(log: MessageLog) -> None:
    """Who waits for a message is told when it can be read, and not before."""
    early = asyncio.ensure_future(log.wait("a", 0))
    late = asyncio.ensure_future(log.wait("a", 2))
    left = asyncio.ensure_future(log.wait("a", 0))
    await _turns()
    _expect("a wait without a message", early.done(), False)
    left.cancel()
    await log.append("b", _entries("x"))
    await log.append("a", _entries("1", "2"))
    _expect("the last position, told to who waits", await early, 2)
    await _turns()
    _expect("a wait for a later one", late.done(), False)
    await log.append("a", _entries("3"))
    _expect("the last position, told later", await late, 3)
    _expect("a wait for what is there", await log.wait("a", 1), 3)
    _expect("what can be read then", len((await log.read("a", 1)).messages), 3)


async def _check_log_labels(log: MessageLog) -> None:
    """Names that could be taken for something else, and entries that cannot be kept, are refused."""
    for label in ("", "x" * 256, "a\0b", "a\nb", "\x1b[2J", "\x9b", "\ud800"):
        await _refused(f"topic {label[:10]!r}", log.append(label, _entries("x")), LocalError)
        await _refused(f"read of topic {label[:10]!r}", log.read(label, 1), LocalError)
        await _refused(f"reader {label[:10]!r}", log.cursor("a", label), LocalError)
    bad = [Entry(bytearray(b"x"), 0), Entry(b"", 1 << 63), Entry(b"", 0, "\ud800"), Entry(b"", 0, "", "", "\udfff")]  # type: ignore[arg-type]
    for entry in bad:
        await _refused(f"{entry!r}", log.append("a", [*_entries("x"), entry]), LocalError)
    _expect("topics after refusals", dict(await log.topics()), {})
    for label in ("a/b", "../a", "x" * 255, "é", "a b", "%00", "A"):
        _expect_receipt(f"an append to {label[:10]!r}", await log.append(label, _entries(label)), [1])
    _expect("a topic in other letters", await log.span("a"), Span(1, 0))


async def _check_log_end(log: MessageLog) -> None:
    """After close nothing is taken, and who waits is told."""
    under_way = asyncio.ensure_future(log.append("a", _entries("x")))
    waiting = asyncio.ensure_future(log.wait("never", 0))
    await _turns()
    await log.close()
    await log.close()
    _expect_receipt("an append under way at close", await under_way, [1])
    await _refused("wait at close", _awaited(waiting), StoreError)
    await _refused("append after close", log.append("a", _entries("x")), StoreError)
    await _refused("read after close", log.read("a", 1), StoreError)
    await _refused("wait after close", log.wait("a", 5), StoreError)


async def _check_log_crash(make: MakeLog, crash: CrashLog) -> None:
    """What was acknowledged is there after a crash, once, and producers go on where they were."""
    log = await make()
    try:
        for n in range(1, 6):
            await log.append("a", _entries(f"p-{n}"), producer=Producer(b"p", n))
        await log.acknowledge("a", "r", 3)
        await log.trim("a", Retention(count=4), now=0)
        log = await crash(log)
        _expect("bodies after a crash", _bodies(await log.read("a", 2)), ["p-2", "p-3", "p-4", "p-5"])
        _expect("the span after a crash", await log.span("a"), Span(2, 5))
        _expect("the cursor after a crash", await log.cursor("a", "r"), Cursor(3, 3))
        _expect("the watermark after a crash", await log.watermark(b"p"), 5)
        again = await log.append("a", _entries("p-4", "p-5", "p-6"), producer=Producer(b"p", 4))
        _expect_receipt("sequences 4 to 6 after a crash", again, [4, 5, 6], 2)
        conflict = log.append("a", _entries("other"), producer=Producer(b"p", 5))
        await _refused("other content after a crash", conflict, Conflict, sequence=5)
        await log.trim("a", Retention(count=0), now=0)
        log = await crash(log)
        _expect("the span of an emptied topic after a crash", await log.span("a"), Span(7, 6))
        _expect_receipt("the next append after a crash", await log.append("a", _entries("x")), [7])
        _expect("a wait after a crash", await log.wait("a", 6), 7)
    finally:
        await log.close()


# The shelf.


def _facts(values: Sequence[Value]) -> list[tuple[str, int, bytes, bool]]:
    return [(value.key, value.version, value.body, value.deleted) for value in values]


async def _check_values(shelf: Shelf) -> None:
    """What was put is got, until it is put anew or deleted; every change has the next version."""
    _expect("a key never put", await shelf.get("a"), None)
    _expect("the version of an empty shelf", await shelf.version(), 0)
    _expect("the first version", await shelf.put("a", b"1", time=5, content_type="t"), 1)
    value = await shelf.get("a")
    facts = value and (value.key, value.version, value.body, value.time, value.content_type, value.deleted)
    _expect("a value", facts, ("a", 1, b"1", 5, "t", False))
    _expect("the version of another key", await shelf.put("b", b"", time=0), 2)
    _expect("the version of a new value", await shelf.put("a", b"2", time=0), 3)
    _expect("the version of a deletion", await shelf.delete("b", time=0), 4)
    _expect("a deleted value", await shelf.get("b"), None)
    _expect("deleting what is not there", await shelf.delete("b", time=0), 0)
    _expect("the version in the end", await shelf.version(), 4)
    for key in ("", "x" * 256, "a\0", "\ud800"):
        await _refused(f"key {key[:10]!r}", shelf.put(key, b"", time=0), LocalError)
    await _refused("a body that is no bytes", shelf.put("a", "text", time=0), LocalError)  # type: ignore[arg-type]


async def _check_compare_and_set(shelf: Shelf) -> None:
    """With a version expected, one of several writers wins, and the others change nothing."""
    await _refused("version 1 expected of nothing", shelf.put("a", b"", time=0, expected=1), Changed, found=0)
    _expect("nothing expected of nothing", await shelf.put("a", b"1", time=0, expected=0), 1)
    again = shelf.put("a", b"x", time=0, expected=0)
    await _refused("nothing expected of a value", again, Changed, key="a", expected=0, found=1)
    _expect("the right version expected", await shelf.put("a", b"2", time=0, expected=1), 2)
    await _refused("an old version, to delete", shelf.delete("a", time=0, expected=1), Changed, found=2)
    tries = [shelf.put("a", b"%d" % n, time=0, expected=2) for n in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    won = [n for n, result in enumerate(results) if not isinstance(result, BaseException)]
    _expect("winners among eight", len(won), 1)
    head = await shelf.get("a")
    _expect("the winner's value", head and head.body, b"%d" % won[0])
    _expect("deleting the right version", await shelf.delete("a", time=0, expected=3), 4)
    _expect("nothing expected after a deletion", await shelf.put("a", b"new", time=0, expected=0), 5)


async def _check_listing(shelf: Shelf) -> None:
    """Keys are listed in order, by prefix, in pages, without the deleted ones."""
    for key in ("b/2", "a", "b/1", "c", "b/3", "b", "é", "b%"):
        await shelf.put(key, key.encode(), time=0)
    await shelf.delete("b/2", time=0)
    keys = ["a", "b", "b%", "b/1", "b/3", "c", "é"]
    _expect("all keys", [value.key for value in await shelf.list()], keys)
    _expect("all bodies", [value.body for value in await shelf.list()], [key.encode() for key in keys])
    _expect("keys that begin with b/", [value.key for value in await shelf.list("b/")], ["b/1", "b/3"])
    _expect("keys that begin with b%", [value.key for value in await shelf.list("b%")], ["b%"])
    _expect("two keys after b", [value.key for value in await shelf.list(after="b", limit=2)], ["b%", "b/1"])


async def _check_history(shelf: Shelf) -> None:
    """The last 16 changes of a key are kept, the newest first."""
    for n in range(1, 21):
        await shelf.put("a", b"%d" % n, time=n)
    await shelf.delete("a", time=21)
    history = await shelf.history("a")
    _expect("versions kept", [value.version for value in history], list(range(21, 5, -1)))
    _expect("the newest", (history[0].deleted, history[1].body), (True, b"20"))
    _expect("the last 2", [value.version for value in await shelf.history("a", limit=2)], [21, 20])
    _expect("the history of nothing", list(await shelf.history("?")), [])


async def _check_changes(shelf: Shelf) -> None:
    """Changes come in order of versions, deletions among them."""
    await shelf.put("a", b"1", time=0)
    await shelf.put("b", b"2", time=0)
    await shelf.delete("a", time=0)
    everything = [("a", 1, b"1", False), ("b", 2, b"2", False), ("a", 3, b"", True)]
    _expect("all changes", _facts(await shelf.changes(0)), everything)
    _expect("changes past 1", _facts(await shelf.changes(1)), everything[1:])
    _expect("one change past 1", _facts(await shelf.changes(1, limit=1)), everything[1:2])
    _expect("changes past the last", _facts(await shelf.changes(3)), [])


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
        await _turns()
    await watching
    _expect("versions seen", seen, [1, 2, 3, 4])
    _expect("a wait for what is there", await shelf.wait(3), 4)


async def _check_shelf_end(shelf: Shelf) -> None:
    """After close nothing is taken, and who waits is told."""
    waiting = asyncio.ensure_future(shelf.wait(0))
    await _turns()
    await shelf.close()
    await _refused("wait at close", _awaited(waiting), StoreError)
    await _refused("put after close", shelf.put("a", b"", time=0), StoreError)
    await _refused("get after close", shelf.get("a"), StoreError)


async def _check_shelf_crash(make: MakeShelf, crash: CrashShelf) -> None:
    """What was put is there after a crash, and versions go on."""
    shelf = await make()
    try:
        await shelf.put("a", b"1", time=0)
        await shelf.put("b", b"2", time=0)
        await shelf.delete("b", time=0)
        shelf = await crash(shelf)
        _expect("values after a crash", _facts(await shelf.list()), [("a", 1, b"1", False)])
        _expect("the version after a crash", await shelf.version(), 3)
        _expect("the next version after a crash", await shelf.put("b", b"", time=0, expected=0), 4)
    finally:
        await shelf.close()


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def _awaited(future: asyncio.Future[int]) -> int:
    return await future
