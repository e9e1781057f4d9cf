"""Questions and their answers: ids, order, giving up, the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import LocalError
from anyplug.wire import Asks

LAST = 2**32 - 1


def test_ids_begin_at_one_and_follow_each_other() -> None:
    asks: Asks[str] = Asks()
    assert [asks.open(name) for name in "abc"] == [1, 2, 3]
    assert len(asks) == 3


@pytest.mark.parametrize(
    ("last", "numbers"),
    [(0, [1, 2, 3]), (LAST - 2, [LAST - 1, LAST, 1]), (LAST - 1, [LAST, 1, 2]), (LAST, [1, 2, 3])],
)
def test_ids_wrap_around_to_one(last: int, numbers: list[int]) -> None:
    asks: Asks[str] = Asks(last=last)
    assert [asks.open(name) for name in "abc"] == numbers


def test_an_id_in_use_is_passed_over() -> None:
    asks: Asks[int] = Asks(ids=5)
    assert [asks.open(at) for at in range(4)] == [1, 2, 3, 4]
    asks.answer(2)
    asks.answer(4)
    assert [asks.open(at) for at in range(2)] == [5, 2]
    assert asks.open(0) == 4
    with pytest.raises(LocalError, match="5 questions are open, and there are no more ids"):
        asks.open(0)
    assert asks.end() == [0, 2, 0, 1, 0]
    assert asks.open(0) == 5


def test_answers_find_their_question_in_any_order() -> None:
    asks: Asks[str] = Asks()
    first, second, third = (asks.open(name) for name in ("a", "b", "c"))
    assert [asks.answer(third), asks.answer(first), asks.answer(second)] == ["c", "a", "b"]
    assert (len(asks), asks.late) == (0, 0)


def test_an_answer_to_no_question_is_counted_and_dropped() -> None:
    asks: Asks[str] = Asks()
    number = asks.open("a")
    assert asks.answer(77) is None
    assert asks.answer(number) == "a"
    assert asks.answer(number) is None
    assert asks.late == 2


def test_a_question_given_up_keeps_its_place_until_its_answer_comes() -> None:
    asks: Asks[str] = Asks()
    first, second = asks.open("a"), asks.open("b")
    asks.give_up(first)
    asks.give_up(99)
    assert len(asks) == 2
    assert asks.answer_oldest([b"late", b"for b"]) == ([("b", b"for b")], [])
    assert (len(asks), asks.late) == (0, 1)
    asks.give_up(second)
    assert len(asks) == 0


def test_a_question_never_sent_leaves_no_place() -> None:
    asks: Asks[str] = Asks()
    first = asks.open("a")
    asks.open("b")
    asks.forget(first)
    asks.forget(first)
    assert asks.answer_oldest([b"x"]) == ([("b", b"x")], [])
    assert asks.late == 0


@pytest.mark.parametrize(
    ("waiting", "bodies", "pairs", "rest"),
    [
        ("", [], [], []),
        ("", [b"1"], [], [b"1"]),
        ("a", [], [], []),
        ("a", [b"1"], [("a", b"1")], []),
        ("a", [b"1", b"2"], [("a", b"1")], [b"2"]),
        ("ab", [b"1"], [("a", b"1")], []),
        ("ab", [b"1", b"2", b"3", b"4"], [("a", b"1"), ("b", b"2")], [b"3", b"4"]),
    ],
)
def test_messages_in_order_answer_the_oldest_questions(
    waiting: str, bodies: list[bytes], pairs: list[tuple[str, bytes]], rest: list[bytes]
) -> None:
    asks: Asks[str] = Asks()
    for name in waiting:
        asks.open(name)
    assert asks.answer_oldest(bodies) == (pairs, rest)
    assert len(asks) == len(waiting) - len(pairs)


def test_the_oldest_question_is_the_first_opened_even_after_the_wrap() -> None:
    asks: Asks[str] = Asks(last=LAST - 1)
    for name in "abc":
        asks.open(name)
    assert asks.answer_oldest([b"1", b"2", b"3"])[0] == [("a", b"1"), ("b", b"2"), ("c", b"3")]


def test_the_end_gives_back_all_who_still_wait_and_nobody_else() -> None:
    asks: Asks[str] = Asks()
    numbers = [asks.open(name) for name in "abcd"]
    asks.give_up(numbers[1])
    asks.answer(numbers[2])
    assert asks.end() == ["a", "d"]
    assert (len(asks), asks.end()) == (0, [])
    assert asks.answer(numbers[0]) is None


@given(
    st.lists(st.one_of(st.just("open"), st.tuples(st.sampled_from(["answer", "give_up", "oldest"]), st.integers(0, 9))))
)
def test_every_question_is_decided_once_whatever_the_order(steps: list[str | tuple[str, int]]) -> None:
    asks: Asks[int] = Asks(last=LAST - 3)
    opened: list[int] = []
    decided: list[int] = []
    gone: set[int] = set()
    for step in steps:
        if isinstance(step, str):
            opened.append(asks.open(len(opened)))
            continue
        verb, at = step
        if verb == "oldest":
            decided += [waiter for waiter, _ in asks.answer_oldest([b""] * at)[0]]
        elif at < len(opened):
            if verb == "answer":
                decided += [waiter for waiter in [asks.answer(opened[at])] if waiter is not None]
            elif at not in decided:
                asks.give_up(opened[at])
                gone.add(at)
    decided += asks.end()
    assert len(set(opened)) == len(opened)
    assert sorted(decided) == sorted(set(range(len(opened))) - gone)
