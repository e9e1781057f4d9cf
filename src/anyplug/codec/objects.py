"""The codec ``objects``: Python values that come back equal and of the same types.

It is MessagePack; `objects_tags` has the table of what is added to it, `docs/objects.md` describes it for other
languages. `objects_writer` takes values apart, `objects_reader` puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from anyplug.codec.base import Codec
from anyplug.codec.nesting import scan_msgpack
from anyplug.codec.objects_check import conform
from anyplug.codec.objects_fault import PartError
from anyplug.codec.objects_reader import build, mark_of
from anyplug.codec.objects_tags import SIGN
from anyplug.codec.objects_writer import pack, pack_carefully, travels
from anyplug.codec.structured import DECODE_FAULTS, ENCODE_FAULTS, decode_error
from anyplug.codec.typed import check_type
from anyplug.errors import DecodeError, EncodeError
from anyplug.escape import escape
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from anyplug.limits import Limits

__all__ = ["ObjectsCodec", "check_travels"]

T = TypeVar("T")

SHOWN_MAX = 400
"""Characters of a sentence that are shown; it may quote the peer."""

_SIGN = SIGN[0]

_ENCODE_FAULTS = (*ENCODE_FAULTS, RuntimeError)
"""RuntimeError where a dictionary or set changes while it is being written."""


class ObjectsCodec(Codec[T]):
    """Values that come back equal and of exactly the same types, without running anything.

    Scalars: None, bool, int (up to 4,299 digits), float, complex, str, bytes, bytearray, `Decimal`, `Fraction`, `UUID`,
    datetime, date, time, timedelta with `datetime.timezone` or `ZoneInfo`, range, ``...``, the types of `ipaddress`.
    Containers: list, tuple, dict with any keys that travel, set, frozenset, deque, OrderedDict. Instances of registered
    classes (`anyplug.register`): Structs, dataclasses, NamedTuples, Enums. Arrays and scalars of NumPy.

    Types are exact: a subclass travels only where it is registered itself. What is shared arrives as copies; what
    contains itself is refused. With ``type=``, a value is checked, and never converted from another type (but for an
    int where a float is wanted).

    Raises:
        LocalError: ``type=`` is nothing that can be checked.
    """

    __slots__ = ("_decode", "_encode", "_kind", "_limit")

    name: ClassVar[str] = "objects"

    def __init__(self, kind: Any = Any, *, limits: Limits = DEFAULTS) -> None:
        origin = getattr(kind, "__origin__", kind)
        check_type(self.name, kind, known=(kind,) if travels(origin) else ())
        self._kind = kind
        self._limit = limits.nesting
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(ext_hook=mark_of).decode

    def encode(self, message: T) -> bytes:
        """The message as bytes; it is not checked against the type.

        Raises:
            EncodeError: it holds something that does not travel; says where, and the remedy.
        """
        try:
            return self._encode(pack(message, self._limit))
        except PartError as error:
            raise EncodeError(self.name, error.sentence()) from error
        except _ENCODE_FAULTS:
            return self._encode_carefully(message)

    def _encode_carefully(self, message: T) -> bytes:
        try:
            return self._encode(pack_carefully(message, self._limit))
        except PartError as error:
            raise EncodeError(self.name, error.sentence()) from error
        except _ENCODE_FAULTS as error:
            raise EncodeError(self.name, str(error) or type(error).__name__) from error

    def decode(self, body: bytes) -> T:
        """The message in the bytes, checked against the type.

        Raises:
            DecodeError: not a valid body, not of the type, of a class that is not registered, or beyond a limit.
        """
        try:
            if len(body) > self._limit:
                scan_msgpack(body, self._limit)
            value: Any = self._decode(body)
            if _SIGN in body:
                value = build(value)
            return value if self._kind is Any else conform(value, self._kind)  # type: ignore[return-value]
        except PartError as error:
            raise _refusal(error) from error
        except DecodeError as error:  # of the scan
            error.codec = self.name
            raise
        except DECODE_FAULTS as error:
            raise decode_error(self.name, error, self._limit) from error


def _refusal(error: PartError) -> DecodeError:
    place = f" - at `${_cut(error.path)}`" if error.steps else ""
    refusal = DecodeError(ObjectsCodec.name, _cut(error.reason) + place)
    refusal.code = error.code
    return refusal


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MAX and text.isprintable() else escape(text, limit=SHOWN_MAX)


def check_travels(value: object, *, limits: Limits = DEFAULTS) -> None:
    """Refuse a value that the codec ``objects`` does not carry.

    Raises:
        EncodeError: it holds something that does not travel; says where, and the remedy.
    """
    ObjectsCodec[object](limits=limits).encode(value)
