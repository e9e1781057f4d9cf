"""Where in a value the part is that cannot be encoded.

Encoders say what they could not encode, not where it was. Only when one has failed, the value is walked to find the
first part that fails by itself. The walk keeps its own stack, goes into a shared part once, and ends at a part that
contains itself.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Fault", "key_step", "where_not"]

KEY_CHARS: Final = 40
"""Characters of a key that are shown in a path."""

EXACT: Final = (list, tuple, dict, set, frozenset)
"""The containers that are walked with ``exact=True``, without their subclasses."""

_UNSET: Final = object()
"""Stands for a field that has no value."""


class Fault(NamedTuple):
    """The first part of a value that cannot be encoded."""

    path: str
    """How to get there from the value: ``.readings[3].socket``; empty for the value itself."""
    kind: str
    """The type of the part."""
    reason: str
    """Why it cannot be encoded."""
    key: bool = False
    """Whether it is a key of the dictionary at `path`."""

    def __str__(self) -> str:
        place = f"`{self.path}`" if self.path else "the value"
        return f"{f'a key of {place}' if self.key else place} is of type {self.kind}: {self.reason}"


class _Spot(NamedTuple):
    """A part, and how the walk came to it."""

    value: object
    step: str = ""
    above: _Spot | None = None
    depth: int = 1

    def path(self) -> str:
        steps: list[str] = []
        spot: _Spot | None = self
        while spot is not None:
            steps.append(spot.step)
            spot = spot.above
        return "".join(reversed(steps))

    def is_inside_itself(self) -> bool:
        spot = self.above
        while spot is not None and spot.value is not self.value:
            spot = spot.above
        return spot is not None

    def fault(self, reason: str) -> Fault:
        return Fault(self.path(), type(self.value).__qualname__, reason)


def where_not(
    value: object,
    refuse: Callable[[object], str | None],
    refuse_key: Callable[[object], str | None],
    *,
    limit: int,
    exact: bool = False,
) -> Fault | None:
    """The first part of `value` that cannot be encoded, or None if every part can.

    `refuse` is asked about each part that is no container, `refuse_key` about each key of a dictionary; they return
    why it cannot be encoded, or None. Structs and dataclasses are walked by their fields, unless ``exact=True`` says
    that only builtin containers are known. A container below `limit` levels is a fault as well.
    """
    entered: set[int] = set()
    todo = [_Spot(value)]
    while todo:
        spot = todo.pop()
        parts = _parts(spot.value, exact=exact)
        if parts is None:
            reason = "the field has no value" if spot.value is _UNSET else refuse(spot.value)
        elif id(spot.value) in entered:
            reason = "it contains itself" if spot.is_inside_itself() else None
        elif spot.depth > limit:
            reason = f"it is nested deeper than {limit:,} levels, which is the limit (`nesting`)"
        else:
            entered.add(id(spot.value))
            fault = _key_fault(spot, refuse_key)
            if fault is not None:
                return fault
            todo.extend(_Spot(part, step, spot, spot.depth + 1) for step, part in reversed(parts))
            continue
        if reason is not None:
            return spot.fault(reason)
    return None


def _key_fault(spot: _Spot, refuse_key: Callable[[object], str | None]) -> Fault | None:
    for key in spot.value if isinstance(spot.value, dict) else ():
        reason = refuse_key(key)
        if reason is not None:
            return Fault(spot.path(), type(key).__qualname__, reason, key=True)
    return None


def _parts(value: object, *, exact: bool) -> Sequence[tuple[str, object]] | None:
    """The parts of a container with the step to each, or None for what is no container."""
    if exact and type(value) not in EXACT:
        return None
    if isinstance(value, dict):
        return [(key_step(key), part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [("{…}", part) for part in value]
    if isinstance(value, msgspec.Struct):
        return [(f".{name}", getattr(value, name, _UNSET)) for name in value.__struct_fields__]
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{field.name}", getattr(value, field.name, _UNSET)) for field in fields(value)]
    return None


def key_step(key: object) -> str:
    """The step from a dictionary to the value of a key: ``.name``, ``[7]``."""
    if isinstance(key, str) and key.isidentifier() and key.isascii() and len(key) <= KEY_CHARS:
        return f".{key}"
    if isinstance(key, (str, bytes)):
        return f"[{key[:KEY_CHARS]!a}{'…' if len(key) > KEY_CHARS else ''}]"
    if isinstance(key, (bool, float, type(None))) or (isinstance(key, int) and key.bit_length() <= 64):
        return f"[{key}]"
    return f"[{type(key).__qualname__}]"
