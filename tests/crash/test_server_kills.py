"""A server is killed (-9) again and again under load: what it acknowledged is there, once, in order.

Outboxes post through all of it and lose nothing. Connections without an outbox are told unknown at each break; what was
acknowledged to them is there once, what was not is there once or not at all.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

import anyplug
from anyplug import AnyplugError
from anyplug.backoff import Backoff
from anyplug.outbox import Outbox
from anyplug.store import SqliteStore
from tests.crash.process import Victim, rounds
from tests.store.checker import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SHARES = 4
"""Tests that the kills are shared among, so that they run side by side."""

CLEAN = Verdict([], [], [], [], [])
SOON = Backoff(first=0.01, most=0.05)


class Load:
    """Producers that post ``producer-counter`` until they are told to stop, and note what was acknowledged."""

    def __init__(self, address: str) -> None:
        self.address = f"{address}?service=inbox/log"
        self.tried: list[str] = []
        self.said: dict[str, int] = {}
        self.news = asyncio.Event()
        """Something was acknowledged."""
        self.up = asyncio.Event()
        """The server listens, and is not about to be killed."""
        self.stopping = False

    async def connection(self, producer: str, roll: random.Random) -> None:
        """Post over connections that are opened anew after each break; nothing is said twice."""
        counter = 0
        while not self.stopping:
            await self.up.wait()
            try:
                async with anyplug.connect(self.address, codec="text", timeout=5) as peer:
                    while not self.stopping:
                        values = [f"{producer}-{counter + at + 1}" for at in range(roll.choice((1, 1, 7, 100)))]
                        counter += len(values)
                        self.tried += values
                        positions = await peer.post_many(values, timeout=10)
                        self.said |= dict(zip(values, positions, strict=True))
                        self.news.set()
            except AnyplugError:
                continue

    async def outbox(self, producer: str, outbox: Outbox, roll: random.Random) -> None:
        """Put messages into an outbox, at most so many ahead of the deliveries."""
        counter = 0
        while not self.stopping:
            values = [f"{producer}-{counter + at + 1}" for at in range(roll.choice((1, 3, 50)))]
            counter += len(values)
            self.tried += values
            await outbox.post_many(self.address, values, codec="text")
            if sum(each.waiting for each in outbox.status()) > 500:
                await outbox.drained(60)


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    """A server that runs."""
    made = Victim(tmp_path)
    await asyncio.to_thread(made.start)
    yield made
    if made.running:
        await asyncio.to_thread(made.kill)


async def left(folder: Path) -> dict[int, str]:
    """What the store holds, position to value."""
    store = await SqliteStore.open(folder)
    try:
        found: dict[int, str] = {}
        while messages := (await store.log.read("inbox/log", len(found) + 1)).messages:
            found |= {message.position: message.body.decode() for message in messages}
        return found
    finally:
        await store.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", range(SHARES))
async def test_a_server_killed_again_and_again_keeps_its_word(victim: Victim, tmp_path: Path, share: int) -> None:
    roll = random.Random(share)
    load = Load(victim.address)
    async with Outbox(tmp_path / "a.db", backoff=SOON) as first, Outbox(tmp_path / "b.db", backoff=SOON) as second:
        posting = [
            asyncio.create_task(load.connection("plain", roll)),
            asyncio.create_task(load.connection("other", roll)),
            asyncio.create_task(load.outbox("outa", first, roll)),
            asyncio.create_task(load.outbox("outb", second, roll)),
        ]
        while victim.kills < rounds() // SHARES:
            load.news.clear()
            load.up.set()
            async with asyncio.timeout(30):
                await load.news.wait()  # it takes posts again
            await asyncio.sleep(roll.random() * 0.08)  # any moment
            load.up.clear()
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
        load.stopping = True
        load.up.set()
        await asyncio.gather(*posting)
        await first.drained(60)
        await second.drained(60)
        assert [(each.waiting, each.refused) for each in (*first.status(), *second.status())] == [(0, 0)] * 2
    assert await asyncio.to_thread(victim.stop) == 0
    found = await left(victim.store)
    assert list(found) == list(range(1, len(found) + 1))
    delivered = [value for value in load.tried if value.startswith("out")]
    assert judge(load.said, load.tried, found) == CLEAN
    assert set(delivered) <= set(found.values())
    assert len(load.said) > 10 * victim.kills
