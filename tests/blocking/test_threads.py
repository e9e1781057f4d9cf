"""Threads that share one connection: each answer to its asker, each message to one receiver, no message inside another."""

from __future__ import annotations

from threading import Barrier
from typing import Any

import msgspec
import pytest

from anyplug.blocking import Broken, Connection, ConnectionClosed, Timeout
from tests.blocking.far import Running, opened, plain, reset

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode

THREADS = 8


def together(count: int, call: Any) -> list[Running]:
    """Threads that all begin at once; each calls with its number."""
    barrier = Barrier(count)

    def one(number: int) -> Any:
        barrier.wait()
        return call(number)

    return [Running(lambda number=number: one(number)) for number in range(count)]


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
        patient = together(3, connection.ask)
        hasty = together(3, lambda number: connection.ask(number, timeout=0.02))
        found = {decode(body): number for number, body in far.questions(6)[:0]}
        assert not found
        for thread in hasty:
            with pytest.raises(Timeout):
                thread.result()
        connection.send("now")
        far.bodies(1)
        far.sock.close()
        for thread in patient:
            with pytest.raises(Broken):
                thread.result()


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
        assert sorted(sum(lists, [])) == list(range(5000))
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
        sending = together(3, lambda number: [connection.send([number, turn]) for turn in range(100)])
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
