"""The writer tells its callers after the commit, in order, pauses them at the bound, and stops at an error."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError, StoreError, StoreFailed, StoreFull
from anyplug.store.writer import BATCH_MANY, ENOUGH, QUEUE_MANY, Target, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Scripted(Target):
    """A target that waits for the test before each commit, and fails where the test says so."""

    path = "/s"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()
        self.errors: list[Exception | None] = []
        self.full: StoreFull | None = None
        self.reserve = 0
        self.tidied: Exception | None = None

    def begin(self) -> StoreFull | None:
        self.calls.append("begin")
        self.begun.set()
        return self.full

    def run(self, apply: Callable[[], object]) -> object:
        return apply()

    def commit(self) -> None:
        self.open.wait()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.calls.append("commit")

    def rollback(self) -> None:
        self.calls.append("rollback")

    def make_room(self) -> bool:
        self.reserve -= 1
        return self.reserve >= 0

    def tidy(self) -> None:
        if self.tidied is not None:
            raise self.tidied

    def failed(self, error: StoreFailed) -> None:
        self.calls.append("failed")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def target() -> Scripted:
    return Scripted()


@pytest.fixture
async def writer(target: Scripted) -> AsyncIterator[Writer]:
    writer = Writer(target)
    yield writer
    target.open.set()
    await writer.close()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_caller_is_told_after_the_commit(writer: Writer, target: Scripted) -> None:
    target.open.clear()
    job = asyncio.ensure_future(writer.submit(lambda: 7))
    await asyncio.to_thread(target.begun.wait)
    await turns()
    assert not job.done()
    target.open.set()
    assert await job == 7
    assert target.calls == ["begin", "commit"]
    assert writer.commits == 1


async def test_who_does_not_wait_is_told_after_the_commit(writer: Writer, target: Scripted) -> None:
    told: asyncio.Queue[int | Exception] = asyncio.Queue()
    target.open.clear()
    writer.enter(lambda: 7, told.put_nowait)
    await asyncio.to_thread(target.begun.wait)
    await turns()
    assert told.empty()
    target.open.set()
    assert await told.get() == 7
    assert target.calls == ["begin", "commit"]


async def test_who_does_not_wait_is_told_of_every_error(writer: Writer, target: Scripted) -> None:
    def refuse() -> int:
        raise LocalError("no")

    told: asyncio.Queue[int | Exception] = asyncio.Queue()
    writer.enter(refuse, told.put_nowait)
    assert isinstance(await told.get(), LocalError)
    target.errors = [StoreFull("/s", "no room"), OSError("broken disk")]
    for kind in (StoreFull, StoreFailed):
        writer.enter(lambda: 1, told.put_nowait)
        assert type(await told.get()) is kind
    with pytest.raises(StoreFailed):
        writer.enter(lambda: 1, told.put_nowait)
    await turns()
    assert told.empty()


async def test_one_that_fails_when_it_is_told_keeps_nobody_else_from_it(writer: Writer, target: Scripted) -> None:
    def fail(outcome: object) -> None:
        raise ValueError(outcome)

    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    target.open.clear()
    first = asyncio.ensure_future(writer.submit(lambda: 0))
    await asyncio.to_thread(target.begun.wait)
    writer.enter(lambda: 1, fail)
    second = asyncio.ensure_future(writer.submit(lambda: 2))
    await turns()
    target.open.set()
    assert [*await asyncio.gather(first, second)] == [0, 2]
    (failure,) = failures
    assert repr(failure["exception"]) == "ValueError(1)"


async def test_who_does_not_wait_keeps_its_turn_at_the_bound(writer: Writer, target: Scripted) -> None:
    told: list[int | Exception] = []
    target.open.clear()
    writer.enter(lambda: 0, told.append)
    await asyncio.to_thread(target.begun.wait)
    for n in range(1, 31):
        writer.enter(lambda n=n: n, told.append, messages=BATCH_MANY)  # type: ignore[misc]
    assert writer.queued == (QUEUE_MANY, 0)
    target.open.set()
    assert await writer.submit(lambda: 31) == 31
    assert told == list(range(31))


async def test_what_comes_during_a_commit_shares_the_next_one(writer: Writer, target: Scripted) -> None:
    target.open.clear()
    first = asyncio.ensure_future(writer.submit(lambda: 0))
    await asyncio.to_thread(target.begun.wait)
    rest = [asyncio.ensure_future(writer.submit(lambda n=n: n)) for n in range(1, 51)]  # type: ignore[misc]
    await turns()
    assert writer.queued == (50, 0)
    target.open.set()
    assert await asyncio.gather(first, *rest) == list(range(51))
    assert writer.commits == 2


async def test_at_the_bound_callers_wait_their_turn(writer: Writer, target: Scripted) -> None:
    order: list[int] = []
    target.open.clear()
    first = asyncio.ensure_future(writer.submit(lambda: order.append(0)))
    await asyncio.to_thread(target.begun.wait)
    rest = [
        asyncio.ensure_future(writer.submit(lambda n=n: order.append(n), messages=BATCH_MANY))  # type: ignore[misc]
        for n in range(1, 31)
    ]
    await turns()
    assert writer.queued == (QUEUE_MANY, 0)
    rest[20].cancel()
    target.open.set()
    await asyncio.gather(first, *rest, return_exceptions=True)
    assert order == [n for n in range(31) if n != 21], "one that left while it was paused is not written"
    assert writer.queued == (0, 0)


async def test_a_small_one_does_not_overtake_those_that_wait_at_the_bound(writer: Writer, target: Scripted) -> None:
    order: list[int] = []
    target.open.clear()
    first = asyncio.ensure_future(writer.submit(lambda: order.append(0)))
    await asyncio.to_thread(target.begun.wait)
    sizes = [QUEUE_MANY - 1, 2, 1]
    rest = [
        asyncio.ensure_future(writer.submit(lambda n=n: order.append(n), messages=size))  # type: ignore[misc]
        for n, size in enumerate(sizes, 1)
    ]
    await turns()
    assert writer.queued == (QUEUE_MANY - 1, 0)
    target.open.set()
    await asyncio.gather(first, *rest)
    assert order == [0, 1, 2, 3]


async def test_a_commit_waits_for_the_company_of_the_one_before(target: Scripted) -> None:
    writer = Writer(target, gather=60)
    assert await writer.submit(lambda: 1) == 1, "one that is alone waits for nobody"
    target.begun.clear()
    target.open.clear()
    alone = asyncio.ensure_future(writer.submit(lambda: 1))
    await asyncio.to_thread(target.begun.wait)
    three = [asyncio.ensure_future(writer.submit(lambda: 1)) for _ in range(3)]
    await turns()
    target.open.set()
    await asyncio.gather(alone, *three)
    assert writer.commits == 3
    again = [asyncio.ensure_future(writer.submit(lambda: 1)) for _ in range(2)]
    target.begun.clear()
    assert not await asyncio.to_thread(target.begun.wait, 0.05), "it began without the third"
    again.append(asyncio.ensure_future(writer.submit(lambda: 1)))
    await asyncio.gather(*again)
    assert writer.commits == 4
    await writer.close()


@pytest.mark.parametrize(("messages", "commits"), [([ENOUGH], 3), ([ENOUGH - 1, 1], 3)])
async def test_a_commit_of_enough_messages_waits_for_no_company(
    target: Scripted, messages: list[int], commits: int
) -> None:
    writer = Writer(target, gather=60)
    target.open.clear()
    alone = asyncio.ensure_future(writer.submit(lambda: 1))
    await asyncio.to_thread(target.begun.wait)
    five = [asyncio.ensure_future(writer.submit(lambda: 1)) for _ in range(5)]
    await turns()
    target.open.set()
    await asyncio.gather(alone, *five)
    jobs = [asyncio.ensure_future(writer.submit(lambda: 1, messages=each)) for each in messages]
    async with asyncio.timeout(10):
        await asyncio.gather(*jobs)
    assert writer.commits == commits
    await writer.close()


async def test_a_job_that_refuses_itself_is_alone_with_it(writer: Writer, target: Scripted) -> None:
    def refuse() -> None:
        raise LocalError("no")

    target.open.clear()
    jobs = [asyncio.ensure_future(writer.submit(each)) for each in (lambda: None, refuse, lambda: None)]
    target.open.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(each) for each in results] == [type(None), LocalError, type(None)]
    assert await writer.submit(lambda: 1) == 1


async def test_a_full_disk_refuses_one_batch_and_takes_the_next(writer: Writer, target: Scripted) -> None:
    target.errors = [StoreFull("/s", "no room")]
    with pytest.raises(StoreFull):
        await writer.submit(lambda: 1)
    assert writer.full
    assert target.calls == ["begin", "rollback"]
    assert await writer.submit(lambda: 2) == 2
    assert not writer.full


async def test_on_a_full_disk_the_reserve_is_for_essential_jobs(writer: Writer, target: Scripted) -> None:
    target.open.clear()
    first = asyncio.ensure_future(writer.submit(lambda: 0))
    await asyncio.to_thread(target.begun.wait)
    jobs = [asyncio.ensure_future(writer.submit(lambda: 1, essential=each)) for each in (True, False, True)]
    await turns()
    full = StoreFull("/s", "no room")
    target.errors, target.reserve = [None, full], 1
    target.open.set()
    results = await asyncio.gather(first, *jobs, return_exceptions=True)
    assert [each if isinstance(each, int) else type(each) for each in results] == [0, 1, StoreFull, 1]
    target.errors = [full]
    with pytest.raises(StoreFull):
        await writer.submit(lambda: 1, essential=True)
    target.full = full
    with pytest.raises(StoreFull):
        await writer.submit(lambda: 1)
    assert await writer.submit(lambda: 1, essential=True) == 1


async def test_an_error_stops_it_and_all_are_told(writer: Writer, target: Scripted) -> None:
    target.open.clear()
    target.errors = [OSError("broken disk")]
    first = asyncio.ensure_future(writer.submit(lambda: 0))
    await asyncio.to_thread(target.begun.wait)
    rest = [asyncio.ensure_future(writer.submit(lambda: 1, messages=BATCH_MANY)) for _ in range(20)]
    await turns()
    target.open.set()
    results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert {(type(each), str(each)) for each in results} == {
        (StoreFailed, "the store /s has stopped: broken disk; mend the disk, then start the server again")
    }
    assert len({id(each) for each in results}) == 21, "each its own, with its own traceback"
    with pytest.raises(StoreFailed):
        await writer.submit(lambda: 1)
    await writer.close()
    assert target.calls == ["begin", "failed"], "no further commit, and no close that writes the log back"
    assert writer.commits == 0
    assert writer.over is not None


async def test_an_error_after_a_commit_stops_it_too(writer: Writer, target: Scripted) -> None:
    target.tidied = StoreFailed("/s", "a sync failed")
    assert await writer.submit(lambda: 1) == 1
    await writer.close()
    assert target.calls == ["begin", "commit", "failed"]
    with pytest.raises(StoreFailed, match="a sync failed"):
        await writer.submit(lambda: 1)


async def test_closing_writes_what_is_queued_and_takes_nothing_more(writer: Writer, target: Scripted) -> None:
    target.open.clear()
    jobs = [asyncio.ensure_future(writer.submit(lambda: 1)) for _ in range(5)]
    await turns()
    closing = asyncio.ensure_future(writer.close())
    await turns()
    with pytest.raises(StoreError, match="it is closed"):
        await writer.submit(lambda: 1)
    target.open.set()
    assert await asyncio.gather(*jobs) == [1] * 5
    await closing
    assert target.calls[-2:] == ["commit", "close"]
