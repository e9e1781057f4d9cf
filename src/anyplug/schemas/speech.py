"""How the structs of a service travel in a conversation whose messages are the user's own.

A message and a question about messages share one codec. MessagePack and JSON carry a struct as a map. In the codecs of
texts and of bytes it is that map as JSON: ``{"type":"read","last":10}`` can be typed. Any other codec carries the map
as it carries any. So whoever can post can also ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from anyplug.codec import make_codec
from anyplug.codec.structured import DECODE_FAULTS
from anyplug.errors import DecodeError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from anyplug.limits import Limits

__all__ = ["Speech"]

T = TypeVar("T")

_AS_IS: Final = frozenset({"msgpack", "json"})
_TEXTS: Final = {"text": str, "bytes": bytes}


class Speech(Generic[T]):
    """Structs of a closed set, in one codec.

    Args:
        codec: the codec's name.
        heard: the type of what is heard, a union of tagged structs.
        limits: the bounds of this side.
    """

    __slots__ = ("_heard", "_json", "codec", "type")

    def __init__(self, codec: str, heard: Any, *, limits: Limits = DEFAULTS) -> None:
        self.codec = codec
        """The codec's name."""
        self._heard = heard
        self._json = make_codec("json", heard, limits=limits)
        self.type: Any = heard if codec in _AS_IS else _TEXTS.get(codec, Any)
        """What the codec of the conversation is to decode into."""

    def said(self, struct: msgspec.Struct) -> Any:
        """The message that carries a struct."""
        if self.codec in _AS_IS:
            return struct
        if self.codec == "text":
            return msgspec.json.encode(struct).decode()
        return (
            msgspec.json.encode(struct)
            if self.codec == "bytes"
            else msgspec.to_builtins(struct, builtin_types=(bytes,))
        )

    def heard(self, message: Any) -> T:
        """The struct in a message.

        Raises:
            DecodeError: there is none of those that are expected.
        """
        found: T
        if self.codec in _AS_IS:
            found = message
        elif self.codec in _TEXTS:
            found = self._json.decode(message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message)
        else:
            try:
                found = msgspec.convert(message, self._heard)
            except DECODE_FAULTS as error:
                raise DecodeError(self.codec, str(error)) from error
        return found
