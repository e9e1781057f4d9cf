"""The codec ``bytes``: messages as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from anyplug.codec.base import Codec
from anyplug.codec.typed import type_name
from anyplug.errors import EncodeError, LocalError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.limits import Limits

__all__ = ["BytesCodec"]


class BytesCodec(Codec[bytes]):
    """Bytes as they are: every body is valid, nothing is copied.

    Raises:
        LocalError: ``type=`` is neither ``bytes`` nor left open.
    """

    __slots__ = ()

    name: ClassVar[str] = "bytes"

    def __init__(self, kind: Any = bytes, *, limits: Limits = DEFAULTS) -> None:
        if kind is not bytes and kind is not Any:
            raise LocalError(
                f"codec bytes carries bytes, not {type_name(kind)}: use codec=text for texts, json for objects"
            )

    def encode(self, message: object) -> bytes:
        """The message itself; a bytearray or memoryview is copied, as it may change later.

        Raises:
            EncodeError: no bytes.
        """
        if type(message) is bytes:
            return message
        if isinstance(message, (bytes, bytearray, memoryview)):
            return bytes(message)
        remedy = "encode it, or use codec=text" if isinstance(message, str) else "use codec=json for objects"
        raise EncodeError("bytes", f"expected bytes, got {type(message).__qualname__}: {remedy}")

    def decode(self, body: bytes) -> bytes:
        """The body itself."""
        return body

    def decode_many(self, bodies: Sequence[bytes]) -> list[bytes]:
        """The bodies themselves: the same list, if it is one."""
        return bodies if isinstance(bodies, list) else list(bodies)
