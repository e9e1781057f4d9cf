"""Questions and answers: matched by id where the server answers requests, in order elsewhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyplug.blocking import Code, Connection, ConnectionClosed, DecodeError, EncodeError, Limits, Refused, Timeout
from tests.blocking.far import Far, Running, opened, plain
from tests.blocking.watched import watch

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


def test_an_answer_comes_back_to_its_question() -> None:
    connection, far = opened()
    server = Running(far.echo)
    with connection:
        assert connection.ask({"question": 1}) == {"question": 1}
        assert connection.ask(None) is None
    server.result()


def test_a_question_goes_out_behind_what_waits_to_be_said() -> None:
    connection, far = opened()
    with connection:
        connection._pump.line.session.send_data(encode("before"))
        asking = Running(lambda: connection.ask("question"))
        assert far.bodies(1) == [encode("before")]
        ((number, body),) = far.questions(1)
        far.reply(number, body)
        assert asking.result() == "question"
        far.sock.close()


def test_a_question_is_given_to_the_system_at_once_and_many_of_them_together() -> None:
    connection, far = opened()
    server = Running(far.echo)
    with connection:
        stream = watch(connection)
        assert connection.ask("question") == "question"
        assert stream.sends == 1
        assert connection.ask_many(range(100)) == list(range(100))
        assert stream.sends == 2
    server.result()


def test_answers_may_overtake_each_other() -> None:
    connection, far = opened()
    with connection:
        first = Running(lambda: connection.ask("first"))
        (one,) = far.questions(1)
        second = Running(lambda: connection.ask("second"))
        (two,) = far.questions(1)
        far.reply(two[0], two[1])
        assert second.result() == "second"
        far.reply(one[0], one[1])
        assert first.result() == "first"
        far.sock.close()


def test_a_question_that_the_service_could_not_handle_is_refused_to_its_asker() -> None:
    connection, far = opened()
    with connection:
        asking = Running(lambda: connection.ask("bad"))
        ((number, _),) = far.questions(1)
        far.session.send_error(number, Code.BAD_MESSAGE, "no such thing")
        far.flush()
        with pytest.raises(Refused, match="no such thing"):
            asking.result()
        far.sock.close()


def test_an_answer_that_cannot_be_decoded_is_an_error_of_its_ask_alone() -> None:
    connection, far = opened(type=int)
    with connection:
        asking = Running(lambda: connection.ask(1))
        ((number, _),) = far.questions(1)
        far.reply(number, encode("not a number"))
        with pytest.raises(DecodeError):
            asking.result()
        far.say(encode(7))
        assert connection.receive() == 7
        far.sock.close()


def test_a_value_that_cannot_travel_asks_nothing() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(EncodeError):
            connection.ask(object())
        connection.send("next")
        assert far.bodies(1)
        far.sock.close()


def test_a_late_answer_is_dropped_and_counted_and_not_taken_for_the_next() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout, match=r"an answer: no answer within 0 s"):
            connection.ask("slow", timeout=0)
        ((late, body),) = far.questions(1)
        far.reply(late, body)
        asking = Running(lambda: connection.ask("quick"))
        ((number, body),) = far.questions(1)
        far.reply(number, body)
        assert asking.result() == "quick"
        assert connection.stats.late_answers == 1
        far.sock.close()


def test_messages_between_a_question_and_its_answer_wait_for_receive() -> None:
    connection, far = opened()
    with connection:
        asking = Running(lambda: connection.ask("q"))
        ((number, body),) = far.questions(1)
        far.session.send_data(encode("news"))
        far.reply(number, body)
        assert asking.result() == "q"
        assert connection.receive(timeout=0) == "news"
        far.sock.close()


def test_the_peers_end_ends_a_question() -> None:
    connection, far = opened()
    with connection:
        asking = Running(lambda: connection.ask("q"))
        far.questions(1)
        far.session.send_eof(Code.GOING_AWAY, "")
        far.flush()
        with pytest.raises(ConnectionClosed):
            asking.result()
        far.sock.close()


def test_ask_many_gives_the_answers_in_the_order_of_the_questions() -> None:
    connection, far = opened()

    def serve_backwards() -> None:
        found = far.questions(100)
        for number, body in reversed(found):
            far.session.send_reply(number, body)
        far.flush()

    with connection:
        server = Running(serve_backwards)
        assert connection.ask_many(range(100)) == list(range(100))
        server.result()
        assert connection.ask_many([]) == []
        far.sock.close()


@pytest.mark.parametrize("requests", [1, 2, 3, 10, 1024])
def test_ask_many_keeps_to_its_window(requests: int) -> None:
    connection, far = opened(limits=Limits(requests=requests))
    most = max(1, min(512, requests // 2))
    under_way = 0

    def serve() -> None:
        nonlocal under_way
        served = 0
        while served < 50:
            found = far.questions(1)
            under_way = max(under_way, len(found))
            for number, body in found:
                far.session.send_reply(number, body)
            far.flush()
            served += len(found)

    with connection:
        server = Running(serve)
        assert connection.ask_many(range(50)) == list(range(50))
        server.result()
        assert under_way <= most
        far.sock.close()


def test_ask_many_raises_for_the_first_question_that_failed_and_goes_on_working() -> None:
    connection, far = opened()

    def serve() -> None:
        found = far.questions(4)
        far.session.send_reply(found[0][0], found[0][1])
        far.session.send_error(found[1][0], Code.FAILED, "the second")
        far.session.send_error(found[2][0], Code.FAILED, "the third")
        far.session.send_reply(found[3][0], found[3][1])
        far.flush()
        ((number, body),) = far.questions(1)
        far.reply(number, body)

    with connection:
        server = Running(serve)
        with pytest.raises(Refused, match="the second"):
            connection.ask_many(range(4))
        assert connection.ask("next") == "next"
        server.result()
        far.sock.close()


def test_ask_many_gives_up_all_questions_at_its_deadline() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout):
            connection.ask_many(range(3), timeout=0)
        for number, body in far.questions(3):
            far.session.send_reply(number, body)
        far.flush()
        asking = Running(lambda: connection.ask("next"))
        ((number, body),) = far.questions(1)
        far.reply(number, body)
        assert asking.result() == "next"
        assert connection.stats.late_answers == 3
        far.sock.close()


def test_large_questions_and_answers_flow_through_each_other() -> None:
    """Neither side can hold all of it: what is asked has to be read while more is asked."""
    connection, far = opened()
    server = Running(far.echo)
    blobs = [bytes([n]) * 100_000 for n in range(100)]
    with connection:
        assert connection.ask_many(blobs) == blobs
    server.result()


def conversation() -> tuple[Connection[Any], Far]:
    return opened(asks=False)


def test_without_requests_the_answer_is_the_next_message() -> None:
    connection, far = conversation()
    with connection:
        asking = Running(lambda: connection.ask("q"))
        assert far.bodies(1) == [encode("q")]
        far.say(encode("a"), encode("more"))
        assert asking.result() == "a"
        assert connection.receive(timeout=0) == "more"
        far.sock.close()


def test_without_requests_what_came_before_the_question_is_not_its_answer() -> None:
    connection, far = conversation()
    with connection:
        far.say(encode("banner"))
        asking = Running(lambda: connection.ask("q"))
        far.bodies(1)
        far.say(encode("answer"))
        assert asking.result() == "answer"
        assert connection.receive() == "banner"
        far.sock.close()


def test_without_requests_a_late_answer_is_not_taken_for_the_next() -> None:
    connection, far = conversation()
    with connection:
        with pytest.raises(Timeout):
            connection.ask("slow", timeout=0)
        far.bodies(1)
        asking = Running(lambda: connection.ask("quick"))
        far.bodies(1)
        far.say(encode("to slow"), encode("to quick"))
        assert asking.result() == "to quick"
        assert connection.stats.late_answers == 1
        far.sock.close()


def test_without_requests_a_failure_goes_to_the_oldest_question() -> None:
    connection, far = conversation()
    with connection:
        asking = Running(lambda: connection.ask("q"))
        far.bodies(1)
        far.session.send_error(0, Code.FAILED, "broken")
        far.flush()
        with pytest.raises(Refused, match="broken"):
            asking.result()
        far.sock.close()


def test_on_a_plain_connection_ask_many_pairs_answers_by_their_order() -> None:
    connection, sock = plain(framing="lines")

    def serve() -> None:
        with sock, sock.makefile("rwb") as file:
            for line in file:
                file.write(line.upper())
                file.flush()

    with connection:
        server = Running(serve)
        assert connection.ask("hello") == "HELLO"
        assert connection.ask_many(["a", "b", "c"]) == ["A", "B", "C"]
    server.result()


def test_a_question_after_the_plain_peers_end_is_not_sent() -> None:
    connection, sock = plain()
    with connection:
        sock.shutdown(1)
        with pytest.raises(ConnectionClosed):
            connection.ask("anybody?")
        sock.settimeout(0)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.close()
