"""What the shelves of all stores do with changes they have found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.store.base import Value

__all__ = ["bounded", "repeated"]


def bounded(values: Iterable[Value], limit: int, most: int) -> list[Value]:
    """As many of the values as are asked for: `limit` at most, and `most` bytes of bodies, but at least one."""
    found: list[Value] = []
    room = most
    for value in values:
        room -= len(value.body)
        if found and (room < 0 or len(found) >= limit):
            break
        found.append(value)
    return found


def repeated(changes: Iterable[Value], value: Value) -> int:
    """The version of the same write among the changes of its key, or 0.

    A token that comes again with something else is another write: it is not lost.
    """
    token = value.token
    for each in changes:
        if each.token == token and each.deleted == value.deleted and each.body == value.body:
            return each.version
    return 0
