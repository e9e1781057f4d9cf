"""What a conversation hears: the sink behind a `Connection`.

Messages wait in `Incoming` until they are taken; past `limits.queue` bytes the link stops reading, and TCP holds the
peer back. Answers go straight to who asked. The end of the conversation is one error, kept, and raised to everybody
who waits or comes later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, LocalError, Timeout
from anyplug.messages import Content, Data, Posts, Requests, Welcome
from anyplug.wire.inbound import Inbound

if TYPE_CHECKING:
    from anyplug.codec import Codec
    from anyplug.messages import Event
    from anyplug.transport.link import Link
    from anyplug.wire import OpenPosts, PlugSession
    from anyplug.wire.inbound import Outcome

__all__ = ["Intake", "expire", "refuse_stray", "room", "settle"]

T = TypeVar("T")


class Intake(Generic[T]):
    """Messages, answers and the end of one conversation, for the tasks that wait for them."""

    __slots__ = ("_gone", "_inbound", "_receiver", "incoming", "link", "opening", "posts", "welcome")

    link: Link
    """The link whose sink this is."""

    def __init__(self, codec: Codec[T], *, first: int = 1) -> None:
        self._inbound: Inbound[T, asyncio.Future[Any]] = Inbound(codec, numbered=False, first=first)
        self.incoming = self._inbound.incoming
        """Messages that wait to be taken."""
        self.posts: OpenPosts[asyncio.Future[Any]] = self._inbound.posts
        """Posts that wait to be acknowledged."""
        self.welcome: Welcome | None = None
        """What the server said of itself, on a plug connection of a client."""
        self.opening: asyncio.Future[Welcome] | None = None
        """Waits for the server's answer to HELLO."""
        self._receiver: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    @property
    def end(self) -> AnyplugError | None:
        """Why nothing more comes, once it is so."""
        return self._inbound.end

    @property
    def late(self) -> int:
        """Answers that came after their question was given up."""
        return self._inbound.asks.late

    # For the tasks that wait.

    async def refill(self, timeout: float | None) -> None:
        """Have at least one decoded message ready; raises what stands in its place, or the end."""
        while not self.incoming.ready:
            if self.incoming.refill():
                self.taken()
                return
            await self._arrival(timeout)

    async def arrival(self, timeout: float | None) -> None:
        """Wait until there is something to take, or raise the end."""
        while not self.incoming:
            await self._arrival(timeout)

    def taken(self) -> None:
        """Messages were taken: read on where there is room again."""
        if self.incoming.size <= self.link.limits.queue // 2:
            self.link.resume_reading()

    def open_ask(self, body: bytes) -> tuple[int, asyncio.Future[bytes]]:
        """Say a question; returns its number and the future of its answer's body."""
        session = self.link.session
        if not session.sending or self.end is not None:
            raise self.why_closed()
        asks = self._inbound.asks
        future: asyncio.Future[bytes] = self.link.loop.create_future()
        number = asks.open(future)
        try:
            if self._inbound.numbered:
                cast("PlugSession", session).send_request(number, body)
            else:
                session.send_data(body)
        except BaseException:
            asks.forget(number)
            raise
        return number, future

    def give_up(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._inbound.asks.give_up(number)

    def close(self) -> None:
        """This side has ended the conversation."""
        self._finish(ConnectionClosed(Code.OK, "it was closed on this side"))

    async def gone(self) -> None:
        """Wait until the stream is gone."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)

    def why_closed(self) -> AnyplugError:
        """What to raise to somebody who wants to say something now."""
        return self.end or ConnectionClosed(Code.OK, "this side has ended the conversation")

    def waiter(self) -> asyncio.Future[None]:
        """What the task that receives awaits until something has come; raises the end."""
        end = self._inbound.end
        if end is not None:
            raise end
        receiver = self._receiver
        if receiver is not None and not receiver.done():
            raise LocalError(
                "another task is already receiving on this connection; let one task receive and hand messages on"
            )
        self._receiver = receiver = self.link.loop.create_future()
        return receiver

    async def _arrival(self, timeout: float | None) -> None:
        receiver = self.waiter()
        timer = (
            None if timeout is None else self.link.loop.call_later(timeout, expire, [receiver], "a message", timeout)
        )
        try:
            await receiver
        finally:
            if timer is not None:
                timer.cancel()

    # For the link.

    def attach(self, link: Link) -> Intake[T]:
        """Be the sink of this link."""
        self.link = link
        return self

    def messages(self, bodies: list[bytes]) -> None:
        """Messages came."""
        inbound = self._inbound
        asked = inbound.asks.waiting
        if len(bodies) == 1:
            self.link.prompt = True
            receiver = self._receiver
            if receiver is not None and not receiver.done() and not asked and self.incoming.push_ready(bodies[0]):
                receiver.set_result(None)
                return
        else:
            self.link.prompt = False
        if asked:
            self._sort(Data(bodies))
        else:
            inbound.incoming.push(bodies)
        self._arrived()

    def handle(self, event: Event) -> None:
        """Anything else that happened."""
        if isinstance(event, Welcome):
            self._open(event)
        elif isinstance(event, Requests):
            self._refuse(event)
        elif isinstance(event, (Posts, Content)) and self.welcome is None:
            refuse_stray(self.link, event)
        else:
            self._sort(event)
            self._arrived()

    def _arrived(self) -> None:
        if self.incoming.size > self.link.limits.queue:
            self.link.pause_reading()
        self._wake()

    def _sort(self, event: Event) -> None:
        for future, outcome in self._inbound.take((event,)):
            settle(future, outcome)

    def writable(self) -> None:
        """The peer takes bytes again; the link wakes who waits for room."""

    def lost(self) -> None:
        """The stream is gone."""
        self._finish(Broken("the stream was closed on this side"))
        if self._gone is None:
            self._gone = self.link.loop.create_future()
        if not self._gone.done():
            self._gone.set_result(None)

    def drain(self, code: Code, text: str) -> None:
        """This side stops: who holds the conversation ends it, or is cut in the end."""

    def _open(self, welcome: Welcome) -> None:
        self.welcome = welcome
        self._inbound.numbered = welcome.asks
        if self.opening is not None and not self.opening.done():
            self.opening.set_result(welcome)

    def _refuse(self, event: Requests) -> None:
        session = cast("PlugSession", self.link.session)
        for number, _ in event.items:
            session.send_error(number, Code.UNSUPPORTED, "this service holds a conversation: send and receive messages")
        if session.queued > self.link.limits.queue:
            self.link.finish(Code.SLOW, "requests that nobody answers here, and their refusals are not taken")

    def _finish(self, error: AnyplugError) -> None:
        for future, outcome in self._inbound.finish(error):
            settle(future, outcome)
        self._wake()

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        if self.end is not None and self.opening is not None and not self.opening.done():
            self.opening.set_exception(self.end)


def settle(future: asyncio.Future[Any], outcome: Outcome) -> None:
    """Give an answer to who asked, unless it waits no more."""
    if future.done():
        return
    if isinstance(outcome, AnyplugError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def refuse_stray(link: Link, event: Posts | Content) -> None:
    """Tell a client that nothing is kept here."""
    session = cast("PlugSession", link.session)
    if session.sending and isinstance(event, Posts):
        text = "this service keeps no messages: use send or ask"
        session.send_nack(event.items[0][0], Code.UNSUPPORTED, text)
    elif session.sending:
        session.send_error(0, Code.UNSUPPORTED, "this service takes no files")
    if session.queued > link.limits.queue:
        link.finish(Code.SLOW, "what nobody keeps here is said again and again, and its refusals are not taken")


async def room(link: Link, over: float, what: str, seconds: float) -> None:
    """Wait until the peer takes bytes again.

    Args:
        link: whose peer.
        over: until when, in the time of the loop.
        what: what is waited for in all, for the error.
        seconds: how long in all.

    Raises:
        Timeout: it takes none until then.
    """
    try:
        async with asyncio.timeout_at(over):
            await link.room()
    except TimeoutError:
        raise Timeout(what, seconds) from None


def expire(futures: list[asyncio.Future[T]], what: str, seconds: float) -> None:
    """Fail those futures that still wait with a `Timeout`."""
    for future in futures:
        if not future.done():
            future.set_exception(Timeout(what, seconds))
