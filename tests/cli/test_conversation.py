from __future__ import annotations

import asyncio

from anyplug.cli.conversation import linger


async def test_the_end_is_waited_for_while_something_must_go_out_and_then_once_more() -> None:
    end = asyncio.create_task(asyncio.Event().wait())
    answers = [True, True, False]
    await linger(end, lambda: answers.pop(0), 0.001)
    assert (answers, end.done()) == ([], False)
    end.cancel()


async def test_the_end_ends_the_waiting() -> None:
    end = asyncio.create_task(asyncio.sleep(0))
    await linger(end, lambda: True, 10)
    assert end.done()


async def test_an_end_that_has_come_is_not_waited_for() -> None:
    end = asyncio.create_task(asyncio.sleep(0))
    await end
    await linger(end, lambda: 1 // 0 > 0, 10)
