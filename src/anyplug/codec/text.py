"""The codec ``text``: texts as UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from anyplug.codec.base import Codec
from anyplug.codec.typed import type_name
from anyplug.errors import DecodeError, EncodeError, LocalError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.limits import Limits

__all__ = ["TextCodec"]


class TextCodec(Codec[str]):
    """Texts as UTF-8 (RFC 3629), strictly: nothing is replaced, dropped or guessed.

    Raises:
        LocalError: ``type=`` is neither ``str`` nor left open.
    """

    __slots__ = ()

    name: ClassVar[str] = "text"

    def __init__(self, kind: Any = str, *, limits: Limits = DEFAULTS) -> None:
        if kind is not str and kind is not Any:
            raise LocalError(
                f"codec text carries str, not {type_name(kind)}: use codec=json for objects, bytes for bytes"
            )

    def encode(self, message: str) -> bytes:
        """The text as UTF-8.

        Raises:
            EncodeError: no text, or it holds half of a surrogate pair; says at which index.
        """
        try:
            return str.encode(message)
        except (UnicodeEncodeError, TypeError) as error:
            raise EncodeError("text", _why_not(message, error)) from error

    def decode(self, body: bytes) -> str:
        """The text in the bytes.

        Raises:
            DecodeError: not UTF-8; says the byte and its offset.
        """
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise DecodeError("text", _bad_byte(error)) from error

    def decode_many(self, bodies: Sequence[bytes]) -> list[str]:
        """All texts of a batch, in order; raises as `decode` does at the first bad one."""
        try:
            return list(map(bytes.decode, bodies))
        except UnicodeDecodeError as error:
            raise DecodeError("text", _bad_byte(error)) from error


def _why_not(message: object, error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        half = ord(error.object[error.start])
        return f"index {error.start} holds U+{half:04X}, half of a surrogate pair, which UTF-8 has no form for"
    remedy = "use codec=bytes" if isinstance(message, (bytes, bytearray, memoryview)) else "use codec=json for objects"
    return f"expected str, got {type(message).__qualname__}: {remedy}"


def _bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at offset {error.start} is not UTF-8 ({error.reason})"
