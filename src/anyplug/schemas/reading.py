"""Reading an inbox, without waiting for anything: which question comes next, and what the answers mean together.

Both faces drive the same generators: each gives a question, is sent its answer, and returns the result in the end.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import LocalError, ProtocolError
from anyplug.plan import PLUG_CODEC
from anyplug.schemas.inbox import (
    Acknowledge,
    Acknowledged,
    Answer,
    Facts,
    Found,
    Info,
    List,
    Read,
    Request,
    Topic,
    Topics,
)
from anyplug.schemas.speech import Speech

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from typing import TypeAlias, TypeVar

    from anyplug.address import Address
    from anyplug.limits import Limits

    T = TypeVar("T")
    Course: TypeAlias = Generator[Request, Answer, T]

__all__ = [
    "MANY",
    "POLL",
    "Following",
    "acknowledged",
    "all_topics",
    "facts",
    "gathered",
    "nanoseconds",
    "speech_of",
    "starting",
]

MANY: Final = 1_000
"""Messages that a read gives, where nothing else is said."""

POLL: Final = 30.0
"""How long one question of a follower waits for a message, seconds. Below what a middlebox takes for an idle stream."""


def nanoseconds(time: datetime | float) -> int:
    """Nanoseconds since 1970 UTC, of a time that knows its zone or of seconds.

    Raises:
        LocalError: a time without a zone: nobody else knows which is meant.
    """
    if isinstance(time, (int, float)):
        return round(time * 1e9)
    if time.tzinfo is None:
        raise LocalError(f"the time {time} has no zone; give it one, such as tzinfo=datetime.UTC")
    return round(time.timestamp() * 1_000_000) * 1000


def speech_of(address: Address, codec: str | None, *, limits: Limits) -> Speech[Answer]:
    """How to speak with the inbox at an address.

    Raises:
        LocalError: nobody can ask anything there, or there is no such codec.
    """
    if not address.is_plug:
        raise LocalError(f"{address} is a plain connection, which only takes messages; use plug:// to post and read")
    return _speech(codec or address.options.get("codec") or PLUG_CODEC, limits)


@lru_cache(16)
def _speech(codec: str, limits: Limits) -> Speech[Answer]:
    """One object for all connections alike, as it takes a while to make."""
    return Speech(codec, Answer, limits=limits)


def starting(
    *, start: int | None = None, last: int | None = None, since: datetime | float | None = None, reader: str = ""
) -> Read:
    """The first question of somebody who reads from there.

    Raises:
        LocalError: more than one place is named, or one that cannot be.
    """
    if sum(each is not None for each in (start, last, since)) > 1:
        raise LocalError("name one place to read from: start, last, or since")
    if start is not None and start < 1:
        raise LocalError(f"start is {start}, and positions start at 1")
    if last is not None and last < 0:
        raise LocalError(f"last is {last}, expected a number of messages")
    return Read(start=start, last=last, since=None if since is None else nanoseconds(since), reader=reader)


def gathered(first: Read, limit: int) -> Course[Found]:
    """Read until there are as many messages as wanted, or no more.

    Args:
        first: from where.
        limit: messages, at most.

    Raises:
        LocalError: the limit is below 1.
    """
    if limit < 1:
        raise LocalError(f"limit is {limit}, expected a number of messages")
    found = _expect(Found, (yield msgspec.structs.replace(first, limit=limit)))
    messages, missed, end = list(found.messages), found.missed, found.last
    while found.messages and len(messages) < limit and found.next <= end:
        found = _expect(Found, (yield Read(start=found.next, limit=limit - len(messages), reader=first.reader)))
        messages += found.messages
        missed += found.missed
    return msgspec.structs.replace(found, messages=messages, missed=missed)


def acknowledged(reader: str, position: int) -> Course[int]:
    """Acknowledge; returns how far the reader is then."""
    if position < 1:
        raise LocalError(f"position is {position}, and positions start at 1")
    return _expect(Acknowledged, (yield Acknowledge(reader=reader, position=position))).position


def all_topics() -> Course[list[Topic]]:
    """All topics, in the order of their names."""
    topics: list[Topic] = []
    more = True
    while more:
        answer = _expect(Topics, (yield List(after=topics[-1].name if topics else "")))
        topics += answer.topics
        more = answer.more and bool(answer.topics)
    return topics


def facts() -> Course[Facts]:
    """What there is to know of the topic."""
    return _expect(Facts, (yield Info()))


class Following:
    """Where a follower is.

    Args:
        first: from where.
    """

    __slots__ = ("_next", "_question", "end", "handed", "missed")

    def __init__(self, first: Read) -> None:
        self._question = first
        self._next = first
        self.handed = 0
        """The last position that was handed out; 0 before the first."""
        self.end = 0
        """The last position of the topic, as the last answer said."""
        self.missed = 0
        """How many messages were gone by retention before they could be read."""

    @property
    def reader(self) -> str:
        """Whose place the server keeps; empty where it does not."""
        return self._question.reader

    def more(self, *, wait: float = POLL, limit: int = MANY) -> Course[Found]:
        """Ask for what comes next; an answer without messages means that none came in time."""
        found = _expect(Found, (yield msgspec.structs.replace(self._next, wait=wait, limit=limit)))
        self._next = Read(start=found.next, reader=self.reader)
        self.missed += found.missed
        self.end = found.last
        if found.messages:
            self.handed = found.messages[-1].position
        return found

    def done(self, position: int | None) -> int:
        """The position to acknowledge: this one, or the last that was handed out.

        Raises:
            LocalError: the reader has no name, or nothing was handed out.
        """
        if not self.reader:
            raise LocalError("this reader has no name to keep its place under; give reader= to follow")
        if position is None and not self.handed:
            raise LocalError("nothing was read yet that could be acknowledged")
        return self.handed if position is None else position


def _expect(kind: type[T], answer: Answer) -> T:
    if not isinstance(answer, kind):
        raise ProtocolError(f"the server answers with {type(answer).__name__} where {kind.__name__} was expected")
    return answer
