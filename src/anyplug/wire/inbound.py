"""What one end of a conversation hears, sorted: messages to the queue, answers to their askers, the end to everybody.

Both shells put the events of their session in here, and wake whoever `Inbound.take` names. ``W`` is what a shell
waits with: a future, an event, a lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from anyplug.errors import AnyplugError, ConnectionClosed, ProtocolError, Refused
from anyplug.messages import Acked, Data, Ended, Event, Failed, Fault, Nacked, Refusal, Replies
from anyplug.wire.asks import Asks
from anyplug.wire.incoming import Incoming
from anyplug.wire.posts import OpenPosts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.codec import Codec

__all__ = ["Inbound", "Outcome"]

T = TypeVar("T")
W = TypeVar("W")

Outcome: TypeAlias = bytes | list[int] | AnyplugError
"""What became of a question or a run of posts: the answer's body, the positions, or why there are none."""


class Inbound(Generic[T, W]):
    """The hearing side of one conversation.

    Args:
        codec: how bodies become objects.
        numbered: whether answers carry the id of their question. Where not, the answer is the next message.
        first: the sequence of the first post.
    """

    __slots__ = ("asks", "end", "incoming", "numbered", "posts")

    def __init__(self, codec: Codec[T], *, numbered: bool, first: int = 1) -> None:
        self.numbered = numbered
        self.posts: OpenPosts[W] = OpenPosts(first)
        """Posts that wait to be acknowledged."""
        self.incoming: Incoming[T] = Incoming(codec)
        """Messages that wait to be taken."""
        self.asks: Asks[W] = Asks()
        """Questions that wait for their answer."""
        self.end: AnyplugError | None = None
        """Why nothing more comes, once that is so: `ConnectionClosed` after an orderly end, else what went wrong."""

    def take(self, events: Iterable[Event]) -> list[tuple[W, Outcome]]:
        """Sort these events; returns whose question was decided, and how."""
        decided: list[tuple[W, Outcome]] = []
        for event in events:
            if isinstance(event, Data):
                self._take_data(event.bodies, decided)
            elif isinstance(event, Replies):
                self._take_replies(event.items, decided)
            elif isinstance(event, Failed):
                self._take_failed(event, decided)
            elif isinstance(event, (Acked, Nacked)):
                decided += self._take_verdict(event)
            elif isinstance(event, Ended):
                decided += self.finish(ConnectionClosed(event.refusal.reason, event.refusal.text))
            elif isinstance(event, Refusal):
                decided += self.finish(Refused(event.reason, event.text))
            elif isinstance(event, Fault):
                decided += self.finish(event.error)
        return decided

    def finish(self, error: AnyplugError) -> list[tuple[W, Outcome]]:
        """Nothing more comes; the first reason stays. Returns who still waited for an answer."""
        if self.end is None:
            self.end = error
        reason = self.end
        return [(waiter, reason) for waiter in (*self.asks.end(), *self.posts.end())]

    def _take_verdict(self, event: Acked | Nacked) -> list[tuple[W, Outcome]]:
        """What became of posts. A peer that speaks of posts that were never said is believed nothing more."""
        decided: list[tuple[W, Outcome]] = []
        try:
            decided += self.posts.acked(event) if isinstance(event, Acked) else self.posts.nacked(event)
        except ProtocolError as error:
            decided += self.finish(error)
        return decided

    def _take_data(self, bodies: list[bytes], decided: list[tuple[W, Outcome]]) -> None:
        if self.asks and not self.numbered:
            pairs, bodies = self.asks.answer_oldest(bodies)
            decided += pairs
        if bodies:
            self.incoming.push(bodies)

    def _take_replies(self, items: list[tuple[int, bytes]], decided: list[tuple[W, Outcome]]) -> None:
        answer = self.asks.answer
        for number, body in items:
            waiter = answer(number)
            if waiter is not None:
                decided.append((waiter, body))

    def _take_failed(self, event: Failed, decided: list[tuple[W, Outcome]]) -> None:
        """The refusal of a question goes to its asker; that of a mere message stands in the queue, where the next
        receive finds it.
        """
        error = Refused(event.refusal.reason, event.refusal.text)
        waiter = None
        if event.id:
            waiter = self.asks.answer(event.id)
        elif self.asks and not self.numbered:
            pairs, _ = self.asks.answer_oldest([b""])
            waiter = pairs[0][0] if pairs else None
        else:
            self.incoming.push_error(error)
        if waiter is not None:
            decided.append((waiter, error))
