"""The clients of the lessons, unchanged, against `examples/tutorial.toml`: nothing but sockets, byte for byte."""

from __future__ import annotations

import pickle
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

from anyplug.blocking import Files, Inbox, Shelf
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
    receipt: int
    object: int
    oneway: int
    dialogue: int
    files: int
    plug: int


PLACES = {1234: "greeting", 9999: "answer", 8080: "clock", 2121: "receipt", 2133: "object", 5050: "oneway"}
PLACES |= {6666: "dialogue", 8888: "files", 7584: "plug"}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    file = tmp_path_factory.mktemp("tutorial") / "tutorial.toml"
    text = TUTORIAL.read_text(encoding="utf-8")
    wanted = [int(port) for port in re.findall(r'"(?:tcp|plug)://127\.0\.0\.1:(\d+)', text)]
    assert set(wanted) >= set(PLACES)
    file.write_text(re.sub(r'("(?:tcp|plug)://127\.0\.0\.1):\d+', r"\1:0", text), encoding="utf-8")
    with Serving(str(file), stderr=None) as serving:
        bound = dict(zip(wanted, map(port_of, serving.addresses), strict=True))
        yield Ports(**{name: bound[port] for port, name in PLACES.items()})
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


def kept(ports: Ports, topic: str) -> list[str]:
    """The texts that the inbox has in a topic."""
    with Inbox(f"plug://127.0.0.1:{ports.plug}/inbox/{topic}") as inbox:
        return [message.value for message in inbox.last(1000)]


def wait_until_kept(ports: Ports, topic: str, *texts: str) -> list[str]:
    """Wait until the inbox has these texts in a topic; all that it has."""
    with Inbox(f"plug://127.0.0.1:{ports.plug}/inbox/{topic}") as inbox:
        found: list[str] = []
        for message in inbox.follow(start=1):
            found.append(message.value)
            if set(texts) <= set(found):
                return found
    raise AssertionError("the inbox has ended")


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
            before = int(time.time()) - 1  # the clock that `ctime` reads may be a tick late
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


# 2133: a Python object behind a header of ten bytes, both ways.


def exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        assert piece, "the server has ended in the middle"
        data += piece
    return data


def object_from(client: socket.socket) -> object:
    head = exactly(client, 10)
    assert head == f"{int(head):<10}".encode()
    return pickle.loads(exactly(client, int(head)))


def test_an_object_comes_behind_its_header_and_the_connection_stays_open(ports: Ports) -> None:
    with connected(ports.object) as client:
        assert object_from(client) == {1: "Client", 2: "Server"}
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_objects_go_back_the_same_way_and_are_kept(ports: Ports) -> None:
    sent: object = {"name": "apple", 3: [1.5, None, (True, b"x")], "set": {1, 2}}
    with connected(ports.object) as client:
        object_from(client)
        for value in ("first", sent):
            body = pickle.dumps(value)
            stream = f"{len(body):<10}".encode() + body
            client.sendall(stream[:7])
            client.sendall(stream[7:])
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""
    with Shelf(f"plug://127.0.0.1:{ports.plug}/object") as shelf:
        assert shelf["received"] == sent


def test_a_pickle_that_would_run_code_is_refused_and_the_next_object_is_kept(ports: Ports) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path("/tmp/owned").write_text, ("owned",))

    with connected(ports.object) as client:
        object_from(client)
        for body in (pickle.dumps(Evil()), pickle.dumps("harmless")):
            client.sendall(f"{len(body):<10}".encode() + body)
        said = str(object_from(client))
        assert said.startswith("bad_message: ")
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""
    assert not Path("/tmp/owned").exists()
    with Shelf(f"plug://127.0.0.1:{ports.plug}/object") as shelf:
        assert shelf["received"] == "harmless"


def test_many_get_the_object_at_once(ports: Ports) -> None:
    everybody = threading.Barrier(MANY)

    def client(number: int) -> None:
        with connected(ports.object) as sock:
            everybody.wait(PATIENCE)
            assert object_from(sock) == {1: "Client", 2: "Server"}

    at_once(client)


# 5050: one way, six at a time.


def test_a_text_is_kept_whole_however_it_was_cut(ports: Ports) -> None:
    text = "有内鬼, 终止交易! " * 100
    with connected(ports.oneway) as client:
        data = text.encode()
        for at in range(0, len(data), 100):
            client.send(data[at : at + 100])
    assert text in wait_until_kept(ports, "oneway", text)


def test_the_seventh_is_told_and_gets_a_place_when_one_is_free(ports: Ports) -> None:
    guests = [connected(ports.oneway) for _ in range(6)]
    try:
        for number, guest in enumerate(guests):
            guest.send(f"guest {number}".encode())
        with connected(ports.oneway) as seventh:
            assert all_of(seventh) == b"busy: all 6 places are taken; try again later"
    finally:
        for guest in guests:
            guest.close()
    wait_until_kept(ports, "oneway", *(f"guest {number}" for number in range(6)))
    said = b"busy"
    while said.startswith(b"busy"):  # the places are free when the server has seen the ends
        with connected(ports.oneway) as again:
            again.send(b"at last")
            again.shutdown(socket.SHUT_WR)
            said = all_of(again)
    assert said == b""
    wait_until_kept(ports, "oneway", "at last")


# 2121: a greeting, a receipt, the next.


def test_a_receipt_is_kept_before_the_server_closes(ports: Ports) -> None:
    with connected(ports.receipt) as client:
        assert client.recv(1024) == b"Welcome to study socket!"
        client.send("有内鬼, 终止交易! Over".encode())
        assert client.recv(1024) == b""
    assert "有内鬼, 终止交易! Over" in kept(ports, "receipts")


def test_one_that_gives_no_receipt_keeps_nobody_waiting(ports: Ports) -> None:
    with connected(ports.receipt) as silent:
        assert silent.recv(1024) == b"Welcome to study socket!"

        def client(number: int) -> None:
            with connected(ports.receipt) as sock:
                assert sock.recv(1024) == b"Welcome to study socket!"
                sock.send(f"receipt {number}".encode())
                assert all_of(sock) == b""

        at_once(client)
    assert {f"receipt {number}" for number in range(MANY)} <= set(kept(ports, "receipts"))


# 6666: one long conversation, until 886.


def test_a_conversation_is_kept_word_by_word_until_the_farewell(ports: Ports) -> None:
    with connected(ports.dialogue) as client:
        for word in ("hello", "还在吗", "886"):
            client.send(word.encode())
            if word != "886":
                wait_until_kept(ports, "dialogue", word)
        assert client.recv(1024) == b""
    assert "886" not in kept(ports, "dialogue")


def test_many_hold_their_conversations_at_the_same_time(ports: Ports) -> None:
    everybody = threading.Barrier(8)

    def client(number: int) -> None:
        with connected(ports.dialogue) as sock:
            everybody.wait(PATIENCE)
            for turn in range(5):
                words = f"{number} says {turn}"
                sock.send(words.encode())
                wait_until_kept(ports, "dialogue", words)
            sock.send(b"886")
            assert all_of(sock) == b""

    at_once(client, 8)
    for number in range(8):
        mine = [words for words in kept(ports, "dialogue") if words.startswith(f"{number} says")]
        assert mine == [f"{number} says {turn}" for turn in range(5)]


# 8888: a file, until the end.


def test_twenty_clients_upload_pictures_at_once_and_get_twenty_numbered_files(ports: Ports) -> None:
    everybody = threading.Barrier(20)
    pictures = [b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes([number]) * (number * 50_000 + 1) for number in range(20)]

    def client(number: int) -> None:
        picture = pictures[number]
        with connected(ports.files) as sock:
            everybody.wait(PATIENCE)
            for start in range(0, len(picture), 1024):
                sock.sendall(picture[start : start + 1024])
            sock.shutdown(socket.SHUT_WR)
            assert all_of(sock) == b""

    at_once(client, 20)
    with Files(f"plug://127.0.0.1:{ports.plug}/files", notes=None) as files:
        found = {file.name: files.read(file.name) for file in files.list()}
    assert set(found) == {f"file_{number}.jpg" for number in range(1, 21)}
    assert sorted(found.values()) == sorted(pictures)


def test_a_client_that_only_looks_in_leaves_no_file(ports: Ports) -> None:
    with connected(ports.files) as client:
        client.shutdown(socket.SHUT_WR)
        assert all_of(client) == b""
    with Files(f"plug://127.0.0.1:{ports.plug}/files", notes=None) as files:
        assert "file_21.bin" not in {file.name for file in files.list()}
