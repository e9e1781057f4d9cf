"""The async face of an inbox: post, read, follow.

::

    async with anyplug.Inbox("plug://127.0.0.1/inbox/log") as inbox:
        await inbox.post("kept, once this returns")
        async for message in inbox.follow():
            print(message.position, message.value)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anyplug.address import Address
from anyplug.client import CONNECT_TIMEOUT, connect
from anyplug.connection import ASK_TIMEOUT, POST_TIMEOUT
from anyplug.errors import LocalError
from anyplug.limits import DEFAULTS
from anyplug.schemas.inbox import Facts, Found, Message, Read, Topic
from anyplug.schemas.reading import (
    MANY,
    POLL,
    Following,
    acknowledged,
    all_topics,
    facts,
    gathered,
    speech_of,
    starting,
)
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self, TypeVar

    from anyplug.connection import Connection
    from anyplug.limits import Limits
    from anyplug.messages import Kept, Producer
    from anyplug.schemas.reading import Course
    from anyplug.transport.options import SocketOptions

    T = TypeVar("T")

__all__ = ["Follow", "Inbox"]

CLOSED: Final = "the inbox is not open: use `async with Inbox(...) as inbox`, or `await` it"


class Inbox:
    """One topic of an inbox. Use it as ``async with Inbox(address) as inbox``, or ``inbox = await Inbox(address)`` and
    close it yourself.

    Args:
        address: the service and the topic: ``plug://127.0.0.1/inbox/log``.
        codec: of what is posted; msgpack where nothing is said.
        name: what this client calls itself, for those who read what it posts.
        timeout: seconds for everything until the inbox is open.
        limits: the bounds of this side.
        token: what entitles this client.
        producer: who posts, for a program that posts again what another connection could not acknowledge.
        options: of the socket.

    Raises:
        LocalError, AddressError: the arguments do not fit together.
    """

    __slots__ = ("_connecting", "_peer", "_speech")

    def __init__(
        self,
        address: str | Address,
        *,
        codec: str | None = None,
        name: str = "",
        timeout: float = CONNECT_TIMEOUT,
        limits: Limits = DEFAULTS,
        token: str = "",
        producer: Producer | None = None,
        options: SocketOptions = DEFAULT_OPTIONS,
    ) -> None:
        where = address if isinstance(address, Address) else Address.parse(address)
        self._speech = speech_of(where, codec, limits=limits)
        self._connecting = connect(
            where,
            type=self._speech.type,
            codec=self._speech.codec,
            timeout=timeout,
            limits=limits,
            token=token,
            producer=producer,
            name=name,
            options=options,
        )
        self._peer: Connection[Any] | None = None

    def __await__(self) -> Generator[Any, None, Self]:
        """The open inbox; close it when it is done. Raises as `anyplug.connect`."""
        return self._open().__await__()

    async def _open(self) -> Self:
        self._peer = await self._connecting
        return self

    async def __aenter__(self) -> Self:
        """The open inbox; it is closed at the end of the block. Raises as `anyplug.connect`."""
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        await self.close()

    async def close(self) -> None:
        """End the conversation in order; never raises."""
        if self._peer is not None:
            await self._peer.close()

    @property
    def connection(self) -> Connection[Any]:
        """The connection to the inbox.

        Raises:
            LocalError: it was not opened yet.
        """
        if self._peer is None:
            raise LocalError(CLOSED)
        return self._peer

    @property
    def kept(self) -> Kept | None:
        """How the last acknowledged post is kept; None before the first."""
        return self.connection.kept

    # Writing.

    async def post(self, message: Any, timeout: float = POST_TIMEOUT) -> int:
        """Keep a message; returns its position once it is on the server's disk. As `Connection.post`."""
        return await self.connection.post(message, timeout)

    async def post_many(self, messages: Sequence[Any], timeout: float = POST_TIMEOUT) -> list[int]:
        """Keep several messages; returns their positions. As `Connection.post_many`."""
        return await self.connection.post_many(messages, timeout)

    # Reading.

    async def read(
        self, start: int | None = None, *, limit: int = MANY, reader: str = "", timeout: float = ASK_TIMEOUT
    ) -> Found:
        """Messages from a position on, in order.

        Args:
            start: the position; by default the first, or with a ``reader`` what comes behind what it has acknowledged.
            limit: so many at most; fewer only where there are no more.
            reader: whose place is kept on the server.
            timeout: seconds to wait for each answer.

        Returns:
            The messages, and how many were ``missed``: gone by retention before they could be read.

        Raises:
            Refused: ``beyond_end`` for a position that does not exist yet, ``bad_message`` for names that cannot be,
                ``too_large`` for a message above the limit of this side.
            Timeout, ConnectionClosed, Broken: as `Connection.ask`.
        """
        return await self._run(gathered(starting(start=start, reader=reader), limit), timeout)

    async def last(self, count: int, *, timeout: float = ASK_TIMEOUT) -> Found:
        """The newest messages, oldest of them first; raises as `read`."""
        return await self._run(gathered(starting(last=count), max(1, count)), timeout)

    async def since(self, time: datetime | float, *, limit: int = MANY, timeout: float = ASK_TIMEOUT) -> Found:
        """Messages received at a time or later; the time knows its zone, or is seconds since 1970. Raises as `read`."""
        return await self._run(gathered(starting(since=time), limit), timeout)

    def follow(
        self,
        *,
        start: int | None = None,
        last: int | None = None,
        since: datetime | float | None = None,
        reader: str = "",
    ) -> Follow:
        """Messages from there on, and then each new one as it comes: ``async for message in inbox.follow()``.

        Args:
            start: a position, or
            last: so many of the newest, 0 for none but those to come, or
            since: a time, as for `since`. By default the first, or what a ``reader`` has not acknowledged.
            reader: whose place is kept on the server; see `Follow.acknowledge`.
        """
        return Follow(self, Following(starting(start=start, last=last, since=since, reader=reader)))

    async def acknowledge(self, reader: str, position: int, *, timeout: float = ASK_TIMEOUT) -> int:
        """A named reader is done with all up to a position; returns how far it is, which never moves back."""
        return await self._run(acknowledged(reader, position), timeout)

    async def topics(self, *, timeout: float = ASK_TIMEOUT) -> list[Topic]:
        """All topics of this inbox, in the order of their names."""
        return await self._run(all_topics(), timeout)

    async def info(self, *, timeout: float = ASK_TIMEOUT) -> Facts:
        """What there is to know of the topic: its positions, its retention, the largest message."""
        return await self._run(facts(), timeout)

    async def _run(self, course: Course[T], timeout: float) -> T:
        """Ask what the course wants to know, until it has its result."""
        peer, speech = self.connection, self._speech
        try:
            request = next(course)
            while True:
                wait = request.wait if isinstance(request, Read) else 0.0
                answer = await peer.ask(speech.said(request), timeout + wait)
                request = course.send(speech.heard(answer))
        except StopIteration as end:
            result: T = end.value
            return result

    def __repr__(self) -> str:
        """For logs."""
        return f"<anyplug.Inbox {self._peer!r}>" if self._peer is not None else "<anyplug.Inbox, not open>"


class Follow:
    """The messages of a topic as they come, without an end. Ends by an error: that of the connection."""

    __slots__ = ("_following", "_inbox", "_ready")

    def __init__(self, inbox: Inbox, following: Following) -> None:
        """Made by `Inbox.follow`."""
        self._inbox = inbox
        self._following = following
        self._ready: list[Message] = []

    def __aiter__(self) -> Follow:
        """Each message."""
        return self

    async def __anext__(self) -> Message:
        """The next message; waits for it."""
        while not self._ready:
            self._ready = (await self.batch())[::-1]
        message = self._ready.pop()
        self._following.handed = message.position
        return message

    async def batch(self, *, wait: float = POLL, limit: int = MANY) -> list[Message]:
        """All messages that are there, as far as one answer holds them; an empty list where none comes in time.

        Args:
            wait: seconds to wait for the first, at most 60.
            limit: messages, at most.
        """
        if self._ready:
            taken, self._ready = self._ready[::-1], []
            self._following.handed = taken[-1].position
            return taken
        return (await self._inbox._run(self._following.more(wait=wait, limit=limit), ASK_TIMEOUT)).messages

    @property
    def missed(self) -> int:
        """How many messages were gone by retention before they could be read, so far."""
        return self._following.missed

    @property
    def handed(self) -> int:
        """The position of the last message that was given out; 0 before the first."""
        return self._following.handed

    @property
    def end(self) -> int:
        """The last position of the topic, as the last answer of the server said."""
        return self._following.end

    async def acknowledge(self, position: int | None = None) -> int:
        """The reader is done with all up to ``position``, by default the last message that was given out.

        What is not acknowledged comes again when a reader of the same name begins anew, marked as ``redelivered``.

        Raises:
            LocalError: the follower has no reader's name, or has given nothing out yet.
        """
        following = self._following
        return await self._inbox.acknowledge(following.reader, following.done(position))
