"""Servers that a check looks at, and what it finds there."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyplug.netinfo.check import CHECK_DEFAULTS, Checking, CheckOptions
from tests.cli.peers import plain_server, reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anyplug.netinfo.check import Step
    from anyplug.transport.resolve import Lookup

__all__ = [
    "QUICK",
    "SOON",
    "alerts",
    "by_name",
    "echoing",
    "only_http",
    "port_server",
    "resets_once_spoken_to",
    "server_on",
    "speaks_ssh",
    "states",
    "unix_server",
]

QUICK = CheckOptions(timeout=5.0, answer=0.05)
"""For servers that do not answer."""

SOON = CheckOptions(timeout=5.0, answer=0.5)
"""For servers that answer nothing but the right question."""


def by_name(address: str, *, options: CheckOptions = CHECK_DEFAULTS, lookup: Lookup | None = None) -> dict[str, Step]:
    """The steps of a check of one end, by their names."""
    checking = Checking(address, options=options, **({} if lookup is None else {"lookup": lookup}))  # type: ignore[arg-type]
    steps: dict[str, Step] = {step.step: step for step in checking.run()}
    report = checking.report()
    assert report.whole
    assert len(report.steps) == len(steps), "more than one end"
    return steps


def states(steps: dict[str, Step]) -> dict[str, str]:
    return {name: step.state for name, step in steps.items()}


@contextmanager
def port_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on 127.0.0.1, a thread for each connection, which is `talk`; its port."""
    with plain_server(talk) as address:
        yield int(address.rpartition(":")[2])


@contextmanager
def unix_server(path: str, talk: Callable[[socket.socket], None], *, kind: int = socket.SOCK_STREAM) -> Iterator[None]:
    """A server on a unix socket that takes one connection."""
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(path)
        listener.listen()
        with server_on(listener, talk):
            yield


@contextmanager
def server_on(listener: socket.socket, talk: Callable[[socket.socket], None]) -> Iterator[None]:
    """Take connections of a listener, one after another, until it is shut; each is `talk`."""

    def run() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(20)
                try:
                    talk(sock)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()


# What a server does with a connection.


def echoing(sock: socket.socket) -> None:
    while data := sock.recv(1000):
        sock.sendall(data)


def speaks_ssh(sock: socket.socket) -> None:
    sock.sendall(b"SSH-2.0-Test\r\n")
    sock.recv(1000)


def alerts(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.sendall(bytes.fromhex("15030300020246"))


def only_http(sock: socket.socket) -> None:
    """Says nothing to anybody who does not ask for a page."""
    if sock.recv(1000).startswith(b"HEAD "):
        sock.sendall(b"HTTP/1.0 200 OK\r\nServer: tiny\r\n\r\n")
    else:
        sock.recv(1)


def resets_once_spoken_to(sock: socket.socket) -> None:
    sock.recv(1000)
    reset(sock)
