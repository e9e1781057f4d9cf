"""The blocking end of a conversation: what `anyplug.blocking.connect` gives.

It holds no protocol. Saying and hearing go through the session of its line; waiting is its pump's.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from anyplug.blocking.asking import ask, ask_many
from anyplug.blocking.posting import post
from anyplug.blocking.pulse import PULSE
from anyplug.errors import Code, ConnectionClosed, LocalError
from anyplug.wire.stats import amount

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from anyplug.blocking.pulse import Pulse
    from anyplug.blocking.pump import Pump
    from anyplug.codec import Codec
    from anyplug.errors import AnyplugError
    from anyplug.messages import Kept, Welcome
    from anyplug.wire import Stats

__all__ = ["ASK_TIMEOUT", "POST_TIMEOUT", "Connection"]

T = TypeVar("T")

FOR_EVER = 1e6
"""A timeout above this is none, seconds (11 days): the system counts milliseconds in 31 bits."""

ASK_TIMEOUT = 30.0
"""How long `Connection.ask` waits for its answer, seconds, where nothing else is said."""


POST_TIMEOUT = 30.0
"""How long `Connection.post` waits for its acknowledgement, seconds, where nothing else is said."""


class Connection(Generic[T]):
    """One conversation, seen from this end.

    ``for message in peer`` gives every message and ends when the peer has ended in order; an end in the middle raises
    `Broken`.

    Threads may share a connection: messages of several senders never mix, each answer goes to its asker, and of several
    receivers each message goes to one. Processes may not: after a fork the child must leave it alone, and connect anew.

    Close it, best with ``with``. A connection that is forgotten open gives a `ResourceWarning`.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_codec",
        "_pulse",
        "_pump",
        "_ready",
        "local",
        "peer",
        "rest",
        "service",
        "welcome",
    )

    def __init__(
        self,
        pump: Pump[T],
        codec: Codec[T],
        *,
        address: str,
        service: str = "",
        rest: str = "",
        welcome: Welcome | None = None,
        pulse: Pulse = PULSE,
    ) -> None:
        """Connections are made by `anyplug.blocking.connect`."""
        self._pump = pump
        self._ready = pump.ready
        self._codec = codec
        self._address = address
        self._pulse = pulse
        self.peer = pump.line.stream.peer
        """The other end's address, for people and logs."""
        self.local = pump.line.stream.local
        """This end's address."""
        self.service = service
        """The service's name, where there is one."""
        self.rest = rest
        """What followed the service in the address: a room, a topic."""
        self.welcome = welcome
        """What the server said of itself; None on a plain connection."""
        if pump.line.session.has_requests:
            pulse.add(pump)

    # Saying.

    def send(self, message: T) -> None:
        """Say one message. Returns when the system has taken it; while it does not, what comes is read and kept for
        `receive`.

        Raises:
            EncodeError: the value cannot travel. Nothing was sent.
            TooLarge: it is above the limit of either side. Nothing was sent.
            Timeout: the peer took nothing for ``limits.write`` seconds. The connection is broken then, in the middle
                of a message.
            ConnectionClosed: the conversation has ended.
            Broken: the stream broke.
        """
        body = self._codec.encode(message)
        pump = self._pump
        with pump.lock:
            pump.line.check()
            pump.line.session.send_data(body)
            pump.say()

    def send_many(self, messages: Iterable[T]) -> None:
        """Say several messages in order, in as few packets as possible.

        Raises as `send`; then none of them was sent, unless it broke.
        """
        bodies = list(map(self._codec.encode, messages))
        pump = self._pump
        with pump.lock:
            pump.line.check()
            pump.line.session.send_many(bodies)
            pump.say()

    def send_eof(self) -> None:
        """Say that this end sends no more.

        What the peer still says can be received. Raises as `send`; a second call does nothing.
        """
        pump = self._pump
        with pump.lock:
            line = pump.line
            if not line.session.sending:
                return
            line.check()
            line.session.send_eof()
            pump.say()
            if not line.session.has_requests:
                line.stream.shut_write()

    # Hearing.

    def receive(self, timeout: float | None = None) -> T:
        """The next message.

        Args:
            timeout: seconds to wait, or None for as long as the peer lives. 0 takes only what is there. After a
                `Timeout` the conversation goes on.

        Raises:
            ConnectionClosed: the peer has ended in order, and everything was taken.
            Broken: it ended in the middle; what had arrived whole was given before.
            DecodeError: this one message is not valid. The next can be received.
            Refused: the service could not handle a message sent before.
            Timeout: nothing came in time.
        """
        while True:
            try:
                return self._ready.popleft()
            except IndexError:
                pass
            self._pump.refill(_checked(timeout))

    def receive_many(self, timeout: float | None = None) -> list[T]:
        """All messages that have arrived, at least one; waits and raises as `receive`."""
        return self._pump.take_many(_checked(timeout))

    def __iter__(self) -> Connection[T]:
        """All messages until the peer ends in order."""
        return self

    def __next__(self) -> T:
        """The next message, or the end of the loop at a clean end."""
        try:
            return self.receive()
        except ConnectionClosed:
            raise StopIteration from None

    # Asking.

    def ask(self, message: T, timeout: float | None = ASK_TIMEOUT) -> T:
        """Say a message and wait for its answer. Many threads may ask at once over one connection.

        Where the service answers requests, the answer is matched by its id and may overtake others. On plain
        connections and in conversations the answer is the next message, for the oldest question. Datagrams may get
        lost, and a late one may be taken for the next answer there: put a number into your messages where that
        matters.

        Args:
            message: the question.
            timeout: seconds to wait for the answer. A late answer is dropped and counted in `stats`.

        Raises:
            Refused: the service could not handle this message; its code says why.
            Timeout: no answer in time. Whether the message was handled is unknown.
            ConnectionClosed, Broken, EncodeError, TooLarge, DecodeError: as in `send` and `receive`.
        """
        return self._codec.decode(ask(self._pump, self._codec.encode(message), _checked(timeout)))

    def ask_many(self, messages: Iterable[T], timeout: float | None = ASK_TIMEOUT) -> list[T]:
        """Ask all without waiting for each answer; the answers come back in the order of the questions.

        Up to 512 questions are under way at once. Raises as `ask`, for the first question that failed. `timeout` is
        for all together.
        """
        bodies = list(map(self._codec.encode, messages))
        return self._codec.decode_many(ask_many(self._pump, bodies, _checked(timeout)))

    # Posting.

    def post(self, message: T, timeout: float | None = POST_TIMEOUT) -> int:
        """Say a message that the server is to keep; return its position once it is on the server's disk, and synced.

        Args:
            message: what to keep.
            timeout: seconds to wait for the acknowledgement.

        Raises:
            PostRefused: the server does not keep it; its code says why. Trying again as it stands does not help, but
                for the codes ``busy``, ``gap``, ``store_full`` and ``store_failed``.
            Timeout, ConnectionClosed, Broken: no acknowledgement: whether it is kept is unknown. An `Outbox` finds out,
                and delivers once.
            LocalError: the service keeps no messages.
            EncodeError, TooLarge: as in `send`.
        """
        return self.post_many([message], timeout)[0]

    def post_many(self, messages: Iterable[T], timeout: float | None = POST_TIMEOUT) -> list[int]:
        """Say several messages that the server is to keep, without waiting for each; return their positions, in order.

        Raises as `post`, for the first that was not kept: those before it are kept, those behind it are not.
        """
        bodies = list(map(self._codec.encode, messages))
        posts = self.welcome is not None and self.welcome.posts
        return post(self._pump, bodies, _checked(timeout), posts=posts)

    # The end.

    def close(self, code: Code = Code.OK, text: str = "") -> None:
        """End the conversation in order: what was said goes out, the peer is told, and its end is awaited for up to a
        second.

        Never raises for the peer's sake, and a second call does nothing. Messages that have been read but not taken
        stay takeable.
        """
        self._pulse.discard(self._pump)
        self._pump.close(code, text)

    def abort(self) -> None:
        """Cut the connection at once; the peer sees a reset."""
        self._pulse.discard(self._pump)
        self._pump.abort()

    def __enter__(self) -> Connection[T]:
        """The connection itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order.

        After an exception without waiting for the peer, which is told `Code.FAILED`; after an interrupt or the end of
        the program `Code.GOING_AWAY`.
        """
        if kind is None:
            self.close()
        else:
            self._pulse.discard(self._pump)
            self._pump.close(Code.FAILED if issubclass(kind, Exception) else Code.GOING_AWAY, "", linger=0)

    def __del__(self) -> None:
        """Warn of a connection that was forgotten open, and give its socket back."""
        pump = getattr(self, "_pump", None)
        if pump is not None and pump.abandon():
            warnings.warn(
                f"unclosed {self!r}; close it, or use it in a with block", ResourceWarning, source=self, stacklevel=2
            )

    # Facts.

    @property
    def closed(self) -> bool:
        """Whether nothing can be said any more."""
        return self._pump.line.broken is not None or not self._pump.line.session.sending

    @property
    def codec(self) -> Codec[T]:
        """How messages become bytes."""
        return self._codec

    @property
    def kept(self) -> Kept | None:
        """How the server keeps posts: `Kept.SYNCED` on its disk, or the weaker way it was configured for; None before
        the first acknowledgement.
        """
        return self._pump.line.inbound.posts.kept

    @property
    def end(self) -> AnyplugError | None:
        """Why nothing more comes, once this side has noticed; what came before can still be received."""
        return self._pump.line.inbound.end or self._pump.line.broken

    @property
    def stats(self) -> Stats:
        """The counters so far."""
        return self._pump.line.stats()

    def __repr__(self) -> str:
        """For logs: where to, how it stands, and how much has gone over it."""
        stream = self._pump.line.stream
        traffic = f"{amount(stream.received)} in, {amount(stream.sent)} out"
        return f"<anyplug.blocking.Connection {self._address}, {self._pump.state()}, {traffic}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled."""
        raise LocalError(
            f"a connection cannot be copied or pickled; give the address {self._address} away, and connect there"
        )


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not timeout >= 0:
        raise LocalError(f"timeout is {timeout!r}, expected seconds from 0 on, or None to wait without end")
    return None if timeout is None or timeout > FOR_EVER else timeout
