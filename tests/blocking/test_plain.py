"""Against servers that know nothing of Anyplug: the standard library's, and plain sockets as tutorials have them."""

from __future__ import annotations

import pickle
import socket
import socketserver
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.blocking import Broken, ConnectionClosed, DecodeError, EncodeError, Timeout, TooLarge, connect
from anyplug.blocking.stream import Stream, _Poller
from tests.blocking.far import PATIENCE, Running, pieces, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a listener made of plain sockets, which serves one client."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)

        def accept() -> None:
            client, _ = listener.accept()
            client.settimeout(PATIENCE)
            with client:
                serve(client)

        running = Running(accept)
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        running.result()


class Shout(socketserver.StreamRequestHandler):
    """Answers each line in capitals."""

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


def test_a_socketserver_is_asked_by_many_clients() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as server:
        running = Running(lambda: server.serve_forever(poll_interval=0.01))
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        peers = [connect(address) for _ in range(5)]
        for number, peer in enumerate(peers):
            assert peer.ask(f"hello {number}") == f"HELLO {number}"
            assert peer.ask_many(["so", "再见"]) == ["SO", "再见"]
            peer.close()
        server.shutdown()
        running.result()


def test_a_unix_socketserver_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socketserver.UnixStreamServer(path, Shout) as server:
        running = Running(server.handle_request)
        with connect(f"unix://{path}") as peer:
            assert peer.ask("hello") == "HELLO"
            assert peer.peer == f"unix:{path}"
        running.result()


def test_a_greeting_is_heard_whole_and_the_end_after_it() -> None:
    def greet(client: socket.socket) -> None:
        for byte in pieces("Socket Programming in Python, 再见".encode()):
            client.send(byte)

    with serving(greet) as address, connect(f"{address}?until=eof") as peer:
        assert peer.receive() == "Socket Programming in Python, 再见"
        with pytest.raises(ConnectionClosed):
            peer.receive()


def test_raw_text_comes_as_it_comes_but_never_cut_inside_a_character() -> None:
    text = "有内鬼, 终止交易! Over"

    def trickle(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in pieces(text.encode()):
            client.send(byte)

    with serving(trickle) as address, connect(address, framing="raw") as peer:
        got = list(peer)
    assert "".join(got) == text


def test_an_answer_of_a_raw_server() -> None:
    def answer(client: socket.socket) -> None:
        assert client.recv(1024) == b"I am client."
        client.send(b"I am server.")

    with serving(answer) as address, connect(address, framing="raw") as peer:
        assert peer.ask("I am client.") == "I am server."
        assert list(peer) == []


def test_pickled_objects_behind_a_decimal_header_go_both_ways() -> None:
    value = {1: "Client", 2: "Server"}

    def serve(client: socket.socket) -> None:
        data = pickle.dumps(value)
        client.send(f"{len(data):<10}".encode() + data)
        size = int(client.recv(10))
        data = b""
        while len(data) < size:
            data += client.recv(size - len(data))
        assert pickle.loads(data) == ["back", value]

    with serving(serve) as address, connect(address, framing="header", codec="pickled") as peer:
        assert peer.receive() == value
        peer.send(["back", value])


def test_echo_with_a_timestamp_until_the_client_closes() -> None:
    def echo(client: socket.socket) -> None:
        while data := client.recv(1024):
            client.send(f"[{time.ctime()}] {data.decode()}".encode())

    with serving(echo) as address, connect(address, framing="raw") as peer:
        assert peer.ask("hello").endswith("] hello")
        assert peer.ask("again").endswith("] again")


def test_one_way_messages_until_the_farewell_word() -> None:
    heard: list[bytes] = []

    def listen(client: socket.socket) -> None:
        with client.makefile("rb") as file:
            heard.extend(iter(file.readline, b"886\n"))

    with serving(listen) as address, connect(address) as peer:
        peer.send_many(["第一", "第二", "886"])
        peer.send_eof()
        assert list(peer) == []
    assert heard == ["第一\n".encode(), "第二\n".encode()]


def test_a_welcome_a_receipt_and_the_end() -> None:
    def serve(client: socket.socket) -> None:
        client.sendall(b"Welcome to study socket!")
        assert client.recv(1024).decode() == "有内鬼, 终止交易! Over"

    with serving(serve) as address, connect(address, framing="raw") as peer:
        assert peer.receive() == "Welcome to study socket!"
        peer.send("有内鬼, 终止交易! Over")
        assert list(peer) == []


def test_a_server_that_ends_inside_a_message_is_broken() -> None:
    with serving(lambda client: client.sendall(b"100       short")) as address:
        with connect(address, framing="header", type=bytes) as peer, pytest.raises(Broken):
            peer.receive()


def test_a_line_break_in_a_line_cannot_travel() -> None:
    connection, sock = plain()
    with connection:
        with pytest.raises(EncodeError):
            connection.send("two\nlines")
        with pytest.raises(EncodeError):
            connection.ask("two\nlines")
        asking = Running(lambda: connection.ask("one"))
        assert sock.recv(100) == b"one\n"
        sock.sendall(b"two\n")
        assert asking.result() == "two"
        sock.close()


def test_a_line_that_is_no_text_is_one_error() -> None:
    connection, sock = plain(codec="text")
    with connection:
        sock.sendall(b"\xff\xfe\nfine\n")
        with pytest.raises(DecodeError):
            connection.receive()
        assert connection.receive() == "fine"
        sock.close()


def test_a_message_above_the_limit_ends_the_conversation() -> None:
    connection, sock = plain(framing="prefix", type=bytes)
    with connection:
        sock.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(TooLarge):
            connection.receive()
        with pytest.raises(TooLarge):
            connection.send(b"more")
        sock.close()


def test_a_late_line_is_not_taken_for_the_next_answer() -> None:
    connection, sock = plain()
    with connection:
        with pytest.raises(Timeout):
            connection.ask("slow", timeout=0)
        sock.sendall(b"to slow\n")
        asking = Running(lambda: connection.ask("quick"))
        assert sock.recv(5) == b"slow\n"
        assert sock.recv(6) == b"quick\n"
        sock.sendall(b"to quick\n")
        assert asking.result() == "to quick"
        sock.close()


@pytest.mark.parametrize("has_poll", [True, False])
def test_waiting_works_with_and_without_poll(has_poll: bool) -> None:
    near, far = socket.socketpair()
    poller = _Poller(near, has_poll=has_poll)
    poller.wait(read=True, write=False, seconds=0)
    poller.wait(read=False, write=True, seconds=PATIENCE)
    far.send(b"x")
    poller.wait(read=True, write=True, seconds=PATIENCE)
    poller.wait(read=True, write=False, seconds=PATIENCE)
    assert near.recv(1) == b"x"
    near.close()
    far.close()


def test_a_socket_that_is_not_connected_is_broken_with_a_sentence() -> None:
    stream = Stream(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    for call in (stream.receive, lambda: stream.send(b"x")):
        with pytest.raises(Broken):
            call()
    assert stream.peer
    stream.shut_write()
    stream.wake()
    stream.close(abort=True)
    with pytest.raises(Broken, match="the system says"):
        stream.receive()
    stream.close(abort=True)


def test_a_type_is_checked_on_the_way_in() -> None:
    connection, sock = plain(type=list[int])
    with connection:
        sock.sendall(b'[1, 2]\n[1, "x"]\n')
        message: Any = connection.receive()
        assert message == [1, 2]
        with pytest.raises(DecodeError, match=r"\$\[1\]"):
            connection.receive()
        sock.close()
