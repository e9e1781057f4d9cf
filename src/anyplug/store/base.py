"""What a store is: a log of messages by topic, and a shelf of values by key. No implementation shows through.

The promise of both (P1 to P4): what a write returned is on disk, once, in order. A write that raised `StoreFailed`, or
whose caller was cancelled, is unknown: it may be there or not, and sending it again under the same `Producer` sequence
stores it once. A position is given once, to one message, and never again; positions of a topic have no gap and start at
1. Times are nanoseconds since 1970 UTC and come from the caller; no order depends on them.

Every method may also raise `StoreFailed` (the store stopped after a disk error), `StoreDamaged` (what is there is not
what was written) and `StoreError` (the store is closed); writes may raise `StoreFull`. `LocalError` says that an
argument is out of place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import LocalError
from anyplug.messages import Producer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

__all__ = [
    "LABEL_MAX",
    "READ_BYTES",
    "READ_MANY",
    "Batch",
    "Cursor",
    "Entry",
    "Message",
    "MessageLog",
    "Producer",
    "Receipt",
    "Retention",
    "Shelf",
    "Span",
    "Store",
    "Value",
    "check_entries",
    "check_label",
    "check_producer",
    "check_start",
    "check_token",
    "check_value",
]

LABEL_MAX: Final = 255
"""The longest name of a topic, reader or key, bytes of UTF-8. As long as a file name; longer ones are data, no name."""

LABELS: Final = 1_000
"""Names that were found good and are not looked at again."""

READ_MANY: Final = 1_000
"""Messages a read returns at most, where nothing else is said. As many as one commit takes."""

READ_BYTES: Final = 1024 * 1024
"""Bytes of bodies a read returns at most, where nothing else is said; the first message comes whatever its size."""

PRODUCER_MAX: Final = 64
"""The longest identity of a producer, bytes. A random one has 16."""

TOKEN_MAX: Final = 64
"""The longest token of a write, bytes. A random one has 16."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A message to be kept."""

    body: bytes
    received: int
    """When it came, nanoseconds since 1970 UTC."""
    content_type: str = ""
    sender: str = ""
    """The address it came from."""
    name: str = ""
    """What the sender calls itself."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message as it is kept: an `Entry` with its position."""

    position: int
    body: bytes
    received: int
    content_type: str = ""
    sender: str = ""
    name: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """Where the entries of an append are."""

    positions: Sequence[int]
    """One position an entry, in order. 0 for a duplicate so old that its position is no longer remembered."""
    duplicates: int = 0
    """How many of them, from the first, had been stored before."""


class Span(msgspec.Struct, frozen=True):
    """The positions a topic holds, both included; an empty one has ``first == last + 1``."""

    first: int = 1
    last: int = 0

    @property
    def count(self) -> int:
        """How many messages are there."""
        return self.last - self.first + 1


class Batch(msgspec.Struct, frozen=True):
    """What a read found."""

    messages: Sequence[Message]
    """In order, positions without a gap."""
    span: Span
    """What the topic held when it was read."""
    missed: int = 0
    """How many positions from the one asked for are gone by retention; then the batch starts at ``span.first``."""


class Cursor(msgspec.Struct, frozen=True):
    """How far a named reader is."""

    acknowledged: int = 0
    """All up to here is done with."""
    delivered: int = 0
    """The highest position ever handed to the reader: what is read at or below it is a redelivery."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a topic is kept. None keeps all; where several are set, the strictest decides."""

    age: float | None = None
    """Seconds since a message was received."""
    count: int | None = None
    """Messages."""
    bytes: int | None = None
    """Bytes of bodies."""


class Value(msgspec.Struct, frozen=True, gc=False):
    """A value of a shelf, or the mark that it was deleted."""

    key: str
    version: int
    body: bytes
    time: int
    """When it was written, nanoseconds since 1970 UTC."""
    content_type: str = ""
    deleted: bool = False
    previous: int = 0
    """The version of the key's change before this one, 0 where this is its first: who knows another has missed some."""
    token: bytes = b""
    """Which write it was, where the writer has said so."""


@lru_cache(LABELS)
def check_label(what: str, label: str) -> str:
    """The name of a topic, a reader or a key, as it came.

    Raises:
        LocalError: it is empty, longer than `LABEL_MAX` bytes, or holds control characters or half characters.
    """
    if not label:
        raise LocalError(f"the name of a {what} is empty")
    try:
        size = len(label.encode())
    except UnicodeEncodeError as error:
        raise LocalError(f"the name of a {what} holds half a character: {label[:40]!r}") from error
    if size > LABEL_MAX:
        raise LocalError(f"the name of a {what} has {size} bytes, at most {LABEL_MAX}: {label[:40]!r}...")
    if not label.isprintable() and any(each < " " or "\x7f" <= each <= "\x9f" for each in label):
        raise LocalError(f"the name of a {what} holds a control character: {label!r}")
    return label


def check_entries(entries: Sequence[Entry]) -> int:
    """The bytes of all bodies.

    Raises:
        LocalError: a body is no bytes, a time does not fit 64 bits, or a text holds half a character.
    """
    size = 0
    for entry in entries:
        check_value(entry.body, entry.received, entry.content_type, entry.sender, entry.name)
        size += len(entry.body)
    return size


def check_token(token: bytes) -> None:
    """Refuse a token that is too long to be kept.

    Raises:
        LocalError: it is.
    """
    if len(token) > TOKEN_MAX:
        raise LocalError(f"the token of a write has {TOKEN_MAX} bytes at most, not {len(token)}")


def check_value(body: bytes, time: int, *texts: str) -> None:
    """Refuse what cannot be kept as it is.

    Raises:
        LocalError: as `check_entries`.
    """
    if type(body) is not bytes:
        raise LocalError(f"a body is bytes, not {type(body).__name__}")
    if not -(1 << 63) <= time < 1 << 63:
        raise LocalError(f"a time is nanoseconds in 64 bits, not {time}")
    for text in texts:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise LocalError(f"a text holds half a character: {text[:40]!r}") from error


def check_start(position: int) -> int:
    """A position to read from, as it came.

    Raises:
        LocalError: it is below 1.
    """
    if position < 1:
        raise LocalError(f"position {position}: positions start at 1")
    return position


def check_producer(producer: Producer) -> None:
    """Refuse a producer without an identity or a place in its sequence.

    Raises:
        LocalError: it has none.
    """
    if not 1 <= len(producer.id) <= PRODUCER_MAX:
        raise LocalError(f"a producer's identity has 1 to {PRODUCER_MAX} bytes, not {len(producer.id)}")
    if producer.first < 1:
        raise LocalError(f"sequence {producer.first}: sequences start at 1")


class MessageLog(ABC):
    """Messages by topic. A topic begins with its first message; one that was never written to is empty."""

    @abstractmethod
    async def append(self, topic: str, entries: Sequence[Entry], *, producer: Producer | None = None) -> Receipt:
        """Store the entries, in order, all or none; return once they are durable.

        With a `producer` each sequence is taken once: one that came before is a duplicate and gets the position it has.

        Raises:
            Gap: the producer's sequence skips some; says which one is expected. Nothing was stored.
            Conflict: a sequence came before with another topic, content type or body. Nothing was stored.
            StoreFull: there is no room. Nothing was stored.
        """

    @abstractmethod
    def append_soon(
        self,
        topic: str,
        entries: Sequence[Entry],
        done: Callable[[Receipt | Exception], None],
        *,
        producer: Producer | None = None,
    ) -> None:
        """`append` for who does not wait in a task: ``done`` is called once, by the event loop or before this returns,
        with what `append` would return or raise. The entries must not change before that.
        """

    @abstractmethod
    async def read(self, topic: str, start: int, *, limit: int = READ_MANY, most: int = READ_BYTES) -> Batch:
        """The messages from position `start` on: `limit` at most, and `most` bytes of bodies, but at least one.

        Where `start` is gone by retention the batch begins at the first that is kept, and says how many are missed.

        Raises:
            BeyondEnd: `start` is more than one past the last position.
        """

    @abstractmethod
    async def since(self, topic: str, time: int) -> int:
        """The position of the first message received at `time` or later; one past the last where there is none.

        Found by halving: where the clock was set back between messages, it is one of the places where times cross it.
        """

    @abstractmethod
    async def span(self, topic: str) -> Span:
        """The positions that are there."""

    @abstractmethod
    async def topics(self) -> Mapping[str, Span]:
        """All topics that were ever written to, by name."""

    @abstractmethod
    async def wait(self, topic: str, after: int) -> int:
        """Wait until there is a message past position `after`; return the last position."""

    @abstractmethod
    async def trim(self, topic: str, retention: Retention, *, now: int) -> Span:
        """Remove what `retention` does not keep, oldest first; return what is there then. Positions do not move.

        Allowed on a full disk. A message that is being kept for a reader is no reason to keep it longer.
        """

    @abstractmethod
    async def watermark(self, producer: bytes) -> int:
        """The last sequence taken from the producer, or 0."""

    @abstractmethod
    async def cursor(self, topic: str, reader: str) -> Cursor:
        """How far a named reader is; a new one is at 0."""

    @abstractmethod
    async def acknowledge(self, topic: str, reader: str, position: int) -> Cursor:
        """The reader is done with all up to `position`. It never moves back.

        Raises:
            BeyondEnd: `position` does not exist yet.
        """

    @abstractmethod
    async def delivered(self, topic: str, reader: str, position: int) -> Cursor:
        """All up to `position` is about to be handed to the reader. It never moves back.

        Raises:
            BeyondEnd: `position` does not exist yet.
        """

    @abstractmethod
    async def close(self) -> None:
        """End. Writes under way are finished; who waits is told. Closing twice is no mistake."""

    async def last(self, topic: str, count: int, *, most: int = READ_BYTES) -> Batch:
        """The last `count` messages, oldest first, from the first of them on as far as `most` bytes reach."""
        span = await self.span(topic)
        start = max(span.first, span.last - count + 1)
        return await self.read(topic, start, limit=max(1, min(count, READ_MANY)), most=most)


class Shelf(ABC):
    """Values by key. Each change has a version; all keys count with one counter, so versions order all changes.

    A write may carry a *token*, which no other write of its key has. The same write with the same token, sent again,
    writes nothing, and returns the version it has: as long as that is among the changes of the key that are kept.
    """

    waits: bool = True
    """Whether reads and writes may wait for something, a disk; where they never do, callers can take a shorter way."""

    @abstractmethod
    async def put(
        self,
        key: str,
        body: bytes,
        *,
        time: int,
        content_type: str = "",
        expected: int | None = None,
        token: bytes = b"",
    ) -> int:
        """Set a value and return its version, once it is durable.

        Args:
            key: its name.
            body: what it is set to.
            time: when, nanoseconds since 1970 UTC.
            content_type: what the body is.
            expected: the version that has to be there, 0 for no value (compare and set); None sets it whatever is.
            token: which write this is.

        Raises:
            Changed: another version is there. Nothing was written.
        """

    @abstractmethod
    async def delete(self, key: str, *, time: int, expected: int | None = None, token: bytes = b"") -> int:
        """Delete a value; return the version of the deletion, or 0 where there was no value. Allowed on a full disk.

        Raises:
            Changed: another version than `expected` is there. Nothing was deleted.
        """

    @abstractmethod
    async def get(self, key: str) -> Value | None:
        """The value, or None."""

    @abstractmethod
    async def list(
        self, prefix: str = "", *, after: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """Values whose key begins with `prefix` and comes after key `after`, ordered by code points: `limit` at most,
        and `most` bytes of bodies, but at least one.
        """

    @abstractmethod
    async def history(
        self, key: str, *, before: int | None = None, limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """The last changes of one key that are kept, those below version `before`, deletions among them, newest first:
        as many as in `list`.
        """

    @abstractmethod
    async def changes(
        self, after: int, *, prefix: str = "", limit: int = READ_MANY, most: int = READ_BYTES
    ) -> Sequence[Value]:
        """The changes past version `after` that are kept, of all keys that begin with `prefix`, deletions among them,
        in order of versions: as many as in `list`.

        The newest change of each key is always kept; an older one only within the key's history. What is missing shows
        in `Value.previous`.
        """

    @abstractmethod
    async def wait(self, after: int) -> int:
        """Wait until there is a change past version `after`; return the version of the newest."""

    @abstractmethod
    async def version(self) -> int:
        """The version of the newest change, or 0."""

    @abstractmethod
    async def close(self) -> None:
        """End, as `MessageLog.close`."""

    def known(self, key: str) -> Value | None:
        """The newest change of a key, a deletion too, where that is at hand without waiting; None says nothing."""
        return None

    async def watch(self, after: int = 0) -> AsyncIterator[Value]:
        """Each change past version `after`, as it comes, without an end."""
        while True:
            await self.wait(after)
            for value in await self.changes(after):
                after = value.version
                yield value


class Store(ABC):
    """A log and a shelf that live together, and are opened and closed together."""

    log: MessageLog
    shelf: Shelf
    generation: str
    """The identity of this store's life, a UUID: a producer that finds another knows that the store was replaced."""

    @property
    @abstractmethod
    def state(self) -> str:
        """``open``, ``full`` (reads only, for now), ``failed`` or ``closed``."""

    @abstractmethod
    async def close(self) -> None:
        """End both."""
