"""The conformance suite of message logs, on disk or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from anyplug.errors import BeyondEnd, Conflict, Gap, LocalError, StoreError
from anyplug.store import Cursor, Entry, Producer, Retention, Span

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from anyplug.store import Batch, MessageLog, Receipt

__all__ = ["PATIENCE", "CrashLog", "MakeLog", "awaited", "check_message_log", "expect", "fail", "refused", "turns"]

MakeLog: TypeAlias = Callable[[], Awaitable["MessageLog"]]
"""Opens an empty message log."""

CrashLog: TypeAlias = Callable[["MessageLog"], Awaitable["MessageLog"]]
"""What is left of a log that is killed at this moment, opened anew. The old one may be closed, but only afterwards."""

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
        _check_append_soon,
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
            fail(f"{check.__name__[1:]}: {check.__doc__}", got=f"nothing in {patience:g} s", expected="an end")
        finally:
            await log.close()
    if crash is not None:
        await _check_log_crash(make, crash)


def fail(told: str, *, got: object, expected: object) -> NoReturn:
    """Say what was done, what came, and what should have."""
    raise AssertionError(f"{told}: got {got!r}, expected {expected!r}")


def expect(told: str, got: object, expected: object) -> None:
    """Fail unless it came as expected."""
    if got != expected:
        fail(told, got=got, expected=expected)


async def refused(told: str, call: Coroutine[object, object, object], kind: type[Exception], **facts: object) -> None:
    """Fail unless it raises this error with these facts."""
    try:
        got = await call
    except kind as error:
        for name, value in facts.items():
            expect(f"{told}: {name} of the {kind.__name__}", getattr(error, name), value)
        return
    fail(told, got=got, expected=kind.__name__)


def _entries(*bodies: str, time: int = 0) -> list[Entry]:
    return [Entry(body.encode(), time, "text/plain", "127.0.0.1:7", "ann") for body in bodies]


def _bodies(batch: Batch) -> list[str]:
    return [message.body.decode() for message in batch.messages]


def _expect_receipt(told: str, receipt: Receipt, positions: Sequence[int], duplicates: int = 0) -> None:
    expect(f"positions of {told}", list(receipt.positions), list(positions))
    expect(f"duplicates of {told}", receipt.duplicates, duplicates)


# The message log.


async def _check_positions(log: MessageLog) -> None:
    """Positions start at 1, have no gap, and each topic has its own."""
    expect("the span of a topic never written to", await log.span("new"), Span(1, 0))
    expect("the topics of an empty log", dict(await log.topics()), {})
    _expect_receipt("an append of three", await log.append("a", _entries("1", "2", "3")), [1, 2, 3])
    _expect_receipt("an append to another topic", await log.append("b", _entries("x")), [1])
    _expect_receipt("the next append", await log.append("a", _entries("4")), [4])
    _expect_receipt("an append of nothing", await log.append("c", []), [])
    expect("topics", dict(await log.topics()), {"a": Span(1, 4), "b": Span(1, 1)})


async def _soon(log: MessageLog, *bodies: str, topic: str = "a", producer: Producer | None = None) -> Receipt:
    """Append without waiting, and wait for what is told then."""
    told: asyncio.Queue[Receipt | Exception] = asyncio.Queue()
    log.append_soon(topic, _entries(*bodies), told.put_nowait, producer=producer)
    outcome = await told.get()
    await turns()
    expect("what else was told of an append", told.qsize(), 0)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _check_append_soon(log: MessageLog) -> None:
    """Who does not wait in a task is told once, of what became of its entries."""
    _expect_receipt("an append that is told", await _soon(log, "1", "2"), [1, 2])
    _expect_receipt("the next that is told", await _soon(log, "3"), [3])
    _expect_receipt("a producer's that is told", await _soon(log, "4", producer=Producer(b"p", 1)), [4])
    _expect_receipt("the same that is told", await _soon(log, "4", producer=Producer(b"p", 1)), [4], 1)
    await refused("a gap that is told", _soon(log, "6", producer=Producer(b"p", 3)), Gap, expected=2)
    await refused("a conflict that is told", _soon(log, "x", producer=Producer(b"p", 1)), Conflict, sequence=1)
    await refused("a bad name that is told", _soon(log, "x", topic=""), LocalError)
    expect("what was appended", _bodies(await log.read("a", 1)), ["1", "2", "3", "4"])


async def _check_reading(log: MessageLog) -> None:
    """What was appended is read, whole, in order, from any position, in batches."""
    entries = [Entry(bytes((n,)) * (n % 7), n, f"type/{n}", f"sender {n}", "é\u202e" * (n % 3)) for n in range(50)]
    await log.append("a", entries[:20])
    await log.append("a", entries[20:])
    got = await log.read("a", 1)
    facts = [(m.body, m.received, m.content_type, m.sender, m.name) for m in got.messages]
    expect("all fields read", facts, [(e.body, e.received, e.content_type, e.sender, e.name) for e in entries])
    expect("positions read", [m.position for m in got.messages], list(range(1, 51)))
    expect("the span read", got.span, Span(1, 50))
    expect("positions missed", got.missed, 0)
    part = await log.read("a", 18, limit=5)
    expect("positions read from 18, 5 at most", [m.position for m in part.messages], [18, 19, 20, 21, 22])
    expect("read from one past the end", list((await log.read("a", 51)).messages), [])
    expect("read from the first of an unknown topic", list((await log.read("?", 1)).messages), [])
    expect("the last 3", [m.position for m in (await log.last("a", 3)).messages], [48, 49, 50])
    expect("the last 99", [m.position for m in (await log.last("a", 99)).messages], list(range(1, 51)))
    await refused("read from 2 past the end", log.read("a", 52), BeyondEnd, position=52, last=50)
    await refused("read from 0", log.read("a", 0), LocalError)
    await log.append("big", [Entry(b"x" * 600, 0), Entry(b"y" * 600, 0), Entry(b"", 0)])
    expect("messages within 700 bytes", len((await log.read("big", 1, most=700)).messages), 1)
    expect("messages within 1 byte", len((await log.read("big", 1, most=1)).messages), 1)
    expect("messages within 1200 bytes", len((await log.read("big", 1, most=1200)).messages), 3)


async def _check_times(log: MessageLog) -> None:
    """A time finds the first message received then or later."""
    expect("since, in an empty topic", await log.since("a", 5), 1)
    await log.append("a", [Entry(b"", time) for time in (10, 20, 20, 20, 30)])
    found = [await log.since("a", time) for time in (0, 10, 11, 20, 21, 30, 31)]
    expect("since 0, 10, 11, 20, 21, 30, 31", found, [1, 1, 2, 2, 5, 5, 6])


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
    expect("the watermark", await log.watermark(b"p"), 5)
    expect("the watermark of an unknown producer", await log.watermark(b"?"), 0)
    expect("bodies", _bodies(await log.read("a", 1)), ["other", "1", "2", "3", "between", "4", "5"])
    many = _entries(*map(str, range(6, 1006)))
    first = await log.append("a", many, producer=Producer(b"p", 6))
    again = await log.append("a", many, producer=Producer(b"p", 6))
    _expect_receipt("a thousand sequences again", again, first.positions, 1000)
    expect("messages after all that was sent twice", (await log.span("a")).last, 1007)


async def _check_gap_and_conflict(log: MessageLog) -> None:
    """A sequence that skips some, or that came with other content, is refused whole, with nothing stored."""
    unknown = log.append("a", _entries("x"), producer=Producer(b"p", 2))
    await refused("sequence 2 of an unknown producer", unknown, Gap, expected=1, found=2)
    expect("topics after a refusal", dict(await log.topics()), {})
    await log.append("a", _entries("1", "2"), producer=Producer(b"p", 1))
    skipping = log.append("a", _entries("4"), producer=Producer(b"p", 4))
    await refused("sequence 4 after 2", skipping, Gap, expected=3, found=4, producer=b"p".hex())
    other = log.append("a", _entries("2", "other"), producer=Producer(b"p", 1))
    await refused("sequence 1 with another body", other, Conflict, sequence=1)
    half = log.append("a", _entries("other", "3"), producer=Producer(b"p", 2))
    await refused("sequence 2 with another body, and 3", half, Conflict, sequence=2)
    elsewhere = log.append("b", _entries("2"), producer=Producer(b"p", 2))
    await refused("sequence 2 for another topic", elsewhere, Conflict, sequence=2)
    typed = log.append("a", [Entry(b"2", 0, "text/other")], producer=Producer(b"p", 2))
    await refused("sequence 2 with another content type", typed, Conflict, sequence=2)
    expect("the watermark after refusals", await log.watermark(b"p"), 2)
    _expect_receipt("sequence 3", await log.append("a", _entries("3"), producer=Producer(b"p", 3)), [3])
    expect("bodies after refusals", _bodies(await log.read("a", 1)), ["1", "2", "3"])
    await refused("sequence 0", log.append("a", [], producer=Producer(b"p", 0)), LocalError)
    await refused("a producer without a name", log.append("a", [], producer=Producer(b"", 1)), LocalError)


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
    expect("watermarks", [await log.watermark(each) for each in (b"p", b"q", b"r")], [100, 100, 100])
    span = await log.span("odd")
    expect("messages in the odd topic", span, Span(1, 150))


async def _check_concurrent_appends(log: MessageLog) -> None:
    """Appends at the same time get positions of their own; each task's own are in its order."""

    async def produce(name: str) -> list[int]:
        receipts = [await log.append("a", _entries(f"{name}-{n}")) for n in range(10)]
        return [receipt.positions[0] for receipt in receipts]

    positions = await asyncio.gather(*(produce(f"p{k}") for k in range(8)))
    expect("all positions", sorted(p for mine in positions for p in mine), list(range(1, 81)))
    bodies = _bodies(await log.read("a", 1))
    for k, mine in enumerate(positions):
        expect("positions of one task, in order", mine, sorted(mine))
        expect("bodies at these positions", [bodies[p - 1] for p in mine], [f"p{k}-{n}" for n in range(10)])
    sent = [log.append("b", _entries(f"{n}"), producer=Producer(b"p", n)) for n in range(1, 101)]
    receipts = await asyncio.gather(*sent)
    expect("positions of appends under way together", [r.positions[0] for r in receipts], list(range(1, 101)))


async def _check_retention(log: MessageLog) -> None:
    """What is trimmed is gone from the front, positions stay, and a read says what it misses."""
    await log.append("a", [Entry(b"12345", n * SECOND) for n in range(1, 21)])
    expect("nothing to trim", await log.trim("a", Retention(), now=99 * SECOND), Span(1, 20))
    expect("trim to 15 messages", await log.trim("a", Retention(count=15), now=0), Span(6, 20))
    expect("trim to 10 s", await log.trim("a", Retention(age=10), now=20 * SECOND), Span(10, 20))
    expect("trim to 24 bytes", await log.trim("a", Retention(bytes=24), now=0), Span(17, 20))
    expect("trim to more than there is", await log.trim("a", Retention(count=9, bytes=999), now=0), Span(17, 20))
    batch = await log.read("a", 3)
    expect("positions read from 3", [m.position for m in batch.messages], [17, 18, 19, 20])
    expect("positions missed from 3 on", batch.missed, 14)
    expect("since a time that is gone", await log.since("a", 0), 17)
    expect("trim to nothing", await log.trim("a", Retention(count=0), now=0), Span(21, 20))
    expect("topics", dict(await log.topics()), {"a": Span(21, 20)})
    _expect_receipt("an append after all is gone", await log.append("a", _entries("new")), [21])
    expect("trim of an unknown topic", await log.trim("?", Retention(count=0), now=0), Span(1, 0))


async def _check_cursors(log: MessageLog) -> None:
    """A named reader's cursor moves on, never back and never past the end."""
    await log.append("a", _entries(*map(str, range(10))))
    expect("a new cursor", await log.cursor("a", "r"), Cursor(0, 0))
    expect("after delivery", await log.delivered("a", "r", 6), Cursor(0, 6))
    expect("after acknowledging", await log.acknowledge("a", "r", 4), Cursor(4, 6))
    expect("after acknowledging less", await log.acknowledge("a", "r", 2), Cursor(4, 6))
    expect("after acknowledging more than was delivered", await log.acknowledge("a", "r", 8), Cursor(8, 8))
    await refused("a cursor from the future", log.acknowledge("a", "r", 11), BeyondEnd, position=11, last=10)
    await refused("a delivery from the future", log.delivered("a", "r", 11), BeyondEnd)
    await refused("a cursor in an unknown topic", log.acknowledge("?", "r", 1), BeyondEnd)
    expect("the cursor in the end", await log.cursor("a", "r"), Cursor(8, 8))
    expect("another reader's", await log.cursor("a", "s"), Cursor(0, 0))
    expect("the same name in another topic", await log.cursor("b", "r"), Cursor(0, 0))


async def _check_waiting(log: MessageLog) -> None:
    """Who waits for a message is told when it can be read, and not before."""
    early = asyncio.ensure_future(log.wait("a", 0))
    late = asyncio.ensure_future(log.wait("a", 2))
    left = asyncio.ensure_future(log.wait("a", 0))
    await turns()
    expect("a wait without a message", early.done(), False)
    left.cancel()
    await log.append("b", _entries("x"))
    await log.append("a", _entries("1", "2"))
    expect("the last position, told to who waits", await early, 2)
    await turns()
    expect("a wait for a later one", late.done(), False)
    await log.append("a", _entries("3"))
    expect("the last position, told later", await late, 3)
    expect("a wait for what is there", await log.wait("a", 1), 3)
    expect("what can be read then", len((await log.read("a", 1)).messages), 3)


async def _check_log_labels(log: MessageLog) -> None:
    """Names that could be taken for something else, and entries that cannot be kept, are refused."""
    for label in ("", "x" * 256, "a\0b", "a\nb", "\x1b[2J", "\x9b", "\ud800"):
        await refused(f"topic {label[:10]!r}", log.append(label, _entries("x")), LocalError)
        await refused(f"read of topic {label[:10]!r}", log.read(label, 1), LocalError)
        await refused(f"reader {label[:10]!r}", log.cursor("a", label), LocalError)
    bad = [Entry(bytearray(b"x"), 0), Entry(b"", 1 << 63), Entry(b"", 0, "\ud800"), Entry(b"", 0, "", "", "\udfff")]  # type: ignore[arg-type]
    for entry in bad:
        await refused(f"{entry!r}", log.append("a", [*_entries("x"), entry]), LocalError)
    expect("topics after refusals", dict(await log.topics()), {})
    for label in ("a/b", "../a", "x" * 255, "é", "a b", "%00", "A"):
        _expect_receipt(f"an append to {label[:10]!r}", await log.append(label, _entries(label)), [1])
    expect("a topic in other letters", await log.span("a"), Span(1, 0))


async def _check_log_end(log: MessageLog) -> None:
    """After close nothing is taken, and who waits is told."""
    under_way = asyncio.ensure_future(log.append("a", _entries("x")))
    waiting = asyncio.ensure_future(log.wait("never", 0))
    await turns()
    await log.close()
    await log.close()
    _expect_receipt("an append under way at close", await under_way, [1])
    await refused("wait at close", awaited(waiting), StoreError)
    await refused("append after close", log.append("a", _entries("x")), StoreError)
    await refused("append after close that is told", _soon(log, "x"), StoreError)
    await refused("read after close", log.read("a", 1), StoreError)
    await refused("wait after close", log.wait("a", 5), StoreError)


async def _check_log_crash(make: MakeLog, crash: CrashLog) -> None:
    """What was acknowledged is there after a crash, once, and producers go on where they were."""
    log = await make()
    try:
        for n in range(1, 6):
            await log.append("a", _entries(f"p-{n}"), producer=Producer(b"p", n))
        await log.acknowledge("a", "r", 3)
        await log.trim("a", Retention(count=4), now=0)
        log = await crash(log)
        expect("bodies after a crash", _bodies(await log.read("a", 2)), ["p-2", "p-3", "p-4", "p-5"])
        expect("the span after a crash", await log.span("a"), Span(2, 5))
        expect("the cursor after a crash", await log.cursor("a", "r"), Cursor(3, 3))
        expect("the watermark after a crash", await log.watermark(b"p"), 5)
        again = await log.append("a", _entries("p-4", "p-5", "p-6"), producer=Producer(b"p", 4))
        _expect_receipt("sequences 4 to 6 after a crash", again, [4, 5, 6], 2)
        conflict = log.append("a", _entries("other"), producer=Producer(b"p", 5))
        await refused("other content after a crash", conflict, Conflict, sequence=5)
        await log.trim("a", Retention(count=0), now=0)
        log = await crash(log)
        expect("the span of an emptied topic after a crash", await log.span("a"), Span(7, 6))
        _expect_receipt("the next append after a crash", await log.append("a", _entries("x")), [7])
        expect("a wait after a crash", await log.wait("a", 6), 7)
    finally:
        await log.close()


async def turns() -> None:
    """Let other tasks run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def awaited(future: asyncio.Future[int]) -> int:
    """What a future gives."""
    return await future
