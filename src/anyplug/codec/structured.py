"""What the codecs of objects have in common: `msgspec` does the work, this keeps its bounds and names its errors."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from anyplug.codec.base import Codec
from anyplug.codec.nesting import CONTAINERS_MAX, too_deep
from anyplug.codec.typed import check_type, is_closed
from anyplug.codec.where import where_not
from anyplug.errors import DecodeError, EncodeError
from anyplug.escape import escape
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.limits import Limits

__all__ = ["DECODE_FAULTS", "ENCODE_FAULTS", "StructuredCodec", "decode_error", "encode_error"]

T = TypeVar("T")

ENCODE_FAULTS: Final = (TypeError, ValueError, OverflowError, AttributeError, RecursionError, MemoryError)
"""What `msgspec` raises for a value that it cannot encode."""

DECODE_FAULTS: Final = (msgspec.DecodeError, ValueError, TypeError, RecursionError, MemoryError)
"""What `msgspec` raises for bytes that it cannot decode; TypeError where a set is given what cannot be hashed,
ValueError where a text is not UTF-8 or a timestamp is in the year 10000. Anything else would be an error of this
project."""


class StructuredCodec(Codec[T]):
    """A codec of objects: builtins, and with ``type=`` whatever `msgspec` can check and build.

    `decode` checks against the type; `encode` does not, it writes what it is given.
    """

    __slots__ = ("_decode", "_encode", "_limit", "_unscanned")

    def __init__(self, kind: Any = Any, *, limits: Limits = DEFAULTS) -> None:
        check_type(self.name, kind)
        self._limit = limits.nesting
        # A closed type bounds the depth by itself, and so few bytes cannot hold too many containers.
        self._unscanned = CONTAINERS_MAX if is_closed(kind) else limits.nesting
        self._encode = self._encoder()
        self._decode = self._decoder(kind)

    @abstractmethod
    def _encoder(self) -> Callable[[Any], bytes]:
        """What encodes."""

    @abstractmethod
    def _decoder(self, kind: Any) -> Callable[[bytes], T]:
        """What decodes into the type."""

    @staticmethod
    @abstractmethod
    def _scan(body: bytes, limit: int) -> None:
        """Refuse a body that nests too deep, before anything decodes it."""

    def encode(self, message: T) -> bytes:
        """The message as bytes; it is not checked against the type.

        Raises:
            EncodeError: it holds something that has no form in this codec; says where.
        """
        try:
            return self._encode(message)
        except ENCODE_FAULTS as error:
            raise encode_error(self.name, message, error, encode=self._encode, limit=self._limit) from error

    def decode(self, body: bytes) -> T:
        """The message in the bytes, checked against the type.

        Raises:
            DecodeError: not a valid body, not of the type, or nested too deep.
        """
        if len(body) > self._unscanned:
            self._scan(body, self._limit)
        try:
            return self._decode(body)
        except DECODE_FAULTS as error:
            raise decode_error(self.name, error, self._limit) from error


SHOWN_MAX: Final = 400
"""Characters of a sentence of `msgspec` that are shown."""


def encode_error(
    codec: str, message: object, error: Exception, *, encode: Callable[[Any], bytes], limit: int
) -> EncodeError:
    """What could not be encoded and where in the message it is, found by encoding its parts one by one."""

    def refuse(part: object) -> str | None:
        try:
            encode(part)
        except ENCODE_FAULTS as found:
            return str(found)
        except EncodeError as found:
            return found.problem
        return None

    fault = where_not(message, refuse, lambda key: refuse({key: None}), limit=limit)
    return EncodeError(codec, str(fault or error))


def decode_error(codec: str, error: Exception, limit: int) -> DecodeError:
    """What `msgspec` found, in the words of this project."""
    if isinstance(error, RecursionError):
        return too_deep(codec, limit)
    if isinstance(error, MemoryError):
        return DecodeError(codec, "it takes more memory than there is")
    if isinstance(error, UnicodeDecodeError):
        bad = error.object[error.start]
        return DecodeError(codec, f"a text in it is not UTF-8: byte 0x{bad:02x} at byte {error.start} of that text")
    return DecodeError(codec, _shown(str(error)))


def _shown(text: str) -> str:
    """What `msgspec` says, which may quote the peer: not too long, and nothing in it that a terminal obeys."""
    return text if len(text) <= SHOWN_MAX and text.isprintable() else escape(text, limit=SHOWN_MAX)
