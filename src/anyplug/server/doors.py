"""Doors: which protocol a new connection speaks, and who receives it.

A plain door knows: one service, one framing, one codec. The plug door looks at the first bytes, on the accepted
socket and before any transport is made, and chooses by a table: the native protocol, text lines for people with
``nc``, clear words for what is not offered here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from anyplug.codec import default_codec, make_codec
from anyplug.errors import BindError, Code, LocalError, Refused, Timeout
from anyplug.framing import make_framing
from anyplug.plan import plain_framing
from anyplug.server.reception import Menu, Reception
from anyplug.server.replying import complain
from anyplug.transport.sniff import First, sniff
from anyplug.wire import PacketSession, PlainSession, PlugSession, Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from anyplug.address import Address
    from anyplug.codec import Codec
    from anyplug.messages import Event
    from anyplug.server.context import Context
    from anyplug.services.base import Service
    from anyplug.transport.link import Link, Sink
    from anyplug.wire import Session

    Opener = Callable[[Link], Sink]

__all__ = ["Door", "Entrance", "PlainDoor", "PlugDoor"]

TURN_AWAY_TIME = 0.25
"""How long a peer that is turned away may take to show which protocol it wants to be told in, seconds."""

_TEXT = make_codec("text")

_HTTP_HEAD = [b"HTTP/1.1 501 Not Implemented", b"Content-Type: text/plain", b"Connection: close", b""]
"""What makes an HTTP client show the sentence after it (RFC 9112, section 2.2: a lone LF ends a line)."""

_NOT_OFFERED = {
    First.TLS: (Code.UNSUPPORTED, "TLS is not offered on this port; connect without it"),
    First.HTTP: (Code.UNSUPPORTED, "HTTP is not offered on this port; use the anyplug command, or nc"),
}
"""What is recognised but not served on a plug listener, and what such a peer is told."""


class Entrance(NamedTuple):
    """How a connection begins."""

    session: Session
    opener: Opener
    """Makes the first sink when the stream is open."""


class Door(Protocol):
    """Finds out how a connection begins."""

    async def identify(self, sock: socket.socket, busy: str) -> Entrance | None:
        """How to go on with this peer; None where it is gone already.

        Args:
            sock: the accepted socket; nothing is read from it.
            busy: why the peer is turned away, or an empty string.
        """


class PlainDoor:
    """The door of a plain listener.

    Raises:
        BindError: the service is not there, or does not fit the framing or codec.
    """

    __slots__ = ("_codec", "_context", "_framing", "_rest", "_session", "service")

    def __init__(self, address: Address, context: Context) -> None:
        self._context = context
        service = self._find(address)
        self.service = service.name
        self._rest = address.rest
        self._session = PacketSession if address.is_packet else PlainSession
        self._codec = address.options.get("codec", default_codec(service.type))
        try:
            self._framing = plain_framing(address, limits=context.limits, text=self._codec == "text")
            service.codec(self._codec)
        except LocalError as error:
            raise BindError(str(address), str(error)) from error

    async def identify(self, sock: socket.socket, busy: str) -> Entrance | None:
        """Every peer is taken for one of this listener's protocol."""
        service = self._context.find(self.service)
        if service is None:
            why = self._context.unknown(self.service)
            opener: Opener = partial(_Farewell, Code.UNKNOWN_SERVICE, why, make_codec(self._codec))
        elif busy:
            opener = partial(_Farewell, Code.BUSY, busy, make_codec(self._codec))
        else:
            opener = partial(self._open, service)
        return Entrance(self._session(self._framing), opener)

    def _open(self, service: Service, link: Link) -> Sink:
        try:
            return self._context.open(service, link, codec=self._codec, rest=self._rest)
        except Refused as no:
            return _Farewell(no.code, no.text, make_codec(self._codec), link)

    def _find(self, address: Address) -> Service:
        if not address.service:
            example = f"{address}?service=echo" if address.is_unix else f"{address}/echo"
            raise BindError(str(address), f"a plain listener carries one service: name it, as in {example}")
        service = self._context.find(address.service)
        if service is None:
            raise BindError(str(address), self._context.unknown(address.service))
        return service


class PlugDoor:
    """The door of a plug listener."""

    __slots__ = ("_context", "_lines")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lines = make_framing("lines", limit=context.limits.message)

    async def identify(self, sock: socket.socket, busy: str) -> Entrance | None:
        """Look at the first bytes, under the handshake's deadline."""
        try:
            first: First | None = await sniff(sock, timeout=TURN_AWAY_TIME if busy else self._context.limits.handshake)
        except Timeout:
            first = None
        if first is First.SILENT:
            return None
        if first is First.PLUG:
            session: Session = PlugSession(Role.SERVER, self._context.limits)
            opener: Opener = partial(Reception, self._context)
        else:
            session = PlainSession(self._lines)
            opener = partial(Menu, self._context, silent=first is None)
        if first in _NOT_OFFERED:
            opener = partial(_Farewell, *_NOT_OFFERED[first], _TEXT, first=first)
        if busy:
            opener = partial(_Farewell, Code.BUSY, busy, _TEXT)
        return Entrance(session, opener)


class _Farewell:
    """The sink of a peer that is told why not, and nothing else."""

    __slots__ = ()

    def __init__(self, code: Code, text: str, codec: Codec[Any], link: Link, *, first: First | None = None) -> None:
        session = link.session
        if first is First.HTTP:
            session.send_many(_HTTP_HEAD)
        if isinstance(session, PlugSession):
            session.send_refused(code, text)
        else:
            complain(link, codec, code, text)
        link.finish(code, text)

    def messages(self, bodies: list[bytes]) -> None:
        """Nothing of this peer is heard."""

    def handle(self, event: Event) -> None:
        """Nothing of this peer is heard."""

    def writable(self) -> None:
        """Nothing waits for room."""

    def drain(self, code: Code, text: str) -> None:
        """It ends anyway."""

    def lost(self) -> None:
        """The stream is gone."""
