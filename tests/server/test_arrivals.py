"""Arrivals: chunks that are being written, counted for their connection and for the server."""

from __future__ import annotations

import asyncio

from anyplug.server.arrivals import AHEAD, AHEAD_IN_ALL, Arrivals, Traffic
from anyplug.wire.arriving import KEPT


async def written(gate: asyncio.Event) -> None:
    await gate.wait()


def arrivals(traffic: Traffic, changes: list[bool]) -> Arrivals:
    return Arrivals(traffic, asyncio.get_running_loop().create_task, lambda: changes.append(True))


async def test_a_connection_that_has_enough_on_its_way_is_full() -> None:
    gate, changes = asyncio.Event(), list[bool]()
    some = arrivals(Traffic(), changes)
    for _ in range(AHEAD - 1):
        some.add(written(gate))
        assert not some.full
    some.add(written(gate))
    assert some.full
    gate.set()
    await some.settled()
    assert (len(some), some.full, changes) == (0, False, [True] * AHEAD)


async def test_where_the_server_has_enough_each_connection_has_one() -> None:
    gate, traffic = asyncio.Event(), Traffic()
    many = [arrivals(traffic, []) for _ in range(AHEAD_IN_ALL)]
    for each in many:
        each.add(written(gate))
    one = arrivals(traffic, [])
    before = one.full
    one.add(written(gate))
    assert (before, one.full) == (False, True)
    gate.set()
    for each in (*many, one):
        await each.settled()
    assert traffic.chunks == 0


async def test_when_nothing_is_on_its_way_memory_is_let_go() -> None:
    first, last, traffic = asyncio.Event(), asyncio.Event(), Traffic()
    taken = [traffic.buffers.take() for _ in range(KEPT + 2)]
    some = arrivals(traffic, [])
    some.add(written(first))
    some.add(written(last))
    del taken
    first.set()
    while len(some) > 1:
        await asyncio.sleep(0)
    assert len(traffic.buffers) == KEPT + 2
    last.set()
    await some.settled()
    assert len(traffic.buffers) == KEPT
