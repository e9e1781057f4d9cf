"""Who a command talks to: servers of the standard library as lessons have them, and an Anyplug server in a thread."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import socketserver
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyplug import Code, Connection, Server
from anyplug.server import Log
from anyplug.services import default_services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anyplug.store import Store

__all__ = [
    "PATIENCE",
    "answering_once",
    "giving_object",
    "greeting",
    "keeping",
    "plain_server",
    "reset",
    "serving",
    "silent",
    "stamping",
]

PATIENCE = 20.0
"""Seconds until a server gives a connection up."""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away in the middle."""


@contextmanager
def plain_server(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of the standard library, one thread a connection; its address for the command."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE)
            handle(self.request)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


# The servers of lessons: what one does with its connection.


def greeting(sock: socket.socket) -> None:
    """Sends a greeting and closes."""
    sock.sendall(b"Socket Programming in Python")


def giving_object(sock: socket.socket) -> None:
    """Sends a pickle behind a header of 10 bytes, and stays."""
    body = pickle.dumps({1: "Client", 2: "Server"})
    sock.sendall(f"{len(body):<10}".encode() + body)
    while sock.recv(1024):
        pass


def answering_once(sock: socket.socket) -> None:
    """Takes one message, whatever came first, answers without a line feed, and closes."""
    if sock.recv(1024):
        sock.sendall(b"I am server.")


def stamping(sock: socket.socket) -> None:
    """Answers each piece with the time before it, until the client closes."""
    while data := sock.recv(1024):
        sock.sendall(f"[{time.ctime()}] ".encode() + data)


def silent(sock: socket.socket) -> None:
    """Takes everything, and says nothing, not even goodbye."""
    while sock.recv(1024):
        pass
    _stay()


def _stay() -> None:
    threading.Event().wait(PATIENCE)


class keeping:  # noqa: N801 - it stands where the functions above stand
    """Keeps what comes until the client closes; `all` waits for its end."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._came = threading.Event()
        self._ended = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        while data := sock.recv(65536):
            self._data += data
            self._came.set()
        self._ended.set()

    def any(self) -> None:
        """Wait until something has come."""
        assert self._came.wait(PATIENCE), "nothing came"

    def all(self) -> bytes:
        """What one client sent up to its end."""
        assert self._ended.wait(PATIENCE), f"the client has not ended after {bytes(self._data[:200])!r}"
        return bytes(self._data)


def reset(sock: socket.socket) -> None:
    """Cuts the connection with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def serving(
    *addresses: str, token: str = "", without: tuple[str, ...] = (), store: Store | None = None
) -> Iterator[list[str]]:
    """An Anyplug server with the services of this file, but some, in a thread; its addresses as bound."""
    started: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    logger = logging.Logger("quiet")  # noqa: LOG001 - a logger of its own, that nobody else writes to
    logger.addHandler(logging.NullHandler())

    async def serve() -> None:
        server = Server(log=Log(logger), token=token, store=store)
        _add_services(server)
        server.replace_services([service for service in server.services if service.name not in without])
        await server.start(*addresses)
        started.extend(server.addresses)
        ready.set()
        await stop.wait()
        await server.drain(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    yield started
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE)
    loop.close()


def _add_services(server: Server) -> None:
    for service in default_services(server.facilities):
        server.add(service)

    @server.reply("square")
    def square(number: int) -> int:
        return number * number

    @server.reply("fail")
    def fail(message: str) -> str:
        raise RuntimeError(message)

    @server.reply("blob")
    def blob(message: str) -> bytes:
        return b"\xff\x00" + message.encode()

    @server.service("countdown")
    async def countdown(peer: Connection[int]) -> None:
        async for number in peer:
            for left in reversed(range(number)):
                await peer.send(left)

    @server.service("news")
    async def news(peer: Connection[object]) -> None:
        for message in ("plain", {"a": [1, 2.5, None, True]}, b"\xff\n", "\x1b[31mred"):
            await peer.send(message)

    @server.service("leave")
    async def leave(peer: Connection[object]) -> None:
        await peer.close(Code.BUSY, "come \x1b[2Jback later")
