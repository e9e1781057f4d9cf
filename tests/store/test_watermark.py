"""What is remembered of a producer, and for how long."""

from __future__ import annotations

import pytest

from anyplug.errors import Conflict
from anyplug.store import Entry, Producer
from anyplug.store.watermark import HASH_SIZE, REMEMBERED, RUNS, Watermark, digests


def taken(count: int, *, apart: int = 1) -> Watermark:
    """A producer of sequences 1 to `count`, at every `apart`-th position."""
    mark = Watermark()
    for n in range(1, count + 1):
        mark.take(1, n * apart, digests("t", [Entry(b"%d" % n, 0)]))
    return mark


def again(mark: Watermark, sequence: int, body: bytes, *, topic: int = 1) -> list[int]:
    return mark.admit(Producer(b"p", sequence), topic, digests("t", [Entry(body, 0)]))


def test_a_producer_alone_in_a_topic_is_remembered_whole_and_small() -> None:
    mark = taken(1_000)
    assert [again(mark, n, b"%d" % n) for n in (1, 500, 1_000)] == [[1], [500], [1_000]]
    assert len(mark.runs) == 1
    assert len(mark.hashes) == REMEMBERED * HASH_SIZE


def test_positions_are_remembered_for_the_last_runs() -> None:
    mark = taken(1_000, apart=3)
    oldest = 1_000 - RUNS + 1
    assert [again(mark, n, b"%d" % n) for n in (oldest - 1, oldest, 1_000)] == [[0], [oldest * 3], [3_000]]
    assert len(mark.runs) == RUNS


def test_contents_are_compared_for_the_last_sequences() -> None:
    mark = taken(100)
    oldest = 100 - REMEMBERED + 1
    assert again(mark, oldest - 1, b"other") == [oldest - 1]
    for sequence in (oldest, 70, 100):
        with pytest.raises(Conflict) as caught:
            again(mark, sequence, b"other")
        assert caught.value.sequence == sequence


def test_a_position_in_another_topic_is_no_position() -> None:
    assert again(taken(100), 1, b"1", topic=2) == [0]


def test_judging_changes_nothing() -> None:
    mark = taken(10)
    before = (mark.last, mark.hashes, list(mark.runs))
    again(mark, 5, b"5")
    again(mark, 11, b"11")
    assert (mark.last, mark.hashes, mark.runs) == before


def test_a_topic_and_a_content_type_cannot_be_taken_for_each_other() -> None:
    contents = [("a", "", b""), ("a", "b", b""), ("a", "", b"b"), ("ab", "", b""), ("a", "b", b"c"), ("a", "bc", b"")]
    found = {digests(topic, [Entry(body, 0, kind)]) for topic, kind, body in contents}
    assert len(found) == len(contents)
