"""Saying and hearing on a plug connection whose far end the test plays itself, in the same thread."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from anyplug.blocking import (
    Code,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    Limits,
    LocalError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.messages import Pong
from tests.blocking.far import Running, opened

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


@dataclass
class Point:
    x: int
    y: int


def test_what_is_sent_arrives_in_order_and_whole() -> None:
    connection, far = opened()
    with connection:
        connection.send({"n": 1})
        connection.send(b"\x00bytes")
        connection.send("text")
        assert list(map(decode, far.bodies(3))) == [{"n": 1}, b"\x00bytes", "text"]
        far.sock.close()


def test_send_many_says_all_in_order_and_an_empty_list_says_nothing() -> None:
    connection, far = opened()
    with connection:
        connection.send_many([])
        connection.send_many(range(1000))
        assert list(map(decode, far.bodies(1000))) == list(range(1000))
        far.sock.close()


def test_send_many_says_none_where_one_cannot_travel() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(EncodeError):
            connection.send_many([1, object(), 3])
        connection.send("next")
        assert decode(far.bodies(1)[0]) == "next"
        far.sock.close()


def test_a_message_above_the_limit_is_refused_and_the_next_one_goes() -> None:
    connection, far = opened(limits=Limits(message=1000))
    with connection:
        with pytest.raises(TooLarge):
            connection.send("x" * 2000)
        with pytest.raises(TooLarge):
            connection.ask("x" * 2000)
        connection.send("small")
        assert decode(far.bodies(1)[0]) == "small"
        far.sock.close()


def test_receive_gives_messages_one_by_one_and_receive_many_all_that_came() -> None:
    connection, far = opened()
    with connection:
        far.say(*map(encode, range(10)))
        assert connection.receive() == 0
        assert connection.receive() == 1
        assert connection.receive_many() == list(range(2, 10))
        far.say(encode("a"), encode("b"))
        assert connection.receive_many() == ["a", "b"]
        far.sock.close()


def test_receive_waits_for_a_message_that_comes_byte_by_byte() -> None:
    connection, far = opened()
    with connection:
        far.session.send_data(encode("piece by piece"))
        data = far.session.data_to_send()
        for at in range(len(data) - 1):
            far.sock.sendall(data[at : at + 1])
            with pytest.raises(Timeout):
                connection.receive(timeout=0)
        far.sock.sendall(data[-1:])
        assert connection.receive() == "piece by piece"
        far.sock.close()


def test_a_timeout_says_how_long_and_leaves_the_connection_usable() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout, match=r"a message: no answer within 0\.01 s") as caught:
            connection.receive(timeout=0.01)
        assert caught.value.seconds == 0.01
        with pytest.raises(Timeout):
            connection.receive_many(timeout=0)
        far.say(encode(1))
        assert connection.receive(timeout=0) == 1
        far.sock.close()


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    connection, far = opened()
    with connection:
        for call in (connection.receive, connection.receive_many):
            with pytest.raises(LocalError, match="expected seconds from 0 on"):
                call(timeout)
        with pytest.raises(LocalError, match="expected seconds from 0 on"):
            connection.ask(1, timeout)
        far.sock.close()


def test_a_timeout_without_end_waits_without_end() -> None:
    connection, far = opened()
    with connection:
        waiting = Running(lambda: connection.receive(float("inf")))
        following = Running(lambda: connection.receive(1e300))
        far.say(encode(1), encode(2))
        assert {waiting.result(), following.result()} == {1, 2}
        far.sock.close()


def test_a_bad_message_is_one_error_and_those_around_it_are_received() -> None:
    connection, far = opened(type=Point)
    with connection:
        far.say(encode(Point(1, 2)), encode({"x": "no"}), encode(Point(3, 4)))
        assert connection.receive() == Point(1, 2)
        with pytest.raises(DecodeError):
            connection.receive()
        assert connection.receive() == Point(3, 4)
        far.sock.close()


def test_receive_many_keeps_an_error_further_back_for_later() -> None:
    connection, far = opened(type=int)
    with connection:
        far.say(encode(1), encode(2))
        assert connection.receive() == 1
        far.say(encode("bad"))
        far.say(encode(4))
        with pytest.raises(Timeout):
            connection.ask(0, timeout=0)
        assert connection.receive_many() == [2]
        with pytest.raises(DecodeError):
            connection.receive_many()
        assert connection.receive_many() == [4]
        far.sock.close()


def test_an_error_at_the_head_is_raised_by_receive_many_at_once() -> None:
    connection, far = opened(type=int)
    with connection:
        far.say(encode("bad"), encode(5))
        with pytest.raises(DecodeError):
            connection.receive_many()
        assert connection.receive_many() == [5]
        far.sock.close()


def test_a_message_that_the_service_could_not_handle_is_refused_in_its_place() -> None:
    connection, far = opened()
    with connection:
        connection.send("bad")
        far.say(encode("before"))
        far.session.send_error(0, Code.FAILED, "it failed")
        far.say(encode("after"))
        assert connection.receive() == "before"
        with pytest.raises(Refused, match="it failed") as caught:
            connection.receive()
        assert caught.value.code is Code.FAILED
        assert connection.receive() == "after"
        far.sock.close()


def test_iteration_gives_every_message_and_ends_with_the_peer() -> None:
    connection, far = opened()
    with connection:
        far.session.send_many([encode(n) for n in range(5)])
        far.session.send_eof()
        far.flush()
        assert list(connection) == [0, 1, 2, 3, 4]
        assert list(connection) == []
        far.sock.close()


def test_the_end_comes_after_all_messages_with_the_peers_reason_again_and_again() -> None:
    connection, far = opened()
    with connection:
        far.session.send_many([encode(1)])
        far.session.send_eof(Code.GOING_AWAY, "restarting")
        far.flush()
        assert connection.receive() == 1
        for call in (connection.receive, connection.receive_many, lambda: connection.ask(1)):
            with pytest.raises(ConnectionClosed, match="restarting") as caught:
                call()
            assert caught.value.code is Code.GOING_AWAY
        far.sock.close()


def test_after_the_peers_end_nothing_can_be_said_for_its_reason() -> None:
    connection, far = opened()
    with connection:
        far.session.send_eof(Code.GOING_AWAY, "restarting")
        far.flush()
        with pytest.raises(ConnectionClosed):
            connection.receive()
        assert connection.closed
        with pytest.raises(ConnectionClosed, match="restarting"):
            connection.send(1)
        with pytest.raises(ConnectionClosed, match="restarting"):
            connection.send_many([1])
        connection.send_eof()
        far.sock.close()


def test_what_came_right_behind_the_welcome_is_not_lost() -> None:
    near_first = encode("banner")
    connection, far = opened(behind=len(near_first).to_bytes(4, "big") + near_first)
    with connection:
        assert connection.receive(timeout=0) == "banner"
        far.sock.close()


def test_a_ping_is_answered_while_this_side_waits() -> None:
    connection, far = opened()
    with connection:
        waiting = Running(connection.receive)
        far.session.send_ping()
        far.flush()
        far.hear(Pong)
        far.say(encode("done"))
        assert waiting.result() == "done"
        far.sock.close()


def test_stats_count_what_goes_and_comes() -> None:
    connection, far = opened()
    with connection:
        before = connection.stats
        connection.send(b"x" * 998)
        far.bodies(1)
        far.say(encode(b"y" * 98))
        with pytest.raises(Timeout):
            connection.ask("read what has come", timeout=0)
        stats = connection.stats
        assert stats.bytes_received == before.bytes_received + 4 + 100
        assert stats.bytes_waiting >= 100
        assert stats.bytes_queued == 0
        assert connection.receive() == b"y" * 98
        assert connection.stats.bytes_waiting == 0
        far.sock.close()
