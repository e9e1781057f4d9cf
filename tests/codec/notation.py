"""The notation of values in `docs/vectors/objects.json`."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import ipaddress
import uuid
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyplug

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["value_of"]


@anyplug.register(name="geometry.Point")
@dataclass
class VectorPoint:
    x: int
    label: Any = None


@anyplug.register(name="paint.Colour")
class VectorColour(enum.Enum):
    RED = "red"


@anyplug.register(name="paint.Rights")
class VectorRights(enum.Flag):
    READ = 1
    WRITE = 4


def _each(items: list[Any]) -> list[Any]:
    return [value_of(item) for item in items]


def _pairs(pairs: list[Any]) -> dict[Any, Any]:
    return dict(map(_each, pairs))


def _datetime(text: str, fold: int, *zone: str) -> dt.datetime:
    value = dt.datetime.fromisoformat(text).replace(fold=fold)
    return value.replace(tzinfo=ZoneInfo(zone[0])) if zone else value


def _member(name: str, member: Any) -> enum.Enum:
    return VectorRights(member) if name == "paint.Rights" else VectorColour[member]


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda items: tuple(_each(items)),
    "set": lambda items: set(_each(items)),
    "frozenset": lambda items: frozenset(_each(items)),
    "dict": _pairs,
    "ordered_dict": lambda pairs: collections.OrderedDict(_pairs(pairs)),
    "deque": lambda items: collections.deque(_each(items[1:]), items[0]),
    "int": int,
    "float": float,
    "complex": lambda parts: complex(*map(float, parts)),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "decimal": Decimal,
    "fraction": lambda parts: Fraction(*parts),
    "datetime": lambda parts: _datetime(*parts),
    "date": dt.date.fromisoformat,
    "time": lambda parts: dt.time.fromisoformat(parts[0]).replace(fold=parts[1]),
    "timedelta": lambda parts: dt.timedelta(*parts),
    "timezone": lambda parts: dt.timezone(dt.timedelta(microseconds=parts[0]), parts[1]),
    "zone": ZoneInfo,
    "uuid": uuid.UUID,
    "range": lambda parts: range(*parts),
    "ellipsis": lambda _: ...,
    "ip": lambda parts: getattr(ipaddress, f"ip_{parts[0]}")(parts[1]),
    "object": lambda parts: VectorPoint(**{name: value_of(value) for name, value in parts[1].items()}),
    "enum": lambda parts: _member(*parts),
}


def value_of(notation: Any) -> Any:
    """The value that the notation means."""
    if isinstance(notation, list):
        return _each(notation)
    if not isinstance(notation, dict):
        return notation
    kind = next(iter(notation))
    if kind in _MAKERS:
        return _MAKERS[kind](notation[kind])
    return {key: value_of(value) for key, value in notation.items()}
