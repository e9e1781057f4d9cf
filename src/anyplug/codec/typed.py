"""What a codec knows about the type it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from anyplug.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_type", "is_closed", "type_name"]

OPEN: Final = (msgspec.inspect.AnyType, msgspec.inspect.RawType, msgspec.inspect.CustomType)
"""Kinds of types that may hold anything."""


def type_name(kind: object) -> str:
    """A type as its user writes it: ``int | None``, ``Point``."""
    return kind.__qualname__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def check_type(codec: str, kind: Any, *, known: tuple[type, ...] = ()) -> None:
    """Refuse a type that no message can ever be decoded into. The codec itself makes values of the `known` classes.

    Raises:
        LocalError: it is none of `msgspec`'s types, or a class it knows nothing about.
    """
    try:
        found = msgspec.inspect.type_info(kind)
        msgspec.json.Decoder(kind)
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise LocalError(f"codec {codec} cannot take type={type_name(kind)}: {error}") from error
    if isinstance(found, msgspec.inspect.CustomType) and kind not in known:
        raise LocalError(
            f"codec {codec} cannot take type={type_name(kind)}: a class of no known shape; "
            "make it a msgspec.Struct or a dataclass, or leave the type away"
        )


def is_closed(kind: Any) -> bool:
    """Whether the type itself bounds how deep its values nest: it neither contains itself nor a place for anything."""
    return _closed(msgspec.inspect.type_info(kind), ())


def _closed(node: msgspec.inspect.Type, above: tuple[int, ...]) -> bool:
    if isinstance(node, OPEN) or id(node) in above:
        return False
    return all(_closed(part, (*above, id(node))) for part in _parts(node))


def _parts(node: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """The types inside a type: of its items, its keys, its fields."""
    for name in node.__struct_fields__:
        part = getattr(node, name)
        for item in part if isinstance(part, tuple) else (part,):
            if isinstance(item, msgspec.inspect.Field):
                yield item.type
            elif isinstance(item, msgspec.inspect.Type):
                yield item
