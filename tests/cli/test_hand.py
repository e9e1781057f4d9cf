from __future__ import annotations

import asyncio
import threading

import pytest

from anyplug.cli.hand import Hand


async def test_what_the_work_returns_is_returned() -> None:
    hand = Hand()
    assert await hand.do(threading.get_ident) != threading.get_ident()
    assert await hand.do(threading.get_ident) == await hand.do(threading.get_ident)


async def test_what_the_work_raises_is_raised_and_the_next_is_done() -> None:
    hand = Hand()
    with pytest.raises(ZeroDivisionError):
        await hand.do(lambda: 1 // 0)
    assert await hand.do(lambda: 1) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_who_no_longer_waits_is_not_told(fails: bool) -> None:
    hand, go = Hand(), threading.Event()

    def work() -> int:
        assert go.wait(10)
        return 1 // 0 if fails else 1

    waiting = asyncio.create_task(hand.do(work))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    go.set()
    assert await hand.do(lambda: 2) == 2


def test_a_loop_that_is_gone_is_not_told() -> None:
    hand, go = Hand(), threading.Event()

    async def leave() -> None:
        task = asyncio.create_task(hand.do(lambda: go.wait(10)))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    go.set()
    assert asyncio.run(hand.do(lambda: 3)) == 3
