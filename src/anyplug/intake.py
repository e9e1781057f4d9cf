"""What a conversation hears: the sink behind a `Connection`.

Messages wait in `Incoming` until they are taken; past `limits.queue` bytes the link stops reading, and TCP holds the
peer back. Answers go straight to who asked. The end of the conversation is one error, kept, and raised to everybody
who waits or comes later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, LocalError, Refused, Timeout
from anyplug.messages import Data, Ended, Failed, Fault, Refusal, Replies, Requests, Welcome
from anyplug.wire import Asks, Incoming, PlugSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.codec import Codec
    from anyplug.messages import Event
    from anyplug.transport.link import Link

__all__ = ["Intake", "expire"]

T = TypeVar("T")


class Intake(Generic[T]):
    """Messages, answers and the end of one conversation, for the tasks that wait for them."""

    __slots__ = ("_asks", "_gone", "_receiver", "end", "incoming", "late", "link", "opening", "welcome")

    link: Link
    """The link whose sink this is."""

    def __init__(self, codec: Codec[T]) -> None:
        self.incoming: Incoming[T] = Incoming(codec)
        self.end: AnyplugError | None = None
        """Why nothing more comes, once it is so."""
        self.welcome: Welcome | None = None
        """What the server said of itself, on a plug connection of a client."""
        self.opening: asyncio.Future[Welcome] | None = None
        """Waits for the server's answer to HELLO."""
        self.late = 0
        """Answers that nobody waited for any more."""
        self._asks: Asks[asyncio.Future[bytes]] | None = None
        self._receiver: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    # For the tasks that wait.

    async def refill(self, timeout: float | None) -> None:
        """Have at least one decoded message ready; raises what stands in its place, or the end."""
        while not self.incoming.refill():
            await self._arrival(timeout)
        self.taken()

    async def arrival(self, timeout: float | None) -> None:
        """Wait until there is something to take, or raise the end."""
        while not self.incoming:
            await self._arrival(timeout)

    def taken(self) -> None:
        """Messages were taken: read on where there is room again."""
        if self.incoming.size <= self.link.limits.queue // 2:
            self.link.resume_reading()

    def open_ask(self, body: bytes) -> asyncio.Future[bytes]:
        """Say a question; returns the future of its answer's body."""
        session = self.link.session
        if not session.sending or self.end is not None:
            raise self.why_closed()
        asks = self._asks
        if asks is None:
            asks = self._asks = Asks()
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        number = asks.open(future)
        try:
            if self._numbered:
                cast("PlugSession", session).send_request(number, body)
            else:
                session.send_data(body)
        except BaseException:
            asks.forget(number)
            raise
        return future

    async def gone(self) -> None:
        """Wait until the stream is gone."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)

    def why_closed(self) -> AnyplugError:
        """What to raise to somebody who wants to say something now."""
        return self.end or ConnectionClosed(Code.OK, "this side has ended the conversation")

    async def _arrival(self, timeout: float | None) -> None:
        if self.end is not None:
            raise self.end
        if self._receiver is not None:
            raise LocalError(
                "another task is already receiving on this connection; let one task receive and hand messages on"
            )
        loop = asyncio.get_running_loop()
        self._receiver = loop.create_future()
        timer = (
            loop.call_later(timeout, expire, [self._receiver], "a message", timeout) if timeout is not None else None
        )
        try:
            await self._receiver
        finally:
            self._receiver = None
            if timer is not None:
                timer.cancel()

    # For the link.

    def attach(self, link: Link) -> Intake[T]:
        """Be the sink of this link."""
        self.link = link
        return self

    def handle(self, event: Event) -> None:
        """One event of the session."""
        _HANDLERS[type(event)](self, event)

    def writable(self) -> None:
        """The peer takes bytes again; the link wakes who waits for room."""

    def lost(self) -> None:
        """The stream is gone."""
        self._set_end(Broken("the stream was closed on this side"))
        if self._gone is None:
            self._gone = self.link.loop.create_future()
        if not self._gone.done():
            self._gone.set_result(None)

    def drain(self, code: Code, text: str) -> None:
        """This side stops: who holds the conversation ends it, or is cut in the end."""

    @property
    def _numbered(self) -> bool:
        return self.welcome is not None and self.welcome.asks

    def _on_data(self, event: Data) -> None:
        bodies = event.bodies
        if self._asks and not self._numbered:
            pairs, bodies = self._asks.answer_oldest(bodies)
            for future, body in pairs:
                self._settle(future, body)
            if not bodies:
                return
        incoming = self.incoming
        incoming.push(bodies)
        if incoming.size > self.link.limits.queue:
            self.link.pause_reading()
        self._wake()

    def _on_replies(self, event: Replies) -> None:
        for number, body in event.items:
            future = self._asks.answer(number) if self._asks is not None else None
            if future is not None:
                self._settle(future, body)
            else:
                self.late += 1

    def _settle(self, future: asyncio.Future[bytes], body: bytes) -> None:
        if future.done():
            self.late += 1
        else:
            future.set_result(body)

    def _on_failed(self, event: Failed) -> None:
        error = Refused(event.refusal.reason, event.refusal.text)
        if not event.id:
            self.incoming.push_error(error)
            self._wake()
            return
        future = self._asks.answer(event.id) if self._asks is not None else None
        if future is not None and not future.done():
            future.set_exception(error)

    def _on_requests(self, event: Requests) -> None:
        session = cast("PlugSession", self.link.session)
        for number, _ in event.items:
            session.send_error(number, Code.UNSUPPORTED, "this service holds a conversation: send and receive messages")

    def _on_welcome(self, event: Welcome) -> None:
        self.welcome = event
        if self.opening is not None and not self.opening.done():
            self.opening.set_result(event)

    def _on_refusal(self, event: Refusal) -> None:
        self._set_end(Refused(event.reason, event.text))

    def _on_ended(self, event: Ended) -> None:
        self._set_end(ConnectionClosed(event.refusal.reason, event.refusal.text))

    def _on_fault(self, event: Fault) -> None:
        self._set_end(event.error)

    def _set_end(self, error: AnyplugError) -> None:
        if self.end is None:
            self.end = error
        waiting = self._asks.end() if self._asks is not None else []
        for future in [*waiting, self.opening]:
            if future is not None and not future.done():
                future.set_exception(self.end)
        self._wake()

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)


def expire(futures: list[asyncio.Future[T]], what: str, seconds: float) -> None:
    """Fail those futures that still wait with a `Timeout`."""
    for future in futures:
        if not future.done():
            future.set_exception(Timeout(what, seconds))


_HANDLERS: dict[type, Callable[[Intake[Any], Any], None]] = {
    Data: Intake._on_data,
    Replies: Intake._on_replies,
    Requests: Intake._on_requests,
    Failed: Intake._on_failed,
    Welcome: Intake._on_welcome,
    Refusal: Intake._on_refusal,
    Ended: Intake._on_ended,
    Fault: Intake._on_fault,
}
