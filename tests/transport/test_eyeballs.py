"""Happy eyeballs, in virtual time."""

from __future__ import annotations

import pytest

from anyplug.transport.eyeballs import ATTEMPT_DELAY, Race, interleave

REFUSED = ConnectionRefusedError(111, "refused")


@pytest.mark.parametrize(
    ("ends", "order"),
    [
        ([], []),
        (["6a"], ["6a"]),
        (["6a", "6b", "4a", "4b"], ["6a", "4a", "6b", "4b"]),
        (["4a", "6a", "6b", "6c"], ["4a", "6a", "6b", "6c"]),
        (["6a", "6b", "6c", "4a"], ["6a", "4a", "6b", "6c"]),
        (["4a", "4b", "4c"], ["4a", "4b", "4c"]),
        (["6a", "4a", "6b", "4b"], ["6a", "4a", "6b", "4b"]),
    ],
)
def test_families_take_turns_beginning_with_the_resolvers_choice(ends: list[str], order: list[str]) -> None:
    assert interleave(ends, family=lambda end: end[0]) == order


def test_the_first_end_starts_at_once_and_the_next_after_the_delay() -> None:
    race = Race(["a", "b", "c"])
    assert race.start(100.0) == "a"
    assert race.start(100.0) is None
    assert race.wait(100.0) == ATTEMPT_DELAY
    assert race.start(100.2) is None
    assert race.wait(100.2) == pytest.approx(0.05)
    assert race.start(100.25) == "b"
    assert race.start(100.25) is None
    assert race.start(107.0) == "c"
    assert race.wait(107.0) is None
    assert race.running == ["a", "b", "c"]
    assert not race.lost


def test_a_failure_starts_the_next_at_once() -> None:
    race = Race(["a", "b", "c"])
    assert race.start(0.0) == "a"
    race.fail("a", REFUSED)
    assert race.wait(0.01) == 0.0
    assert race.start(0.01) == "b"
    assert race.start(0.01) is None
    assert race.wait(0.01) == ATTEMPT_DELAY


def test_a_black_hole_does_not_hold_up_the_others() -> None:
    """The first end never answers: the second is tried after one delay, and what failed before does not stop the wait
    for it."""
    race = Race(["black hole", "refuses", "answers"])
    assert race.start(0.0) == "black hole"
    assert race.start(ATTEMPT_DELAY) == "refuses"
    race.fail("refuses", REFUSED)
    assert race.start(ATTEMPT_DELAY) == "answers"
    assert race.running == ["black hole", "answers"]
    assert race.failures == [("refuses", REFUSED)]
    assert not race.lost


def test_it_is_lost_when_everything_was_tried_and_has_failed() -> None:
    race = Race(["a", "b"])
    lost = [race.lost]
    for end in ("a", "b"):
        race.start(0.0)
        lost.append(race.lost)
        race.fail(end, REFUSED)
        lost.append(race.lost)
    assert lost == [False, False, False, False, True]
    assert race.failures == [("a", REFUSED), ("b", REFUSED)]
    assert race.wait(0.0) is None
    assert Race[str]([]).lost


def test_the_delay_can_be_set() -> None:
    race = Race(["a", "b"], delay=1.0)
    race.start(0.0)
    assert race.wait(0.0) == 1.0
