"""The async end of a conversation: what `anyplug.connect` gives a client, and what a conversation handler gets on a
server.

It holds no protocol. Saying goes through the session of its `Link`, hearing through its `Intake`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from anyplug.errors import Broken, Code, ConnectionClosed
from anyplug.intake import Intake, expire, room
from anyplug.posting import post
from anyplug.transport.link import GATHER
from anyplug.transport.turns import crowded
from anyplug.wire import Stats
from anyplug.wire.incoming import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from anyplug.codec import Codec
    from anyplug.errors import AnyplugError
    from anyplug.messages import Kept, Welcome
    from anyplug.transport.link import Link

__all__ = ["ASK_TIMEOUT", "POST_TIMEOUT", "Connection"]

T = TypeVar("T")

ASK_TIMEOUT = 30.0
"""How long `Connection.ask` waits for its answer, seconds, where nothing else is said."""


POST_TIMEOUT = 30.0
"""How long `Connection.post` waits for its acknowledgement, seconds, where nothing else is said."""


class Connection(Generic[T]):
    """One conversation, seen from this end.

    ``async for message in peer`` gives every message and ends when the peer has ended in order; an end in the middle
    raises `Broken`. Use it from one event loop. Several tasks may `send` and `ask` at once; one task at a time
    receives.
    """

    __slots__ = ("__weakref__", "_codec", "_intake", "_link", "_ready", "local", "peer", "rest", "service")

    def __init__(
        self,
        link: Link,
        intake: Intake[T],
        codec: Codec[T],
        *,
        peer: str = "",
        local: str = "",
        service: str = "",
        rest: str = "",
    ) -> None:
        """Connections are made by `anyplug.connect` and by servers."""
        self._link = link
        self._intake = intake
        self._codec = codec
        self._ready = intake.incoming.ready
        self.peer = peer
        """The other end's address, for people and logs."""
        self.local = local
        """This end's address."""
        self.service = service
        """The service's name, where there is one."""
        self.rest = rest
        """What followed the service in the address: a room, a topic."""

    # Saying.

    async def send(self, message: T) -> None:
        """Say one message. Returns when it is in order in the outgoing queue; waits while that is full.

        Raises:
            EncodeError: the value cannot travel. Nothing was sent.
            TooLarge: it is above the limit of either side. Nothing was sent.
            ConnectionClosed: the conversation has ended.
            Broken: the stream broke.
        """
        link = self._link
        session = link.session
        if not session.sending:
            raise self._intake.why_closed()
        if link.prompt:
            link.prompt = False
            link.say_now(self._codec.encode(message))
            if link.writing_paused:
                await self._room()
            return
        session.send_data(self._codec.encode(message))
        if session.queued >= GATHER or not link.flush_scheduled:
            link.flush_soon()
            if link.writing_paused:
                await self._room()

    async def send_many(self, messages: Sequence[T]) -> None:
        """Say several messages in order; cheaper than one by one. Raises as `send`, and then none of them was sent."""
        session = self._link.session
        if not session.sending:
            raise self._intake.why_closed()
        session.send_many(list(map(self._codec.encode, messages)))
        self._link.flush_soon()
        if self._link.writing_paused:
            await self._room()

    async def send_eof(self) -> None:
        """Say that this end sends no more. What the peer still says can be received."""
        self._link.send_eof()

    async def _room(self) -> None:
        await self._link.room()
        if isinstance(self._intake.end, Broken):
            raise self._intake.end

    # Hearing.

    async def receive(self, timeout: float | None = None) -> T:
        """The next message.

        Args:
            timeout: seconds to wait, or None for as long as the peer lives. After a `Timeout` the conversation goes on.

        Raises:
            ConnectionClosed: the peer has ended in order, and everything was taken.
            Broken: it ended in the middle; what had arrived whole was given before.
            DecodeError: this one message is not valid. The next can be received.
            Refused: the service could not handle a message sent before.
            Timeout: nothing came in time.
        """
        ready = self._ready
        if not ready:
            await self._intake.refill(timeout)
        return ready.popleft()

    async def receive_many(self, timeout: float | None = None) -> list[T]:
        """All messages that have arrived, at least one; waits and raises as `receive`."""
        intake = self._intake
        await intake.arrival(timeout)
        messages = intake.incoming.take_many()
        intake.taken()
        return messages

    def __aiter__(self) -> Connection[T]:
        """All messages until the peer ends in order."""
        return self

    async def __anext__(self) -> T:
        """The next message, or the end of the loop at a clean end."""
        ready = self._ready
        if not ready:
            intake = self._intake
            try:
                while not ready:
                    if intake.incoming.refill():
                        intake.taken()
                        if len(ready) >= BATCH and crowded(self._link):
                            await asyncio.sleep(0)
                    else:
                        await intake.waiter()
            except ConnectionClosed:
                raise StopAsyncIteration from None
        return ready.popleft()

    # Asking.

    async def ask(self, message: T, timeout: float = ASK_TIMEOUT) -> T:
        """Say a message and wait for its answer. Many tasks may ask at once over one connection.

        Where the service answers requests, the answer is matched by its id and may overtake others. On plain
        connections and in conversations the answer is the next message, for the oldest question.

        Args:
            message: the question.
            timeout: seconds to wait for the answer. A late answer is dropped and counted in `stats`.

        Raises:
            Refused: the service could not handle this message; its code says why.
            Timeout: no answer in time. Whether the message was handled is unknown.
            ConnectionClosed, Broken, EncodeError, TooLarge, DecodeError: as in `send` and `receive`.
        """
        link = self._link
        over = link.loop.time() + timeout
        if link.writing_paused:
            await room(link, over, "an answer", timeout)
        number, future = self._intake.open_ask(self._codec.encode(message))
        link.flush_soon()
        timer = link.loop.call_at(over, expire, [future], "an answer", timeout)
        try:
            body = await future
        finally:
            timer.cancel()
            self._intake.give_up(number)
        return self._codec.decode(body)

    async def ask_many(self, messages: Sequence[T], timeout: float = ASK_TIMEOUT) -> list[T]:
        """Ask all at once, and wait for all answers; they come back in the order of the questions.

        Raises as `ask`, for the first question that failed. `timeout` is for all together.
        """
        numbers: list[int] = []
        futures: list[asyncio.Future[bytes]] = []
        over = self._link.loop.time() + timeout
        timer = self._link.loop.call_at(over, expire, futures, "an answer", timeout)
        try:
            for message in messages:
                number, future = self._intake.open_ask(self._codec.encode(message))
                numbers.append(number)
                futures.append(future)
                self._link.flush_soon()
                if self._link.writing_paused:
                    await room(self._link, over, "an answer", timeout)
            return self._codec.decode_many([await future for future in futures])
        finally:
            timer.cancel()
            for number in numbers:
                self._intake.give_up(number)
            for future in futures:
                if not future.cancel() and not future.cancelled():
                    future.exception()

    # Posting.

    async def post(self, message: T, timeout: float = POST_TIMEOUT) -> int:
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
        return (await post(self._intake, [self._codec.encode(message)], timeout))[0]

    async def post_many(self, messages: Sequence[T], timeout: float = POST_TIMEOUT) -> list[int]:
        """Say several messages that the server is to keep, without waiting for each; return their positions, in order.

        Raises as `post`, for the first that was not kept: those before it are kept, those behind it are not.
        """
        return await post(self._intake, list(map(self._codec.encode, messages)), timeout)

    # The end.

    async def close(self, code: Code = Code.OK, text: str = "") -> None:
        """End the conversation in order: what was said is flushed, the peer is told, and its end is awaited for a
        short time. Never raises.
        """
        self._link.finish(code, text)
        self._intake.close()
        await self._intake.gone()

    def abort(self) -> None:
        """Cut the connection at once; the peer sees a reset."""
        self._link.abort()

    async def __aenter__(self) -> Connection[T]:
        """The connection itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        await self.close()

    # Facts.

    @property
    def closed(self) -> bool:
        """Whether nothing can be said any more."""
        return not self._link.session.sending

    @property
    def end(self) -> AnyplugError | None:
        """Why nothing more comes, once that is so; what came before can still be received."""
        return self._intake.end

    @property
    def welcome(self) -> Welcome | None:
        """What the server said of itself; None on a plain connection and on a server."""
        return self._intake.welcome

    @property
    def codec(self) -> Codec[T]:
        """How messages become bytes."""
        return self._codec

    @property
    def kept(self) -> Kept | None:
        """How the server keeps posts: `Kept.SYNCED` on its disk, or the weaker way it was configured for; None before
        the first acknowledgement.
        """
        return self._intake.posts.kept

    @property
    def stats(self) -> Stats:
        """The counters so far."""
        session = self._link.session
        return Stats(
            bytes_received=session.received,
            bytes_sent=self._link.bytes_sent,
            bytes_waiting=self._intake.incoming.size,
            bytes_queued=session.queued + self._link.transport.get_write_buffer_size(),
            late_answers=self._intake.late,
        )

    def __repr__(self) -> str:
        """For logs: where to, and how it stands."""
        state = "closed" if self.closed else "open"
        service = f"/{self.service}" if self.service else ""
        traffic = f"{self._link.session.received:,} bytes in, {self._link.bytes_sent:,} out"
        return f"<anyplug.Connection {self.peer}{service}, {state}, {traffic}>"
