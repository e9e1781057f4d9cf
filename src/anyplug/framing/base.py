"""What a framing is: how a byte stream is cut into messages.

A framing is a pair of pure functions over bytes. `Framing.encode` wraps one message; a `Decoder` takes the stream in
whatever pieces it comes and gives back whole messages, a list for each piece: batches, not messages, cross this
layer.

A decoder never loses what was whole before a fault: `Decoder.feed` returns those messages, keeps the fault in
`Decoder.error`, and every later call raises it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.errors import ProtocolError

__all__ = ["Decoder", "Framing"]


class Decoder(ABC):
    """One direction of one stream: bytes in, whole messages out."""

    __slots__ = ("error",)

    error: ProtocolError | None
    """The fault that ended this stream, or None. Look at it after each `feed`."""

    @abstractmethod
    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return all messages that are whole now, in order.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """

    @abstractmethod
    def feed_eof(self) -> list[bytes]:
        """The stream has ended; return what only its end makes whole.

        Raises:
            ProtocolError: an earlier call found a fault.
            Broken: the stream ended inside a message.
        """

    @property
    @abstractmethod
    def pending(self) -> int:
        """Bytes held of a message that is not whole yet."""


class Framing(ABC):
    """How messages lie in a byte stream. Immutable; shared by all connections of a listener."""

    __slots__ = ()

    name: ClassVar[str]
    """The name in addresses and configuration: ``lines``."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """A new decoder for one stream."""

    @abstractmethod
    def encode(self, body: bytes) -> bytes:
        """One message as it goes on the wire.

        Raises:
            EncodeError: the message cannot be carried by this framing (a line break in a line).
            TooLarge: it is larger than the limit of both ends.
        """

    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        """Several messages as they go on the wire, in order; the errors of `encode`, then nothing is encoded."""
        return b"".join(map(self.encode, bodies))
