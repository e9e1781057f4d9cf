"""The tasks that deliver: what they do when the disk is full, when they end too early, when a fault is in them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import Code
from anyplug.outbox import OutboxFull
from anyplug.outbox.courier import _Encoded
from anyplug.store import MemoryStore
from tests.outbox.keeping import Keeper, kept, serve
from tests.outbox.test_outbox import NOBODY, box

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug import Address


@pytest.fixture
async def keeper() -> Keeper:
    return Keeper(MemoryStore())


def test_what_is_encoded_stays_as_it_is() -> None:
    codec = _Encoded("json")
    assert (codec.name, codec.encode(b"1"), codec.decode(b"2")) == ("json", b"1", b"2")


class Grudging:
    """A queue whose disk has no room the first time it is asked for each thing."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name in {"load", "settle", "refuse", "note"} and name not in self.refused:
            return partial(self._refuse, name)
        return getattr(self._queue, name)

    async def _refuse(self, name: str, *_: object, **__: object) -> None:
        self.refused.add(name)
        raise OutboxFull("o.db", "no room")


async def test_a_full_disk_holds_deliveries_up_and_loses_nothing(folder: Path, keeper: Keeper) -> None:
    keeper.refuses[b"2"] = Code.BAD_MESSAGE
    async with serve(keeper) as address, box(folder, deliver=False) as outbox:
        await outbox.post_many(address, [b"1", b"2", b"3"], codec="bytes")
        queue = Grudging(outbox._queue)
        outbox._queue = queue  # type: ignore[assignment]
        await outbox.deliver(10)
        assert {"load", "settle", "refuse"} <= queue.refused
        assert await kept(keeper.store) == [b"1", b"3"]
        assert [refusal.body for refusal in await outbox.refusals()] == [b"2"]


async def test_a_courier_that_ends_while_more_comes_is_followed_by_another(folder: Path) -> None:
    async def nothing() -> None:
        """It had nothing to do."""

    async with box(folder) as outbox:
        await outbox.post(NOBODY, 1)
        courier, task = outbox._couriers[NOBODY]
        task.cancel()
        await asyncio.wait({task})
        assert outbox._couriers == {}
        ended = asyncio.create_task(nothing())
        await ended
        outbox._couriers[NOBODY] = courier, ended
        outbox._ended(NOBODY, ended)
        assert outbox._couriers[NOBODY][0] is not courier


async def test_a_fault_of_ours_is_raised_and_not_swallowed(folder: Path) -> None:
    def token(where: Address) -> str:
        raise KeyError(where.host)

    async with box(folder, token=token) as outbox:
        await outbox.post(NOBODY, 1)
        with pytest.raises(KeyError):
            await outbox.drained(10)
