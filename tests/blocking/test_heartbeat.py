"""Heartbeats and deadlines of a blocking connection, by a clock that the test turns."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import msgspec
import pytest

from anyplug.blocking import Broken, Code, Connection, Limits, Timeout
from anyplug.messages import Ended
from anyplug.wire import Kind, encode_frame
from tests.blocking.clock import Clock
from tests.blocking.far import Far, Running, opened, plain, reset

encode = msgspec.msgpack.encode

PING = encode_frame(Kind.PING, b"")
TICK = 0.001
"""A thread that waits looks at the clock so often, in real seconds."""


def heard_raw(sock: socket.socket) -> bytes:
    """All bytes that have come to this end."""
    sock.setblocking(False)
    data = b""
    try:
        while more := sock.recv(1 << 16):
            data += more
    except BlockingIOError:
        pass
    return data


@pytest.mark.parametrize("asking", [False, True])
def test_a_peer_that_is_dead_is_found_within_45_seconds_after_it_was_asked(asking: bool) -> None:
    clock = Clock()
    connection, far = opened(now=clock, tick=TICK)
    with connection:
        began = clock.now
        with pytest.raises(Broken, match="not even an answer to PING"):
            connection.ask("q", timeout=None) if asking else connection.receive()
        assert clock.now - began <= 45
        assert heard_raw(far.sock).count(PING) == 2
        with pytest.raises(Broken, match="not even"):
            connection.send("more")
        far.sock.close()


def test_a_peer_that_only_answers_pings_lives() -> None:
    clock = Clock()
    connection, far = opened(now=clock, tick=TICK)
    with connection:
        clock.far = far
        clock.then[clock.now + 500] = lambda: far.say(encode("at last"))
        assert connection.receive() == "at last"
        far.sock.close()


def test_time_between_calls_is_no_silence_of_the_peer() -> None:
    clock = Clock()
    connection, far = opened(now=clock, tick=TICK)
    with connection:
        clock.now += 1000
        clock.far = far
        clock.then[clock.now + 20] = lambda: far.say(encode("still there"))
        assert connection.receive() == "still there"
        far.sock.close()


def test_an_answer_that_waits_to_be_read_counts_before_silence_does() -> None:
    """A program that looks in now and then finds the answer to the PING of the last time, unread."""
    clock = Clock(step=0)
    connection, far = opened(now=clock, tick=TICK)
    far.sock.setblocking(False)
    with connection:
        for _ in range(20):
            clock.now += 14
            with pytest.raises(Timeout):
                connection.receive(timeout=0)
            with contextlib.suppress(BlockingIOError):
                far.read()
            far.flush()
        far.sock.close()


def test_after_a_pause_a_dead_peer_is_found_too() -> None:
    clock = Clock()
    connection, far = opened(now=clock, tick=TICK)
    with connection:
        clock.now += 1000
        began = clock.now
        with pytest.raises(Broken, match="not even an answer to PING"):
            connection.receive()
        assert clock.now - began <= 45
        far.sock.close()


def test_a_plain_peer_may_be_silent_for_ever() -> None:
    clock = Clock()
    connection, sock = plain(now=clock, tick=TICK)
    with connection:
        clock.then[clock.now + 10_000] = lambda: sock.sendall(b"good morning\n")
        clock.step = 100
        assert connection.receive() == "good morning"
        sock.close()


def test_a_message_that_is_never_finished_breaks_the_conversation_and_the_peer_is_told() -> None:
    clock = Clock()
    connection, far = opened(now=clock, tick=TICK)
    with connection:
        far.session.send_data(encode("never finished"))
        far.sock.sendall(far.session.data_to_send()[:-1])
        with pytest.raises(Broken, match="the rest of a message"):
            connection.receive()
        refusal = far.hear(Ended).refusal
        assert refusal.reason is Code.SLOW
        assert "the rest of a message" in refusal.text
        far.sock.close()


def test_a_plain_message_that_is_never_finished_breaks_the_conversation() -> None:
    clock = Clock()
    connection, sock = plain(now=clock, tick=TICK)
    with connection:
        sock.sendall(b"no line end")
        with pytest.raises(Broken, match="the rest of a message"):
            connection.receive()
        sock.close()


def test_a_conversation_without_words_is_ended_where_that_was_asked_for() -> None:
    clock = Clock()
    connection, far = opened(limits=Limits(idle=100), now=clock, tick=TICK)
    with connection:
        clock.far = far
        with pytest.raises(Broken, match="a message of the peer"):
            connection.receive()
        far.sock.settimeout(5)
        assert far.hear(Ended).refusal.reason is Code.IDLE
        far.sock.close()


def test_a_thread_that_waits_behind_a_full_queue_keeps_the_connection_alive() -> None:
    """The one who asks reads nothing while nobody takes what has come; that silence is its own choice."""
    clock = Clock()
    connection, far = opened(limits=Limits(queue=100), now=clock, tick=TICK)
    with connection:
        far.say(encode(b"x" * 200))
        with pytest.raises(Timeout, match="behind"):
            connection.ask("q", timeout=1000)
        assert heard_raw(far.sock).count(PING) > 10
        assert connection.receive() == b"x" * 200
        far.sock.close()


def test_a_sender_that_waits_keeps_the_connection_alive_too() -> None:
    clock = Clock(0.1)
    connection, far = opened(now=clock, tick=TICK)
    taking: list[Running] = []
    with connection:
        clock.then[clock.now + 10] = lambda: taking.append(Running(lambda: far.bodies(1)))
        connection.send(b"x" * 4_000_000)
        assert len(taking[0].result()[0]) > 4_000_000
        far.sock.close()


def test_a_peer_that_takes_a_large_message_slowly_lives_though_no_ping_gets_through_to_it() -> None:
    connection, far = opened()
    line = connection._pump.line
    with pytest.raises(Timeout):
        connection.ask(b"x" * 4_000_000, timeout=0)
    now = line.looked_at
    for second in range(200):
        now += 1
        line.look(now, reading=True)
        if not second % 10:
            far.read()
            line.turn(read=False)
    assert len(line.outlet) > 0
    line.check()
    began = now
    while line.broken is None:
        now += 1
        line.look(now, reading=True)
    assert now - began <= 45
    far.sock.close()
    connection.close()


def beats(connection: Connection[Any], count: int) -> None:
    for _ in range(count):
        connection._pump.beat()


def test_a_beat_pings_where_nothing_was_sent_since_the_last() -> None:
    connection, far = opened()
    with connection:
        beats(connection, 1)
        assert heard_raw(far.sock) == b""
        beats(connection, 1)
        assert heard_raw(far.sock) == PING
        connection.send(1)
        beats(connection, 1)
        assert PING not in heard_raw(far.sock)
        beats(connection, 1)
        assert heard_raw(far.sock) == PING
        far.sock.close()


def test_a_beat_hears_and_answers_what_the_peer_asks() -> None:
    connection, far = opened()
    with connection:
        far.session.send_ping()
        far.session.send_data(encode("news"))
        far.flush()
        beats(connection, 1)
        assert encode_frame(Kind.PONG, b"") in heard_raw(far.sock)
        far.sock.close()
        assert connection.receive(timeout=0) == "news"


def test_a_beat_never_comes_between_the_halves_of_a_message() -> None:
    connection, far = opened()
    with connection:
        with pytest.raises(Timeout):
            connection.ask(b"x" * 4_000_000, timeout=0)
        beats(connection, 3)
        ((_, body),) = Running(lambda: _taken(connection, far)).result()
        assert len(body) > 4_000_000
        far.sock.close()


def _taken(connection: Connection[Any], far: Far) -> list[tuple[int, bytes]]:
    far.sock.setblocking(False)
    found: list[tuple[int, bytes]] = []
    while not found:
        try:
            far.read()
        except BlockingIOError:
            beats(connection, 1)
        found = [item for event in far.events for item in getattr(event, "items", [])]
    return found


def test_a_beat_does_not_wait_for_a_connection_in_use_or_for_a_full_socket() -> None:
    connection, far = opened()
    pump = connection._pump
    with connection:
        beats(connection, 1)
        with pump.lock:
            pump.beat()
        assert heard_raw(far.sock) == b""
        raw = socket.socket(fileno=socket.dup(pump.line.stream._sock.fileno()))
        try:
            while True:
                raw.send(bytes(1 << 16))
        except BlockingIOError:
            pass
        raw.close()
        beats(connection, 3)
        assert connection.stats.bytes_queued == len(PING)
        connection.abort()
        far.sock.close()


def test_a_beat_leaves_a_connection_alone_that_has_ended() -> None:
    connection, far = opened()
    far.session.send_eof()
    far.flush()
    beats(connection, 3)
    assert list(connection) == []
    far.sock.close()
    connection.close()
    beats(connection, 3)
    assert connection.closed


def test_a_beat_that_finds_the_peer_gone_tells_it_at_the_next_call() -> None:
    connection, far = opened()
    far.sock.close()
    with connection:
        beats(connection, 3)
        with pytest.raises(Broken):
            connection.receive()


def test_a_beat_that_cannot_send_what_waits_finds_the_peer_gone() -> None:
    connection, far = opened(tcp=True)
    with pytest.raises(Timeout):
        connection.ask(b"x" * 8_000_000, timeout=0)
    reset(far.sock)
    with connection:
        beats(connection, 3)
        with pytest.raises(Broken):
            connection.receive()


def test_after_a_plain_peer_has_ended_its_silence_counts_no_more_while_something_is_sent() -> None:
    clock = Clock()
    connection, sock = plain(type=bytes, limits=Limits(idle=5, write=10_000), now=clock, tick=TICK)
    taken = bytearray()

    def take() -> None:
        while not taken.endswith(b"\n"):
            taken.extend(sock.recv(1 << 20))

    with connection:
        sock.shutdown(socket.SHUT_WR)
        assert list(connection) == []
        running: list[Running] = []
        clock.then[clock.now + 100] = lambda: running.append(Running(take))
        connection.send(b"x" * 4_000_000)
        running[0].result()
        sock.close()
    assert len(taken) == 4_000_001
