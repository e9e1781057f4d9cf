"""Looking for an answer before sleeping for it: when it is begun, how long it lasts, and when it is given up."""

from __future__ import annotations

import socket
from threading import Barrier
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from anyplug.blocking.eager import ALONE, LOOK, RUN_MAX, Eager
from anyplug.blocking.stream import _Poller
from tests.blocking.far import PATIENCE, Far, Running, opened
from tests.blocking.watched import watch

if TYPE_CHECKING:
    from anyplug.blocking import Connection

SHORT, LONG = LOOK / 4, LOOK * 4
SLEEP = 20
"""How long each wait may sleep, milliseconds."""


class Socket:
    """A clock and a socket to which something comes after a while."""

    def __init__(self, *, cores: int | None = 2, wakes: float = 0.0) -> None:
        self.now = 0.0
        self.comes = 0.0
        self.wakes = wakes
        self.eager = Eager(now=lambda: self.now, cores=cores)
        self.asked: list[int] = []

    def poll(self, milliseconds: int) -> list[int]:
        """One look takes a microsecond, a sleep until something comes or the time is over, and `wakes` for its end."""
        self.asked.append(milliseconds)
        self.now += 1e-6 if not milliseconds else 0
        if milliseconds and self.comes > self.now:
            self.now = min(self.comes, self.now + milliseconds / 1000) + self.wakes
        return [1] if self.now >= self.comes else []

    def wait(self, took: float) -> str:
        """Wait for something that takes so long; tells how it was waited for."""
        self.comes = self.now + took
        self.asked.clear()
        self.eager.wait(self.poll, SLEEP)
        looks, sleeps = self.asked.count(0), self.asked.count(SLEEP)
        assert looks + sleeps == len(self.asked)
        assert sleeps <= 1
        assert not sleeps or self.asked[-1] == SLEEP, "looked again behind a sleep"
        return "look" * (looks > 0) + "sleep" * sleeps


def test_the_first_wait_sleeps_and_a_short_one_is_followed_by_looks() -> None:
    sock = Socket()
    assert [sock.wait(SHORT) for _ in range(4)] == ["sleep", "look", "look", "look"]


def test_behind_a_long_wait_nothing_is_looked_for() -> None:
    sock = Socket()
    assert [sock.wait(took) for took in (LONG, LONG, LOOK, SHORT, SHORT)] == ["sleep"] * 4 + ["look"]


def test_what_counts_is_the_whole_sleep_with_its_end() -> None:
    sock = Socket(wakes=LOOK)
    assert [sock.wait(SHORT) for _ in range(3)] == ["sleep"] * 3


def test_a_look_lasts_so_long_and_no_longer() -> None:
    sock = Socket()
    sock.wait(SHORT)
    began = sock.now
    assert sock.wait(1.0) == "looksleep"
    assert sock.asked.count(0) == pytest.approx(LOOK / 1e-6, abs=1)
    assert sock.now - began == pytest.approx(LOOK + SLEEP / 1000, abs=2e-6), "it waited longer than it was told"


def test_what_comes_at_the_end_of_a_look_is_found_by_the_sleep() -> None:
    sock = Socket()
    sock.wait(SHORT)
    assert sock.wait(2 * LOOK) == "looksleep"
    assert sock.now >= sock.comes


def test_each_look_in_vain_asks_for_twice_as_many_short_waits_before_the_next_up_to_a_bound() -> None:
    sock = Socket()
    for turn in range(RUN_MAX.bit_length() + 2):
        needed = min(2**turn, RUN_MAX)
        assert {sock.wait(SHORT) for _ in range(needed)} == {"sleep"}
        assert sock.wait(LONG) == "looksleep"


def test_a_long_wait_in_between_begins_the_count_anew() -> None:
    sock = Socket()
    sock.wait(SHORT)
    sock.wait(LONG)
    assert [sock.wait(took) for took in (SHORT, LONG, SHORT, SHORT, SHORT)] == ["sleep"] * 4 + ["look"]


def test_a_look_that_finds_something_forgives_those_in_vain() -> None:
    sock = Socket()
    assert [sock.wait(took) for took in (SHORT, LONG, SHORT, SHORT, SHORT)][-1] == "look"
    assert sock.wait(LONG) == "looksleep"
    assert [sock.wait(SHORT) for _ in range(3)] == ["sleep", "sleep", "look"], "one in vain since then"


def test_where_the_peer_can_only_run_while_we_sleep_nothing_is_looked_for() -> None:
    sock = Socket(cores=1)
    assert {sock.wait(SHORT) for _ in range(RUN_MAX)} == {"sleep"}


@pytest.mark.parametrize("has_poll", [True, False])
def test_a_real_socket_is_waited_for_eagerly_with_and_without_poll(has_poll: bool) -> None:
    near, far = socket.socketpair()
    with near, far:
        poller = _Poller(near, has_poll=has_poll)
        for turn in range(4):
            poller.wait(read=True, write=False, seconds=0, eager=True)
            poller.wait(read=True, write=False, seconds=0.001, eager=True)
            far.send(bytes([turn]))
            poller.wait(read=True, write=False, seconds=PATIENCE, eager=True)
            assert near.recv(1) == bytes([turn])
        assert (poller._eager is not None) == has_poll


def test_a_wait_that_is_not_eager_or_has_no_time_is_neither_looked_at_nor_learnt_from() -> None:
    near, far = socket.socketpair()
    with near, far:
        poller = _Poller(near)
        far.send(b"x")
        poller.wait(read=True, write=False, seconds=0, eager=True)
        poller.wait(read=True, write=False, seconds=PATIENCE)
        assert poller._eager is None


# Which waits of a connection are eager.


def alone(connection: Connection[Any], far: Far) -> None:
    """Have this thread, and no other, use the connection for long enough."""
    for turn in range(ALONE):
        far.say(msgspec.msgpack.encode(turn))
        assert connection.receive(PATIENCE) == turn


def test_whoever_has_said_something_waits_eagerly_and_once() -> None:
    """A second wait means that the first has found something else, or half of it."""
    connection, far = opened()
    with connection:
        stream = watch(connection)

        def play() -> list[bool]:
            alone(connection, far)
            stream.eager.clear()
            assert connection.ask("question") == "question"
            return list(stream.eager)

        asking = Running(play)
        ((number, body),) = far.questions(1)
        far.session.send_reply(number, body)
        data = far.session.data_to_send()
        stream.waits(1)
        far.sock.sendall(data[:6])
        stream.waits(2)
        far.sock.sendall(data[6:])
        assert asking.result() == [True, False]
        far.sock.close()


def test_nothing_is_looked_for_while_the_peer_has_not_taken_all() -> None:
    connection, far = opened()
    with connection:
        stream = watch(connection)

        def play() -> list[bool]:
            alone(connection, far)
            stream.eager.clear()
            connection.send(b"x" * 5_000_000)
            return list(stream.eager)

        sending = Running(play)
        stream.waits(1)
        (body,) = far.bodies(1)
        assert len(body) > 5_000_000
        assert set(sending.result()) == {False}
        far.sock.close()


def test_where_nothing_was_said_nothing_is_looked_for() -> None:
    connection, far = opened()
    with connection:
        stream = watch(connection)
        alone(connection, far)
        alone(connection, far)
        assert stream.eager == [False] * 2 * ALONE
        far.sock.close()


def test_a_new_connection_is_not_looked_at_before_one_thread_has_used_it_for_a_while() -> None:
    connection, far = opened()
    server = Running(far.echo)
    with connection:
        stream = watch(connection)
        assert [connection.ask(turn) for turn in range(ALONE + 3)] == list(range(ALONE + 3))
        assert stream.eager == [False] * ALONE + [True] * 3
    server.result()


def test_in_a_conversation_a_receive_behind_a_send_is_eager() -> None:
    connection, far = opened(asks=False)
    server = Running(far.echo)
    with connection:
        stream = watch(connection)
        for turn in range(ALONE + 2):
            connection.send(turn)
            assert connection.receive(PATIENCE) == turn
        assert stream.eager == [False] * ALONE + [True] * 2
    server.result()


def test_two_threads_in_turns_are_not_alone() -> None:
    connection, far = opened()
    server = Running(far.echo)
    with connection:
        stream = watch(connection)
        for turn in range(ALONE):
            assert connection.ask(turn) == turn
            assert Running(lambda: connection.ask(-1)).result() == -1
        assert not any(stream.eager)
        for turn in range(ALONE + 1):
            assert connection.ask(turn) == turn
        assert stream.eager[-2:] == [False, True], "the other has left"
    server.result()


def test_a_thread_that_follows_ends_the_looking() -> None:
    connection, far = opened()
    with connection:
        stream = watch(connection)
        barrier = Barrier(2)

        def play() -> list[bool]:
            alone(connection, far)
            stream.eager.clear()
            barrier.wait()
            found = [connection.ask("first"), connection.ask("third")]
            assert found == ["first", "third"]
            return list(stream.eager)

        leading = Running(play)
        barrier.wait()
        numbered(far, "first")
        following = Running(lambda: connection.ask("second"))
        numbered(far, "second")
        far.session.send_reply(2, msgspec.msgpack.encode("second"))
        far.reply(1, msgspec.msgpack.encode("first"))
        numbered(far, "third")
        far.reply(3, msgspec.msgpack.encode("third"))
        assert following.result() == "second"
        assert leading.result()[:2] == [True, False]
        far.sock.close()


def numbered(far: Far, name: str) -> None:
    """The next question is this one."""
    ((_, body),) = far.questions(1)
    found: Any = msgspec.msgpack.decode(body)
    assert found == name
