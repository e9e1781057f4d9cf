"""Conversations that are opened again when they break, for threads: ``connect(..., reconnect=True)``.

The rules are in `anyplug.reopening`. Here is one thread that opens the next connection, and lives as long as that
takes, while whoever needs one waits.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyplug.blocking.connection import ASK_TIMEOUT, POST_TIMEOUT
from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, Timeout
from anyplug.reopening import OLD_MOST, SEND_TIMEOUT, Reopening, heals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from anyplug.backoff import Backoff
    from anyplug.blocking.connection import Connection

__all__ = ["Line", "Reconnecting"]

T = TypeVar("T")
R = TypeVar("R")


class Reconnecting(Generic[T]):
    """One conversation over one connection after the other.

    It is used like a `Connection`. After a break, or when the server goes away, it is opened anew, with waits that
    grow. The next receive raises `Reconnected`, once, behind all that came before the break; then it goes on. Questions
    that were open fail with `Broken`: whether they were handled is unknown, and nothing is ever said again by itself.
    An end that either side wanted is an end. The break is noticed, and the next connection opened, when it is used.

    Threads may share it, as a `Connection`.
    """

    __slots__ = ("_line",)

    def __init__(self, line: Line[T]) -> None:
        """Made by `anyplug.blocking.connect`."""
        self._line = line

    # Saying.

    def send(self, message: T, timeout: float = SEND_TIMEOUT) -> None:
        """Say one message, as `Connection.send`; where there is no connection now, wait for one for so many seconds.

        Raises:
            Timeout: there is none yet, and nothing was sent; or as `Connection.send`.
            Broken: the connection broke. Whether the message arrived is unknown.
            AnyplugError: as `Connection.send`; or why the conversation is over.
        """
        self._line.attempt(timeout, lambda connection, _: connection.send(message))

    def send_many(self, messages: Iterable[T], timeout: float = SEND_TIMEOUT) -> None:
        """Say several messages in order. Waits and raises as `send`."""
        self._line.attempt(timeout, lambda connection, _: connection.send_many(messages))

    def send_eof(self, timeout: float = SEND_TIMEOUT) -> None:
        """Say that this end sends no more. From then on a break is the end."""
        connection = self._line.current(timeout)
        self._line.last = True
        connection.send_eof()

    def ask(self, message: T, timeout: float = ASK_TIMEOUT) -> T:
        """Say a message and wait for its answer, as `Connection.ask`. `timeout` is for a connection and the answer.

        Raises:
            Timeout: there is no connection, or no answer in time.
            Broken: the connection broke before the answer came. Whether the message was handled is unknown.
            AnyplugError: as `Connection.ask`; or why the conversation is over.
        """
        return self._line.attempt(timeout, lambda connection, left: connection.ask(message, left))

    def ask_many(self, messages: Iterable[T], timeout: float = ASK_TIMEOUT) -> list[T]:
        """Ask all at once; answers come back in the order of the questions. Waits and raises as `ask`."""
        return self._line.attempt(timeout, lambda connection, left: connection.ask_many(messages, left))

    def post(self, message: T, timeout: float = POST_TIMEOUT) -> int:
        """Post a message, as `Connection.post`. Waits and raises as `ask`; an `Outbox` delivers through breaks."""
        return self._line.attempt(timeout, lambda connection, left: connection.post(message, left))

    def post_many(self, messages: Iterable[T], timeout: float = POST_TIMEOUT) -> list[int]:
        """Post several messages, as `Connection.post_many`. Waits and raises as `ask`."""
        return self._line.attempt(timeout, lambda connection, left: connection.post_many(messages, left))

    # Hearing.

    def receive(self, timeout: float | None = None) -> T:
        """The next message, as `Connection.receive`.

        Raises:
            Reconnected: there was a break here; receive again.
            Timeout: nothing came in time, or there is no connection yet.
            AnyplugError: as `Connection.receive`; or why the conversation is over.
        """
        return self._line.hear(timeout, lambda connection, left: connection.receive(left))

    def receive_many(self, timeout: float | None = None) -> list[T]:
        """All messages that have arrived, at least one; waits and raises as `receive`."""
        return self._line.hear(timeout, lambda connection, left: connection.receive_many(left))

    def __iter__(self) -> Reconnecting[T]:
        """All messages until the peer ends in order. `Reconnected` ends the loop; begin another to go on."""
        return self

    def __next__(self) -> T:
        """The next message, or the end of the loop at a clean end."""
        try:
            return self.receive()
        except ConnectionClosed:
            raise StopIteration from None

    # The end.

    def close(self, code: Code = Code.OK, text: str = "") -> None:
        """End the conversation in order, as `Connection.close`; nothing is opened any more."""
        self._line.finish()
        self._line.connection.close(code, text)

    def __enter__(self) -> Reconnecting[T]:
        """The conversation itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order, as `Connection`."""
        self._line.finish()
        self._line.connection.__exit__(kind, error, trace)

    # Facts.

    @property
    def connection(self) -> Connection[T]:
        """The connection of now, or the last one: its `stats`, its address, what the server said of itself."""
        return self._line.connection

    @property
    def reconnections(self) -> int:
        """How often it was opened again."""
        return self._line.reconnections

    @property
    def peer(self) -> str:
        """The other end's address."""
        return self._line.connection.peer

    @property
    def closed(self) -> bool:
        """Whether the conversation is over: nothing will be opened any more."""
        return self._line.over is not None

    def __repr__(self) -> str:
        """For logs: where to, and how it stands."""
        return f"<anyplug.blocking.Reconnecting {self.peer}, {self._line.state()}, {self.reconnections} reconnections>"


class Line(Generic[T]):
    """The connections of one conversation: those that ended and still hold messages, and the newest.

    Args:
        connection: the first.
        opener: opens another.
        backoff: when.
        now: the time in seconds, monotonic.
    """

    def __init__(
        self,
        connection: Connection[T],
        opener: Callable[[], Connection[T]],
        backoff: Backoff,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        """The newest."""
        self.over: AnyplugError | None = None
        """Why there will be no other."""
        self.last = False
        """Whether the newest is the last."""
        self.reconnections = 0
        self._opener = opener
        self._now = now
        self._state = Reopening(backoff, incarnation=_incarnation(connection), now=now())
        self._old: deque[Connection[T]] = deque(maxlen=OLD_MOST)
        self._change = threading.Condition()
        self._opening = False

    def state(self) -> str:
        """How it stands, in a word."""
        if self.over is not None:
            return "over"
        return "connected" if self.connection.end is None else "reconnecting"

    def attempt(self, timeout: float, call: Callable[[Connection[T], float], R]) -> R:
        """Call this with a connection; what its end leaves open is `Broken`."""
        deadline = self._now() + timeout
        connection = self.current(timeout)
        try:
            return call(connection, max(0.0, deadline - self._now()))
        except ConnectionClosed as error:
            if heals(error):
                raise Broken(f"the peer went away before this was done: {error}") from error
            raise

    def hear(self, timeout: float | None, call: Callable[[Connection[T], float | None], R]) -> R:
        """Call this with the connection whose messages come next; raises what stands between two of them."""
        deadline = None if timeout is None else self._now() + timeout
        while True:
            connection = self._next(deadline, timeout)
            try:
                return call(connection, None if deadline is None else max(0.0, deadline - self._now()))
            except AnyplugError as error:
                if error is not connection.end:
                    raise
                with self._change:
                    newest = connection is self.connection
                    self._ended(connection, unread=False)
                    if newest and self.over is not None:
                        raise self.over.with_traceback(None) from None

    def _next(self, deadline: float | None, timeout: float | None) -> Connection[T]:
        """The connection to receive from: an old one that still has messages, or the newest."""
        with self._change:
            if self._old:
                return self._old[0]
            self._opened(deadline, timeout)
            news, self._state.news = self._state.news, None
            if news is not None:
                raise news
            return self.connection

    def current(self, timeout: float) -> Connection[T]:
        """The connection to say something over, once there is one."""
        deadline = self._now() + timeout
        with self._change:
            while True:
                self._opened(deadline, timeout)
                if self.over is not None:
                    raise self.over.with_traceback(None)
                if self.connection.end is None:
                    return self.connection
                self._ended(self.connection, unread=True)

    def _opened(self, deadline: float | None, timeout: float | None) -> None:
        """Wait while a connection is being opened. (The condition is held.)"""
        while self._opening and not self.last:
            left = None if deadline is None else deadline - self._now()
            if left is not None and left <= 0:
                raise Timeout("a new connection", timeout or 0)
            self._change.wait(left)

    def _ended(self, connection: Connection[T], *, unread: bool) -> None:
        """A connection has ended: open the next one, where that makes sense. It may have messages nobody received.

        The condition is held.
        """
        end = connection.end
        assert end is not None  # noqa: S101 - for the type checker; the caller has looked
        if self._old and connection is self._old[0]:
            self._old.popleft()
        if connection is not self.connection or self._opening or self.over is not None:
            return
        if self.last or not heals(end):
            self.over = end
            return
        if unread:
            self._old.append(connection)
        self._state.broke(self._now(), random.random())  # noqa: S311  not for secrets
        self._opening = True
        opening = threading.Thread(target=self._reopen, args=(connection,), name="anyplug-reconnect", daemon=True)
        opening.start()

    def _reopen(self, ended: Connection[T]) -> None:
        """Say goodbye to the one that ended, and open the next; in a thread of its own."""
        ended.close()
        while self._pause():
            try:
                connection = self._opener()
            except AnyplugError as error:
                if not self._go_on(error):
                    return
            else:
                self._take(connection)
                return

    def _pause(self) -> bool:
        """Wait until the next attempt is due; False where there is to be none."""
        with self._change:
            while not self.last and (left := self._state.retry_at - self._now()) > 0:
                self._change.wait(left)
            if self.last:
                self._opening = False
            return not self.last

    def _go_on(self, error: AnyplugError) -> bool:
        with self._change:
            if self._state.failed(error, self._now(), random.random()):  # noqa: S311  not for secrets
                return True
            self.over = self.over or error
            self._opening = False
            self._change.notify_all()
            return False

    def _take(self, connection: Connection[T]) -> None:
        with self._change:
            self._opening = False
            if not self.last:
                self.connection = connection
                self.reconnections += 1
                self._state.opened(_incarnation(connection), self._now())
                self._change.notify_all()
                return
        connection.close()

    def finish(self) -> None:
        """Open nothing any more."""
        with self._change:
            self.last = True
            if self.over is None:
                self.over = ConnectionClosed(Code.OK, "it was closed on this side")
            self._change.notify_all()


def _incarnation(connection: Connection[Any]) -> str:
    return connection.welcome.incarnation if connection.welcome is not None else ""
