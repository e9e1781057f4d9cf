"""The codec ``msgpack``: objects as MessagePack, compact and fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never, TypeVar

import msgspec

from anyplug.codec.nesting import scan_msgpack
from anyplug.codec.structured import StructuredCodec
from anyplug.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MsgpackCodec"]

T = TypeVar("T")


class MsgpackCodec(StructuredCodec[T]):
    """Objects as MessagePack.

    Bytes, NaN and the infinities are kept. Without ``type=``, tuples and sets come back as lists, and of the dates only
    those with a time zone come back as dates. Integers have 64 bits at most. Where a map states a key twice, the last
    one wins. Extension types are refused, except the timestamp, which the format itself defines.

    Bodies with more openers than `Limits.nesting` are walked before they are decoded, which takes longer than decoding
    them. With a ``type=`` that bounds the depth by itself (without ``Any`` and not recursive) they are not: name the
    type where large batches have to be quick.

    Raises:
        LocalError: ``type=`` is nothing that can be decoded into.
    """

    __slots__ = ()

    name: ClassVar[str] = "msgpack"
    _scan = staticmethod(scan_msgpack)

    def _encoder(self) -> Callable[[Any], bytes]:
        return msgspec.msgpack.Encoder().encode

    def _decoder(self, kind: Any) -> Callable[[bytes], T]:
        decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind, ext_hook=_refuse)
        return decoder.decode


def _refuse(code: int, _data: memoryview) -> Never:
    raise DecodeError("msgpack", f"extension type {code}: extension types are refused")
