"""What many connections want at the same time is done together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anyplug.services.depots import Group

if TYPE_CHECKING:
    from collections.abc import Sequence


class Work:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.groups.append(items)
        await self.gate.wait()
        if 13 in items:
            raise RuntimeError("13")
        return [ValueError("0") if item == 0 else item * 2 for item in items]


async def test_what_comes_while_a_group_is_under_way_is_the_next_group() -> None:
    work = Work()
    group: Group[int, int] = Group(work, most=3)
    tasks = [asyncio.ensure_future(group.submit([1]))]
    await asyncio.sleep(0)
    tasks += [asyncio.ensure_future(group.submit([number, number + 1])) for number in (2, 4, 6)]
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(*tasks) == [[2], [4, 6], [8, 10], [12, 14]]
    assert work.groups == [[1], [2, 3, 4], [5, 6, 7]]
    assert await group.submit([8]) == [16]


async def test_an_error_is_that_of_its_item_or_of_all() -> None:
    work = Work()
    work.gate.set()
    group: Group[int, int] = Group(work)
    zero, one = await group.submit([0, 1])
    assert isinstance(zero, ValueError)
    assert one == 2
    (failed,) = await group.submit([13])
    assert isinstance(failed, RuntimeError)
    assert await group.submit([1]) == [2]


async def test_who_does_not_wait_any_more_keeps_nobody() -> None:
    work = Work()
    group: Group[int, int] = Group(work)
    gone = asyncio.ensure_future(group.submit([1]))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    stays = asyncio.ensure_future(group.submit([2]))
    work.gate.set()
    assert await stays == [4]


async def test_who_has_nothing_to_do_waits_for_nobody() -> None:
    work = Work()
    group: Group[int, int] = Group(work)
    assert await group.submit([]) == []
    assert work.groups == []


async def test_one_who_asks_for_more_than_a_group_gets_all_of_it_in_order() -> None:
    work = Work()
    work.gate.set()
    group: Group[int, int] = Group(work, most=2)
    assert await group.submit([1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]
    assert work.groups == [[1, 2], [3, 4], [5]]
