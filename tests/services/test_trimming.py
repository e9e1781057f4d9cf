"""Trimming in the background."""

from __future__ import annotations

import asyncio

import pytest

from anyplug.errors import StoreFailed
from anyplug.services import Facilities
from anyplug.services.trimming import Trimmer
from anyplug.store import Entry, MemoryLog, MemoryStore, Retention, Span
from tests.server.serving import LogRecords


class SlowLog(MemoryLog):
    """A log that counts how often it is trimmed, and waits for its gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.trims = 0
        self.fault: Exception | None = None

    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        self.trims += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return await super().trim(topic, retention, now=now)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    store.log = SlowLog()
    await store.log.append("t", [Entry(b"xx", number * 10**9) for number in range(10)])
    return store


def slow(store: MemoryStore) -> SlowLog:
    assert isinstance(store.log, SlowLog)
    return store.log


@pytest.mark.parametrize(
    ("retention", "first"),
    [(Retention(count=4), 7), (Retention(bytes=5), 9), (Retention(age=3.5), 8), (Retention(count=4, age=1.5), 10)],
)
async def test_what_is_not_kept_goes_and_the_log_says_how_much(
    store: MemoryStore, retention: Retention, first: int
) -> None:
    records = LogRecords()
    slow(store).gate.set()
    Trimmer(Facilities(store=store, log=records.log(), clock=lambda: 10 * 10**9), retention, gap=0).used("t")
    assert await records.wait_for("trimmed") == {"topic": "t", "messages": first - 1, "first": first}
    assert (await store.log.span("t")).first == first


async def test_however_often_a_topic_is_used_it_is_looked_at_once_at_a_time(store: MemoryStore) -> None:
    log = slow(store)
    records = LogRecords()
    trimmer = Trimmer(Facilities(store=store, log=records.log()), Retention(count=4), gap=0)
    for _ in range(100):
        trimmer.used("t")
    async with asyncio.timeout(10):
        while not log.trims:
            await asyncio.sleep(0)
    trimmer.used("t")
    for _ in range(20):
        await asyncio.sleep(0)
    assert log.trims == 1
    await log.append("t", [Entry(b"x", 0)] * 5)
    log.gate.set()
    async with asyncio.timeout(10):
        while (await log.span("t")).count != 4 or log.trims != 2:
            await asyncio.sleep(0)


async def test_where_all_is_kept_nothing_is_looked_at(store: MemoryStore) -> None:
    log = slow(store)
    trimmer = Trimmer(Facilities(store=store), Retention(), gap=0)
    trimmer.used("t")
    for _ in range(20):
        await asyncio.sleep(0)
    assert (trimmer.idle, log.trims) == (True, 0)


async def test_a_trim_that_removes_nothing_is_not_told(store: MemoryStore) -> None:
    log, records = slow(store), LogRecords()
    log.gate.set()
    Trimmer(Facilities(store=store, log=records.log()), Retention(count=10), gap=0).used("t")
    async with asyncio.timeout(10):
        while not log.trims:
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert records.records == []


async def test_a_store_that_has_stopped_ends_no_server(store: MemoryStore) -> None:
    log, records = slow(store), LogRecords()
    log.fault = StoreFailed("where", "input/output error")
    log.gate.set()
    trimmer = Trimmer(Facilities(store=store, log=records.log()), Retention(count=1), gap=0)
    trimmer.used("t")
    assert (await records.wait_for("not_trimmed"))["topic"] == "t"
    log.fault = None
    trimmer.used("t")
    await records.wait_for("trimmed")
