from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.netinfo.ping_book import REMEMBERED, Heard, PingBook, quantile

if TYPE_CHECKING:
    from anyplug.netinfo.ping_types import PingAnswer


def asked(*times: float, timeout: float = 1.0) -> PingBook:
    book = PingBook(timeout)
    for number, at in enumerate(times, 1):
        book.send(number, at)
    return book


def told(answer: PingAnswer | None) -> tuple[int, str, float | None]:
    assert answer is not None
    return answer.sequence, answer.outcome, answer.seconds


def test_an_answer_is_a_round_trip() -> None:
    book = asked(10.0)
    answer = book.hear(Heard(1, 10.25, source="::1", ttl=64, size=64))
    assert answer is not None
    assert (answer.sequence, answer.outcome, answer.seconds) == (1, "reply", 0.25)
    assert (answer.source, answer.ttl, answer.size, answer.reordered) == ("::1", 64, 64, False)
    assert (book.received, book.loss, book.minimum, book.maximum, book.mean) == (1, 0.0, 0.25, 0.25, 0.25)


def test_silence_is_told_when_its_time_is_over_and_not_before() -> None:
    book = asked(0.0, 0.5)
    assert book.due() == 1.0
    assert book.expire(0.99) == []
    assert [told(answer) for answer in book.expire(1.0)] == [(1, "silent", None)]
    assert (book.due(), book.pending, book.loss) == (1.5, 1, 1.0)
    assert [told(answer) for answer in book.expire(9.0)] == [(2, "silent", None)]
    assert (book.due(), book.pending, book.loss) == (None, 0, 1.0)


def test_an_answer_after_that_is_late_and_not_lost() -> None:
    book = asked(0.0)
    book.expire(1.0)
    assert told(book.hear(Heard(1, 1.5))) == (1, "late", 1.5)
    assert (book.received, book.late, book.loss) == (1, 1, 0.0)


def test_an_answer_that_was_read_before_its_silence_was_told_is_late_all_the_same() -> None:
    book = asked(0.0)
    assert told(book.hear(Heard(1, 1.5))) == (1, "late", 1.5)
    assert book.expire(2.0) == []


def test_a_second_answer_is_a_duplicate_and_counts_no_further() -> None:
    book = asked(0.0)
    book.hear(Heard(1, 0.1))
    assert told(book.hear(Heard(1, 0.2))) == (1, "duplicate", 0.2)
    assert told(book.hear(Heard(1, 5.0))) == (1, "duplicate", 5.0)
    assert (book.received, book.duplicates, book.maximum, list(book.times)) == (1, 2, 0.1, [0.1])


def test_answers_in_another_order_are_reordered() -> None:
    book = asked(0.0, 0.1, 0.2)
    answers = [book.hear(Heard(number, 0.5)) for number in (1, 3, 2)]
    assert [answer.reordered for answer in answers if answer is not None] == [False, False, True]
    assert book.reordered == 1


def test_an_error_is_unreachable_once() -> None:
    book = asked(0.0)
    assert told(book.hear(Heard(1, 0.1, error=True, detail="host unreachable"))) == (1, "unreachable", 0.1)
    assert book.hear(Heard(1, 0.2, error=True)) is None
    assert (book.unreachable, book.pending, book.loss, book.due()) == (1, 0, 1.0, None)


def test_an_answer_takes_an_error_back() -> None:
    book = asked(0.0)
    book.hear(Heard(1, 0.1, error=True))
    assert told(book.hear(Heard(1, 0.2))) == (1, "reply", 0.2)
    assert (book.unreachable, book.received, book.loss) == (0, 1, 0.0)


def test_an_error_after_an_answer_is_nothing() -> None:
    book = asked(0.0)
    book.hear(Heard(1, 0.1))
    assert book.hear(Heard(1, 0.2, error=True)) is None
    assert (book.unreachable, book.received) == (0, 1)


def test_an_error_after_silence_is_told() -> None:
    book = asked(0.0)
    book.expire(1.0)
    assert told(book.hear(Heard(1, 3.0, error=True))) == (1, "unreachable", 3.0)


def test_what_was_never_asked_is_nothing() -> None:
    assert PingBook(1.0).hear(Heard(1, 0.0)) is None
    assert asked(0.0).hear(Heard(2, 0.1)) is None


def test_a_request_that_could_not_be_sent_is_not_lost() -> None:
    book = asked(0.0)
    assert told(book.fail(2, "no buffer space available")) == (2, "unsent", None)
    assert (book.sent, book.unsent, book.pending) == (1, 1, 1)


def test_nothing_decided_is_no_loss() -> None:
    book = asked(0.0)
    assert (book.loss, book.mean, book.minimum, book.maximum) == (None, None, None, None)


def test_a_clock_of_the_kernel_ahead_of_ours_gives_no_negative_time() -> None:
    assert told(asked(1.0).hear(Heard(1, 0.999)))[2] == 0.0


def test_numbers_beyond_16_bits_are_told_by_the_newest() -> None:
    book = PingBook(1e9)
    for number in range(1, 65536 + 3):
        book.send(number, float(number))
    assert told(book.hear(Heard(2, 65540.0)))[0] == 65538
    assert told(book.hear(Heard(65535, 65540.0)))[0] == 65535


def test_memory_is_bounded_and_old_answers_are_nothing() -> None:
    book = PingBook(1e9)
    for number in range(1, REMEMBERED + 11):
        book.send(number, float(number))
    assert book.pending == REMEMBERED
    assert book.hear(Heard(10, 1e6)) is None
    assert told(book.hear(Heard(11, 1e6)))[0] == 11


def test_pending_counts_what_is_open_between_what_is_decided() -> None:
    book = asked(0.0, 0.1, 0.2)
    book.hear(Heard(2, 0.3))
    assert (book.pending, book.due()) == (2, 1.0)
    book.hear(Heard(1, 0.3))
    assert (book.pending, book.due()) == (1, 1.2)


@pytest.mark.parametrize(
    ("times", "share", "expected"),
    [
        ([], 0.99, None),
        ([3.0], 0.99, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(each) for each in range(1, 101)], 0.99, 99.0),
        ([float(each) for each in range(1, 201)], 0.99, 198.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_quantiles_are_by_nearest_rank(times: list[float], share: float, expected: float | None) -> None:
    assert quantile(times, share) == expected
