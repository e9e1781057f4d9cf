from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from anyplug.netinfo.identify import identify, identify_all
from anyplug.netinfo.scan_types import Identity, Target
from tests.cli.peers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET = Target("127.0.0.1", "127.0.0.1", 4)


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one thread; each connection is `talk`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(5)
                    try:
                        talk(sock)
                    except OSError:
                        continue

        thread = Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def speaks_first(sock: socket.socket) -> None:
    sock.sendall(b"SSH-2.0-Test\x1b[31m\r\nmore")


def speaks_http(sock: socket.socket) -> None:
    if sock.recv(1000).startswith(b"HEAD "):
        sock.sendall(b"HTTP/1.0 200 OK\r\nServer: tiny\r\n\r\n")


def alerts(sock: socket.socket) -> None:
    if sock.recv(1000).startswith(b"\x16\x03"):
        sock.sendall(bytes.fromhex("15030300020228"))


def answers_anything(sock: socket.socket) -> None:
    if sock.recv(1000):
        sock.sendall(b"what?\n")


def says_nothing(sock: socket.socket) -> None:
    sock.recv(1000)


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (speaks_first, Identity(protocol="banner", detail="SSH-2.0-Test\x1b[31m")),
        (speaks_http, Identity(protocol="http", detail="tiny HTTP/1.0 200 OK")),
        (answers_anything, Identity(protocol="answers", detail="what?")),
        (says_nothing, Identity(protocol="silent")),
    ],
)
def test_what_speaks(talk: Callable[[socket.socket], None], expected: Identity) -> None:
    with server(talk) as port:
        assert identify(TARGET, port, wait=0.1) == expected


def test_a_tls_server_that_refuses_is_tls() -> None:
    with server(alerts) as port:
        assert identify(TARGET, port, wait=0.2).protocol == "tls"


def test_a_port_that_closed_meanwhile_is_silent() -> None:
    assert identify(TARGET, 1, wait=0.1) == Identity(protocol="silent")


def test_anyplug_knows_its_own() -> None:
    with serving("plug://127.0.0.1:0") as addresses:
        port = int(addresses[0].rpartition(":")[2])
        ((target, same, found),) = identify_all([(TARGET, port)])
    assert (target, same, found.protocol) == (TARGET, port, "anyplug")
