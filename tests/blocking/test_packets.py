"""Sockets that keep the bounds of messages: each packet is one message."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.address import Address
from anyplug.blocking import Broken, Connection, ConnectionClosed, EncodeError, Timeout, TooLarge, connect
from anyplug.blocking.client import converse
from anyplug.blocking.outlet import Outlet
from anyplug.blocking.stream import PACKET_SIZE, Stream
from anyplug.plan import Plan, make_plan
from tests.blocking.far import PATIENCE, Running, plain

if TYPE_CHECKING:
    from pathlib import Path

PACKETS = socket.SOCK_SEQPACKET
DATAGRAMS = socket.SOCK_DGRAM
SO_SNDBUFFORCE = getattr(socket, "SO_SNDBUFFORCE", 32)
SEQPACKET = "unix+seqpacket:///s"


def seqpacket(**options: Any) -> tuple[Connection[Any], socket.socket]:
    return plain(SEQPACKET, kind=PACKETS, type=bytes, **options)


def dgram() -> tuple[Connection[Any], socket.socket]:
    return plain("unix+dgram:///s", kind=DATAGRAMS, type=bytes)


def test_each_message_is_one_packet_and_each_packet_one_message() -> None:
    connection, sock = seqpacket()
    with connection:
        connection.send(b"one")
        connection.send_many([b"two", b"three"])
        assert [sock.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
        sock.send(b"four")
        sock.send(b"five\nsix")
        assert connection.receive() == b"four"
        assert connection.receive() == b"five\nsix"
        sock.close()
        assert list(connection) == []


def test_questions_over_packets_are_packets_each() -> None:
    connection, sock = seqpacket()

    def serve() -> None:
        with sock:
            while data := sock.recv(100):
                sock.send(data.upper())

    server = Running(serve)
    with connection:
        assert connection.ask(b"a") == b"A"
        assert connection.ask_many([b"b", b"c", b"d"] * 100) == [b"B", b"C", b"D"] * 100
    server.result()


def test_half_closing_packets_ends_the_sending_side() -> None:
    connection, sock = seqpacket()
    with connection:
        connection.send(b"last")
        connection.send_eof()
        assert sock.recv(100) == b"last"
        assert sock.recv(100) == b""
        sock.send(b"answer")
        assert connection.receive() == b"answer"
        sock.close()


def test_a_packet_larger_than_the_system_sends_is_refused_and_the_others_go() -> None:
    connection, sock = seqpacket()
    with connection:
        for call in (connection.send, connection.ask):
            with pytest.raises(EncodeError, match="more than the system sends"):
                call(bytes(5_000_000))
        with pytest.raises(EncodeError):
            connection.send_many([b"before", bytes(5_000_000), b"after"])
        with pytest.raises(EncodeError):
            connection.ask_many([b"question", bytes(5_000_000)])
        assert [sock.recv(100) for _ in range(3)] == [b"before", b"after", b"question"]
        with pytest.raises(EncodeError):
            connection.ask_many([bytes(5_000_000), b"never said"])
        sock.send(b"late answer")
        sock.send(b"news")
        assert connection.receive() == b"news"
        asking = Running(lambda: connection.ask(b"next"))
        assert sock.recv(100) == b"next"
        sock.send(b"answer")
        assert asking.result() == b"answer"
        sock.close()


def test_an_empty_message_is_refused_since_it_would_mean_the_end() -> None:
    connection, sock = seqpacket()
    with connection:
        with pytest.raises(EncodeError):
            connection.send(b"")
        sock.close()


def large_pair() -> tuple[socket.socket, socket.socket]:
    """Sockets that take packets larger than are read here."""
    pair = socket.socketpair(socket.AF_UNIX, PACKETS)
    for each in pair:
        try:
            each.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 * PACKET_SIZE)
        except OSError:
            for sock in pair:
                sock.close()
            pytest.skip("only root may send packets that large")
    return pair


def test_a_packet_larger_than_can_be_read_is_one_error_and_the_next_is_received() -> None:
    near, sock = large_pair()
    sock.send(bytes(PACKET_SIZE + 1))
    sock.send(b"next")
    where = Address.parse(SEQPACKET)
    plan: Plan[bytes] = make_plan(where, type=bytes)
    with converse(near, where, plan) as connection:
        with pytest.raises(TooLarge, match="packet"):
            connection.receive()
        assert connection.receive() == b"next"
        sock.close()


def test_packets_wait_in_order_while_the_peer_takes_none() -> None:
    connection, sock = seqpacket()
    with connection:
        with pytest.raises(Timeout):
            connection.ask_many([bytes([n % 251 + 1]) * 1000 for n in range(400)], timeout=0)
        waiting = connection.stats.bytes_queued
        sending = Running(lambda: connection.send(b"last"))
        got = [sock.recv(2000)]
        while got[-1] != b"last":
            got.append(sock.recv(2000))
        sending.result()
        assert waiting > 0
        assert [packet[0] - 1 for packet in got[:-1]] == [n % 251 for n in range(len(got) - 1)]
        sock.close()


def test_a_packet_that_proves_too_large_while_it_waits_is_dropped_alone() -> None:
    """The system says so only when it is asked to take it; by then its sender may have gone on."""
    near, sock = socket.socketpair(socket.AF_UNIX, PACKETS)
    stream = Stream(near)
    outlet = Outlet(stream)
    while not outlet:
        outlet.put(b"x" * 1000)
    outlet.put(bytes(5_000_000))
    outlet.put(b"behind")
    sock.settimeout(PATIENCE)
    while (packet := sock.recv(2000)) != b"behind":
        assert packet == b"x" * 1000
        outlet.flush()
    assert not outlet
    assert ["5,000,000" in str(error) for error in outlet.unfit] == [True]
    stream.close()
    sock.close()


def test_a_datagram_without_bytes_is_no_end() -> None:
    connection, sock = dgram()
    with connection:
        sock.send(b"")
        with pytest.raises(Timeout):
            connection.receive(timeout=0)
        sock.send(b"more")
        assert connection.receive() == b"more"
        sock.close()


def test_a_datagram_that_never_is_answered_does_not_shift_the_answers() -> None:
    connection, sock = dgram()
    with connection:
        with pytest.raises(Timeout):
            connection.ask(b"lost", timeout=0)
        sock.recv(100)
        asking = Running(lambda: connection.ask(b"heard"))
        sock.recv(100)
        sock.send(b"answer")
        assert asking.result() == b"answer"
        sock.close()


def test_a_late_datagram_that_has_come_before_the_next_question_is_not_its_answer() -> None:
    connection, sock = dgram()
    with connection:
        with pytest.raises(Timeout):
            connection.ask(b"slow", timeout=0)
        sock.send(b"late 1")
        sock.send(b"late 2")
        sock.recv(100)
        asking = Running(lambda: connection.ask(b"quick"))
        sock.recv(100)
        sock.send(b"answer")
        assert asking.result() == b"answer"
        assert connection.receive_many() == [b"late 1", b"late 2"]
        sock.close()


def test_closing_datagrams_does_not_wait() -> None:
    connection, sock = dgram()
    connection._pump.close(0, "", linger=1000)  # type: ignore[arg-type]
    with pytest.raises(ConnectionClosed):
        connection.receive()
    sock.close()


def test_udp_asks_and_hears() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)

        def serve() -> None:
            for _ in range(2):
                data, client = server.recvfrom(65536)
                server.sendto(data[::-1], client)

        running = Running(serve)
        with connect(f"udp://127.0.0.1:{server.getsockname()[1]}") as peer:
            assert peer.ask("abc") == "cba"
            assert peer.ask("x" * 60_000) == "x" * 60_000
            with pytest.raises(EncodeError, match="more than the system sends"):
                peer.send("x" * 70_000)
        running.result()


def test_udp_where_nobody_listens_is_broken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    with connect(f"udp://127.0.0.1:{port}") as peer:
        with pytest.raises(Broken, match="nothing listens"):
            peer.ask("anybody?")
        with pytest.raises(Broken, match="nothing listens"):
            peer.receive()


def test_a_seqpacket_server_of_plain_sockets_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, PACKETS) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                while data := sock.recv(100):
                    sock.send(b"<" + data + b">")

        running = Running(serve)
        with connect(f"unix+seqpacket://{path}") as peer:
            assert peer.ask("a") == "<a>"
            assert peer.ask("b\n") == "<b\n>"
        running.result()


def test_a_dgram_server_of_plain_sockets_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, DATAGRAMS) as server:
        server.bind(path)

        def serve() -> None:
            data, client = server.recvfrom(100)
            server.sendto(data * 2, client)

        running = Running(serve)
        with connect(f"unix+dgram://{path}") as peer:
            assert peer.ask("ab") == "abab"
        running.result()


def fill(connection: Connection[bytes]) -> None:
    """Have one packet wait that the system does not take, and one behind it that it never takes."""
    while not connection.stats.bytes_queued:
        with pytest.raises(Timeout):
            connection.ask(b"x" * 1000, timeout=0)
    with pytest.raises(Timeout):
        connection.ask(bytes(5_000_000), timeout=0)


def drain(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recv(2000)


@pytest.mark.parametrize("by_sending", [True, False])
def test_a_packet_that_proves_too_large_late_is_reported_where_messages_are_received(by_sending: bool) -> None:
    connection, sock = seqpacket()
    with connection:
        fill(connection)
        drain(sock)
        if by_sending:
            connection.send(b"last")
            assert [sock.recv(2000), sock.recv(2000)] == [b"x" * 1000, b"last"]
        with pytest.raises(EncodeError, match="more than the system sends"):
            connection.receive()
        sock.close()


def test_a_large_packet_that_comes_while_this_side_closes_is_thrown_away() -> None:
    near, sock = large_pair()
    where = Address.parse(SEQPACKET)
    plan: Plan[bytes] = make_plan(where, type=bytes)
    connection = converse(near, where, plan)
    sock.send(bytes(PACKET_SIZE + 1))
    closing = Running(connection.close)
    assert sock.recv(100) == b""
    sock.close()
    closing.result()


def test_closing_reads_away_packets_that_cannot_be_read_or_sent() -> None:
    connection, sock = seqpacket()
    fill(connection)

    def take() -> None:
        with sock:
            while sock.recv(2000):
                pass

    taking = Running(take)
    connection.close()
    taking.result()
