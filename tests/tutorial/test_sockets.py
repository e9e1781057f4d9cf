"""The clients of the lessons, unchanged, against `examples/tutorial.toml`: nothing but sockets, byte for byte."""

from __future__ import annotations

import re
import signal
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.commands import PATIENCE
from tests.cli.serving import Serving, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TUTORIAL = Path(__file__).parent.parent.parent / "examples" / "tutorial.toml"

GREETING = b"Socket Programming in Python"
STAMP = rb"\[((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 1-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4})\] "
MANY = 50


class Ports(NamedTuple):
    """Free ports, in place of those of the file."""

    greeting: int
    answer: int
    clock: int


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    file = tmp_path_factory.mktemp("tutorial") / "tutorial.toml"
    text, changed = re.subn(r"(tcp://127\.0\.0\.1):(1234|9999|8080)", r"\1:0", TUTORIAL.read_text(encoding="utf-8"))
    assert changed == 3
    file.write_text(text, encoding="utf-8")
    with Serving(str(file), stderr=None) as serving:
        yield Ports(*map(port_of, serving.addresses))
        serving.signal(signal.SIGTERM)
        assert serving.end()[0] == 0


def connected(port: int) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    return client


def all_of(client: socket.socket, size: int = 1024) -> bytes:
    """Everything until the server closes."""
    data = b""
    while piece := client.recv(size):
        data += piece
    return data


def at_once(client: Callable[[int], None], many: int = MANY) -> None:
    """Run so many clients at the same time, each in a thread."""
    with ThreadPoolExecutor(many) as threads:
        for ended in [threads.submit(client, number) for number in range(many)]:
            ended.result(PATIENCE)


def unstamped(data: bytes) -> tuple[bytes, int]:
    """What was echoed without the times before it, and how many there were."""
    return re.subn(STAMP, b"", data)


# 1234: the server speaks first.


def test_a_greeting_is_read_in_pieces_of_seven_bytes_until_the_end(ports: Ports) -> None:
    message = ""
    with connected(ports.greeting) as client:
        while True:
            piece = client.recv(7)
            assert len(piece) <= 7
            if len(piece) <= 0:
                break
            message += piece.decode("utf-8")
    assert message == "Socket Programming in Python"


def test_a_client_that_talks_first_gets_the_greeting_all_the_same(ports: Ports) -> None:
    with connected(ports.greeting) as client:
        client.send(b"hello?" * 1000)
        assert all_of(client, 7) == GREETING


def test_a_client_that_has_said_all_it_will_gets_the_greeting(ports: Ports) -> None:
    with connected(ports.greeting) as client:
        client.shutdown(socket.SHUT_WR)
        assert all_of(client, 7) == GREETING


def test_many_are_greeted_at_once(ports: Ports) -> None:
    everybody = threading.Barrier(MANY)

    def client(number: int) -> None:
        with connected(ports.greeting) as sock:
            everybody.wait(PATIENCE)
            assert all_of(sock, 7) == GREETING

    at_once(client)


# 9999: request and answer.


def test_a_request_gets_its_answer_and_the_end(ports: Ports) -> None:
    with connected(ports.answer) as client:
        client.send(b"I am client.")
        assert client.recv(1024) == b"I am server."
        assert client.recv(1024) == b""


def test_what_follows_the_request_does_not_destroy_the_answer(ports: Ports) -> None:
    with connected(ports.answer) as client:
        client.sendall(b"I am client." * 10_000)
        assert all_of(client) == b"I am server."


def test_a_client_without_a_request_gets_no_answer(ports: Ports) -> None:
    with connected(ports.answer) as client:
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""


def test_many_ask_at_once(ports: Ports) -> None:
    everybody = threading.Barrier(MANY)

    def client(number: int) -> None:
        with connected(ports.answer) as sock:
            everybody.wait(PATIENCE)
            sock.send(f"I am client {number}.".encode())
            assert all_of(sock) == b"I am server."

    at_once(client)


# 8080: an echo with the time.


def test_every_piece_comes_back_with_the_time_before_it(ports: Ports) -> None:
    with connected(ports.clock) as client:
        for text in ("hello", "  two  spaces ", "你好", "line\n", "\r\n"):
            before = int(time.time())
            client.send(text.encode("utf-8"))
            answer = client.recv(1024)
            found = re.match(STAMP, answer)
            assert found is not None, answer
            assert answer[found.end() :].decode("utf-8") == text
            stamp = time.mktime(time.strptime(found[1].decode(), "%a %b %d %H:%M:%S %Y"))
            assert before <= stamp <= time.time()


def test_a_character_that_is_sent_in_two_pieces_comes_back_whole(ports: Ports) -> None:
    text = "你".encode()
    with connected(ports.clock) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(b"a")
        assert unstamped(client.recv(1024)) == (b"a", 1)
        client.send(text[:1])
        client.send(text[1:] + b"!")
        client.shutdown(socket.SHUT_WR)
        assert unstamped(all_of(client))[0] == text + b"!"


def test_a_great_piece_comes_back_without_a_loss(ports: Ports) -> None:
    data = "".join(f"{number:,}; " for number in range(50_000)).encode()

    def say(client: socket.socket) -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    with connected(ports.clock) as client:
        sender = threading.Thread(target=say, args=(client,))
        sender.start()
        got = all_of(client, 65536)
        sender.join(PATIENCE)
    assert unstamped(got)[0] == data


def test_many_talk_at_the_same_time_and_hear_their_own_words(ports: Ports) -> None:
    everybody = threading.Barrier(MANY)

    def client(number: int) -> None:
        with connected(ports.clock) as sock:
            everybody.wait(PATIENCE)
            for turn in range(5):
                words = f"{number} says {turn}".encode()
                sock.send(words)
                assert unstamped(sock.recv(1024)) == (words, 1)

    at_once(client)


def test_clients_that_vanish_disturb_nobody(ports: Ports) -> None:
    def client(number: int) -> None:
        with connected(ports[number % 3]) as sock:
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    at_once(client)
    with connected(ports.clock) as sock:
        sock.send(b"still there?")
        assert unstamped(sock.recv(1024)) == (b"still there?", 1)


def test_all_three_serve_at_the_same_time(ports: Ports) -> None:
    def client(number: int) -> None:
        with connected(ports[number % 3]) as sock:
            if number % 3 == 0:
                assert all_of(sock, 7) == GREETING
            elif number % 3 == 1:
                sock.send(b"I am client.")
                assert all_of(sock) == b"I am server."
            else:
                sock.send(b"hello")
                assert unstamped(sock.recv(1024)) == (b"hello", 1)

    at_once(client)
