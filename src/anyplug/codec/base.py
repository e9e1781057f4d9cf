"""What a codec is: how an object becomes the bytes of one message, and back.

A codec is made for one type, and checks it on the way in. `Codec.decode_many` decodes a batch; where one message of
the batch is bad, the caller decodes one by one to find which (that path is rare, the batch path is hot).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Codec"]

T = TypeVar("T")


class Codec(ABC, Generic[T]):
    """How values of one type travel. Immutable and without state between calls; one codec serves many connections and
    threads.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The name in addresses, configuration and on the wire: ``msgpack``."""

    @abstractmethod
    def encode(self, message: T) -> bytes:
        """The message as bytes.

        Raises:
            EncodeError: the value cannot travel by this codec; says where in the value and why.
        """

    @abstractmethod
    def decode(self, body: bytes) -> T:
        """The message in the bytes.

        Raises:
            DecodeError: not a valid message of this codec and type; says where and what was expected.
        """

    def decode_many(self, bodies: Sequence[bytes]) -> list[T]:
        """All messages of a batch, in order; raises as `decode` does at the first bad one."""
        return list(map(self.decode, bodies))
