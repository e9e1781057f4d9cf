"""A link: one stream of the event loop joined to one session.

It is the async shell around the four verbs, used by clients and servers alike. What arrives goes through the session
and comes out as events, which go to the link's sink; the sink can be exchanged during a conversation (a reception
hands over to a service). What is said is gathered in the session, and given to the kernel once a turn of the loop, or
as soon as `GATHER` bytes wait.

The end has an order of its own. `finish` says goodbye, flushes, ends the sending half, and then waits for the peer's
end, since a socket that is closed while bytes wait in its receive buffer sends a reset, and a reset can destroy what
the peer has not read yet (RFC 1122, section 4.2.2.13).
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

from anyplug.errors import AnyplugError, Broken, Code, Timeout
from anyplug.messages import Data, Ended, Fault
from anyplug.transport.filling import fill
from anyplug.transport.heap import keep_memory
from anyplug.transport.names import name_of
from anyplug.transport.pulse import Pulse
from anyplug.transport.turns import MUCH, share
from anyplug.wire import Vigil

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.limits import Limits
    from anyplug.messages import Event
    from anyplug.transport.turns import Crowd
    from anyplug.wire import Session

__all__ = ["GATHER", "LARGE", "LINGER", "Link", "Sink"]

GATHER = 64 * 1024
"""Bytes gathered before they are given to the kernel within a turn of the loop. More would only add latency."""

LARGE = 256 * 1024
"""Bytes written at once for which it is worth it to keep memory at hand."""

LINGER = 2
"""Seconds that a finished link waits for the peer's end after everything was flushed."""


class Sink(Protocol):
    """Where the events of a link go."""

    def messages(self, bodies: list[bytes]) -> None:
        """Messages of the conversation, in order; at least one."""

    def handle(self, event: Event) -> None:
        """Anything else that happened. After `Ended` no message comes; `Fault` is always the last."""

    def writable(self) -> None:
        """The peer takes bytes again, after it did not."""

    def lost(self) -> None:
        """The stream is gone, after the last event. Called once."""

    def drain(self, code: Code, text: str) -> None:
        """This side stops: end when what is under way is done."""


class Link(asyncio.Protocol):
    """One stream and its session."""

    __slots__ = (
        "_finishing",
        "_on_lost",
        "_opener",
        "_over",
        "_quiet_since",
        "_rooms",
        "_stalled",
        "_vigil",
        "bytes_sent",
        "flush_scheduled",
        "limits",
        "links",
        "loop",
        "paused",
        "prompt",
        "resting",
        "session",
        "sink",
        "talking",
        "transport",
        "writing_paused",
    )

    transport: asyncio.Transport
    sink: Sink

    def __init__(
        self,
        session: Session,
        opener: Callable[[Link], Sink],
        *,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        links: Crowd | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """Made with its session, and opened by the event loop.

        Args:
            session: the protocol.
            opener: makes the first sink, once the stream is open.
            limits: the bounds of this side.
            loop: the event loop.
            links: where this link is kept while it is open.
            on_lost: called once, when an open stream is gone.
        """
        self.session = session
        self._opener: Callable[[Link], Sink] | None = opener
        self.links = links
        """All links of the server that are open; None where nobody counts them."""
        self.talking = False
        """Whether this is one of those that were heard lately: theirs to know."""
        self.limits = limits
        self.bytes_sent = 0
        self.writing_paused = False
        """The peer does not take what is queued; a sink that can should say less."""
        self.flush_scheduled = False
        """What was said goes to the kernel at the end of this turn."""
        self.prompt = False
        """A single message came, and nothing was said since: its answer need not wait for the end of the turn."""
        self.loop = loop
        self._on_lost = on_lost
        self._vigil: Vigil | None = None
        self._rooms: list[asyncio.Future[None]] | None = None
        self.paused = False
        """A sink wants nothing read for now."""
        self.resting = False
        """Nothing is read until the next turn of the loop: see `anyplug.transport.turns`."""
        self._over = False
        self._finishing = False
        self._stalled: tuple[int, float] | None = None
        self._quiet_since: float | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is open."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self.limits.queue, low=self.limits.queue // 4)
        self._vigil = Vigil(self.session, self.limits, self.loop.time())
        Pulse.of(self.loop).add(self)
        if self.links is not None:
            self.links.enter(self)
        opener, self._opener = self._opener, None
        if opener is not None:
            self.sink = opener(self)
        if self.session.queued:
            self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._finishing:
            return
        session = self.session
        bodies = session.receive_messages(data)
        if len(data) >= MUCH:
            share(self, len(data), bodies)
            if session.room is not None:
                fill(self)
        if bodies:
            self.sink.messages(bodies)
        if session.happened:
            self._hand_over()
        if session.queued and not self.writing_paused:
            self.flush()

    def say_now(self, body: bytes) -> None:
        """Say one message and give it to the kernel at once, behind all that was said before."""
        session = self.session
        if session.queued:
            session.send_data(body)
            self.flush()
            return
        data = session.encode_data(body)
        self.bytes_sent += len(data)
        self.transport.write(data)

    def say_content(self, head: bytes, chunk: bytes | memoryview) -> None:
        """Put a chunk on the network, behind all that was said before; it is not copied where the system takes it."""
        if self.session.queued:
            self.flush()
        if not self.transport.is_closing():
            self.bytes_sent += len(head) + len(chunk)
            self.transport.write(head)
            self.transport.write(chunk)

    def eof_received(self) -> bool:
        """The peer has ended its half. Ours stays open; who holds the conversation ends it."""
        if not self._over:
            self.session.receive_eof()
            self._hand_over()
        self._over = True
        if self._finishing:
            return False
        if self.session.queued:
            self.flush()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is gone, cleanly or not."""
        Pulse.of(self.loop).discard(self)
        if self.links is not None:
            self.links.leave(self)
        if not self._over:
            self._over = True
            why = (
                f"{exc.strerror or exc}"
                if isinstance(exc, OSError)
                else str(exc or "the stream was closed on this side")
            )
            self.sink.handle(Fault(Broken(why.lower())))
        self.session.sending = False
        self.resume_writing()
        self.sink.lost()
        if self._on_lost is not None:
            self._on_lost()

    def pause_writing(self) -> None:
        """More than `limits.queue` bytes wait for the peer."""
        self.writing_paused = True

    def resume_writing(self) -> None:
        """The peer has taken most of what waited."""
        self.writing_paused = False
        self._stalled = None
        rooms, self._rooms = self._rooms, None
        for room in rooms or ():
            if not room.done():
                room.set_result(None)
        self.sink.writable()
        if self.session.queued and not self._over:
            self.flush_soon()

    # What the ends of the conversation call.

    def flush(self) -> None:
        """Give all that was said to the kernel now."""
        self.flush_scheduled = False
        session = self.session
        while session.queued:
            data = session.data_to_send()
            if len(data) >= LARGE:
                keep_memory()
            if not self.transport.is_closing():  # else the stream is gone, and the loop is about to say so
                self.bytes_sent += len(data)
                self.transport.write(data)

    def flush_soon(self) -> None:
        """Something was said: give it to the kernel at the end of this turn, or now where much waits already."""
        if self.session.queued >= GATHER:
            self.flush()
        elif not self.flush_scheduled:
            self.flush_scheduled = True
            self.loop.call_soon(self.flush)

    async def room(self) -> None:
        """Wait until the peer takes bytes again."""
        while self.writing_paused:
            future: asyncio.Future[None] = self.loop.create_future()
            if self._rooms is None:
                self._rooms = []
            self._rooms.append(future)
            await future

    def pause_reading(self) -> None:
        """Read no more for now: TCP holds the peer back."""
        if not self.paused and not self._finishing and not self._over:
            self.paused = True
            if not self.resting:
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self.paused:
            self.paused = False
            if not self.resting and not self.transport.is_closing():
                self.transport.resume_reading()

    @property
    def names(self) -> tuple[str, str]:
        """The peer's and our own address, for people and logs."""
        info = self.transport.get_extra_info
        sock = info("socket")
        family = socket.AF_INET if sock is None else sock.family
        return name_of(info("peername"), family), name_of(info("sockname"), family)

    def finish(self, code: Code = Code.OK, text: str = "") -> None:
        """End the conversation in order: say goodbye, flush, end our half, wait a little for the peer's end. A second
        call does nothing.
        """
        if self._finishing or self.transport.is_closing():
            return
        self.session.send_eof(code, text)
        self.flush()
        self.resume_reading()
        self._finishing = True
        if self._over:
            self.transport.close()
        elif self.transport.can_write_eof():
            self._end_half()
        else:
            self.transport.close()

    def send_eof(self, code: Code = Code.OK, text: str = "") -> None:
        """End our half only; what the peer still says is heard."""
        if not self.session.sending:
            return
        self.session.send_eof(code, text)
        self.flush()
        if not self.session.has_requests and self.transport.can_write_eof():
            self._end_half()

    def abort(self) -> None:
        """Cut the stream at once."""
        self.transport.abort()

    def tick(self, now: float) -> None:
        """Look after deadlines; called by the pulse about once a second."""
        taking = self._tick_writing(now)
        if self.links is not None and self._vigil is not None:
            self.links.note(self, talking=self._vigil.heard)
        if self._finishing:
            self._tick_linger(now)
        elif self._vigil is not None and not self.transport.is_closing():
            self._tick_vigil(self._vigil, now, taking=taking)

    # Inside.

    def _end_half(self) -> None:
        with suppress(OSError):  # the peer has cut the stream already; the loop is about to tell
            self.transport.write_eof()

    def _hand_over(self) -> None:
        """Give the sink what happened. The last event ends the link, unless this side still has something to say."""
        for event in self.session.events():
            if type(event) is Data:
                self.sink.messages(event.bodies)
                continue
            kind = type(event)
            if kind is Ended or kind is Fault:
                self._over = True
            self.sink.handle(event)
            if kind is Fault or (kind is Ended and not self.session.sending):
                self.finish()

    def _tick_writing(self, now: float) -> bool:
        """Cut a peer that takes nothing of what is queued. True when it takes some."""
        waiting = self.transport.get_write_buffer_size()
        taken = self.bytes_sent - waiting
        before = self._stalled
        if not waiting:
            self._stalled = None
        elif before is None or before[0] != taken:
            self._stalled = (taken, now)
            return before is not None
        elif now - before[1] >= self.limits.write:
            self._give_up(Broken(f"the peer took none of {waiting:,} queued bytes for {self.limits.write:g} s"))
            self.transport.abort()
        return False

    def _tick_vigil(self, vigil: Vigil, now: float, *, taking: bool) -> None:
        """A peer that takes what had to wait lives, even if our PING still stands behind a large message."""
        try:
            vigil.tick(now, reading=not self.paused and not taking)
        except AnyplugError as error:
            self._give_up(error)
        if self.session.queued and not self.writing_paused:
            self.flush()

    def _tick_linger(self, now: float) -> None:
        if self.transport.get_write_buffer_size():
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        elif now - self._quiet_since >= LINGER:
            self.transport.close()

    def _give_up(self, error: AnyplugError) -> None:
        """This side ends the conversation over a deadline."""
        if not self._over:
            self._over = True
            self.sink.handle(Fault(Broken(str(error)) if isinstance(error, Timeout) else error))
        code = Code.IDLE if isinstance(error, Timeout) and not self.session.pending else Code.SLOW
        self.finish(code, str(error))
