"""The order of posts on the server's side: runs without gaps, and nothing behind a refusal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anyplug.codes import Code
from anyplug.messages import Nacked
from anyplug.wire.order import PostOrder


def posts(*sequences: int) -> list[tuple[int, bytes]]:
    return [(each, b"%d" % each) for each in sequences]


def steps(order: PostOrder, *sequences: int) -> list[object]:
    """Runs as lists of sequences, refusals as the sequence that is next."""
    found: list[object] = []
    for step in order.admit(posts(*sequences)):
        if isinstance(step, Nacked):
            assert step.refusal.code == Code.GAP
            found.append(step.sequence)
        else:
            assert all(body == b"%d" % sequence for sequence, body in step)
            found.append([sequence for sequence, _ in step])
    return found


def test_neighbours_come_as_one_run() -> None:
    order = PostOrder(producer=False)
    assert steps(order, 1, 2, 3) == [[1, 2, 3]]
    assert steps(order, 4) == [[4]]
    assert steps(order) == []


def test_without_a_producer_the_first_is_1_and_none_comes_twice() -> None:
    order = PostOrder(producer=False)
    assert steps(order, 2) == [1]
    assert steps(order, 3, 4) == []
    assert steps(order, 1, 2) == [[1, 2]]
    assert steps(order, 2) == [3]


def test_a_gap_is_refused_once_and_what_follows_is_dropped_until_the_expected_one_comes() -> None:
    order = PostOrder(producer=False)
    assert steps(order, 1, 3, 4, 5) == [[1], 2]
    assert steps(order, 6, 7) == []
    assert steps(order, 8, 2, 3) == [[2, 3]]
    (refusal,) = [step for step in order.admit(posts(9)) if isinstance(step, Nacked)]
    assert refusal.refusal.text == "the sequence 9 came where 4 is the next"


def test_a_producer_may_begin_anywhere_and_say_again_what_it_has_said() -> None:
    order = PostOrder(producer=True)
    assert steps(order, 100, 101) == [[100, 101]]
    assert steps(order, 99, 100, 101, 102) == [[99, 100, 101, 102]]
    assert steps(order, 104) == [103]
    assert steps(order, 99) == []


def test_after_a_refusal_only_its_sequence_goes_on() -> None:
    order = PostOrder(producer=True)
    assert steps(order, 1, 2, 3) == [[1, 2, 3]]
    order.refused(2)
    assert steps(order, 4, 1, 5) == []
    assert steps(order, 2, 3) == [[2, 3]]
    assert steps(order, 5) == [4]


@given(st.booleans(), st.lists(st.lists(st.integers(1, 6), max_size=6), max_size=6))
def test_every_run_is_without_a_gap_and_begins_where_it_may(producer: bool, batches: list[list[int]]) -> None:
    order = PostOrder(producer=producer)
    expected = 0 if producer else 1
    for batch in batches:
        for step in order.admit(posts(*batch)):
            if isinstance(step, Nacked):
                assert step.sequence == expected
                continue
            sequences = [sequence for sequence, _ in step]
            assert sequences == list(range(sequences[0], sequences[-1] + 1))
            assert sequences[0] == expected or (producer and (expected == 0 or sequences[0] < expected))
            expected = sequences[-1] + 1
