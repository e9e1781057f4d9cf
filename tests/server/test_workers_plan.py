"""When workers start and end: a table of what happens at which second."""

from __future__ import annotations

import math

import pytest

from anyplug.server.workers_plan import BACKOFF, GRACE, START_TIME, STEADY, TRIES, Loss, Plan, Stage


def serving(count: int, now: float = 0.0) -> Plan:
    """A plan whose workers all listen."""
    plan = Plan(count)
    for number in plan.due(now):
        plan.began(number, now)
    for number in range(1, count + 1):
        plan.listens(number)
    assert plan.complete
    return plan


def test_all_are_due_at_once_and_then_it_waits_for_them() -> None:
    plan = Plan(3)
    assert (plan.due(7.0), plan.wait(7.0), plan.alive) == ([1, 2, 3], 0.0, [])
    for number in (1, 2, 3):
        plan.began(number, 7.0)
    assert (plan.due(7.0), plan.wait(8.0), plan.alive) == ([], START_TIME - 1.0, [1, 2, 3])
    assert [plan.listens(1), plan.listens(3), plan.listens(2)] == [False, False, True]
    assert (plan.wait(9.0), plan.late(math.inf), plan.complete, plan.over) == (None, [1, 2, 3], True, False)


def test_one_that_listens_again_is_not_the_first_time() -> None:
    plan = serving(1)
    plan.ended(1, 100.0)
    plan.began(1, 100.0)
    assert not plan.listens(1)
    assert plan[1] is Stage.LISTENING


def test_one_that_does_not_start_is_late_once() -> None:
    plan = Plan(2)
    for number in plan.due(0.0):
        plan.began(number, 0.0)
    plan.listens(2)
    assert plan.late(START_TIME - 0.1) == []
    assert plan.late(START_TIME) == [1]
    assert plan.late(START_TIME) == []
    assert plan.ended(1, START_TIME) == Loss(None, final=True)


def test_before_all_have_listened_nothing_is_tried_twice() -> None:
    plan = Plan(2)
    for number in plan.due(0.0):
        plan.began(number, 0.0)
    assert plan.ended(1, 1.0) == Loss(None, final=True)
    assert plan[1] is Stage.GONE
    assert plan.due(100.0) == []


def test_one_that_has_served_for_long_is_replaced_at_once() -> None:
    plan = serving(2)
    assert plan.ended(1, 1_000.0) == Loss(0.0)
    assert (plan[1], plan.due(1_000.0), plan.alive) == (Stage.WAITING, [1], [2])


def test_starts_that_fail_wait_longer_each_time_but_not_for_ever() -> None:
    plan = serving(2)  # the other one serves on, so that it never gives up
    now, waits = STEADY, []
    for _ in range(12):
        plan.began(1, now)
        loss = plan.ended(1, now + 1.0)
        assert loss.again is not None
        assert plan.wait(now + 1.0) == loss.again
        assert plan.due(now + 1.0 + loss.again - 0.001) == []
        now += 1.0 + loss.again
        assert plan.due(now) == [1]
        waits.append(loss.again)
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[BACKOFF.most] * 5]


def test_one_that_has_started_well_is_as_good_as_new() -> None:
    plan = serving(2)
    for _ in range(3):
        plan.began(1, 10.0)
        plan.ended(1, 11.0)
    plan.began(1, 20.0)
    assert plan.ended(1, 20.0 + STEADY) == Loss(0.0)
    plan.began(1, 30.0)
    assert plan.ended(1, 31.0) == Loss(0.0)


def test_it_gives_up_where_nobody_serves_steadily() -> None:
    plan = serving(2, now=0.0)
    losses = []
    for attempt in range(TRIES):
        now = attempt * 0.1
        if attempt:
            plan.began(1, now)
            plan.listens(1)
        losses.append(plan.ended(1, now + 0.1))
    assert [loss.final for loss in losses] == [False] * (TRIES - 1) + [True]
    assert losses[-1].again is None


@pytest.mark.parametrize(("since", "final"), [(0.0, False), (10.0 - STEADY + 0.1, True)])
def test_another_that_serves_steadily_keeps_it_going(since: float, final: bool) -> None:
    plan = serving(2)
    plan.ended(2, since)
    plan.began(2, since)
    plan.listens(2)
    losses = []
    for _ in range(TRIES):
        plan.began(1, 9.0)
        losses.append(plan.ended(1, 10.0))
    assert losses[-1].final is final


def test_all_may_be_told_to_stop() -> None:
    plan = serving(3)
    plan.ended(3, 100.0)  # it is to be started
    plan.stop(100.0, 10.0)
    assert (plan.due(200.0), plan[3], plan.alive, plan.over) == ([], Stage.GONE, [1, 2], False)
    assert plan.wait(100.0) == 10.0 + GRACE
    assert plan.ended(1, 105.0) == Loss(None)
    plan.answered(2)
    assert plan.late(110.0 + GRACE - 0.1) == []
    assert plan.late(110.0 + GRACE) == [2]
    assert plan.ended(2, 111.0 + GRACE) == Loss(None)
    assert plan.over


def test_a_second_word_has_a_nearer_end() -> None:
    plan = serving(1)
    plan.stop(0.0, 10.0)
    plan.stop(1.0, 0.0)
    assert plan.late(1.0 + GRACE) == [1]


def test_one_that_begins_to_listen_when_all_are_to_stop_is_not_the_last_that_was_waited_for() -> None:
    plan = Plan(1)
    plan.began(1, 0.0)
    plan.stop(0.0, 10.0)
    assert not plan.listens(1)
    assert not plan.complete
    assert plan.wait(0.0) == 10.0 + GRACE, "and it is still to end"


def test_one_that_does_not_start_is_not_given_time_to_end() -> None:
    plan = Plan(1)
    plan.began(1, 0.0)
    plan.stop(1.0, 1_000.0)
    assert plan.late(START_TIME) == [1]


def test_one_may_be_expected_to_do_something() -> None:
    plan = serving(2)
    plan.expect(1, 50.0, 3.0)
    plan.expect(2, 50.0, 3.0)
    plan.answered(2)
    assert plan.wait(50.0) == 3.0 + GRACE
    assert plan.late(53.0 + GRACE) == [1]
    assert plan.ended(1, 54.0 + GRACE) == Loss(0.0)
