"""Threads that share one connection: each answer to its asker, each message to one receiver, none inside another."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import chain
from threading import Barrier
from typing import Any

import msgspec
import pytest

from anyplug.blocking import Broken, Code, Connection, ConnectionClosed, DecodeError, Limits, Timeout
from anyplug.blocking.waiter import take
from tests.blocking.far import PATIENCE, Running, opened, plain, reset
from tests.blocking.watched import watch

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode

THREADS = 8


def together(count: int, call: Any) -> list[Running]:
    """Threads that all begin at once; each calls with its number."""
    barrier = Barrier(count)

    def one(number: int) -> Any:
        barrier.wait()
        return call(number)

    return [Running(partial(one, number)) for number in range(count)]


def test_many_threads_ask_at_once_and_each_gets_its_answers() -> None:
    connection, far = opened()
    server = Running(far.echo)

    def ask(number: int) -> list[Any]:
        return [connection.ask([number, turn]) for turn in range(100)]

    with connection:
        for number, thread in enumerate(together(THREADS, ask)):
            assert thread.result() == [[number, turn] for turn in range(100)]
    server.result()


def test_answers_in_the_opposite_order_reach_their_askers() -> None:
    connection, far = opened()
    with connection:
        for _ in range(20):
            threads = together(THREADS, connection.ask)
            for number, body in reversed(far.questions(THREADS)):
                far.reply(number, body)
            assert [thread.result() for thread in threads] == list(range(THREADS))
        far.sock.close()


def test_without_ids_threads_ask_one_after_the_other_and_get_their_own_answers() -> None:
    connection, sock = plain(framing="lines")

    def serve() -> None:
        with sock, sock.makefile("rwb") as file:
            for line in file:
                file.write(line)
                file.flush()

    server = Running(serve)
    with connection:
        threads = together(THREADS, lambda number: [connection.ask(f"{number}:{turn}") for turn in range(50)])
        for number, thread in enumerate(threads):
            assert thread.result() == [f"{number}:{turn}" for turn in range(50)]
    server.result()


def test_a_thread_that_gives_up_hands_its_place_on() -> None:
    """Whoever reads the socket for all may leave first; another goes on reading."""
    connection, far = opened()
    with connection:
        hasty = together(3, lambda number: connection.ask(f"hasty {number}", timeout=0.02))
        patient = together(3, lambda number: connection.ask(f"patient {number}"))
        numbers = {decode(body): number for number, body in far.questions(6)}
        for thread in hasty:
            with pytest.raises(Timeout):
                thread.result()
        for who, number in numbers.items():
            far.reply(number, encode(who))
        assert [thread.result() for thread in patient] == ["patient 0", "patient 1", "patient 2"]
        assert connection.stats.late_answers == 3
        far.sock.close()


def test_messages_of_several_senders_never_mix() -> None:
    connection, far = opened()

    def send(number: int) -> None:
        for turn in range(20):
            connection.send([number, turn, bytes([number]) * 50_000])
            connection.send_many([[number, turn, b""]] * 3)

    with connection:
        threads = together(THREADS, send)
        found = [decode(body) for body in far.bodies(THREADS * 80)]
        for thread in threads:
            thread.result()
        for number in range(THREADS):
            turns = [turn for who, turn, _ in found if who == number]
            assert turns == sorted(turns)
        assert all(blob == bytes([number]) * 50_000 or not blob for number, _, blob in found)
        far.sock.close()


@pytest.mark.parametrize("many", [False, True])
def test_each_message_goes_to_one_of_several_receivers(many: bool) -> None:
    connection, far = opened()

    def receive(_: int) -> list[int]:
        got: list[int] = []
        try:
            while True:
                if many:
                    got += connection.receive_many()
                else:
                    got.append(connection.receive())
        except ConnectionClosed:
            return got

    with connection:
        threads = together(THREADS, receive)
        for start in range(0, 5000, 50):
            far.say(*map(encode, range(start, start + 50)))
        far.session.send_eof()
        far.flush()
        lists = [thread.result() for thread in threads]
        assert sorted(chain(*lists)) == list(range(5000))
        assert all(one == sorted(one) for one in lists)
        far.sock.close()


def test_a_thread_receives_while_others_ask_and_send() -> None:
    connection, far = opened()
    server = Running(far.echo)

    def receive(count: int) -> list[Any]:
        return [connection.receive() for _ in range(count)]

    with connection:
        receiving = Running(lambda: receive(300))
        asking = together(3, lambda number: [connection.ask([number, turn]) for turn in range(100)])
        sending = together(3, lambda number: connection.send_many([number, turn] for turn in range(100)))
        for number, thread in enumerate(asking):
            assert thread.result() == [[number, turn] for turn in range(100)]
        for thread in sending:
            thread.result()
        got = receiving.result()
        for number in range(3):
            assert [turn for who, turn in got if who == number] == list(range(100))
    server.result()


def waiting_in_ask(connection: Connection[Any], far: Any, count: int = 3) -> list[Running]:
    """Threads whose questions have gone out."""
    threads = together(count, connection.ask)
    far.questions(count)
    return threads


def test_closing_in_one_thread_ends_the_waits_of_the_others() -> None:
    connection, far = opened()
    threads = [*waiting_in_ask(connection, far), Running(connection.receive), Running(connection.receive_many)]
    connection.close()
    for thread in threads:
        with pytest.raises(ConnectionClosed, match="closed on this side"):
            thread.result()
    assert connection.closed
    far.sock.close()


def test_aborting_in_one_thread_ends_the_waits_of_the_others_and_resets() -> None:
    connection, far = opened(tcp=True)
    threads = waiting_in_ask(connection, far)
    connection.abort()
    for thread in threads:
        with pytest.raises(ConnectionClosed, match="aborted"):
            thread.result()
    with pytest.raises(ConnectionResetError):
        far.sock.recv(1)
    far.sock.close()


def test_aborting_cuts_a_close_short_that_waits_for_the_peer() -> None:
    connection, far = opened(tcp=True)
    closing = Running(lambda: connection._pump.close(0, "", linger=1000))  # type: ignore[arg-type]
    assert not far.read() or not far.read()
    connection.abort()
    closing.result()
    far.sock.close()


def test_a_break_reaches_all_who_wait() -> None:
    connection, far = opened(tcp=True)
    with connection:
        threads = [*waiting_in_ask(connection, far), Running(connection.receive)]
        reset(far.sock)
        for thread in threads:
            with pytest.raises(Broken, match="reset"):
                thread.result()


def test_a_sender_that_waits_is_ended_by_closing() -> None:
    connection, far = opened()
    sending = together(3, lambda _: connection.send(b"x" * 5_000_000))
    assert far.read()
    connection.abort()
    for thread in sending:
        with pytest.raises((ConnectionClosed, Broken)):
            thread.result()
    far.sock.close()


def test_a_sender_gets_on_beside_a_thread_that_waits_for_a_message() -> None:
    connection, far = opened()
    stream = watch(connection)
    with connection:
        receiving = Running(connection.receive)
        assert stream.reading.wait(PATIENCE)
        sending = Running(lambda: connection.send(b"x" * 5_000_000))
        assert stream.beside.wait(PATIENCE)
        assert len(far.bodies(1)[0]) > 5_000_000
        sending.result()
        far.say(encode("for the receiver"))
        assert receiving.result() == "for the receiver"
        far.sock.close()


def test_a_sender_reads_on_where_the_thread_that_did_so_has_left() -> None:
    connection, far = opened(limits=Limits(queue=64 * 1024 * 1024))
    stream = watch(connection)
    with connection:
        receiving = Running(connection.receive)
        assert stream.reading.wait(PATIENCE)
        sending = Running(lambda: connection.send(b"x" * 5_000_000))
        assert stream.beside.wait(PATIENCE)
        far.say(encode("for the receiver"))
        assert receiving.result() == "for the receiver"
        far.say(*[encode(b"y" * 100_000)] * 50)
        assert len(far.bodies(1)[0]) > 5_000_000
        sending.result()
        far.sock.close()


def test_a_question_behind_a_full_queue_goes_on_as_soon_as_another_thread_takes() -> None:
    connection, far = opened(limits=Limits(queue=100), tick=1000)
    with connection:
        far.say(encode(b"x" * 200))
        with pytest.raises(Timeout):
            connection.ask("fill the queue", timeout=0)
        asking = Running(lambda: connection.ask("q", timeout=PATIENCE))
        for number, body in far.questions(2):
            far.reply(number, body)
        assert connection.receive_many() == [b"x" * 200]
        assert asking.result() == "q"
        far.sock.close()


def test_a_sender_that_waits_hears_the_servers_goodbye() -> None:
    """The server listens no more then; waiting for it to take the rest would be in vain."""
    connection, far = opened()
    with connection:
        sending = Running(lambda: connection.send(b"x" * 5_000_000))
        assert far.read()
        far.session.send_eof(Code.GOING_AWAY, "later")
        far.flush()
        with pytest.raises(ConnectionClosed, match="later"):
            sending.result()
        far.sock.close()


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interrupted_question_leaves_the_connection_usable() -> None:
    connection, far = opened()
    stream = watch(connection)
    with connection:
        stream.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            connection.ask("interrupted")
        stream.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            connection.receive()
        stream.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            connection.ask_many(["many", "more"])
        asking = Running(lambda: connection.ask("next"))
        for number, body in far.questions(4):
            far.reply(number, body)
        assert asking.result() == "next"
        assert connection.stats.late_answers == 3
        far.sock.close()


def test_an_interrupted_send_is_finished_by_the_next_one() -> None:
    connection, far = opened()
    stream = watch(connection)
    with connection:
        stream.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            connection.send(b"x" * 5_000_000)
        sending = Running(lambda: connection.send("next"))
        first, second = far.bodies(2)
        assert len(first) > 5_000_000
        assert decode(second) == "next"
        sending.result()
        far.sock.close()


class InterruptedLock:
    """A lock whose first taking is interrupted."""

    def __init__(self) -> None:
        self.taken = 0

    def acquire(self) -> None:
        self.taken += 1
        if self.taken == 1:
            raise KeyboardInterrupt


def test_a_lock_is_held_even_where_its_taking_was_interrupted() -> None:
    lock = InterruptedLock()
    with pytest.raises(KeyboardInterrupt):
        take(lock)  # type: ignore[arg-type]
    assert lock.taken == 2


class Stolen(deque[Any]):
    """Messages of which another thread takes one kind as soon as they are there."""

    def extend(self, messages: Any) -> None:
        super().extend(message for message in messages if message != "stolen")


def test_receive_many_waits_on_where_another_thread_was_quicker() -> None:
    connection, far = opened()
    pump = connection._pump
    pump.ready = connection._ready = Stolen()
    stream = watch(connection)
    with connection:
        far.say(encode("stolen"))
        with pytest.raises(Timeout):
            connection.ask("read what has come", timeout=0)
        stream.reading.clear()
        receiving = Running(connection.receive_many)
        assert stream.reading.wait(PATIENCE)
        far.say(encode("ours"))
        assert receiving.result() == ["ours"]
        far.sock.close()


@pytest.mark.parametrize("many", [False, True])
def test_messages_that_come_together_wake_as_many_receivers(many: bool) -> None:
    connection, far = opened(tick=1000)
    stream = watch(connection)
    with connection:
        first = Running(connection.receive)
        assert stream.reading.wait(PATIENCE)
        second = Running(connection.receive_many if many else connection.receive)
        behind(connection, 1)
        far.say(encode("one"), encode("two"))
        assert (first.result(), second.result()) == ("one", ["two"] if many else "two")
        far.sock.close()


@pytest.mark.parametrize("many", [False, True])
def test_a_bad_message_is_the_error_of_one_receiver_and_the_next_message_goes_to_another(many: bool) -> None:
    connection, far = opened(type=int, tick=1000)
    stream = watch(connection)
    with connection:
        first = Running(connection.receive_many if many else connection.receive)
        assert stream.reading.wait(PATIENCE)
        second = Running(connection.receive)
        behind(connection, 1)
        far.say(encode("bad"), encode(2))
        with pytest.raises(DecodeError):
            first.result()
        assert second.result() == 2
        far.sock.close()


def test_a_receiver_that_is_interrupted_when_its_message_comes_leaves_it_to_another() -> None:
    connection, far = opened(tick=1000)
    stream = watch(connection)
    pump = connection._pump

    def hear_and_interrupt() -> None:
        second.append(Running(connection.receive))
        behind(connection, 1)
        far.say(encode("for one of us"))
        with pump.lock:
            pump.line.turn(read=True)
        raise KeyboardInterrupt

    second: list[Running] = []
    stream.before = hear_and_interrupt
    with connection:
        with pytest.raises(KeyboardInterrupt):
            connection.receive()
        assert second[0].result() == "for one of us"
        far.sock.close()


def behind(connection: Connection[Any], count: int) -> None:
    """Wait until so many threads follow the one that waits for the socket."""
    pump = connection._pump
    while True:
        with pump.lock:
            if len(pump._followers) == count:
                return
