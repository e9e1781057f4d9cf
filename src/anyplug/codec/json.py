"""The codec ``json``: objects as JSON (RFC 8259), readable everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from anyplug.codec.nesting import scan_json
from anyplug.codec.structured import StructuredCodec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonCodec"]

T = TypeVar("T")


class JsonCodec(StructuredCodec[T]):
    """Objects as JSON.

    JSON has fewer types than Python. Without ``type=``, tuples and sets come back as lists, keys as texts, and dates
    and the like as texts; bytes travel as Base64. NaN and the infinities have no form in JSON and are written as
    ``null`` (the codec ``msgpack`` keeps them); on the way in they are refused. Where an object states a key twice, the
    last one wins. Integers may have up to 4,300 digits.

    Raises:
        LocalError: ``type=`` is nothing that can be decoded into.
    """

    __slots__ = ()

    name: ClassVar[str] = "json"
    _scan = staticmethod(scan_json)

    def _encoder(self) -> Callable[[Any], bytes]:
        return msgspec.json.Encoder().encode

    def _decoder(self, kind: Any) -> Callable[[bytes], T]:
        decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        return decoder.decode
