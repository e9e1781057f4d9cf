"""What sessions say to the code above them: events.

Events are batches. A run of data messages that came together is one `Data` with a list of bodies, a run of requests
is one `Requests`: no object is made per message. Bodies are bytes; codecs are applied by the ends of a conversation,
not here.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from anyplug.errors import AnyplugError, Code

__all__ = ["Data", "Ended", "Event", "Failed", "Fault", "Hello", "Pong", "Refusal", "Replies", "Requests", "Welcome"]


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


Event: TypeAlias = Hello | Welcome | Refusal | Data | Requests | Replies | Failed | Pong | Ended | Fault
"""Everything a session can report. `Refusal` by itself is the server's no to our HELLO."""
