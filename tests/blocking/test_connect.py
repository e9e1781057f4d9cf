"""Opening a blocking conversation: every way it can fail says which step, why, and what to try."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import blocking
from anyplug.address import Address
from anyplug.blocking import (
    AddressError,
    Code,
    ConnectError,
    Limits,
    LocalError,
    Refused,
    SocketOptions,
    connect,
)
from anyplug.blocking.client import converse
from anyplug.messages import Hello, Welcome
from anyplug.plan import make_plan
from anyplug.wire import PREFACE
from tests.blocking.far import LIMITS, PATIENCE, PLUG, Far, Running, pieces, reset, tcp_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a listener that takes one client and serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(PATIENCE)
                serve(sock)

        server = Running(accept)
        yield listener.getsockname()[1]
        server.result()


def serve_plug(sock: socket.socket) -> None:
    far = Far(sock)
    hello = far.hear(Hello)
    far.session.send_welcome(Welcome(service=hello.service, codec=hello.codec, asks=True))
    far.flush()
    far.echo()


def refuse(sock: socket.socket) -> None:
    far = Far(sock)
    far.hear(Hello)
    far.session.send_refused(Code.UNKNOWN_SERVICE, "no service is called shuot; did you mean shout?")
    far.flush()


def failing(near: socket.socket, *, timeout: float = PATIENCE) -> ConnectError:
    """The error of a handshake on this socket, which is closed then."""
    where = Address.parse(PLUG)
    with pytest.raises(ConnectError) as caught:
        converse(near, where, make_plan(where), timeout=timeout)
    assert near.fileno() == -1
    assert caught.value.step == "handshake"
    assert PLUG in str(caught.value)
    return caught.value


def test_a_conversation_is_opened_used_and_closed() -> None:
    with listening(serve_plug) as port, connect(f"plug://127.0.0.1:{port}/echo") as peer:
        assert peer.ask({"n": 1}) == {"n": 1}
        assert peer.service == "echo"
        assert peer.peer == f"127.0.0.1:{port}"


def test_an_address_may_come_parsed_and_a_name_is_looked_up() -> None:
    with listening(serve_plug) as port:
        where = Address.parse(f"plug://localhost:{port}/echo")
        with connect(where, type=int, codec="json", timeout=float("inf"), options=SocketOptions(nodelay=False)) as peer:
            assert peer.ask(5) == 5


def test_hello_carries_what_was_asked_for() -> None:
    heard: list[Hello] = []

    def serve(sock: socket.socket) -> None:
        far = Far(sock)
        heard.append(far.hear(Hello))
        far.session.send_welcome(Welcome(codec="json"))
        far.flush()
        far.echo()

    with listening(serve) as port:
        address = f"plug://127.0.0.1:{port}/talk/lobby?codec=json"
        with connect(address, token="t0ken", limits=Limits(message=5000)) as peer:
            assert peer.rest == "lobby"
    (hello,) = heard
    assert (hello.service, hello.rest, hello.codec, hello.token) == ("talk", "lobby", "json", "t0ken")
    assert hello.message == 5000
    assert hello.agent.startswith("anyplug/")


def test_a_server_that_refuses_is_heard() -> None:
    with listening(refuse) as port, pytest.raises(Refused, match="did you mean shout") as caught:
        connect(f"plug://127.0.0.1:{port}/shuot")
    assert caught.value.code is Code.UNKNOWN_SERVICE


def test_where_nothing_listens_the_step_is_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError) as caught:
        connect(f"plug://127.0.0.1:{port}/echo", timeout=5)
    assert caught.value.step == "connect"
    assert caught.value.errno


@pytest.mark.parametrize(
    ("speech", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"220 mail.example ESMTP\r\n", "mail or FTP"),
        (b"Socket Programming in Python", "tcp://"),
        (b"\x00\x01\x02\xff\xfe\x1b[31m", "tcp://"),
        (b"\x89PLAG\r\n\n", "tcp://"),
        (b"\x89PLUG\r\n\n\xff\xff\xff\xff", "unknown frame"),
        (b"\x89PLUG\r\n\n\x00\x00\x00\x01x", "DATA"),
    ],
)
def test_a_stranger_is_described_by_its_first_bytes(speech: bytes, says: str) -> None:
    near, sock = tcp_pair()
    sock.sendall(speech)
    error = failing(near)
    assert says in str(error)
    assert str(error).isprintable()
    sock.close()


def test_a_stranger_that_speaks_byte_by_byte_is_described_too() -> None:
    near, sock = socket.socketpair()

    def speak() -> None:
        with sock:
            for byte in pieces(PREFACE[:7] + b"!"):
                sock.sendall(byte)
            assert sock.recv(1000).startswith(PREFACE)

    serving = Running(speak)
    assert "does not speak the plug protocol" in failing(near).problem
    serving.result()


@pytest.mark.parametrize("speech", [b"", b"\x89PL", b"\x89PLUG\r\n\n\x02"])
def test_a_peer_that_closes_without_a_whole_answer_is_named(speech: bytes) -> None:
    near, sock = socket.socketpair()
    sock.sendall(speech)
    sock.shutdown(socket.SHUT_WR)
    assert "before it answered" in failing(near).problem
    sock.close()


def test_a_peer_that_resets_without_an_answer_is_named() -> None:
    near, sock = tcp_pair()
    reset(sock)
    assert "the peer reset the connection" in failing(near).problem


def test_a_server_that_refuses_before_it_has_heard_anything_is_heard() -> None:
    near, sock = tcp_pair()
    far = Far(sock)
    far.session.send_refused(Code.BUSY, "too many connections")
    far.flush()
    reset(sock)
    where = Address.parse(PLUG)
    with pytest.raises(Refused, match="too many") as caught:
        converse(near, where, make_plan(where))
    assert caught.value.code is Code.BUSY


def test_a_peer_that_is_silent_is_given_up_at_the_timeout() -> None:
    near, sock = socket.socketpair()
    error = failing(near, timeout=0.01)
    assert "0.01 s" in error.problem
    sock.close()


def test_a_peer_that_takes_nothing_is_given_up_at_the_timeout() -> None:
    near, sock = socket.socketpair()
    near.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            near.send(bytes(1 << 16))
    error = failing(near, timeout=0.01)
    assert "0.01 s" in error.problem
    sock.close()


def test_a_server_that_answers_in_another_codec_is_refused() -> None:
    near, sock = socket.socketpair()
    Far(sock).greet(codec="text")
    error = failing(near)
    assert "'text'" in error.problem
    assert "codec='text'" in error.remedy
    sock.close()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"codec": "msgpak"},
        {"framing": "lines"},
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_opened(options: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        connect(PLUG, **options)


@pytest.mark.parametrize("address", ["", "plug://", "tcp://127.0.0.1", "plugs://127.0.0.1/echo", "ws://127.0.0.1/x"])
def test_addresses_that_cannot_be_used_are_refused(address: str) -> None:
    with pytest.raises(AddressError):
        connect(address)


def test_the_blocking_face_has_the_same_names_as_the_async_one() -> None:
    assert set(blocking.__all__) == set(anyplug.__all__) - {"Server", "__version__"}
    assert Limits() == LIMITS


def test_a_peer_that_resets_in_the_middle_of_its_answer_is_named() -> None:
    near, sock = tcp_pair()

    def serve() -> None:
        sock.sendall(PREFACE)
        sock.recv(1 << 16)
        reset(sock)

    serving = Running(serve)
    assert "before it answered" in failing(near).problem
    serving.result()
