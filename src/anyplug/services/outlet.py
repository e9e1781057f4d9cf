"""One conversation as a listener of a fan-out: what is told goes straight to its link, beside its `Connection`.

The connection still hears its peer, and says what it says; both ways lead through the same link, in the order of the
calls, with the same counters.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from anyplug.errors import AnyplugError
from anyplug.limits import FRAME_MAX
from anyplug.schemas.talk import lines
from anyplug.services.fanout import Voice
from anyplug.wire import PacketSession, PlainSession, PlugSession
from anyplug.wire.frames import HEADER, Kind
from anyplug.wire.parts import split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.codec import Codec
    from anyplug.connection import Connection
    from anyplug.errors import Code
    from anyplug.intake import Intake
    from anyplug.messages import Event as LinkEvent
    from anyplug.schemas.talk import Event
    from anyplug.transport.link import Link
    from anyplug.wire import Session

__all__ = ["TEXTS", "Outlet"]

TEXTS: Final = ("text", "bytes")
"""Codecs of people: events are lines there. By the others they are maps."""

_NO_LIMIT: Final = 1 << 62


class Outlet:
    """A listener, and the sink of its link: it hears when the peer reads again, and when the server stops.

    Args:
        peer: the conversation. Its link's sink is the outlet from now on.
        queue: bytes that may wait for the peer before it is left out.
        relieved: called when the peer reads again.
        drained: called when the server stops.
    """

    __slots__ = ("_drained", "_intake", "_link", "_most", "_packets", "_relieved", "missed", "voice")

    def __init__(
        self,
        peer: Connection[Any],
        *,
        queue: int,
        relieved: Callable[[Outlet], None],
        drained: Callable[[Outlet, Code, str], None],
    ) -> None:
        self._link: Link = peer._link
        self._intake: Intake[Any] = peer._intake
        self._relieved = relieved
        self._drained = drained
        self.missed: int | None = None
        """How much was left out since the peer stopped reading."""
        session = self._link.session
        self.voice = _voice(session, peer._codec)
        """How the peer is spoken to."""
        self._packets = isinstance(session, PacketSession)
        self._most = _most(self._link)
        bound = min(queue, self._link.limits.queue)
        self._link.transport.set_write_buffer_limits(high=bound, low=bound // 4)
        self._link.sink = self

    # For the fan-out.

    @property
    def ready(self) -> bool:
        """Whether the peer takes bytes now."""
        return not self._link.writing_paused and not self.gone

    @property
    def gone(self) -> bool:
        """Whether nothing can be said to it any more."""
        link = self._link
        return not link.session.sending or link.transport.is_closing()

    def put(self, frames: Sequence[bytes], joined: bytes, largest: int) -> bool:
        """Give frames to the kernel, behind all that was said before; False where one is too large for the peer."""
        if largest > self._most:
            return False
        link = self._link
        if link.session.queued:
            link.flush()
        link.bytes_sent += len(joined)
        if self._packets:
            for frame in frames:
                link.transport.write(frame)
        else:
            link.transport.write(joined)
        return True

    # For the room.

    @property
    def full(self) -> bool:
        """Whether more waits for the peer than may."""
        return self._link.writing_paused

    async def room(self) -> None:
        """Wait until the peer reads again."""
        await self._link.room()

    def end(self) -> None:
        """End the conversation in order."""
        self._link.finish()

    def cut(self, code: Code, text: str, last: Event) -> None:
        """End the conversation from this side: say why, and let its handler know at once.

        Args:
            code: the reason.
            text: the sentence for it.
            last: what a peer is told that no reason reaches, on a plain connection.
        """
        if not self._link.session.has_requests and not self.gone:
            with suppress(AnyplugError):  # where limits are so small that not even this can be said
                frames = self.voice.frames(last)
                self.put(frames, b"".join(frames), max(map(len, frames)))
        self._link.finish(code, text)
        self._intake.close()

    # For the link.

    def messages(self, bodies: list[bytes]) -> None:
        """Messages came: the connection hears them."""
        self._intake.messages(bodies)

    def handle(self, event: LinkEvent) -> None:
        """Anything else happened: the connection hears it."""
        self._intake.handle(event)

    def writable(self) -> None:
        """The peer reads again, or is gone."""
        self._relieved(self)

    def lost(self) -> None:
        """The stream is gone: the connection hears it."""
        self._intake.lost()

    def drain(self, code: Code, text: str) -> None:
        """This side stops."""
        self._drained(self, code, text)


def _voice(session: Session, codec: Codec[Any]) -> Voice[Event]:
    """How the peer of a session is spoken to. Sessions of one framing and codec share the bytes."""
    bodies = _text_bodies if codec.name in TEXTS else partial(_map_bodies, codec)
    if isinstance(session, PlainSession):
        framing = session.framing
        if framing.name == "raw" and not isinstance(session, PacketSession) and codec.name in TEXTS:
            return Voice((framing, codec.name), partial(_frames, bodies, _line))
        return Voice((framing, codec.name), partial(_frames, bodies, framing.encode))
    return Voice((PlugSession, codec.name), partial(_frames, bodies, _plug_frame))


def _frames(bodies: Callable[[Event], list[bytes]], frame: Callable[[bytes], bytes], event: Event) -> list[bytes]:
    return list(map(frame, bodies(event)))


def _text_bodies(event: Event) -> list[bytes]:
    return [line.encode() for line in lines(event)]


def _map_bodies(codec: Codec[Any], event: Event) -> list[bytes]:
    return [codec.encode(event if codec.name != "pickled" else msgspec.to_builtins(event))]


def _line(body: bytes) -> bytes:
    """Where nothing marks the end of a message, people still want lines."""
    return body + b"\n"


def _plug_frame(body: bytes) -> bytes:
    """A DATA frame, or the parts of a large one; the same bytes for every peer whose limit allows it."""
    size = len(body)
    return HEADER.pack(size) + body if size <= FRAME_MAX else b"".join(split(Kind.DATA, b"", body))


def _most(link: Link) -> int:
    """The largest frame that the peer takes, bytes."""
    session = link.session
    if isinstance(session, PlugSession):
        return session.peer_limit + HEADER.size
    packet: int | None = link.transport.get_extra_info("packet_max")
    return _NO_LIMIT if packet is None else packet
