"""What an inbox is asked, and what it answers.

Questions travel as REQUEST frames, messages to keep as POST frames. One connection is about one topic. Positions start
at 1 and have no gap; times are nanoseconds since 1970 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec

from anyplug.schemas.contents import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "WAIT_MAX",
    "Acknowledge",
    "Acknowledged",
    "Answer",
    "Facts",
    "Found",
    "Info",
    "List",
    "Message",
    "Read",
    "Request",
    "Topic",
    "Topics",
]

WAIT_MAX: Final = 60.0
"""The longest that a read waits for a message, seconds; a longer wait is cut to it."""

Position: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Time: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """One question, or one answer."""


class Read(_Struct, frozen=True, kw_only=True):
    """Give messages. At most one of ``start``, ``last`` and ``since`` says from where; without, it is the first for
    whoever has no name, and what comes behind the acknowledged for a reader who has one.
    """

    start: Position | None = None
    """From this position on."""
    last: Count | None = None
    """So many of the newest; 0 for those that are still to come."""
    since: Time | None = None
    """From the first that was received at this time or later."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = 1_000
    """Messages, at most. The server may give fewer."""
    most: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = 1024 * 1024
    """Bytes of bodies, at most; the first message comes whatever its size. The server may give fewer."""
    wait: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Where there is nothing: seconds to wait for a message before the answer is an empty one."""
    reader: str = ""
    """Whose place is kept on the server, durably. Empty for somebody who keeps it."""


class Acknowledge(_Struct, frozen=True, kw_only=True):
    """A reader is done with all messages up to a position."""

    reader: str
    position: Position


class List(_Struct, frozen=True, kw_only=True):
    """Name the topics of this inbox, in the order of their names."""

    after: str = ""
    """Those behind this one."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] = 1_000
    """So many at most. The server may give fewer."""


class Info(_Struct, frozen=True, kw_only=True):
    """Tell about the topic of this connection."""


Request: TypeAlias = Read | Acknowledge | List | Info
"""Whatever can be asked."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A kept message."""

    position: int
    """Its place in the topic."""
    received: int
    """When it came, nanoseconds since 1970 UTC."""
    body: bytes
    """The bytes that were posted; in JSON they are base64."""
    content_type: str = ""
    """What the bytes are (`anyplug.schemas.contents`)."""
    sender: str = ""
    """The address it came from."""
    name: str = ""
    """What the sender calls itself; nothing vouches for it."""
    redelivered: bool = False
    """The named reader was given it before."""

    @property
    def value(self) -> Any:
        """The value in the body, by the content type; the bytes where that is not known here.

        Raises:
            DecodeError: the body is not what the content type says.
        """
        return decoded(self.content_type, self.body)

    @property
    def time(self) -> datetime:
        """When it came, in UTC, to the microsecond."""
        seconds, rest = divmod(self.received, 1_000_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


class Found(_Struct, frozen=True, kw_only=True):
    """Messages, in order, positions without a gap. The answer to `Read`."""

    messages: list[Message]
    first: int
    """The first position that the topic holds, one past the last where it holds none."""
    last: int
    """The last position, 0 where nothing was ever kept."""
    next: int
    """Where to read on."""
    missed: int = 0
    """How many positions from the one asked for are gone by retention: the messages begin behind them."""

    def __iter__(self) -> Iterator[Message]:
        """The messages."""
        return iter(self.messages)

    def __len__(self) -> int:
        """How many messages."""
        return len(self.messages)


class Acknowledged(_Struct, frozen=True, kw_only=True):
    """How far a reader is. The answer to `Acknowledge`."""

    position: int
    """All up to here is done with."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic."""

    name: str
    first: int
    """The first position that is kept, one past the last where none is."""
    last: int
    """The last position."""

    @property
    def count(self) -> int:
        """How many messages are there."""
        return self.last - self.first + 1


class Topics(_Struct, frozen=True, kw_only=True):
    """The answer to `List`."""

    topics: list[Topic]
    more: bool = False
    """There are others behind the last of these."""


class Facts(_Struct, frozen=True, kw_only=True):
    """The answer to `Info`."""

    topic: str
    first: int
    last: int
    message: int
    """The largest message that is kept, bytes."""
    keep_age: float = 0.0
    """Messages are kept for so many seconds; 0 for ever."""
    keep_count: int = 0
    """So many of the newest are kept; 0 for all."""
    keep_bytes: int = 0
    """So many bytes of the newest are kept; 0 for all."""
    generation: str = ""
    """The identity of the store: positions of another one mean nothing here."""


Answer: TypeAlias = Found | Acknowledged | Topics | Facts
"""Whatever is answered. A refusal is an ERROR frame with its code."""
