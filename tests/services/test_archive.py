"""What was said, written behind the talk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from anyplug.errors import StoreFailed
from anyplug.schemas.talk import Said
from anyplug.services.archive import BATCH, CONTENT_TYPE, Archive
from anyplug.store import Entry, MemoryLog, Receipt, Retention, Span
from tests.server.serving import LogRecords

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1 << 20


class Gate(MemoryLog):
    """A log that writes when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self.batches: list[int] = []
        self.untrimmable = False

    async def append(self, topic: str, entries: Sequence[Entry], **options: Any) -> Receipt:
        await self.open.wait()
        if self.broken:
            raise StoreFailed("data", "the disk is gone")
        self.batches.append(len(entries))
        return await super().append(topic, entries, **options)

    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        if self.untrimmable:
            raise StoreFailed("data", "the disk is gone")
        return await super().trim(topic, retention, now=now)


def said(position: int, text: str = "") -> Said:
    return Said(position=position, nick="ann", text=text or f"text {position}", time=position)


async def test_what_is_said_is_kept_in_order_and_comes_back() -> None:
    log = MemoryLog()
    archive = Archive(log, "talk/lobby", LogRecords().log(), most=MOST)
    for position in range(1, 6):
        archive.put(said(position), "127.0.0.1:5")
    busy = [archive.busy]
    for _ in range(2):  # a second time there is nothing to wait for
        await archive.written()
        busy.append(archive.busy)
    assert busy == [True, False, False]
    found = await log.read("talk/lobby", 1)
    first = found.messages[0]
    assert (first.body, first.content_type, first.sender, first.name, first.received) == (
        b"text 1",
        CONTENT_TYPE,
        "127.0.0.1:5",
        "ann",
        1,
    )
    assert found.span.last == 5
    again = Archive(log, "talk/lobby", LogRecords().log(), most=MOST)
    assert await again.load(2, message=4096) == (5, [said(4), said(5)])
    assert await again.load(20, message=4096) == (5, [said(position) for position in range(1, 6)])
    assert await again.load(0, message=4096) == (5, [])


async def test_a_room_that_was_never_written_to_is_empty() -> None:
    archive = Archive(MemoryLog(), "talk/lobby", LogRecords().log(), most=MOST)
    assert await archive.load(20, message=4096) == (0, [])


async def test_what_waits_is_written_in_batches() -> None:
    log = Gate()
    log.open.clear()
    archive = Archive(log, "talk/lobby", LogRecords().log(), most=MOST)
    archive.put(said(1), "")
    await asyncio.sleep(0)  # the first is on its way to the disk
    for position in range(2, BATCH + 12):
        archive.put(said(position), "")
    log.open.set()
    await archive.written()
    assert log.batches == [1, BATCH, 10]
    batch = await log.read("talk/lobby", 1, limit=2 * BATCH)
    assert [each.received for each in batch.messages] == list(range(1, BATCH + 12))


async def test_a_slow_store_costs_what_does_not_fit_and_is_told_once() -> None:
    log, records = Gate(), LogRecords()
    log.open.clear()
    archive = Archive(log, "talk/lobby", records.log(), most=20)
    for position in range(1, 6):
        archive.put(said(position, "x" * 10), "")
    assert archive.lost == 3
    assert records.events("talk_not_kept") == [
        {"topic": "talk/lobby", "problem": "the store is too slow for what is said", "lost": 1}
    ]
    log.open.set()
    await archive.written()
    archive.put(said(6), "")
    await archive.written()
    assert [each.received for each in (await log.read("talk/lobby", 1)).messages] == [1, 2, 6]


async def test_a_broken_store_costs_history_and_is_told_once_until_it_works() -> None:
    log, records = Gate(), LogRecords()
    archive = Archive(log, "talk/lobby", records.log(), most=MOST)
    for broken in (True, True, False, True):
        log.broken = broken
        archive.put(said(1), "")
        archive.put(said(2), "")
        await archive.written()
    assert archive.lost == 6
    assert [event["lost"] for event in records.events("talk_not_kept")] == [2, 6]
    assert "the disk is gone" in records.events("talk_not_kept")[0]["problem"]


async def test_old_messages_are_removed_now_and_then_and_the_log_says_so() -> None:
    log, records = MemoryLog(), LogRecords()
    archive = Archive(log, "talk/lobby", records.log(), most=MOST, kept=10)
    assert await archive.load(5, message=10) == (0, [])
    for position in range(1, BATCH + 10):
        archive.put(said(position), "")
    await archive.written()
    assert (await log.span("talk/lobby")).first == 1
    again = Archive(log, "talk/lobby", records.log(), most=MOST, kept=10)
    position, _ = await again.load(5, message=10)
    again.put(said(position + 1), "")
    await again.written()
    assert await log.span("talk/lobby") == Span(BATCH + 1, BATCH + 10)
    assert records.events("talk_trimmed") == [{"topic": "talk/lobby", "removed": BATCH, "first": BATCH + 1}]
    again.put(said(position + 2), "")
    await again.written()
    assert (await log.span("talk/lobby")).first == BATCH + 1


async def test_where_all_is_kept_nothing_is_removed() -> None:
    log = MemoryLog()
    archive = Archive(log, "talk/lobby", LogRecords().log(), most=MOST)
    for position in range(1, 2 * BATCH):
        archive.put(said(position), "")
    await archive.written()
    assert (await log.span("talk/lobby")).first == 1


async def test_what_cannot_be_removed_is_told_and_nothing_is_lost() -> None:
    log, records = Gate(), LogRecords()
    log.untrimmable = True
    archive = Archive(log, "talk/lobby", records.log(), most=MOST, kept=1)
    for position in range(1, BATCH + 10):
        archive.put(said(position), "")
    await archive.written()
    assert archive.lost == 0
    assert records.events("talk_not_trimmed")[0]["topic"] == "talk/lobby"
