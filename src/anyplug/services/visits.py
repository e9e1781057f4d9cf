"""A visit: one connection, seen by a service that keeps something.

Bodies are bytes as they came; the visit knows the codec they are in. What a peer says and posts reaches the visit in
order and one batch at a time; requests are answered beside that, several at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.errors import Code, Refused
from anyplug.messages import Acked, Content, Nacked, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyplug.codec import Codec

__all__ = ["AT_ONCE", "Guest", "Visit"]

AT_ONCE = 16
"""Requests of one connection that a visit answers at once, where it says nothing else. Each may hold an answer of
`anyplug.store.READ_BYTES` until the peer takes it; more wait their turn."""


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """Who visits."""

    peer: str
    """The peer's address."""
    local: str
    """The address it came to."""
    rest: str
    """What followed the service in the address: a topic, a key."""
    codec: Codec[Any]
    """The codec of the conversation."""
    plug: bool
    """The peer speaks plug, so that it can ask, post, and be told why not."""
    producer: bytes
    """Who posts, as the peer has said; empty where it has not."""
    name: str
    """What the peer calls itself; nothing vouches for it."""
    message: int
    """The largest message that both sides take, bytes."""
    limit: int
    """The largest message that the server takes, bytes."""
    say: Callable[[list[bytes]], None]
    """Says messages to the peer, in the codec of the conversation."""
    send: Callable[[int, int, bytes, bytes | memoryview], Awaitable[None]]
    """Sends a chunk of a file when there is room: the number of the transfer, the index of the chunk, its digest, its
    bytes; on plug connections alone."""
    end: Callable[[Code, str], None]
    """Ends the conversation in order: what came before is kept first, and what waits behind is refused."""


class Visit(ABC):
    """What a service does with one connection. Errors of Anyplug reach the peer with their code and sentence; any
    other is logged here, and the peer is told ``failed``.
    """

    at_once: int = AT_ONCE
    """Requests that are answered at once."""

    concludes: bool = False
    """Whether `conclude` is to be called."""

    @abstractmethod
    async def say(self, bodies: list[bytes]) -> None:
        """Messages came, which want no answer."""

    async def answer(self, body: bytes) -> bytes:
        """A request came: its answer."""
        raise Refused(Code.UNSUPPORTED, "this service answers no requests")

    def answer_now(self, body: bytes) -> bytes | None:
        """A request came: its answer, where that needs no waiting; None where `answer` is to be asked."""
        return None

    async def post(self, items: list[tuple[int, bytes]]) -> list[Acked | Nacked]:
        """Posts came, with neighbouring sequences: what became of them, in order.

        A `Nacked` is the last of them: what is behind it was not taken. What is raised refuses all of them.
        """
        refusal = Refusal(Code.UNSUPPORTED, "this service keeps no messages: use send or ask")
        return [Nacked(items[0][0], refusal)]

    def post_soon(
        self, items: list[tuple[int, bytes]], done: Callable[[list[Acked | Nacked] | Exception], None]
    ) -> bool:
        """`post` for a visit that needs no task for it: ``done`` is called in the event loop, now or later, with what
        `post` would return or raise. False where `post` is to be asked.
        """
        return False

    def closing(self) -> None:  # noqa: B027 - a visit that never waits long needs no hint
        """The peer says no more: what waits for something to happen should be answered now."""

    async def content(self, content: Content) -> None:
        """A chunk of a file came. Several may be under way at once; a request that came behind them waits for all."""
        raise Refused(Code.UNSUPPORTED, "this service takes no files")

    async def conclude(self, *, whole: bool) -> None:  # noqa: B027 - for visits that say so
        """Nothing more comes, and all that came is dealt with; the conversation ends when this returns.

        Args:
            whole: the peer has ended in order. Where not, it broke off, or this side stops.
        """

    def ended(self) -> None:  # noqa: B027 - a visit that holds nothing has nothing to give back
        """The peer has ended, or the conversation is over. Called once."""
