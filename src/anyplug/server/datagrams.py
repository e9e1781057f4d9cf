"""Datagram listeners: each datagram is a message, each answer goes back to its source.

Anybody can send a datagram in anybody's name, so answers are bounded (DESIGN: defaults that keep people safe;
CVE-2024-2169):

1. An answer is never larger than its question; a larger one is not sent, so that nobody is amplified at a third party.
2. A source gets at most `limits.datagrams_per_source` answers a second.
3. What a source sends may be our own last answer to it, come back from a server that answers like we do. After
   `BOUNCES` of these in a row
   it is heard no more until it says something else or has been quiet for `QUIET` seconds: two echoes do not talk for
   ever.
4. A source on a port below 1024 other than a client of ours is a server of something; echo, chargen and their like
   are not answered.

Every drop is counted by its reason.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from anyplug.codec import default_codec
from anyplug.errors import BindError, DecodeError, LocalError
from anyplug.limits import SOURCES_MAX
from anyplug.services.base import Mode
from anyplug.transport.bind import Bound, bind
from anyplug.transport.datagrams import DatagramPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.address import Address
    from anyplug.codec import Codec
    from anyplug.server.context import Context
    from anyplug.services.base import Service
    from anyplug.transport.inherited import Inherited
    from anyplug.transport.options import SocketOptions

__all__ = ["BOUNCES", "QUIET", "DatagramListener", "Sources"]

BOUNCES = 8
"""Datagrams in a row that look like our own last answer and are answered all the same: a person may say the same
thing a few times."""

QUIET = 10.0
"""Seconds of silence after which a source is a new one."""

_LOOPING_PORTS = frozenset({7, 13, 17, 19, 37, 53, 69, 123})
"""Ports of services that answer anything: echo, daytime, qotd, chargen, time, DNS, TFTP, NTP (CVE-2024-2169)."""


class _Source:
    """What is remembered of one source."""

    __slots__ = ("allowance", "answer", "bounces", "heard_at")

    def __init__(self, now: float, allowance: float) -> None:
        self.allowance = allowance
        self.answer: bytes | None = None
        self.bounces = 0
        self.heard_at = now


class Sources:
    """The rules above, over a bounded memory of sources. Pure: time is an argument.

    Args:
        rate: answers a source may get per second, and at once.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._known: OrderedDict[object, _Source] = OrderedDict()

    def __len__(self) -> int:
        """Sources remembered."""
        return len(self._known)

    def hear(self, name: object, body: bytes, now: float) -> str:
        """A datagram came. Returns why it is dropped, or an empty string."""
        if isinstance(name, tuple) and name[1] in _LOOPING_PORTS:
            return "looping_port"
        source = self._find(name, now)
        source.allowance = min(self._rate, source.allowance + (now - source.heard_at) * self._rate)
        quiet = now - source.heard_at
        source.heard_at = now
        if source.allowance < 1:
            return "rate"
        source.allowance -= 1
        source.bounces = source.bounces + 1 if body == source.answer and quiet < QUIET else 0
        return "looks_like_our_answer" if source.bounces > BOUNCES else ""

    def answered(self, name: object, body: bytes) -> None:
        """An answer went to this source."""
        source = self._known.get(name)
        if source is not None:
            source.answer = body

    def _find(self, name: object, now: float) -> _Source:
        source = self._known.get(name)
        if source is None:
            source = self._known[name] = _Source(now, self._rate)
            if len(self._known) > SOURCES_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        return source


class DatagramListener:
    """One datagram address of a server; its service answers messages.

    Raises:
        BindError: the service is not there, holds conversations, or does not fit the codec.
    """

    def __init__(self, address: Address, context: Context, *, options: SocketOptions) -> None:
        self.address = address
        """Where; after `open` with the port that was given."""
        self._context = context
        self._options = options
        self._service, self._codec = self._find(address)
        self._sources = Sources(context.limits.datagrams_per_source)
        self._bound: Bound | None = None
        self._ports: list[DatagramPort] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped: Counter[str] = Counter()
        """Datagrams that were not answered, by reason."""

    def open(self, inherited: Inherited | None = None) -> None:
        """Bind and hear.

        Args:
            inherited: sockets of a service manager; one that is bound to this address is taken.

        Raises:
            BindError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._bound = bind(self.address, options=self._options, inherited=inherited)
        self.address = self._bound.address
        for sock in self._bound.sockets:
            self._ports.append(DatagramPort(loop, sock, partial(self._hear, len(self._ports))))

    def close(self) -> None:
        """Hear no more."""
        for port in self._ports:
            port.close()
        self._ports.clear()
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        for task in tuple(self._tasks):
            task.cancel()

    def prepare(self, address: Address) -> Callable[[], None]:
        """What makes datagrams from now on meet another service or codec at this socket.

        Raises:
            BindError: as when a listener is made. Nothing has changed.
        """
        found = self._find(address)

        def commit() -> None:
            self.address = address
            self._service, self._codec = found

        return commit

    def _find(self, address: Address) -> tuple[Service, Codec[Any]]:
        service = self._context.find(address.service)
        if service is None:
            raise BindError(str(address), self._context.unknown(address.service))
        if service.mode is Mode.CONVERSATION:
            raise BindError(
                str(address),
                f"datagrams are single messages, and {service.name!r} holds conversations; use a reply service",
            )
        try:
            return service, service.codec(address.options.get("codec", default_codec(service.type)))
        except LocalError as error:
            raise BindError(str(address), str(error)) from error

    def _hear(self, index: int, items: list[tuple[bytes, Any]]) -> None:
        """A batch of datagrams came in at one port."""
        port = self._ports[index]
        now = asyncio.get_running_loop().time()
        for body, name in items:
            why = self._sources.hear(name, body, now)
            if why:
                self._drop(why)
            elif self._service.mode is Mode.DIRECT:
                self._answer_now(port, body, name)
            elif len(self._tasks) < self._context.limits.requests:
                task = asyncio.get_running_loop().create_task(self._answer(port, body, name))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._drop("overload")

    def _answer_now(self, port: DatagramPort, body: bytes, name: Any) -> None:
        try:
            self._send(port, body, name, self._service.handler(self._codec.decode(body)), self._codec)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(error)

    async def _answer(self, port: DatagramPort, body: bytes, name: Any) -> None:
        service, codec = self._service, self._codec
        try:
            message = codec.decode(body)
            if service.mode is Mode.THREAD:
                answer = await asyncio.get_running_loop().run_in_executor(None, service.handler, message)
            else:
                answer = await service.handler(message)
            self._send(port, body, name, answer, codec)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(error)

    def _send(self, port: DatagramPort, question: bytes, name: Any, answer: Any, codec: Codec[Any]) -> None:
        if answer is None:
            return
        body = codec.encode(answer)
        if not name:
            self._drop("no_return_address")
        elif len(body) > len(question):
            self._drop("larger_than_question")
        elif port.send(body, name):
            self._sources.answered(name, body)
        else:
            self._drop("not_taken")

    def _fail(self, error: Exception) -> None:
        if isinstance(error, DecodeError):
            self._drop("bad_message")
            return
        self._drop("failed")
        self._context.log.failure("handler_failed", error, service=self._service.name)

    def _drop(self, why: str) -> None:
        self.dropped[why] += 1
        self._context.log.info("datagram_dropped", address=str(self.address), why=why, count=self.dropped[why])
