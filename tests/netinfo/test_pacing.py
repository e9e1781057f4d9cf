from __future__ import annotations

import pytest

from anyplug.netinfo.pacing import FIRST_WAIT, LEAST_WAIT, LEAST_WINDOW, MOST_TRIES, MOST_WAIT, Pacer


def test_answers_widen_the_window_up_to_its_bound() -> None:
    pacer = Pacer(most=100, retries=1)
    before = pacer.window
    pacer.answered(0.01, 1)
    assert pacer.window == before + 1
    for _ in range(200):
        pacer.answered(0.01, 1)
    assert pacer.window == 100


def test_an_answer_at_a_later_try_halves_it_and_asks_more_often() -> None:
    pacer = Pacer(most=1000, retries=1)
    pacer.answered(0.5, 2, 1.0)
    assert (pacer.window, pacer.tries) == (32, 4)
    for turn in range(50):
        pacer.answered(0.5, pacer.tries, 10.0 * turn)
    assert (pacer.window, pacer.tries) == (LEAST_WINDOW, MOST_TRIES)


def test_what_was_lost_together_counts_once() -> None:
    pacer = Pacer(most=1000, retries=1)
    for turn in range(10):
        pacer.answered(0.5, 2, 1.0 + turn / 1000)
    assert pacer.window == 32


def test_silence_alone_changes_nothing() -> None:
    pacer = Pacer(most=1000, retries=2)
    assert (pacer.window, pacer.tries) == (64, 3)


def test_no_retries_are_honoured() -> None:
    pacer = Pacer(most=10, retries=0)
    pacer.answered(1, 2)
    assert pacer.tries == 1


def test_the_first_answer_is_waited_for_a_second_then_it_is_learned() -> None:
    pacer = Pacer(most=10, retries=3)
    assert pacer.wait(1) == FIRST_WAIT
    assert pacer.wait(3) == MOST_WAIT
    pacer.answered(0.0001, 1)
    assert pacer.wait(1) == LEAST_WAIT
    assert pacer.wait(2) == 2 * LEAST_WAIT
    for _ in range(20):
        pacer.answered(5.0, 1)
    assert pacer.wait(1) == FIRST_WAIT


def test_a_wait_that_was_given_stays() -> None:
    pacer = Pacer(most=10, retries=3, wait=0.2)
    pacer.answered(0.0001, 1)
    assert (pacer.fixed, pacer.wait(1), pacer.wait(4)) == (True, 0.2, 0.2)
    assert not Pacer(most=10, retries=0).fixed


@pytest.mark.parametrize(("under_way", "most"), [(7, 7), (0, 1)])
def test_a_system_without_sockets_bounds_the_window(under_way: int, most: int) -> None:
    pacer = Pacer(most=1000, retries=1)
    pacer.starved(under_way)
    pacer.answered(0.01, 1)
    assert (pacer.most, pacer.window) == (most, most)


def test_the_rate_is_kept() -> None:
    pacer, now, sent = Pacer(most=10, retries=1, rate=100), 0.0, 0
    while now < 1.0:
        pause = pacer.pause(now)
        if pause:
            now += pause
        else:
            sent += 1
    assert 99 <= sent <= 103


def test_without_a_rate_nothing_waits() -> None:
    assert Pacer(most=10, retries=1).pause(0.0) == 0.0
