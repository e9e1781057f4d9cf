"""What sessions say to the code above them: events.

Events are batches. A run of data messages that came together is one `Data` with a list of bodies, a run of requests
is one `Requests`: no object is made per message. Bodies are bytes; codecs are applied by the ends of a conversation,
not here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import msgspec

from anyplug.errors import AnyplugError, Code

__all__ = [
    "Acked",
    "Content",
    "Data",
    "Ended",
    "Event",
    "Failed",
    "Fault",
    "Hello",
    "Kept",
    "Nacked",
    "Pong",
    "Posts",
    "Producer",
    "Refusal",
    "Replies",
    "Requests",
    "Welcome",
]


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The client's opening: what it wants and what it can take. Also the payload of the HELLO frame (a MessagePack
    map).

    Unknown fields are ignored, so that later versions can add some.
    """

    version: int = 1
    """The protocol version, 1."""
    service: str = ""
    """The service's name."""
    rest: str = ""
    """What follows the service in the address: a room, a topic; the service reads it."""
    codec: str = "msgpack"
    """The codec of all bodies of this conversation, both ways."""
    message: int = 0
    """The largest message the sender of this takes, bytes; 0 means it does not say."""
    token: str = ""
    """What entitles the client, or an empty string."""
    producer: bytes = b""
    """Who posts, where posts may come again on another connection; empty where they may not."""
    name: str = ""
    """What the client calls itself, for those who read what it says; nothing vouches for it."""
    agent: str = ""
    """The program and its version, for logs."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The server's yes. Also the payload of the WELCOME frame (a MessagePack map); unknown fields are ignored."""

    version: int = 1
    """The protocol version that both speak from here."""
    service: str = ""
    """The service that holds the conversation."""
    codec: str = "msgpack"
    """The codec of all bodies."""
    message: int = 0
    """The largest message the server takes, bytes; 0 means it does not say."""
    asks: bool = False
    """Whether REQUEST frames are answered. Where not, an answer is simply the next message."""
    posts: bool = False
    """Whether POST frames are taken."""
    generation: str = ""
    """The identity of the store behind posts: another one means that the store was replaced."""
    posted: int = 0
    """The last sequence that the store has of the producer that HELLO named; 0 where it has none, or none was named."""
    incarnation: str = ""
    """A word that is new each time the server starts: another one means that what it held in memory is gone."""
    agent: str = ""
    """The program and its version, for logs."""


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """The payload of REFUSED and BYE frames and of the end of an ERROR frame: a MessagePack array ``[code, text]``."""

    code: int
    """One of `Code`; an unknown number counts as ``failed``."""
    text: str = ""
    """One sentence for people."""

    @property
    def reason(self) -> Code:
        """The code, where it is known here."""
        try:
            return Code(self.code)
        except ValueError:
            return Code.FAILED


class Data(msgspec.Struct, frozen=True):
    """Messages of the conversation, in order."""

    bodies: list[bytes]


class Requests(msgspec.Struct, frozen=True):
    """Messages that want an answer each."""

    items: list[tuple[int, bytes]]
    """Pairs of the request's id and its body."""


class Replies(msgspec.Struct, frozen=True):
    """Answers to requests."""

    items: list[tuple[int, bytes]]
    """Pairs of the request's id and the answer's body."""


class Failed(msgspec.Struct, frozen=True):
    """The peer could not handle one message."""

    id: int
    """The request's id; 0 for a message that was no request."""
    refusal: Refusal


class Producer(msgspec.Struct, frozen=True):
    """Who posts, and where in its own sequence: what makes sending again safe."""

    id: bytes
    """The producer's identity, 1 to 64 bytes, chosen at random once."""
    first: int
    """The sequence of the first post, counted from 1 over all that this producer ever posts to this store."""


class Posts(msgspec.Struct, frozen=True):
    """Messages that are to be kept."""

    items: list[tuple[int, bytes]]
    """Pairs of the post's sequence and its body."""


class Kept(IntEnum):
    """How a post is kept (u8 on the wire)."""

    SYNCED = 0
    """On disk, and the disk has said so."""
    MEMORY = 1
    """In the memory of the server, as it was configured: gone when the server ends."""


class Acked(msgspec.Struct, frozen=True):
    """Posts are kept, and all before them."""

    first: int
    """The sequence of the first of them."""
    count: int
    """How many."""
    position: int
    """Where the first of them is; the others follow it without a gap. 0 where that is no longer known: they had come
    long before."""
    kept: Kept = Kept.SYNCED


class Nacked(msgspec.Struct, frozen=True):
    """A post was not taken, and nothing that came behind it."""

    sequence: int
    """The next that will be taken."""
    refusal: Refusal


class Content(msgspec.Struct, frozen=True):
    """A chunk of a file."""

    transfer: int
    """The number of the transfer on this connection."""
    index: int
    """Which chunk of the file, from 0."""
    digest: bytes
    """The BLAKE3 of its bytes, as the peer says."""
    pieces: list[bytes | memoryview]
    """Its bytes, as the network brought them. Who keeps a view keeps a buffer from being used again."""

    @property
    def size(self) -> int:
        """How many bytes the chunk has."""
        return sum(map(len, self.pieces))


class Pong(msgspec.Struct, frozen=True):
    """The answer to a PING of ours."""

    body: bytes


class Ended(msgspec.Struct, frozen=True):
    """The peer says no more: BYE, or the end of a plain stream at a message boundary.

    What this side still says reaches it, but for a plug client: a server that says BYE listens no more.
    """

    refusal: Refusal


class Fault(msgspec.Struct, frozen=True):
    """The conversation cannot go on. Always the last event."""

    error: AnyplugError


Event: TypeAlias = (
    Hello
    | Welcome
    | Refusal
    | Data
    | Requests
    | Replies
    | Failed
    | Posts
    | Acked
    | Nacked
    | Content
    | Pong
    | Ended
    | Fault
)
"""Everything a session can report. `Refusal` by itself is the server's no to our HELLO."""
