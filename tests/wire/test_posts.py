"""Open posts: runs are settled by cumulative acknowledgements, and taken back by refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import Code, PostRefused, ProtocolError
from anyplug.messages import Acked, Kept, Nacked, Refusal
from anyplug.wire import OpenPosts


def opened(*counts: int, first: int = 1) -> OpenPosts[str]:
    """Runs of so many posts each, waited for by "a", "b", ..."""
    posts: OpenPosts[str] = OpenPosts(first)
    for at, count in enumerate(counts):
        posts.open(count, "abcdef"[at])
    return posts


def test_a_run_is_settled_with_its_positions_once_all_of_it_is_kept() -> None:
    posts = opened(1, 3)
    assert (len(posts), posts.next, posts.kept) == (4, 5, None)
    assert posts.acked(Acked(1, 2, 10)) == [("a", [10])]
    assert len(posts) == 2
    assert posts.acked(Acked(3, 2, 20, Kept.MEMORY)) == [("b", [11, 20, 21])]
    assert (len(posts), posts.kept) == (0, Kept.MEMORY)


def test_sequences_go_on_from_the_first_of_the_connection() -> None:
    posts = opened(first=100)
    assert posts.open(2, "a") == 100
    assert posts.open(1, "b") == 102
    assert posts.acked(Acked(100, 3, 1)) == [("a", [1, 2]), ("b", [3])]


def test_what_is_kept_without_a_known_position_is_at_0() -> None:
    posts = opened(2, 2)
    assert posts.acked(Acked(1, 1, 0)) == []
    assert posts.acked(Acked(4, 1, 9)) == [("a", [0, 0]), ("b", [0, 9])]


def test_an_acknowledgement_that_comes_twice_changes_nothing() -> None:
    posts = opened(2, 1)
    assert posts.acked(Acked(1, 1, 5)) == []
    assert posts.acked(Acked(1, 1, 5)) == []
    assert posts.acked(Acked(1, 2, 5)) == [("a", [5, 6])]
    assert posts.acked(Acked(1, 2, 5)) == []
    assert posts.acked(Acked(1, 3, 5)) == [("b", [7])]


def test_an_acknowledgement_of_what_was_never_posted_is_a_violation() -> None:
    with pytest.raises(ProtocolError, match="an ACK of the sequence 4, and only those below 4 were posted"):
        opened(3).acked(Acked(1, 4, 1))
    for at in (0, 5):
        with pytest.raises(ProtocolError, match=f"a NACK of the sequence {at}, and only those below 4"):
            opened(3).nacked(Nacked(at, Refusal(Code.BUSY)))


def test_a_refusal_takes_back_everything_from_its_sequence_on() -> None:
    posts = opened(1, 2, 2)
    settled = posts.nacked(Nacked(3, Refusal(Code.TOO_LARGE, "too large")))
    assert settled[0] == ("a", [0])  # below it: kept, though nobody said where
    who, error = settled[1]
    assert isinstance(error, PostRefused)
    assert (who, error.code, error.text, error.sequence) == ("b", Code.TOO_LARGE, "too large", 3)
    who, behind = settled[2]
    assert isinstance(behind, PostRefused)
    assert (who, behind.code, behind.sequence) == ("c", Code.GAP, 3)
    assert behind.text == "not kept, since a post before it was refused (too_large: too large); post it again"
    assert (len(posts), posts.next) == (0, 3)
    assert posts.open(1, "d") == 3
    assert posts.acked(Acked(3, 1, 7)) == [("d", [7])]


def test_a_gap_is_told_to_everybody_as_it_is() -> None:
    posts = opened(1, 1, first=9)
    errors = [error for _, error in posts.nacked(Nacked(5, Refusal(Code.GAP, "5 is next")))]
    assert [(error.code, error.text) for error in errors if isinstance(error, PostRefused)] == [
        (Code.GAP, "5 is next")
    ] * 2
    assert posts.next == 5


def test_who_gave_up_is_not_told_and_the_order_stays() -> None:
    posts = opened(1, 1, 1)
    posts.give_up(2)
    assert posts.acked(Acked(1, 3, 1)) == [("a", [1]), ("c", [3])]
    posts = opened(1, 1)
    posts.give_up(1)
    assert [who for who, _ in posts.nacked(Nacked(1, Refusal(Code.BUSY)))] == ["b"]


def test_at_the_end_all_who_wait_are_named_once() -> None:
    posts = opened(1, 1, 1)
    posts.give_up(2)
    assert posts.end() == ["a", "c"]
    assert posts.end() == []


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=8),
    st.lists(st.integers(1, 6), max_size=30),
    st.integers(1, 1000),
)
def test_however_acknowledgements_are_cut_each_run_gets_its_positions(
    counts: list[int], steps: list[int], base: int
) -> None:
    posts: OpenPosts[int] = OpenPosts()
    for at, count in enumerate(counts):
        posts.open(count, at)
    settled = []
    done, total = 0, sum(counts)
    for step in [*steps, total]:
        count = min(step, total - done)
        if count:
            settled += posts.acked(Acked(done + 1, count, base + done))
            done += count
            assert len(posts) == total - done
    expected, start = [], base
    for at, count in enumerate(counts):
        expected.append((at, list(range(start, start + count))))
        start += count
    assert settled == expected
