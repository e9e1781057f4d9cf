"""Async tests run on uvloop, or the loops they name, and cannot hang."""

from __future__ import annotations

import asyncio

import pytest

from tests.loops import GuardedLoop

BOTH_LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


async def test_async_tests_run_on_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), GuardedLoop)


@BOTH_LOOPS
async def test_a_marked_test_names_its_loops(request: pytest.FixtureRequest) -> None:
    expected = GuardedLoop if "uvloop" in request.node.name else asyncio.SelectorEventLoop
    assert isinstance(asyncio.get_running_loop(), expected)


class ImpatientLoop(GuardedLoop):
    patience = 0.01


def test_a_test_that_hangs_is_ended_at_the_line_where_it_hangs() -> None:
    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=ImpatientLoop) as runner, pytest.raises(TimeoutError, match="hung") as caught:
        runner.run(hang())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


def test_a_test_that_is_cancelled_in_time_says_so() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with asyncio.Runner(loop_factory=GuardedLoop) as runner, pytest.raises(asyncio.CancelledError):
        runner.run(cancelled())


def test_a_loop_without_a_limit_runs_to_the_end() -> None:
    async def answer() -> int:
        return 7

    class PatientLoop(GuardedLoop):
        patience = None

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        assert runner.run(answer()) == 7


@pytest.mark.timeout(20)
async def test_the_loop_is_a_little_less_patient_than_the_timer() -> None:
    assert GuardedLoop.patience == 18
