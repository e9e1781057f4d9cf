"""How conversations end: cleanly, abruptly at every byte, by this side, by forgetting."""

from __future__ import annotations

import copy
import gc
import pickle
import socket
from typing import Any

import msgspec
import pytest

from anyplug.blocking import Broken, Code, Connection, ConnectionClosed, Limits, LocalError, ProtocolError, Timeout
from anyplug.messages import Ended
from tests.blocking.far import PATIENCE, PLUG, Running, opened, plain, reset

encode = msgspec.msgpack.encode

MESSAGES = [1, "two", {"three": 3}]


def all_that_comes(connection: Connection[Any]) -> tuple[list[Any], BaseException | None]:
    """What iteration gives, and what it ends with."""
    got: list[Any] = []
    try:
        for message in connection:
            got.append(message)  # noqa: PERF402 - what came before the error counts
    except Broken as error:
        return got, error
    return got, None


def plug_session() -> tuple[bytes, list[int]]:
    """A server's whole speech behind its welcome, and where each message ends in it."""
    near, far = opened()
    bounds = []
    data = b""
    for message in MESSAGES:
        far.session.send_data(encode(message))
        data += far.session.data_to_send()
        bounds.append(len(data))
    far.session.send_eof(Code.OK)
    data += far.session.data_to_send()
    near.abort()
    far.sock.close()
    return data, bounds


SPEECH, BOUNDS = plug_session()


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("cut", range(len(SPEECH) + 1))
def test_a_plug_conversation_cut_anywhere_gives_what_was_whole_and_says_how_it_ended(
    cut: int, with_reset: bool
) -> None:
    connection, far = opened(tcp=True)
    far.sock.sendall(SPEECH[:cut])
    reset(far.sock) if with_reset else far.sock.close()
    with connection:
        got, error = all_that_comes(connection)
        whole = MESSAGES[: sum(bound <= cut for bound in BOUNDS)]
        if cut == len(SPEECH):
            assert (got, error) == (whole, None)
            return
        assert isinstance(error, Broken)
        # A reset may overtake what was under way; what is given is right all the same.
        assert got == whole[: len(got)] if with_reset else got == whole
        with pytest.raises(Broken) as again:
            connection.receive()
        assert str(again.value) == str(error)
        with pytest.raises(Broken):
            connection.ask(1)
        with pytest.raises(Broken):
            connection.send(1)
        assert connection.closed


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("cut", range(9))
def test_a_plain_conversation_cut_inside_a_message_is_broken_and_at_a_boundary_clean(
    cut: int, with_reset: bool
) -> None:
    data = b"\0\0\0\x02ab\0\0\0"
    connection, sock = plain(framing="prefix", type=bytes, tcp=True)
    sock.sendall(data[:cut])
    reset(sock) if with_reset else sock.close()
    with connection:
        got, error = all_that_comes(connection)
        whole = [b"ab"] if cut >= 6 else []
        assert got == whole[: len(got)] if with_reset else got == whole
        assert (error is None) == (cut in {0, 6} and not with_reset)


def test_a_question_is_broken_by_a_reset() -> None:
    connection, far = opened(tcp=True)
    with connection:
        asking = Running(lambda: connection.ask("q"))
        far.questions(1)
        reset(far.sock)
        with pytest.raises(Broken, match="reset"):
            asking.result()


def test_sending_to_a_peer_that_has_gone_raises_its_reason_where_it_gave_one() -> None:
    connection, far = opened(tcp=True)
    far.session.send_eof(Code.BUSY, "too many")
    far.flush()
    far.sock.close()
    with connection, pytest.raises(ConnectionClosed, match="too many") as caught:
        for _ in range(1000):
            connection.send(b"x" * 10_000)
    assert caught.value.code is Code.BUSY


def test_sending_to_a_plain_peer_that_has_reset_is_broken() -> None:
    connection, sock = plain(tcp=True)
    reset(sock)
    with connection:
        with pytest.raises(Broken) as caught:
            for _ in range(1000):
                connection.send("x" * 10_000)
        assert "peer" in caught.value.problem
        with pytest.raises(Broken):
            connection.receive()


def test_a_peer_that_breaks_the_protocol_is_told_why_and_nothing_more_is_said() -> None:
    connection, far = opened()
    far.say(encode(1))
    far.sock.sendall(b"\xff\0\0\0")
    far.sock.shutdown(socket.SHUT_WR)
    with connection:
        assert connection.receive() == 1
        with pytest.raises(ProtocolError):
            connection.receive()
        with pytest.raises(ProtocolError):
            connection.send(1)
        assert far.hear(Ended).refusal.reason is Code.PROTOCOL
        assert "broken" in repr(connection)
    far.sock.close()


def test_closing_says_bye_and_waits_for_the_peers_end() -> None:
    connection, far = opened()
    closing = Running(lambda: connection.close(Code.GOING_AWAY, "that is all"))
    refusal = far.hear(Ended).refusal
    assert (refusal.reason, refusal.text) == (Code.GOING_AWAY, "that is all")
    assert not far.read()
    assert closing.is_alive()
    far.sock.close()
    closing.result()
    assert connection.closed


def test_closing_again_does_nothing_and_nothing_can_be_said_or_heard_after_it() -> None:
    connection, far = opened()
    far.sock.shutdown(socket.SHUT_WR)
    connection.close()
    connection.close()
    connection.abort()
    connection.send_eof()
    for call in (lambda: connection.send(1), lambda: connection.ask(1), connection.receive, connection.receive_many):
        with pytest.raises(ConnectionClosed, match="closed on this side"):
            call()
    assert list(connection) == []
    far.hear(Ended)
    far.sock.close()


def test_messages_that_were_read_before_closing_can_still_be_taken() -> None:
    connection, far = opened()
    far.say(encode(1), encode(2))
    assert connection.receive() == 1
    far.sock.shutdown(socket.SHUT_WR)
    connection.close()
    assert connection.receive() == 2
    with pytest.raises(ConnectionClosed):
        connection.receive()
    far.sock.close()


def test_closing_reads_away_what_still_comes_so_that_the_last_word_is_not_lost() -> None:
    """A socket closed with unread bytes sends a reset, which can destroy what the peer has not read yet."""
    connection, far = opened(tcp=True)
    far.say(*[encode(b"x" * 10_000)] * 20)
    closing = Running(connection.close)
    assert far.hear(Ended).refusal.reason is Code.OK
    assert not far.read()
    far.say(encode("more"))
    far.sock.close()
    closing.result()


def test_closing_gives_a_peer_that_never_ends_a_moment_only() -> None:
    connection, far = opened()
    connection._pump.close(Code.OK, "", linger=0.01)
    far.hear(Ended)
    assert not far.read()
    far.sock.close()


def test_closing_gives_up_bytes_that_the_peer_does_not_take_and_resets() -> None:
    connection, far = opened(tcp=True, limits=Limits(write=0.01))
    with pytest.raises(Timeout):
        connection.ask(b"x" * 8_000_000, timeout=0)
    assert connection.stats.bytes_queued > 0
    connection._pump.close(Code.OK, "", linger=0.01)
    with pytest.raises(ConnectionResetError):
        while far.sock.recv(1 << 20):
            pass
    far.sock.close()


def test_closing_after_the_peers_end_does_not_wait() -> None:
    connection, far = opened()
    far.session.send_eof()
    far.flush()
    assert list(connection) == []
    connection._pump.close(Code.OK, "", linger=PATIENCE * 10)
    far.hear(Ended)
    far.sock.close()


def test_closing_a_broken_connection_is_quiet() -> None:
    connection, far = opened(tcp=True)
    reset(far.sock)
    with pytest.raises(Broken):
        connection.receive()
    connection.close()
    assert "closed" in repr(connection)


def test_closing_is_quiet_where_the_peer_breaks_off_meanwhile() -> None:
    connection, far = opened(tcp=True)
    far.say(encode("unread"))
    reset(far.sock)
    connection.close()


def test_aborting_resets_the_peer() -> None:
    connection, far = opened(tcp=True)
    connection.abort()
    connection.abort()
    connection.close()
    with pytest.raises(ConnectionResetError):
        far.sock.recv(1)
    with pytest.raises(ConnectionClosed, match="aborted on this side"):
        connection.receive()
    far.sock.close()


def test_a_block_closes_in_order_and_after_an_error_without_waiting() -> None:
    connection, far = opened()
    with pytest.raises(ZeroDivisionError), connection:
        connection.send("before")
        raise ZeroDivisionError
    assert far.hear(Ended).refusal.reason is Code.FAILED
    assert not far.read()
    far.sock.close()


def test_an_interrupted_block_closes_too() -> None:
    connection, far = opened()
    with pytest.raises(KeyboardInterrupt), connection:
        raise KeyboardInterrupt
    assert far.hear(Ended).refusal.reason is Code.GOING_AWAY
    far.sock.close()


def test_after_half_closing_answers_still_come() -> None:
    connection, far = opened()
    with connection:
        connection.send("last")
        connection.send_eof()
        connection.send_eof()
        assert far.bodies(1) == [encode("last")]
        far.hear(Ended)
        with pytest.raises(ConnectionClosed, match="this side has ended"):
            connection.send("too late")
        far.say(encode("answer"))
        assert connection.receive() == "answer"
        far.session.send_eof()
        far.flush()
        assert list(connection) == []
        far.sock.close()


def test_half_closing_a_plain_connection_ends_its_stream() -> None:
    connection, sock = plain("tcp://127.0.0.1:9?until=eof", type=bytes)
    with connection:
        connection.send(b"the whole")
        connection.send_eof()
        assert sock.recv(100) == b"the whole"
        assert sock.recv(100) == b""
        sock.sendall(b"and the ")
        sock.sendall(b"answer")
        sock.close()
        assert connection.receive() == b"and the answer"


def test_the_text_for_logs_says_where_how_it_stands_and_how_much_went_over_it() -> None:
    connection, far = opened()
    far.say(encode(b"x" * 12_000))
    connection.receive()
    connection.send(b"y" * 3000)
    text = repr(connection)
    assert text == f"<anyplug.blocking.Connection {PLUG}, open, 12 KiB in, 3.1 KiB out>"
    far.session.send_eof()
    far.flush()
    assert list(connection) == []
    assert "ended by the peer" in repr(connection)
    far.sock.close()
    connection.close()
    assert ", closed, " in repr(connection)


def test_a_connection_cannot_be_copied_or_pickled() -> None:
    connection, far = opened()
    with connection:
        for copying in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(LocalError, match="connect there"):
                copying(connection)
        far.sock.close()


def test_a_connection_that_is_forgotten_open_warns_and_gives_its_socket_back() -> None:
    connection, far = opened()
    holder = [connection]
    del connection
    with pytest.warns(ResourceWarning, match=r"unclosed <anyplug\.blocking\.Connection plug://"):
        holder.clear()
    assert not far.read()
    far.sock.close()


def test_a_connection_that_was_closed_is_forgotten_in_silence(recwarn: pytest.WarningsRecorder) -> None:
    connection, far = opened()
    far.sock.close()
    connection.close()
    del connection
    gc.collect()
    assert not recwarn.list


def test_names_of_both_ends_and_the_service_are_known() -> None:
    connection, far = opened(tcp=True, address="plug://127.0.0.1:7584/talk/lobby")
    with connection:
        assert connection.local == "{}:{}".format(*far.sock.getpeername())
        assert connection.peer == "{}:{}".format(*far.sock.getsockname())
        assert (connection.service, connection.rest) == ("talk", "lobby")
        assert connection.welcome is not None
        assert connection.welcome.asks
        far.sock.close()


def test_closing_is_quiet_where_the_peer_resets_while_its_end_is_awaited() -> None:
    connection, far = opened(tcp=True)
    closing = Running(connection.close)
    far.hear(Ended)
    reset(far.sock)
    closing.result()
    assert connection.closed


def test_a_reset_that_is_found_before_a_question_is_said_is_its_error() -> None:
    connection, sock = plain(tcp=True)
    reset(sock)
    with connection, pytest.raises(Broken, match="reset"):
        connection.ask("anybody?")


def test_a_connection_that_is_forgotten_while_it_beats_does_not_wait_for_the_beat() -> None:
    """The collector may run inside the beat itself."""
    connection, far = opened()
    pump = connection._pump
    assert pump.lock.acquire(timeout=PATIENCE)
    holder = [connection]
    del connection
    with pytest.warns(ResourceWarning, match="unclosed"):
        holder.clear()
    pump.lock.release()
    pump.line.stream.close()
    assert not far.read()
    far.sock.close()
