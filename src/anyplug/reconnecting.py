"""Conversations that are opened again when they break, for async programs: ``connect(..., reconnect=True)``.

The rules are in `anyplug.reopening`. Here is one task that opens the next connection while whoever needs one waits.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyplug.connection import ASK_TIMEOUT, POST_TIMEOUT
from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, Timeout
from anyplug.reopening import OLD_MOST, SEND_TIMEOUT, Reopening, heals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from types import TracebackType

    from anyplug.backoff import Backoff
    from anyplug.connection import Connection

__all__ = ["Reconnecting", "Reopened"]

T = TypeVar("T")
R = TypeVar("R")


class Reconnecting(Generic[T]):
    """One conversation over one connection after the other.

    It is used like a `Connection`. After a break, or when the server goes away, it is opened anew, with waits that
    grow. The next receive raises `Reconnected`, once, behind all that came before the break; then it goes on. Questions
    that were open fail with `Broken`: whether they were handled is unknown, and nothing is ever said again by itself.
    An end that either side wanted is an end. The break is noticed, and the next connection opened, when it is used.
    """

    __slots__ = ("_line",)

    def __init__(self, line: _Line[T]) -> None:
        """Made by `anyplug.connect`."""
        self._line = line

    # Saying.

    async def send(self, message: T, timeout: float = SEND_TIMEOUT) -> None:
        """Say one message, as `Connection.send`; where there is no connection now, wait for one for so many seconds.

        Raises:
            Timeout: there is none yet. Nothing was sent.
            Broken: the connection broke. Whether the message arrived is unknown.
            AnyplugError: as `Connection.send`; or why the conversation is over.
        """
        await (await self._line.current(timeout)).send(message)

    async def send_many(self, messages: Sequence[T], timeout: float = SEND_TIMEOUT) -> None:
        """Say several messages in order. Waits and raises as `send`."""
        await (await self._line.current(timeout)).send_many(messages)

    async def send_eof(self, timeout: float = SEND_TIMEOUT) -> None:
        """Say that this end sends no more. From then on a break is the end."""
        connection = await self._line.current(timeout)
        self._line.last = True
        await connection.send_eof()

    async def ask(self, message: T, timeout: float = ASK_TIMEOUT) -> T:
        """Say a message and wait for its answer, as `Connection.ask`. `timeout` is for a connection and the answer.

        Raises:
            Timeout: there is no connection, or no answer in time.
            Broken: the connection broke before the answer came. Whether the message was handled is unknown.
            AnyplugError: as `Connection.ask`; or why the conversation is over.
        """
        return await self._line.attempt(timeout, lambda connection, left: connection.ask(message, left))

    async def ask_many(self, messages: Sequence[T], timeout: float = ASK_TIMEOUT) -> list[T]:
        """Ask all at once; answers come back in the order of the questions. Waits and raises as `ask`."""
        return await self._line.attempt(timeout, lambda connection, left: connection.ask_many(messages, left))

    async def post(self, message: T, timeout: float = POST_TIMEOUT) -> int:
        """Post a message, as `Connection.post`. Waits and raises as `ask`; an `Outbox` delivers through breaks."""
        return await self._line.attempt(timeout, lambda connection, left: connection.post(message, left))

    async def post_many(self, messages: Sequence[T], timeout: float = POST_TIMEOUT) -> list[int]:
        """Post several messages, as `Connection.post_many`. Waits and raises as `ask`."""
        return await self._line.attempt(timeout, lambda connection, left: connection.post_many(messages, left))

    # Hearing.

    async def receive(self, timeout: float | None = None) -> T:
        """The next message, as `Connection.receive`.

        Raises:
            Reconnected: there was a break here; receive again.
            Timeout: nothing came in time, or there is no connection yet.
            AnyplugError: as `Connection.receive`; or why the conversation is over.
        """
        return await self._line.hear(timeout, lambda connection, left: connection.receive(left))

    async def receive_many(self, timeout: float | None = None) -> list[T]:
        """All messages that have arrived, at least one; waits and raises as `receive`."""
        return await self._line.hear(timeout, lambda connection, left: connection.receive_many(left))

    def __aiter__(self) -> Reconnecting[T]:
        """All messages until the peer ends in order. `Reconnected` ends the loop; begin another to go on."""
        return self

    async def __anext__(self) -> T:
        """The next message, or the end of the loop at a clean end."""
        try:
            return await self.receive()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    # The end.

    async def close(self, code: Code = Code.OK, text: str = "") -> None:
        """End the conversation in order, as `Connection.close`; nothing is opened any more. Never raises."""
        await self._line.finish()
        await self._line.connection.close(code, text)

    async def __aenter__(self) -> Reconnecting[T]:
        """The conversation itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        await self.close()

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
        return f"<anyplug.Reconnecting {self.peer}, {self._line.state()}, {self.reconnections} reconnections>"


class _Line(Generic[T]):
    """The connections of one conversation: those that ended and still hold messages, and the newest.

    Args:
        connection: the first.
        opener: opens another.
        backoff: when.
    """

    __slots__ = ("_goodbyes", "_old", "_opener", "_state", "_task", "connection", "last", "over", "reconnections")

    def __init__(
        self, connection: Connection[T], opener: Callable[[], Awaitable[Connection[T]]], backoff: Backoff
    ) -> None:
        self.connection = connection
        """The newest."""
        self.over: AnyplugError | None = None
        """Why there will be no other."""
        self.last = False
        """Whether the newest is the last."""
        self.reconnections = 0
        self._opener = opener
        self._state = Reopening(backoff, incarnation=_incarnation(connection), now=_now())
        self._old: deque[Connection[T]] = deque(maxlen=OLD_MOST)
        self._task: asyncio.Task[None] | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()

    def state(self) -> str:
        """How it stands, in a word."""
        if self.over is not None:
            return "over"
        return "connected" if self.connection.end is None else "reconnecting"

    async def attempt(self, timeout: float, call: Callable[[Connection[T], float], Awaitable[R]]) -> R:
        """Call this with a connection; a question that its end leaves open is `Broken`."""
        deadline = _now() + timeout
        connection = await self.current(timeout)
        try:
            return await call(connection, max(0.0, deadline - _now()))
        except ConnectionClosed as error:
            if heals(error):
                raise Broken(f"the peer went away before it answered: {error}") from error
            raise

    async def hear(self, timeout: float | None, call: Callable[[Connection[T], float | None], Awaitable[R]]) -> R:
        """Call this with the connection whose messages come next; raises what stands between two of them."""
        deadline = None if timeout is None else _now() + timeout
        while True:
            connection = self._old[0] if self._old else await self._newest(deadline, timeout)
            try:
                return await call(connection, None if deadline is None else max(0.0, deadline - _now()))
            except AnyplugError as error:
                if error is not connection.end:
                    raise
                newest = connection is self.connection
                self._ended(connection, unread=False)
                if newest and self.over is not None:
                    raise self.over.with_traceback(None) from None

    async def _newest(self, deadline: float | None, timeout: float | None) -> Connection[T]:
        await self._opened(deadline, timeout)
        news, self._state.news = self._state.news, None
        if news is not None:
            raise news
        return self.connection

    async def current(self, timeout: float) -> Connection[T]:
        """The connection to say something over, once there is one."""
        deadline = _now() + timeout
        while True:
            await self._opened(deadline, timeout)
            if self.over is not None:
                raise self.over.with_traceback(None)
            if self.connection.end is None:
                return self.connection
            self._ended(self.connection, unread=True)

    async def _opened(self, deadline: float | None, timeout: float | None) -> None:
        """Wait while a connection is being opened."""
        task = self._task
        if task is None:
            return
        await asyncio.wait({task}, timeout=None if deadline is None else max(0.0, deadline - _now()))
        if not task.done():
            raise Timeout("a new connection", timeout or 0)

    def _ended(self, connection: Connection[T], *, unread: bool) -> None:
        """A connection has ended: open the next one, where that makes sense. It may have messages nobody received."""
        end = connection.end
        assert end is not None  # noqa: S101 - for the type checker; the caller has looked
        if self._old and connection is self._old[0]:
            self._old.popleft()
        if connection is not self.connection or self._task is not None or self.over is not None:
            return
        if self.last or not heals(end):
            self.over = end
            return
        if unread:
            self._old.append(connection)
        goodbye = asyncio.create_task(connection.close())
        self._goodbyes.add(goodbye)
        goodbye.add_done_callback(self._goodbyes.discard)
        self._state.broke(_now(), random.random())  # noqa: S311  not for secrets
        self._task = asyncio.create_task(self._reopen(), name=f"anyplug-reconnect {connection.peer}")

    async def _reopen(self) -> None:
        state = self._state
        try:
            while True:
                await asyncio.sleep(max(0.0, state.retry_at - _now()))
                try:
                    connection = await self._opener()
                except AnyplugError as error:
                    if not state.failed(error, _now(), random.random()):  # noqa: S311  not for secrets
                        self.over = error
                        return
                else:
                    self.connection = connection
                    self.reconnections += 1
                    state.opened(_incarnation(connection), _now())
                    return
        finally:
            self._task = None

    async def finish(self) -> None:
        """Open nothing any more."""
        self.last = True
        if self.over is None:
            self.over = ConnectionClosed(Code.OK, "it was closed on this side")
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await asyncio.gather(*self._goodbyes)


class Reopened(Generic[T]):
    """A conversation that is about to be opened, and opened again: ``async with`` it, or ``await`` it.

    Args:
        opener: opens one connection.
        backoff: when to try again.
    """

    __slots__ = ("_backoff", "_conversation", "_opener")

    def __init__(self, opener: Callable[[], Awaitable[Connection[T]]], backoff: Backoff) -> None:
        """Made by `anyplug.connect`."""
        self._opener = opener
        self._backoff = backoff
        self._conversation: Reconnecting[T] | None = None

    def __await__(self) -> Generator[Any, None, Reconnecting[T]]:
        """The open conversation; close it when it is done. The first connection is tried once."""
        return self._open().__await__()

    async def __aenter__(self) -> Reconnecting[T]:
        """The open conversation; it is closed at the end of the block."""
        self._conversation = await self._open()
        return self._conversation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        assert self._conversation is not None  # noqa: S101 - for the type checker: what is left was entered
        await self._conversation.close()

    async def _open(self) -> Reconnecting[T]:
        return Reconnecting(_Line(await self._opener(), self._opener, self._backoff))


def _incarnation(connection: Connection[Any]) -> str:
    return connection.welcome.incarnation if connection.welcome is not None else ""


def _now() -> float:
    return asyncio.get_running_loop().time()
