"""The other end of a blocking connection: a server's session on a plain socket, moved by hand or by a thread."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from anyplug.address import Address
from anyplug.blocking import Connection, Limits
from anyplug.blocking.client import converse
from anyplug.messages import Data, Ended, Event, Hello, Requests, Welcome
from anyplug.plan import make_plan
from anyplug.wire import PlugSession, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

E = TypeVar("E")
R = TypeVar("R")

PLUG = "plug://127.0.0.1:7584/echo"
LIMITS = Limits()
PATIENCE = 20
"""Seconds until a test that waits for the other end gives up."""


class Far:
    """The far end of one plug connection. `hear` waits for what this end says; `session` says; `flush` sends."""

    def __init__(self, sock: socket.socket, limits: Limits = LIMITS) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.session = PlugSession(Role.SERVER, limits)
        self.events: list[Event] = []
        self.ended = False

    def greet(self, *, asks: bool = True, codec: str = "msgpack", behind: bytes = b"") -> None:
        """Say the welcome before any HELLO was read, so that one thread can play both ends."""
        asker, speaker = PlugSession(Role.CLIENT, LIMITS), PlugSession(Role.SERVER, LIMITS)
        asker.send_hello(Hello())
        speaker.receive_data(asker.data_to_send())
        speaker.send_welcome(Welcome(service="echo", codec=codec, asks=asks))
        self.sock.sendall(speaker.data_to_send() + behind)

    def meet(self) -> Hello:
        """Read the HELLO, which was answered by `greet` already."""
        hello = self.hear(Hello)
        self.session.send_welcome(Welcome())
        self.session.data_to_send()
        return hello

    def read(self) -> bool:
        """Read once; False at the end of the stream."""
        data = self.sock.recv(1 << 16)
        if data:
            self.session.receive_data(data)
        else:
            self.ended = True
            self.session.receive_eof()
        self.events += self.session.events()
        return bool(data)

    def hear(self, kind: type[E]) -> E:
        """The next event of a kind; others before it are dropped."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, kind):
                    return event
            assert not self.ended, f"the stream ended before any {kind.__name__}"
            self.read()

    def bodies(self, count: int) -> list[bytes]:
        """So many data messages."""
        found: list[bytes] = []
        while len(found) < count:
            found += self.hear(Data).bodies
        return found

    def questions(self, count: int) -> list[tuple[int, bytes]]:
        """So many requests."""
        found: list[tuple[int, bytes]] = []
        while len(found) < count:
            found += self.hear(Requests).items
        return found

    def flush(self) -> None:
        """Send what the session has to say."""
        self.sock.sendall(self.session.data_to_send())

    def say(self, *bodies: bytes) -> None:
        """Send data messages."""
        self.session.send_many(bodies)
        self.flush()

    def reply(self, number: int, body: bytes) -> None:
        """Answer a request."""
        self.session.send_reply(number, body)
        self.flush()

    def echo(self) -> None:
        """Give back what comes until the other end has ended; then end too."""
        while True:
            more = self.read()
            events, self.events = self.events, []
            for event in events:
                self._echo(event)
            with suppress(OSError):
                self.flush()
            if not more or any(isinstance(event, Ended) for event in events):
                break
        self.sock.close()

    def _echo(self, event: Event) -> None:
        if isinstance(event, Data):
            self.session.send_many(event.bodies)
        elif isinstance(event, Requests):
            for number, body in event.items:
                self.session.send_reply(number, body)
        elif isinstance(event, Ended):
            self.session.send_eof()


class Running(Thread):
    """A thread whose result or error the test gets."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._value: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - it is raised again in `result`
            self._error = error

    def result(self) -> Any:
        """What the call returned or raised."""
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread still waits"
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._value


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        far, _ = listener.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def reset(sock: socket.socket) -> None:
    """Close a TCP socket with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def opened(
    *,
    type: Any = Any,
    asks: bool = True,
    limits: Limits = LIMITS,
    tcp: bool = False,
    behind: bytes = b"",
    address: str = PLUG,
    **options: Any,
) -> tuple[Connection[Any], Far]:
    """A plug connection and its far end, both open."""
    near, sock = tcp_pair() if tcp else socket.socketpair()
    far = Far(sock)
    far.greet(asks=asks, behind=behind)
    where = Address.parse(address)
    connection = converse(near, where, make_plan(where, type=type, limits=limits), **options)
    far.meet()
    return connection, far


def plain(
    address: str = "tcp://127.0.0.1:9",
    *,
    kind: int = socket.SOCK_STREAM,
    tcp: bool = False,
    type: Any = Any,
    codec: str | None = None,
    framing: str | None = None,
    limits: Limits = LIMITS,
    **options: Any,
) -> tuple[Connection[Any], socket.socket]:
    """A plain connection and the socket at its far end."""
    near, sock = tcp_pair() if tcp else socket.socketpair(socket.AF_UNIX, kind)
    sock.settimeout(PATIENCE)
    where = Address.parse(address)
    plan = make_plan(where, type=type, codec=codec, framing=framing, limits=limits)
    return converse(near, where, plan, **options), sock


def pieces(data: bytes) -> Iterator[bytes]:
    """The bytes one by one."""
    for at in range(len(data)):
        yield data[at : at + 1]
