"""Servers of several workers in processes, for tests of them."""

from __future__ import annotations

import os
import select
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.commands import PATIENCE
from tests.cli.serving import Serving, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TEXT", "Crew", "asked", "clients_of_all", "descriptors", "server_of", "wait_for_end", "watched"]

HEAD = 'listen = ["plug://127.0.0.1:0"]\nworkers = 2\n'

TEXT = f"""{HEAD}
[services.echo]
kind = "echo"
[services.guest]
kind = "greet"
text = "Hi"
receipt = true
[[listeners]]
address = "tcp://127.0.0.1:0"
service = "echo"
framing = "lines"
[[listeners]]
address = "tcp4://127.0.0.1:0"
service = "guest"
framing = "raw"
"""


class Crew(Serving):
    """A server of several workers, ready; and which processes these are."""

    def __init__(self, *words: str, **options: Any) -> None:
        self.workers: list[int] = []
        super().__init__(*words, **options)

    def event(self) -> dict[str, Any]:
        event = super().event()
        if event["type"] == "ready":
            self.workers = event.get("workers", [])
        return event

    def connect(self, listener: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port_of(self.addresses[listener])), PATIENCE)


def asked(client: socket.socket, question: bytes = b"hello\n") -> bytes:
    client.sendall(question)
    return client.recv(1024)


def server_of(client: socket.socket, pids: list[int]) -> int:
    """The process that has the other end of a connection."""
    ends = [f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}" for host, port in names(client)]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1:3] == ends}
    return next(pid for pid in pids if inodes & set(descriptors(pid)))


def names(client: socket.socket) -> list[tuple[str, int]]:
    return [client.getpeername(), client.getsockname()]


def descriptors(pid: int) -> list[str]:
    """What each descriptor of a process is."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def clients_of_all(crew: Crew, listener: int, greeting: bytes = b"") -> dict[int, socket.socket]:
    """One conversation with each worker: connections fall on them by chance."""
    found: dict[int, socket.socket] = {}
    for _ in range(200):
        client = crew.connect(listener)
        assert client.recv(len(greeting)) == greeting if greeting else asked(client) == b"hello\n"
        pid = server_of(client, crew.workers)
        found.setdefault(pid, client)
        if found[pid] is not client:
            client.close()
        if len(found) == len(crew.workers):
            return found
    raise AssertionError(f"only {list(found)} of {crew.workers} had any of 200 connections")


@contextmanager
def watched(*pids: int) -> Iterator[list[int]]:
    """Descriptors that can be read once these processes have ended."""
    fds = [os.pidfd_open(pid) for pid in pids]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def wait_for_end(fds: list[int]) -> None:
    for fd in fds:
        assert select.select([fd], [], [], PATIENCE)[0], "a process goes on"
