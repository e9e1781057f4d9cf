"""Too much for the network to hold: both sides that speak at once, peers that take nothing, bounded queues."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyplug.blocking import Broken, Connection, Limits, Timeout
from anyplug.wire import Kind, encode_frame
from tests.blocking.clock import Clock
from tests.blocking.far import Far, Running, opened, plain

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode

BLOB = b"x" * 100_000


def test_both_sides_that_only_send_do_not_block_each_other() -> None:
    """What the other side says is read while this one sends, up to the bound of the queue."""
    connection, far = opened(limits=Limits(queue=64 * 1024 * 1024))

    def flood() -> None:
        for _ in range(100):
            far.say(encode(BLOB))

    def send() -> None:
        for _ in range(100):
            connection.send(BLOB)

    with connection:
        flooding = Running(flood)
        sending = Running(send)
        flooding.result()
        assert all(decode(body) == BLOB for body in far.bodies(100))
        sending.result()
        assert [connection.receive() == BLOB for _ in range(100)] == [True] * 100
        far.sock.close()


def test_a_sender_stops_reading_at_the_bound_of_the_queue() -> None:
    limits = Limits(queue=200_000, write=0.2)
    connection, far = opened(limits=limits)

    def flood() -> None:
        for _ in range(100):
            far.say(encode(BLOB))

    flooding = Running(flood)
    with pytest.raises(Timeout, match=r"bytes of messages that have come are received here"):
        for _ in range(100):
            connection.send(BLOB)
    assert 200_000 <= connection.stats.bytes_waiting < 200_000 + 70_000 + len(BLOB)
    connection.close()
    with pytest.raises(OSError):
        flooding.result()
    far.sock.close()


def test_a_peer_that_takes_nothing_ends_the_send_with_a_timeout_and_the_connection_with_it() -> None:
    connection, far = opened(limits=Limits(write=0.05))
    with connection:
        with pytest.raises(Timeout, match=r"takes none of the last [\d,]+ bytes \(it is stuck or overloaded") as caught:
            connection.send(b"x" * 8_000_000)
        assert caught.value.seconds == 0.05
        for call in (
            lambda: connection.send(1),
            lambda: connection.ask(1),
            connection.receive,
            connection.receive_many,
        ):
            with pytest.raises(Broken, match="gave up in the middle"):
                call()
        assert connection.closed
        with pytest.raises((ConnectionResetError, AssertionError)):
            far.bodies(1)
    far.sock.close()


def test_a_slow_peer_is_no_stuck_peer() -> None:
    """Each piece that is taken gives it its time anew."""
    clock = Clock(step=0.5)
    connection, far = opened(limits=Limits(write=10.0), now=clock, tick=0.001)

    def take_a_piece() -> None:
        far.read()
        if not far.events:
            clock.then[clock.now + 5] = take_a_piece

    with connection:
        clock.then[clock.now + 5] = take_a_piece
        connection.send(b"x" * 2_000_000)
        taking = Running(lambda: far.bodies(1))
        assert len(taking.result()[0]) > 2_000_000
        assert clock.now > 60
        far.sock.close()


def test_an_ask_that_cannot_be_sent_in_time_leaves_the_connection_in_order() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout):
            connection.ask(b"x" * 8_000_000, timeout=0)
        assert connection.stats.bytes_queued > 0
        asking = Running(lambda: connection.ask("next"))
        for number, body in far.questions(2):
            far.reply(number, body)
        assert asking.result() == "next"
        assert connection.stats.late_answers == 1
        far.sock.close()


def test_ask_many_that_cannot_be_sent_in_time_leaves_the_connection_in_order() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout):
            connection.ask_many([b"x" * 4_000_000] * 2, timeout=0)
        sending = Running(lambda: connection.send("next"))
        assert far.bodies(1) == [encode("next")]
        sending.result()
        far.sock.close()


@pytest.mark.parametrize("size", [255 * 1024, 256 * 1024, 256 * 1024 + 1, 16 * 1024 * 1024 - 5])
def test_a_message_of_any_size_goes_and_comes_in_parts(size: int) -> None:
    connection, far = opened()
    server = Running(far.echo)
    blob = bytes(range(256)) * (size // 256) + b"!" * (size % 256)
    with connection:
        assert connection.ask(blob) == blob
        connection.send(blob)
        assert connection.receive() == blob
    server.result()


def test_a_message_in_many_small_pieces_is_put_together() -> None:
    connection, far = opened()
    far.session.send_data(encode(b"y" * 700_000))
    data = far.session.data_to_send()

    def trickle() -> None:
        for at in range(0, len(data), 4099):
            far.sock.sendall(data[at : at + 4099])

    with connection:
        speaking = Running(trickle)
        assert connection.receive() == b"y" * 700_000
        speaking.result()
        far.sock.close()


def test_answers_are_read_behind_messages_up_to_the_bound_and_the_timeout_says_so() -> None:
    connection, far = opened(limits=Limits(queue=1000))
    with connection:
        far.say(encode(b"z" * 5000))
        with pytest.raises(Timeout, match=r"behind 5,0\d\d bytes of messages that nobody receives"):
            connection.ask("q", timeout=0.01)
        ((number, body),) = far.questions(1)
        far.reply(number, body)
        asking = Running(lambda: connection.ask("r"))
        ((number, body),) = far.questions(1)
        far.reply(number, body)
        assert connection.receive() == b"z" * 5000
        assert asking.result() == "r"
        far.sock.close()


def test_a_flood_of_pings_that_takes_no_answers_is_not_answered_without_bound() -> None:
    connection, far = opened(limits=Limits(queue=50_000))
    ping = encode_frame(Kind.PING, b"p" * 64)
    far.sock.setblocking(False)
    with connection:
        with pytest.raises(BlockingIOError):
            for _ in range(1_000_000):
                _push(far, connection, ping * 1000)
        assert connection.stats.bytes_queued < 50_000 + 200_000
        far.sock.close()


def _push(far: Far, connection: Connection[Any], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[far.sock.send(view) :]
        with pytest.raises(Timeout):
            connection.receive(timeout=0)


def test_a_plain_line_longer_than_the_limit_is_refused_and_breaks_the_conversation() -> None:
    connection, sock = plain(limits=Limits(message=1000))
    with connection:
        sock.sendall(b"short\n" + b"x" * 2000)
        assert connection.receive() == "short"
        with pytest.raises(Exception, match="too large"):
            connection.receive()
        sock.close()
