"""How an object becomes the bytes of one message, and back.

========= ============================ ======================================================================
name      carries                      good for
========= ============================ ======================================================================
`bytes`   bytes as they are            what has a form of its own
`text`    texts as UTF-8               people, scripts, `nc`
`json`    objects as JSON              every language; with ``type=`` checked on the way in
`msgpack` objects as MessagePack       programs: smaller, faster, keeps bytes
`objects` Python values, typed         Python programs: what is sent comes back equal and of the same types
`pickled` builtin values as pickles    plain Python programs that know nothing else; nothing is executed
========= ============================ ======================================================================
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from anyplug.codec.base import Codec
from anyplug.codec.binary import BytesCodec
from anyplug.codec.json import JsonCodec
from anyplug.codec.msgpack import MsgpackCodec
from anyplug.codec.pickled import PickledCodec
from anyplug.codec.text import TextCodec
from anyplug.errors import LocalError
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.limits import Limits

__all__ = [
    "CODECS",
    "BytesCodec",
    "Codec",
    "JsonCodec",
    "MsgpackCodec",
    "PickledCodec",
    "TextCodec",
    "default_codec",
    "make_codec",
]

T = TypeVar("T")


def _objects(kind: Any = Any, *, limits: Limits = DEFAULTS) -> Codec[Any]:
    from anyplug.codec.objects import ObjectsCodec  # more files than all others: loaded when it is wanted

    return ObjectsCodec(kind, limits=limits)


CODECS: Final[dict[str, Callable[..., Codec[Any]]]] = {
    codec.name: codec for codec in (BytesCodec, TextCodec, JsonCodec, MsgpackCodec, PickledCodec)
} | {"objects": _objects}
"""Name -> what makes the codec: called with the type and ``limits=``."""


@overload
def make_codec(name: Literal["text"], type: Any = ..., *, limits: Limits = ...) -> Codec[str]: ...
@overload
def make_codec(name: Literal["bytes"], type: Any = ..., *, limits: Limits = ...) -> Codec[bytes]: ...
@overload
def make_codec(name: str, type: type[T], *, limits: Limits = ...) -> Codec[T]: ...
@overload
def make_codec(name: str, type: Any = ..., *, limits: Limits = ...) -> Codec[Any]: ...
def make_codec(name: str, type: Any = Any, *, limits: Limits = DEFAULTS) -> Codec[Any]:
    """The codec of that name for messages of a type.

    `type` is what `msgspec` understands: a `msgspec.Struct`, dataclass, `TypedDict`, `NamedTuple`, a builtin, a union
    of them. By default messages are not checked. Of `limits`, codecs use `nesting` and `message`.

    Raises:
        LocalError: no codec of that name, or one that cannot carry the type.
    """
    make = CODECS.get(name)
    if make is None:
        raise LocalError(_unknown(name))
    return make(Any if type is object else type, limits=limits)


def default_codec(type: Any = Any) -> str:
    """The name of the codec of a plain listener where nothing is said: ``text`` for texts and unknown types, ``bytes``
    for bytes, otherwise ``json``.
    """
    if any(type is known for known in (str, Any, object, None, Parameter.empty)):
        return TextCodec.name
    return BytesCodec.name if type is bytes else JsonCodec.name


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, CODECS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no codec is named {name!r}: there are {', '.join(sorted(CODECS))}{hint}"
