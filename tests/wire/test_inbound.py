"""What was heard is sorted: messages to the queue, answers to their askers, the end to everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.codec import make_codec
from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, PostRefused, ProtocolError, Refused
from anyplug.messages import Acked, Data, Ended, Failed, Fault, Nacked, Pong, Refusal, Replies
from anyplug.wire import Inbound

if TYPE_CHECKING:
    from anyplug.wire.inbound import Outcome


def inbound(*, numbered: bool) -> Inbound[bytes, str]:
    return Inbound(make_codec("bytes"), numbered=numbered)


def outcome(result: Outcome) -> object:
    return (type(result), str(result)) if isinstance(result, AnyplugError) else result


def test_messages_wait_in_order_and_other_events_wake_nobody() -> None:
    heard = inbound(numbered=True)
    assert heard.take([Data([b"1", b"2"]), Pong(b""), Data([b"3"])]) == []
    assert heard.incoming.take_many() == [b"1", b"2", b"3"]
    assert heard.end is None


def test_numbered_answers_go_to_their_askers_in_any_order() -> None:
    heard = inbound(numbered=True)
    first, second = heard.asks.open("first"), heard.asks.open("second")
    assert heard.take([Data([b"news"]), Replies([(second, b"2"), (first, b"1"), (99, b"?")])]) == [
        ("second", b"2"),
        ("first", b"1"),
    ]
    assert heard.asks.late == 1
    assert heard.incoming.take_many() == [b"news"]


def test_without_numbers_messages_answer_the_oldest_questions_and_the_rest_waits() -> None:
    heard = inbound(numbered=False)
    heard.take([Data([b"before"])])
    gone = heard.asks.open("gone")
    heard.asks.open("here")
    heard.asks.give_up(gone)
    assert heard.take([Data([b"late", b"answer", b"more"])]) == [("here", b"answer")]
    assert heard.incoming.take_many() == [b"before", b"more"]


def test_a_failure_goes_to_its_question() -> None:
    heard = inbound(numbered=True)
    number = heard.asks.open("asker")
    ((who, error),) = heard.take([Failed(number, Refusal(Code.FAILED, "no"))])
    assert who == "asker"
    assert isinstance(error, Refused)
    assert (error.code, error.text) == (Code.FAILED, "no")


def test_a_failure_of_a_question_given_up_is_dropped() -> None:
    heard = inbound(numbered=True)
    number = heard.asks.open("asker")
    heard.asks.give_up(number)
    assert heard.take([Failed(number, Refusal(Code.FAILED))]) == []
    assert heard.asks.late == 1
    assert not heard.incoming


def test_a_failure_without_a_number_waits_in_the_place_of_the_message() -> None:
    heard = inbound(numbered=True)
    heard.asks.open("asker")
    assert heard.take([Data([b"1"]), Failed(0, Refusal(Code.FAILED, "no")), Data([b"2"])]) == []
    assert heard.incoming.take() == b"1"
    with pytest.raises(Refused, match="no"):
        heard.incoming.take()
    assert heard.incoming.take() == b"2"


def test_without_numbers_a_failure_is_the_answer_to_the_oldest_question() -> None:
    heard = inbound(numbered=False)
    given_up = heard.asks.open("given up")
    heard.asks.open("asker")
    heard.asks.give_up(given_up)
    assert heard.take([Failed(0, Refusal(Code.FAILED, "first"))]) == []
    ((who, error),) = heard.take([Failed(0, Refusal(Code.FAILED, "second"))])
    assert who == "asker"
    assert isinstance(error, Refused)
    heard.take([Failed(0, Refusal(Code.FAILED, "third"))])
    with pytest.raises(Refused, match="third"):
        heard.incoming.take()


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Ended(Refusal(Code.GOING_AWAY, "later")), ConnectionClosed(Code.GOING_AWAY, "later")),
        (Refusal(Code.BUSY, "full"), Refused(Code.BUSY, "full")),
        (Fault(Broken("cut")), Broken("cut")),
    ],
)
def test_an_end_reaches_all_who_wait_and_the_first_one_stays(event: Ended | Refusal | Fault, error: object) -> None:
    heard = inbound(numbered=True)
    heard.asks.open("one")
    heard.asks.open("two")
    assert [(who, outcome(what)) for who, what in heard.take([Data([b"last"]), event])] == [
        ("one", (type(error), str(error))),
        ("two", (type(error), str(error))),
    ]
    assert heard.incoming.take() == b"last"
    heard.asks.open("late")
    ((_, second),) = heard.finish(Broken("something else"))
    assert (type(second), str(second)) == (type(error), str(error))
    assert heard.end is second


def test_acknowledgements_and_refusals_go_to_those_who_posted() -> None:
    heard = inbound(numbered=True)
    assert heard.posts.open(2, "a") == 1
    assert heard.posts.open(1, "b") == 3
    first, second = heard.take([Acked(1, 2, 7), Nacked(3, Refusal(Code.STORE_FULL, "full"))])
    assert first == ("a", [7, 8])
    assert (second[0], outcome(second[1])) == ("b", (PostRefused, "refused (store_full): full"))


def test_a_peer_that_acknowledges_what_was_never_posted_is_not_believed_any_more() -> None:
    heard = inbound(numbered=True)
    heard.posts.open(1, "a")
    ((who, error),) = heard.take([Acked(1, 5, 1)])
    assert (who, type(error)) == ("a", ProtocolError)
    assert heard.end is error


def test_who_waits_for_a_post_is_told_of_the_end() -> None:
    heard = inbound(numbered=True)
    heard.asks.open("question")
    heard.posts.open(1, "post")
    assert [who for who, _ in heard.take([Fault(Broken("cut"))])] == ["question", "post"]
