"""A conversation as far as it goes without waiting: the stream, the session, what was heard, and what waits to be sent.

A line is passive. Its pump calls it, with the pump's lock held, and waits where something has to be waited for.

Two facts say how it stands. ``inbound.end`` is why nothing more comes; the peer may still listen then. ``broken`` is
why nothing more can be said; it is set when the stream is gone, when the peer broke the protocol, and when this side
has closed.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from anyplug.blocking.outlet import Outlet
from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, EncodeError, Timeout, TooLarge
from anyplug.wire import Stats, Vigil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.blocking.stream import Stream
    from anyplug.blocking.waiter import Waiter
    from anyplug.limits import Limits
    from anyplug.messages import Event
    from anyplug.wire import Session
    from anyplug.wire.inbound import Inbound, Outcome

__all__ = ["Line"]

T = TypeVar("T")


class Line(Generic[T]):
    """One conversation.

    Args:
        stream: the connected stream.
        session: the session that speaks on it.
        inbound: where what was heard is sorted.
        limits: the bounds of this side.
        now: the time in seconds, monotonic.
    """

    __slots__ = (
        "_pongs_to",
        "_stood_at",
        "_vigil",
        "broken",
        "inbound",
        "limits",
        "looked_at",
        "lost",
        "outlet",
        "receivers",
        "session",
        "stream",
    )

    def __init__(
        self, stream: Stream, session: Session, inbound: Inbound[T, Waiter], limits: Limits, now: float
    ) -> None:
        self.stream = stream
        self.session = session
        self.inbound = inbound
        self.limits = limits
        self.outlet = Outlet(stream)
        self.receivers: deque[Waiter] = deque()
        """Threads that wait for a message."""
        self.broken: AnyplugError | None = None
        """Why nothing more can be said, or None."""
        self.lost = False
        """Whether the stream is gone."""
        self.looked_at = now
        """When heartbeats and deadlines were looked at."""
        self._vigil = Vigil(session, limits, now)
        self._pongs_to = 0
        self._stood_at = -1

    def stats(self) -> Stats:
        """The counters so far."""
        return Stats(
            bytes_received=self.stream.received,
            bytes_sent=self.stream.sent,
            bytes_waiting=self.inbound.incoming.size,
            bytes_queued=len(self.outlet),
            late_answers=self.inbound.asks.late,
        )

    def may_read(self) -> bool:
        """Whether there is room for what comes, and anything can come.

        The bound of `limits.queue` holds for messages that wait to be taken, and for answers to PING that wait to be
        sent.
        """
        inbound, bound = self.inbound, self.limits.queue
        if inbound.end is not None or inbound.incoming.size >= bound:
            return False
        return self._pongs_to - self.outlet.written < bound

    def can_move(self) -> bool:
        """Whether there is anything to wait for at the socket."""
        return not self.lost and (self.may_read() or len(self.outlet) > 0)

    def check(self) -> None:
        """Raise why nothing more can be said, if that is so: the peer's end, where it has ended first."""
        why = self.broken
        if why is None and not self.session.sending:
            why = self.inbound.end
        if why is not None:
            raise why.with_traceback(None)

    def push(self) -> None:
        """Send what the session has to say; what the system does not take now waits in the outlet.

        Raises:
            AnyplugError: the connection is gone.
            EncodeError: a packet is larger than the system sends. It was not sent; what was said behind it was.
        """
        unfit: EncodeError | None = None
        while self.session.queued:
            try:
                self.put(self.session.data_to_send())
            except EncodeError as error:
                unfit = error
        if self.outlet.unfit:
            self._report_unfit()
        if unfit is not None:
            raise unfit

    def put(self, data: bytes) -> None:
        """Send these bytes, behind all that waits; raises as `push`. For what the session has encoded at once."""
        try:
            self.outlet.put(data)
        except Broken as error:
            self._lose(error)
            raise (self.broken or error).with_traceback(None) from None
        except AnyplugError:
            raise
        except BaseException as error:
            self._cut_short(error)
            raise

    def turn(self, *, read: bool) -> None:
        """Write and read what is possible now.

        Never raises but for an interrupt: a loss is seen in `broken` and ``inbound.end``, and a packet that turns out
        too large for the system is reported where messages are received.
        """
        if self.lost:
            return
        try:
            if self.outlet.queued > self.outlet.written:
                self.outlet.flush()
                if self.outlet.unfit:
                    self._report_unfit()
            if read:
                self._read()
        except Broken as error:
            self._lose(error)
        except BaseException as error:
            self._cut_short(error)
            raise

    def read_all(self) -> None:
        """Read all that has come, as far as there is room. Raises as `turn`."""
        try:
            while self.may_read() and self._read():
                pass
        except Broken as error:
            self._lose(error)
        except BaseException as error:
            self._cut_short(error)
            raise

    def look(self, now: float, *, reading: bool) -> None:
        """See to heartbeats and deadlines.

        A peer that takes some of what had to wait lives, even if the PING still stands behind a large message.
        """
        self.looked_at = now
        outlet = self.outlet
        taking = self._stood_at not in {-1, outlet.written}
        self._stood_at = outlet.written if outlet else -1
        try:
            self._vigil.tick(now, reading=reading and not taking)
        except Timeout as error:
            code = Code.SLOW if self.session.pending else Code.IDLE
            self.session.send_eof(code, str(error))
            self.fail(Broken(str(error)))
        except Broken as error:
            self.fail(error)
        self._put_rest()

    def keep_alive(self, *, ping: bool) -> None:
        """Send what waits as far as the system takes it; with `ping`, and where nothing waits, a PING."""
        if ping and not self.outlet:
            self.session.send_ping()
        self.turn(read=False)
        self._put_rest()

    def discard(self) -> bool:
        """Write what is possible, and read once to throw it away; True when the peer has ended."""
        try:
            self.outlet.flush()
            return self.stream.receive() == b""
        except TooLarge:
            return False
        except Broken:
            self.lost = True
            return True

    def goodbye(self, code: Code, text: str) -> None:
        """This side closes: say so if the peer may still listen, and end everything here."""
        if self.broken is None:
            self.session.send_eof(code, text)
        self.fail(ConnectionClosed(Code.OK, "it was closed on this side"))
        self._put_rest()

    def fail(self, error: AnyplugError) -> None:
        """Nothing more is said or heard here, for this reason or an earlier one; wake all who wait.

        What waits in the outlet stays there: it may still go out before the end.
        """
        if self.broken is None:
            self.broken = error
        self._settle(self.inbound.finish(error))
        self.outlet.release()
        self.arrived()

    def hear(self, events: Sequence[Event]) -> None:
        """Hand out what the session heard."""
        inbound = self.inbound
        self._settle(inbound.take(events))
        if inbound.end is not None and not isinstance(inbound.end, ConnectionClosed):
            self.fail(inbound.end)
        elif inbound.end is not None or inbound.incoming:
            if not self.session.sending:  # a plug server that has said BYE listens no more
                self.outlet.release()
            self.arrived()

    def arrived(self) -> None:
        """There is something to take: wake one thread that waits for it; at the end, all of them."""
        while self.receivers:
            self.receivers.popleft().finish()
            if self.inbound.end is None:
                break

    def _read(self) -> bool:
        """Read once; False where nothing was there."""
        session = self.session
        try:
            data = self.stream.receive()
        except TooLarge as error:
            self.inbound.incoming.push_error(error)
            self.arrived()
            return True
        if data is None:
            return False
        if not data:
            session.receive_eof()
        elif (single := session.receive_answer(data)) is not None:
            if (waiter := self.inbound.asks.answer(single[0])) is not None:
                waiter.finish(single[1])
            return True
        else:
            session.receive_data(data)
        events = session.events()
        if events:
            self.hear(events)
        if session.queued:  # an answer to PING, or a BYE
            self.outlet.put(session.data_to_send())
            self._pongs_to = self.outlet.queued
        return bool(data)

    def _lose(self, error: Broken) -> None:
        """The stream is gone. What came before that is read still, since it may say why.

        An end of the stream behind the error is none: the system has told of the error, and tells of nothing more.
        """
        self.lost = True
        self.outlet.drop()
        with suppress(Broken, TooLarge):
            while self.inbound.end is None and (data := self.stream.receive()):
                self.session.receive_data(data)
                self.hear(self.session.events())
        self.fail(self.inbound.end or error)

    def _cut_short(self, error: BaseException) -> None:
        """An interrupt came while bytes were moved: how many, nobody can tell. To go on could mean to take the middle
        of one message for the beginning of another.
        """
        self.lost = True
        self.outlet.drop()
        self.fail(Broken(f"this side was interrupted in the middle of reading or writing: {error!r}"))

    def _report_unfit(self) -> None:
        """Packets were dropped whose senders have gone on: say so where messages are received."""
        while self.outlet.unfit:
            self.inbound.incoming.push_error(self.outlet.unfit.pop(0))
        self.arrived()

    def _put_rest(self) -> None:
        if not self.lost:
            with suppress(AnyplugError):
                self.push()

    def _settle(self, decided: Sequence[tuple[Waiter, Outcome]]) -> None:
        for waiter, outcome in decided:
            waiter.finish(outcome)
