"""What the bytes of a kept message are: content types, and the codec behind each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from anyplug.codec import CODECS, make_codec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.codec import Codec

__all__ = ["CONTENT_TYPES", "content_type", "decoded"]

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
    "msgpack": "application/msgpack",
    "bytes": "application/octet-stream",
    "objects": "application/vnd.anyplug.objects",
    "pickled": "application/vnd.anyplug.pickle",
}
"""Name of a codec -> the content type of what it makes (RFC 6838). The last two have no registered name: MessagePack
with marks, and pickles of builtin values, of which none is ever executed."""

_CODECS: Final = {kind: codec for codec, kind in CONTENT_TYPES.items()}


def content_type(codec: str) -> str:
    """The content type of what a codec makes; a codec without one makes bytes like any others."""
    return CONTENT_TYPES.get(codec, CONTENT_TYPES["bytes"])


def decoded(kind: str, body: bytes) -> Any:
    """The value in a body; of a content type that is not known here, the bytes themselves.

    Raises:
        DecodeError: the body is not what its content type says.
    """
    name = _CODECS.get(kind, "")
    return _codec(name).decode(body) if name in CODECS else body


@cache
def _codec(name: str) -> Codec[Any]:
    return make_codec(name)
